// The texts of address lists, and the compiled set's one question.
#include "acl/address_set.hpp"

#include <array>
#include <charconv>

#include "acl/address_key.hpp"

namespace smartvpn::acl {
namespace {

constexpr const char* kNotAnEntry =
    "is not an address, a prefix (10.0.0.0/8), a range (10.0.0.5-10.0.0.9), an IPv4 wildcard (10.0.*.*) or *";
constexpr uint8_t kAllFixed = 0x0f;

// The octets that `fixed` names first, then the others, each kind in its order.
uint32_t rearrange(uint32_t key, uint8_t fixed) noexcept {
  uint32_t out = 0;
  for (bool wanted : {true, false})
    for (int octet = 0; octet < 4; ++octet)
      if (((fixed >> (3 - octet)) & 1) == wanted) out = out << 8 | (key >> (24 - 8 * octet) & 0xff);
  return out;
}

int count_fixed(uint8_t fixed) noexcept { return (fixed >> 3 & 1) + (fixed >> 2 & 1) + (fixed >> 1 & 1) + (fixed & 1); }

// 0..255 without leading zeros.
std::optional<uint32_t> parse_octet(std::string_view text) noexcept {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 255) return std::nullopt;
  return value;
}

struct Wildcard {
  uint32_t key = 0;  // zero where the octet is '*'
  uint8_t fixed = 0;
};

std::optional<Wildcard> parse_wildcard(std::string_view text) noexcept {
  Wildcard out;
  for (int octet = 0; octet < 4; ++octet) {
    size_t dot = octet < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    std::string_view part = text.substr(0, dot);
    text.remove_prefix(octet < 3 ? dot + 1 : dot);
    auto number = part == "*" ? std::optional<uint32_t>(0) : parse_octet(part);
    if (!number) return std::nullopt;
    out.key = out.key << 8 | *number;
    out.fixed = static_cast<uint8_t>(out.fixed << 1 | (part == "*" ? 0 : 1));
  }
  return out;
}

}  // namespace

Result<AddressSet> AddressSet::compile(std::span<const std::string> entries, std::string_view path) {
  AddressSet set;
  for (size_t i = 0; i < entries.size(); ++i)
    if (const char* wrong = set.add(entries[i])) return entry_error(path, i, entries[i], wrong);
  set.seal();
  return set;
}

const char* AddressSet::add(std::string_view entry) {
  if (entry == "*") {
    v4_.add(0, ~uint32_t{0});
    v6_.add(0, ~U128{0});
    return nullptr;
  }
  size_t dash = entry.find('-');
  if (dash != std::string_view::npos) {
    auto first = inet::IpAddress::parse(entry.substr(0, dash));
    auto last = inet::IpAddress::parse(entry.substr(dash + 1));
    if (!first || !last) return "is not a range: an end is not an address";
    if (first->family() != last->family()) return "is not a range: its ends are of different families";
    if (*last < *first) return "is not a range: it ends before it begins";
    add_range(v4_, v6_, *first, *last);
    return nullptr;
  }
  if (entry.find('*') != std::string_view::npos) return add_wildcard(entry);
  auto cidr = inet::Cidr::parse(entry);
  if (!cidr) return kNotAnEntry;
  add_range(v4_, v6_, cidr->base, cidr->last());
  return nullptr;
}

const char* AddressSet::add_wildcard(std::string_view entry) {
  auto wildcard = parse_wildcard(entry);
  if (!wildcard) return kNotAnEntry;
  uint8_t fixed = wildcard->fixed;
  int free_bits = 32 - 8 * count_fixed(fixed);
  uint32_t free_mask = static_cast<uint32_t>((uint64_t{1} << free_bits) - 1);
  uint32_t first = rearrange(wildcard->key, fixed);
  // Wildcards at the end alone need no rearranging.
  bool plain = fixed == (kAllFixed & ~(kAllFixed >> count_fixed(fixed)));
  if (plain) {
    v4_.add(first, first | free_mask);
    return nullptr;
  }
  auto group = std::find_if(masks_.begin(), masks_.end(), [&](const MaskGroup& g) { return g.fixed == fixed; });
  if (group == masks_.end()) {
    masks_.emplace_back().fixed = fixed;
    group = masks_.end() - 1;
  }
  group->table.add(first, first | free_mask);
  return nullptr;
}

void AddressSet::seal() {
  v4_.seal();
  v6_.seal();
  for (MaskGroup& group : masks_) group.table.seal();
}

bool AddressSet::contains(const inet::IpAddress& ip) const noexcept {
  if (acl::contains(v4_, v6_, ip)) return true;
  if (!ip.is_v4()) return false;
  for (const MaskGroup& group : masks_)
    if (group.table.contains(rearrange(ip.v4_host_order(), group.fixed))) return true;
  return false;
}

}  // namespace smartvpn::acl
