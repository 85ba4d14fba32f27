// Payload encodings; see the header file. One field a list entry, so that nothing nests.
#include "session/payloads.hpp"

#include <algorithm>

namespace smartvpn::session {
namespace {

enum class Field : uint8_t {
  capabilities = 1,
  mtu = 2,
  max_plaintext = 3,
  address = 4,
  dns = 5,
  route = 6,
  keepalive_ms = 7,
  retry_after_s = 8,
  next_server_key = 9,
};

// ---- writing ----

void put(Bytes& out, Field field, ByteView value) {
  uint8_t head[3] = {static_cast<uint8_t>(field), 0, 0};
  store_le16(head + 1, static_cast<uint16_t>(value.size()));
  append(out, head);
  append(out, value);
}
void put16(Bytes& out, Field field, uint16_t value) {
  uint8_t b[2];
  store_le16(b, value);
  put(out, field, b);
}
void put32(Bytes& out, Field field, uint32_t value) {
  uint8_t b[4];
  store_le32(b, value);
  put(out, field, b);
}
void put_route(Bytes& out, const inet::Cidr& route) {
  uint8_t b[17] = {route.prefix};
  ByteView base = route.base.bytes();
  std::copy(base.begin(), base.end(), b + 1);
  put(out, Field::route, ByteView(b, 1 + base.size()));
}

uint32_t to_milliseconds(Duration d) noexcept {
  auto ms = std::chrono::duration_cast<milliseconds>(d).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(ms, 1, UINT32_MAX));
}

// ---- reading ----

// Each getter is false when the value has the wrong size.
bool get16(ByteView value, uint16_t& out) noexcept {
  if (value.size() != 2) return false;
  out = load_le16(value.data());
  return true;
}
bool get32(ByteView value, uint32_t& out) noexcept {
  if (value.size() != 4) return false;
  out = load_le32(value.data());
  return true;
}
std::optional<inet::IpAddress> get_ip(ByteView value) noexcept {
  if (value.size() == 4) return inet::IpAddress::v4(value.first<4>());
  if (value.size() == 16) return inet::IpAddress::v6(value.first<16>());
  return std::nullopt;
}
bool get_address(ByteView value, std::vector<inet::IpAddress>& list, size_t most) {
  auto ip = get_ip(value);
  if (!ip || list.size() >= most) return false;
  list.push_back(*ip);
  return true;
}
bool get_route(ByteView value, std::vector<inet::Cidr>& list) {
  if (value.empty() || list.size() >= kMaxRoutes) return false;
  auto base = get_ip(value.subspan(1));
  const int prefix = value[0];
  if (!base || prefix > base->bits() || base->masked(prefix) != *base) return false;
  list.push_back({*base, value[0]});
  return true;
}
bool get_limit(ByteView value, uint32_t& out) noexcept {
  if (!get32(value, out) || out < kMinPlaintextLimit) return false;
  out = std::min<uint32_t>(out, kMaxPlaintext);
  return true;
}

bool is_list(uint8_t field) noexcept {
  return field >= static_cast<uint8_t>(Field::address) && field <= static_cast<uint8_t>(Field::route);
}

// Calls `fn(Field, value)` for every field, known or not. False when one is cut short, appears twice
// though it has one value, or `fn` refuses it.
template <class Fn>
bool for_each_field(ByteView bytes, Fn&& fn) {
  uint32_t seen = 0;
  ByteReader reader(bytes);
  while (!reader.at_end()) {
    const uint8_t type = reader.u8();
    ByteView value = reader.take(reader.le16());
    if (!reader.ok()) return false;
    if (type < 32 && !is_list(type)) {
      if (seen & (1u << type)) return false;
      seen |= 1u << type;
    }
    if (!fn(static_cast<Field>(type), value)) return false;
  }
  return true;
}

bool read_parameter(Field field, ByteView value, SessionParameters& out) {
  switch (field) {
    case Field::capabilities:
      return get32(value, out.capabilities);
    case Field::mtu:
      return get16(value, out.mtu) && out.mtu != 0;
    case Field::max_plaintext:
      return get_limit(value, out.max_plaintext);
    case Field::address:
      return get_address(value, out.addresses, kMaxAddresses);
    case Field::dns:
      return get_address(value, out.dns, kMaxDns);
    case Field::route:
      return get_route(value, out.routes);
    case Field::keepalive_ms: {
      uint32_t ms = 0;
      if (!get32(value, ms) || ms == 0) return false;
      out.keepalive_interval = milliseconds(ms);
      return true;
    }
    case Field::next_server_key: {
      if (value.size() != 32) return false;
      out.next_server_key.emplace();
      std::copy(value.begin(), value.end(), out.next_server_key->begin());
      return true;
    }
    case Field::retry_after_s:
      return value.size() == 4;
  }
  return true;
}

}  // namespace

