#include "inet/address.hpp"

#include <charconv>

#include "base/rng.hpp"

namespace smartvpn::inet {
namespace {

constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<unsigned> parse_decimal(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

bool parse_v4(std::string_view text, uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return false;
    auto part = parse_decimal(text.substr(0, dot), 255);
    if (!part) return false;
    out[i] = static_cast<uint8_t>(*part);
    if (i < 3) text.remove_prefix(dot + 1);
  }
  return true;
}

std::optional<uint16_t> parse_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return static_cast<uint16_t>(value);
}

// Parses colon-separated groups into `out` (16 bytes of room), the last one possibly a dotted quad.
// Gives the number of bytes, or nothing. An empty text is zero groups.
std::optional<size_t> parse_groups(std::string_view text, bool may_end_v4, uint8_t* out) {
  size_t used = 0;
  if (text.empty()) return used;
  for (;;) {
    size_t colon = text.find(':');
    std::string_view part = text.substr(0, colon);
    if (colon == std::string_view::npos && may_end_v4 && part.find('.') != std::string_view::npos) {
      if (used > 12 || !parse_v4(part, out + used)) return std::nullopt;
      return used + 4;
    }
    auto group = parse_group(part);
    if (!group || used > 14) return std::nullopt;
    store_be16(out + used, *group);
    used += 2;
    if (colon == std::string_view::npos) return used;
    text.remove_prefix(colon + 1);
  }
}

bool parse_v6(std::string_view text, uint8_t* out) {
  std::fill(out, out + 16, uint8_t{0});
  size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    auto used = parse_groups(text, true, out);
    return used && *used == 16;
  }
  uint8_t head[16], tail[16];
  auto head_size = parse_groups(text.substr(0, gap), false, head);
  auto tail_size = parse_groups(text.substr(gap + 2), true, tail);
  // "::" stands for at least one group of zeros.
  if (!head_size || !tail_size || *head_size + *tail_size > 14) return false;
  std::copy(head, head + *head_size, out);
  std::copy(tail, tail + *tail_size, out + 16 - *tail_size);
  return true;
}

// RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::".
std::string format_v6(const uint8_t* bytes) {
  int best = -1, best_length = 1;
  for (int i = 0; i < 8;) {
    int j = i;
    while (j < 8 && load_be16(bytes + 2 * j) == 0) ++j;
    if (j - i > best_length) {
      best = i;
      best_length = j - i;
    }
    i = j == i ? i + 1 : j;
  }
  std::string out;
  for (int i = 0; i < 8;) {
    if (i == best) {
      out += "::";
      i += best_length;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    char text[5];
    auto end = std::to_chars(text, text + sizeof text, load_be16(bytes + 2 * i), 16).ptr;
    out.append(text, end);
    ++i;
  }
  return out;
}

}  // namespace

IpAddress IpAddress::v4(std::span<const uint8_t, 4> bytes) noexcept {
  IpAddress ip;
  ip.family_ = Family::v4;
  std::copy(bytes.begin(), bytes.end(), ip.bytes_.begin());
  return ip;
}

IpAddress IpAddress::v4(uint32_t host_order) noexcept {
  uint8_t bytes[4];
  store_be32(bytes, host_order);
  return v4(bytes);
}

IpAddress IpAddress::v6_verbatim(std::span<const uint8_t, 16> bytes) noexcept {
  IpAddress ip;
  ip.family_ = Family::v6;
  std::copy(bytes.begin(), bytes.end(), ip.bytes_.begin());
  return ip;
}

IpAddress IpAddress::v6(std::span<const uint8_t, 16> bytes) noexcept {
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) return v4(bytes.subspan<12, 4>());
  return v6_verbatim(bytes);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  uint8_t bytes[16];
  if (text.find(':') == std::string_view::npos) {
    if (!parse_v4(text, bytes)) return std::nullopt;
    return v4(std::span<const uint8_t, 4>(bytes, 4));
  }
  if (text.size() > 45 || !parse_v6(text, bytes)) return std::nullopt;
  return v6(bytes);
}

