// See uapi_codec.hpp. Keys and values as https://www.wireguard.com/xplatform/ has them; `allowed_ip=-` is of newer
// ones.
#include "transport/wireguard/uapi_codec.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>

namespace smartvpn::wireguard {
namespace {

constexpr size_t kHexKey = 64;

// The value of a hexadecimal digit, or a number above 15. Without branches or tables, since keys are secrets.
uint32_t digit_value(uint8_t c) noexcept {
  const uint32_t digit = uint32_t{c} ^ '0', letter = ((uint32_t{c} | 0x20u) - 'a') & 0xffu;
  const uint32_t is_digit = 0u - ((digit - 10u) >> 31), is_letter = 0u - ((letter - 6u) >> 31);
  return (digit & is_digit) | ((letter + 10u) & is_letter & ~is_digit) | (0x100u & ~(is_digit | is_letter));
}

bool read_key(std::string_view text, std::span<uint8_t, 32> out) noexcept {
  if (text.size() != kHexKey) return false;
  uint32_t wrong = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const uint32_t high = digit_value(static_cast<uint8_t>(text[2 * i]));
    const uint32_t low = digit_value(static_cast<uint8_t>(text[2 * i + 1]));
    wrong |= high | low;
    out[i] = static_cast<uint8_t>(high << 4 | (low & 15u));
  }
  return (wrong & ~15u) == 0;
}

bool read_secret(std::string_view text, std::optional<SecretKey>& out) noexcept {
  return read_key(text, out.emplace().span());
}

template <class T>
bool read_number(std::string_view text, std::optional<T>& out) noexcept {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  out = value;
  return true;
}

int true_alone(std::string_view value, bool& out) noexcept {
  if (value != "true") return EINVAL;
  out = true;
  return 0;
}

int checked(bool good) noexcept { return good ? 0 : EINVAL; }

void append_key(std::string& out, std::string_view name, std::span<const uint8_t, 32> key) {
  out += name;
  out += '=';
  for (const uint8_t byte : key) {
    for (const uint32_t nibble : {uint32_t{byte} >> 4, uint32_t{byte} & 15u}) {
      const uint32_t above_nine = 0u - ((9u - nibble) >> 31);
      out += static_cast<char>('0' + nibble + (above_nine & ('a' - '0' - 10)));
    }
  }
  out += '\n';
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += '=';
  out += value;
  out += '\n';
}

template <class T>
void append_number(std::string& out, std::string_view name, T value) {
  std::array<char, std::numeric_limits<T>::digits10 + 3> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  append_line(out, name, {text.data(), static_cast<size_t>(written.ptr - text.data())});
}

}  // namespace

size_t UapiParser::feed(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size() && state_ == State::more) {
    const char c = bytes[at++];
    if (++request_bytes_ > kMaxRequest) {
      state_ = State::lost;
    } else if (c == '\n') {
      end_line();
    } else if (line_size_ < kMaxLine) {
      line_[line_size_++] = static_cast<uint8_t>(c);
    } else if (error_ == 0) {
      error_ = EINVAL;  // what is left of the line is skipped
    }
  }
  return at;
}

void UapiParser::end_line() {
  if (line_size_ == 0) {
    if (first_) error_ = EPROTO;
    state_ = State::done;
    return;
  }
  const std::string_view line(reinterpret_cast<const char*>(line_.data()), line_size_);
  if (error_ == 0) error_ = read_line(line);
  first_ = false;
  wipe(std::span(line_).first(line_size_));
  line_size_ = 0;
}

int UapiParser::take(UapiRequest& out) {
  const int error = error_;
  const bool set = request_.set;
  out = std::move(request_);
  if (error != 0) out = UapiRequest();
  out.set = set;
  request_ = UapiRequest();
  request_bytes_ = allowed_ips_ = 0;
  first_ = true;
  error_ = 0;
  state_ = State::more;
  return error;
}