bool encode(const InitiationPayload& payload, Bytes& out) {
  if (payload.wanted_addresses.size() > kMaxAddresses) return false;
  out.push_back(payload.version);
  put32(out, Field::capabilities, payload.capabilities);
  put32(out, Field::max_plaintext, payload.max_plaintext);
  if (payload.wanted_mtu != 0) put16(out, Field::mtu, payload.wanted_mtu);
  for (const auto& ip : payload.wanted_addresses) put(out, Field::address, ip.bytes());
  return true;
}

bool encode(const SessionParameters& p, Bytes& out) {
  if (p.addresses.size() > kMaxAddresses || p.dns.size() > kMaxDns || p.routes.size() > kMaxRoutes) return false;
  put32(out, Field::capabilities, p.capabilities);
  put16(out, Field::mtu, p.mtu);
  put32(out, Field::max_plaintext, p.max_plaintext);
  put32(out, Field::keepalive_ms, to_milliseconds(p.keepalive_interval));
  for (const auto& ip : p.addresses) put(out, Field::address, ip.bytes());
  for (const auto& ip : p.dns) put(out, Field::dns, ip.bytes());
  for (const auto& route : p.routes) put_route(out, route);
  if (p.next_server_key) put(out, Field::next_server_key, *p.next_server_key);
  return true;
}

bool encode(const ResponsePayload& payload, bool rekey, Bytes& out) {
  const size_t before = out.size();
  out.push_back(static_cast<uint8_t>(payload.status));
  out.push_back(payload.version);
  if (payload.retry_after_s != 0) put32(out, Field::retry_after_s, payload.retry_after_s);
  if (payload.status != HandshakeStatus::ok || rekey || encode(payload.parameters, out)) return true;
  out.resize(before);
  return false;
}

std::optional<InitiationPayload> decode_initiation(ByteView bytes) {
  if (bytes.empty() || bytes[0] == 0) return std::nullopt;
  InitiationPayload out;
  out.version = bytes[0];
  bool ok = for_each_field(bytes.subspan(1), [&](Field field, ByteView value) {
    switch (field) {
      case Field::capabilities:
        return get32(value, out.capabilities);
      case Field::mtu:
        return get16(value, out.wanted_mtu);
      case Field::max_plaintext:
        return get_limit(value, out.max_plaintext);
      case Field::address:
        return get_address(value, out.wanted_addresses, kMaxAddresses);
      default:
        return true;
    }
  });
  if (!ok) return std::nullopt;
  return out;
}

std::optional<ResponsePayload> decode_response(ByteView bytes) {
  if (bytes.size() < 2 || bytes[1] == 0) return std::nullopt;
  ResponsePayload out;
  out.status = read_status(bytes[0]);
  out.version = bytes[1];
  bool ok = for_each_field(bytes.subspan(2), [&](Field field, ByteView value) {
    if (field == Field::retry_after_s) return get32(value, out.retry_after_s);
    return read_parameter(field, value, out.parameters);
  });
  if (!ok) return std::nullopt;
  return out;
}

std::optional<SessionParameters> decode_parameters(ByteView record) {
  SessionParameters out;
  if (!for_each_field(record, [&](Field field, ByteView value) { return read_parameter(field, value, out); }))
    return std::nullopt;
  return out;
}

}  // namespace smartvpn::session