bool IpAddress::is_unspecified() const noexcept {
  return family_ != Family::none && std::all_of(bytes_.begin(), bytes_.end(), [](uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const noexcept {
  if (is_v4()) return bytes_[0] == 127;
  return is_v6() && bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; });
}

bool IpAddress::is_multicast() const noexcept {
  return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : is_v6() && bytes_[0] == 0xff;
}

bool IpAddress::is_link_local() const noexcept {
  if (is_v4()) return bytes_[0] == 169 && bytes_[1] == 254;
  return is_v6() && bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

IpAddress IpAddress::masked(int prefix) const noexcept {
  IpAddress out = *this;
  prefix = std::clamp(prefix, 0, bits());
  for (int i = 0; i < bits() / 8; ++i) {
    int keep = std::clamp(prefix - i * 8, 0, 8);
    out.bytes_[static_cast<size_t>(i)] &= static_cast<uint8_t>(0xff00 >> keep);
  }
  return out;
}

IpAddress IpAddress::plus(uint64_t n) const noexcept {
  IpAddress out = *this;
  uint64_t carry = n;
  for (int i = bits() / 8 - 1; i >= 0 && carry != 0; --i) {
    auto& byte = out.bytes_[static_cast<size_t>(i)];
    uint64_t sum = (carry & 0xff) + byte;
    byte = static_cast<uint8_t>(sum);
    carry = (carry >> 8) + (sum >> 8);
  }
  return out;
}

std::string IpAddress::text() const {
  if (family_ == Family::none) return {};
  if (is_v6()) return format_v6(bytes_.data());
  std::string out;
  for (size_t i = 0; i < 4; ++i) {
    if (i) out += '.';
    out += std::to_string(bytes_[i]);
  }
  return out;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) noexcept {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto port = parse_decimal(text.substr(colon + 1), 65535);
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  auto ip = IpAddress::parse(host);
  if (!port || !ip) return std::nullopt;
  return Endpoint{*ip, static_cast<uint16_t>(*port)};
}

std::string Endpoint::text() const {
  if (!ip) return {};
  std::string host = ip.is_v6() ? "[" + ip.text() + "]" : ip.text();
  return host + ":" + std::to_string(port);
}

std::optional<Cidr> Cidr::parse(std::string_view text, bool lenient) noexcept {
  size_t slash = text.find('/');
  std::string_view host = text.substr(0, slash);
  auto ip = IpAddress::parse(host);
  if (!ip) return std::nullopt;
  bool mapped = ip->is_v4() && host.find(':') != std::string_view::npos;
  int prefix = ip->bits();
  if (slash != std::string_view::npos) {
    auto number = parse_decimal(text.substr(slash + 1), mapped ? 128u : static_cast<unsigned>(ip->bits()));
    if (!number || (mapped && *number < 96)) return std::nullopt;
    prefix = static_cast<int>(*number) - (mapped ? 96 : 0);
  }
  Cidr out{ip->masked(prefix), static_cast<uint8_t>(prefix)};
  if (!lenient && out.base != *ip) return std::nullopt;
  return out;
}

bool Cidr::contains(const IpAddress& ip) const noexcept {
  return ip.family() == base.family() && ip.masked(prefix) == base;
}

bool Cidr::overlaps(const Cidr& other) const noexcept {
  return prefix <= other.prefix ? contains(other.base) : other.contains(base);
}

IpAddress Cidr::last() const noexcept {
  std::array<uint8_t, 16> bytes{};
  auto from = base.bytes();
  for (size_t i = 0; i < from.size(); ++i) {
    int keep = std::clamp(static_cast<int>(prefix) - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<uint8_t>(from[i] | (0xff >> keep));
  }
  if (base.is_v4()) return IpAddress::v4(std::span<const uint8_t, 4>(bytes.data(), 4));
  return IpAddress::v6_verbatim(bytes);
}

std::string Cidr::text() const { return base ? base.text() + "/" + std::to_string(prefix) : std::string(); }

namespace {

// Of this process, so that nobody can pick addresses that all fall into one bucket.
struct HashSecret {
  uint64_t start = system_rng().u64();
  uint64_t factor = system_rng().u64() | 1;
};

}  // namespace

size_t IpAddressHash::operator()(const IpAddress& ip) const noexcept {
  static const HashSecret secret;
  uint64_t h = secret.start + static_cast<uint64_t>(ip.family());
  auto b = ip.bytes();
  for (size_t i = 0; i + 4 <= b.size(); i += 4) h = (h ^ load_be32(b.data() + i)) * secret.factor, h ^= h >> 32;
  return static_cast<size_t>(h);
}

IpAddress limit_key(const IpAddress& ip) noexcept { return ip.is_v6() ? ip.masked(64) : ip; }

}  // namespace smartvpn::inet