int UapiParser::read_line(std::string_view line) {
  if (first_) return read_first(line);
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos || !request_.set) return EINVAL;
  const std::string_view key = line.substr(0, equals), value = line.substr(equals + 1);
  if (key == "public_key") return begin_peer(value);
  return request_.peers.empty() ? read_device_key(key, value) : read_peer_key(key, value);
}

int UapiParser::read_first(std::string_view line) {
  request_.set = line == "set=1";
  return request_.set || line == "get=1" ? 0 : EPROTO;
}

int UapiParser::read_device_key(std::string_view key, std::string_view value) {
  if (key == "private_key") return checked(read_secret(value, request_.private_key));
  if (key == "listen_port") return checked(read_number(value, request_.listen_port));
  if (key == "fwmark") return checked(read_number(value, request_.fwmark));
  if (key == "replace_peers") return true_alone(value, request_.replace_peers);
  return EINVAL;
}

int UapiParser::begin_peer(std::string_view value) {
  if (request_.peers.size() == kMaxPeers) return E2BIG;
  return checked(read_key(value, request_.peers.emplace_back().key));
}

int UapiParser::read_peer_key(std::string_view key, std::string_view value) {
  UapiPeer& peer = request_.peers.back();
  if (key == "remove") return true_alone(value, peer.remove);
  if (key == "update_only") return true_alone(value, peer.update_only);
  if (key == "preshared_key") return checked(read_secret(value, peer.preshared_key));
  if (key == "persistent_keepalive_interval") return checked(read_number(value, peer.persistent_keepalive_s));
  if (key == "replace_allowed_ips") return true_alone(value, peer.replace_allowed_ips);
  if (key == "allowed_ip") return add_allowed_ip(value);
  if (key == "protocol_version") return checked(value == "1");
  if (key != "endpoint") return EINVAL;
  peer.endpoint = inet::Endpoint::parse(value);
  return checked(peer.endpoint && peer.endpoint->port != 0);
}

int UapiParser::add_allowed_ip(std::string_view value) {
  if (allowed_ips_ == kMaxAllowedIps) return E2BIG;
  ++allowed_ips_;
  const bool remove = value.starts_with('-');
  const auto prefix = inet::Cidr::parse(value.substr(remove ? 1 : 0));
  if (!prefix) return EINVAL;
  request_.peers.back().allowed_ips.push_back({*prefix, remove});
  return 0;
}

void append_uapi_device(std::string& out, uint16_t listen_port) { append_number(out, "listen_port", listen_port); }

void append_uapi_peer(std::string& out, const UapiPeerState& peer) {
  append_key(out, "public_key", peer.key);
  const SecretKey none;
  append_key(out, "preshared_key", (peer.preshared_key ? *peer.preshared_key : none).view());
  append_line(out, "protocol_version", "1");
  if (peer.endpoint && *peer.endpoint) append_line(out, "endpoint", peer.endpoint->text());
  const int64_t handshake = std::max<int64_t>(0, peer.last_handshake_ms);
  append_number(out, "last_handshake_time_sec", handshake / 1000);
  append_number(out, "last_handshake_time_nsec", handshake % 1000 * 1'000'000);
  append_number(out, "tx_bytes", peer.bytes_out);
  append_number(out, "rx_bytes", peer.bytes_in);
  append_number(out, "persistent_keepalive_interval", peer.persistent_keepalive_s);
  for (const inet::Cidr& prefix : peer.allowed_ips) append_line(out, "allowed_ip", prefix.text());
}

// The longest names and values: two keys, an IPv6 endpoint, five numbers; an IPv6 prefix each.
size_t uapi_peer_size(const UapiPeerState& peer) noexcept { return 512 + 64 * peer.allowed_ips.size(); }

void append_uapi_errno(std::string& out, int error, bool set) {
  append_number(out, "errno", set ? -error : error);
  out += '\n';
}

}  // namespace smartvpn::wireguard
