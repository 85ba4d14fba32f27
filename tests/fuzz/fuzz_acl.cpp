// Compiles lists of address texts. A list must be accepted exactly when each entry is, and contain
// exactly what its entries contain; a refused one must name the first bad entry.
// Input: 16 bytes of an address to ask for, then entries, one a line.
#include "acl/address_set.hpp"
#include "acl/trusted_proxies.hpp"
#include "fuzz/require.hpp"

using namespace smartvpn;
using namespace smartvpn::acl;

namespace {

using smartvpn::fuzz::require;

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty() && out.size() < 64) {
    size_t end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

Result<AddressSet> compile_one(const std::string& entry) {
  return AddressSet::compile(std::span<const std::string>(&entry, 1), "");
}

// Addresses near every number in the entries, so that borders are looked at.
std::vector<inet::IpAddress> probes(const uint8_t* bytes, const std::vector<std::string>& entries) {
  std::vector<inet::IpAddress> out{inet::IpAddress::v6(std::span<const uint8_t, 16>(bytes, 16)),
                                   inet::IpAddress::v4(std::span<const uint8_t, 4>(bytes, 4)), inet::IpAddress()};
  for (const auto& entry : entries) {
    size_t dash = entry.find('-');
    for (auto part : {std::string_view(entry).substr(0, dash), std::string_view(entry).substr(dash + 1)})
      if (auto cidr = inet::Cidr::parse(part))
        for (const auto& ip : {cidr->base, cidr->last()})
          for (uint64_t step : {uint64_t{0}, uint64_t{1}}) out.push_back(ip.plus(step));
  }
  return out;
}

void check_trusted(const std::vector<std::string>& entries, const std::vector<inet::IpAddress>& ips,
                   const AddressSet& set) {
  auto trusted = TrustedProxies::compile(entries, "/t");
  if (!trusted) return require(trusted.error().path.starts_with("/t"));
  for (const auto& ip : ips) require(trusted->contains(ip) == set.contains(ip));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 16) return 0;
  auto entries = lines(as_text(ByteView(data + 16, size - 16)));
  auto set = AddressSet::compile(entries, "/list");
  std::vector<AddressSet> singles;
  for (size_t i = 0; i < entries.size(); ++i) {
    auto one = compile_one(entries[i]);
    if (!one) {
      require(!set && set.error().status == Status::INVALID && set.error().path == "/list/" + std::to_string(i));
      return 0;
    }
    singles.push_back(std::move(*one));
  }
  require(set.ok() && set->empty() == entries.empty());
  auto ips = probes(data, entries);
  for (const auto& ip : ips) {
    bool expected =
        std::any_of(singles.begin(), singles.end(), [&](const AddressSet& one) { return one.contains(ip); });
    require(set->contains(ip) == expected);
  }
  check_trusted(entries, ips, *set);
  return 0;
}
