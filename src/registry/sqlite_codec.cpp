// Unsigned 64-bit numbers are kept as the signed ones of the same bits. Everything read back is checked:
// a file may be damaged, or touched by hand.
#include "registry/sqlite_codec.hpp"

namespace smartvpn::registry {

const char* const kSqliteClientColumns =
    "id, revision, enabled, expires_at_ms, allow_overlap, transports, max_sessions, session_policy, priority, "
    "description, from_client_bytes_per_second, from_client_burst_bytes, to_client_bytes_per_second, "
    "to_client_burst_bytes, noise_public_key, wireguard_public_key, wireguard_preshared_key, noise_private_key, "
    "wireguard_private_key, previous_noise_public_key, previous_wireguard_public_key, previous_noise_private_key, "
    "previous_wireguard_private_key, rotation_until_ms, rotation_seen";
const char* const kSqliteClientMarks = "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?";

namespace {

Error damaged(std::string_view id, const std::string& what) {
  return make_error(Status::SYSTEM, "client '" + std::string(id) + "' in the registry's file is damaged: " + what,
                    "/registry/path");
}

// Binds columns one after the other.
class Writer {
 public:
  explicit Writer(SqliteStatement& statement) : statement_(statement) {}
  void number(uint64_t value) { statement_.bind(++index_, static_cast<int64_t>(value)); }
  void number(int64_t value) { statement_.bind(++index_, value); }
  void text(std::string_view value) { statement_.bind(++index_, value); }
  void key(const PublicKey& key) { statement_.bind_blob(++index_, key); }
  void key(const std::optional<PublicKey>& value) {
    if (value)
      key(*value);
    else
      null();
  }
  void key(std::optional<PublicKey>&&) = delete;  // it would be gone before the statement runs
  void secret(const SharedSecret& value) {
    if (value)
      statement_.bind_blob(++index_, value->view());
    else
      null();
  }
  void null() { statement_.bind_null(++index_); }

 private:
  SqliteStatement& statement_;
  int index_ = 0;
};

// Reads columns one after the other; one that cannot be makes `wrong` name it.
class Reader {
 public:
  explicit Reader(const SqliteStatement& row) : row_(row) {}
  std::string text() { return std::string(row_.text(index_++)); }
  int64_t number() { return row_.number(index_++); }
  template <class T>
  T number_up_to(int64_t max, const char* name) {
    const int64_t value = number();
    if (value < 0 || value > max) wrong_ = name;
    return static_cast<T>(value);
  }
  uint64_t u64() { return static_cast<uint64_t>(number()); }
  bool flag(const char* name) { return number_up_to<uint8_t>(1, name) != 0; }

  std::optional<PublicKey> key() {
    const ByteView bytes = key_bytes();
    if (bytes.empty()) return std::nullopt;
    PublicKey out;
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }
  SharedSecret secret() {
    const ByteView bytes = key_bytes();
    return bytes.empty() ? nullptr : std::make_shared<const SecretKey>(bytes.first<SecretKey::kSize>());
  }
  void set_wrong(const char* name) { wrong_ = name; }
  const char* wrong() const { return wrong_; }

 private:
  ByteView key_bytes() {
    const int column = index_++;
    const ByteView bytes = row_.blob(column);
    if (bytes.size() == SecretKey::kSize) return bytes;
    if (!row_.is_null(column)) wrong_ = "a key";
    return {};
  }

  const SqliteStatement& row_;
  int index_ = 0;
  const char* wrong_ = nullptr;
};

void bind_rotation(Writer& out, const Boxed<Rotation>& rotation) {
  if (rotation) {
    out.key(rotation->noise_public_key);
    out.key(rotation->wireguard_public_key);
    out.secret(rotation->noise_private_key);
    out.secret(rotation->wireguard_private_key);
  } else {
    for (int i = 0; i < 4; ++i) out.null();
  }
  out.number(rotation ? rotation->until_ms : int64_t{0});
  out.number(uint64_t{rotation && rotation->seen});
}

void read_settings(Reader& in, Client& client) {
  client.enabled = in.flag("enabled");
  client.expires_at_ms = in.number();
  client.allow_overlap = in.flag("allow_overlap");
  client.transports = in.number_up_to<TransportMask>(UINT8_MAX, "transports");
  client.max_sessions = in.number_up_to<uint32_t>(UINT32_MAX, "max_sessions");
  client.session_policy = in.number_up_to<SessionPolicy>(1, "session_policy");
  client.priority = in.number_up_to<uint32_t>(UINT32_MAX, "priority");
  client.description = in.text();
  RateLimit& rate = client.security.rate_limit;
  rate.from_client_bytes_per_second = in.u64();
  rate.from_client_burst_bytes = in.u64();
  rate.to_client_bytes_per_second = in.u64();
  rate.to_client_burst_bytes = in.u64();
}

void read_keys(Reader& in, Client& client) {
  if (auto key = in.key())
    client.noise_public_key = *key;
  else
    in.set_wrong("noise_public_key");
  client.wireguard_public_key = in.key();
  client.wireguard_preshared_key = in.secret();
  client.noise_private_key = in.secret();
  client.wireguard_private_key = in.secret();
  const auto previous = in.key();
  Rotation rotation;
  rotation.noise_public_key = previous.value_or(PublicKey{});
  rotation.wireguard_public_key = in.key();
  rotation.noise_private_key = in.secret();
  rotation.wireguard_private_key = in.secret();
  rotation.until_ms = in.number();
  rotation.seen = in.flag("rotation_seen");
  if (previous) client.rotation = std::move(rotation);
}

void append_texts(std::vector<Item>& out, ItemKind kind, const std::vector<std::string>& values) {
  for (size_t i = 0; i < values.size(); ++i) out.push_back({kind, static_cast<int64_t>(i), values[i]});
}

template <class T>
void append_values(std::vector<Item>& out, ItemKind kind, const std::vector<T>& values) {
  for (size_t i = 0; i < values.size(); ++i) out.push_back({kind, static_cast<int64_t>(i), values[i].text()});
}

template <class T>
bool add_parsed(std::vector<T>& to, const std::optional<T>& value) {
  if (value) to.push_back(*value);
  return value.has_value();
}

}  // namespace

void bind_client_row(SqliteStatement& insert, const Client& client, uint64_t revision) {
  const RateLimit& rate = client.security.rate_limit;
  Writer out(insert);
  out.text(client.id);
  out.number(revision);
  out.number(uint64_t{client.enabled});
  out.number(client.expires_at_ms);
  out.number(uint64_t{client.allow_overlap});
  out.number(uint64_t{client.transports});
  out.number(uint64_t{client.max_sessions});
  out.number(static_cast<uint64_t>(client.session_policy));
  out.number(uint64_t{client.priority});
  out.text(client.description);
  out.number(rate.from_client_bytes_per_second);
  out.number(rate.from_client_burst_bytes);
  out.number(rate.to_client_bytes_per_second);
  out.number(rate.to_client_burst_bytes);
  out.key(client.noise_public_key);
  out.key(client.wireguard_public_key);
  out.secret(client.wireguard_preshared_key);
  out.secret(client.noise_private_key);
  out.secret(client.wireguard_private_key);
  bind_rotation(out, client.rotation);
}

Result<Client> read_client_row(const SqliteStatement& row) {
  Reader in(row);
  Client client;
  client.id = in.text();
  client.revision = in.u64();
  read_settings(in, client);
  read_keys(in, client);
  if (in.wrong()) return damaged(client.id, in.wrong());
  return client;
}

std::vector<Item> items_of(const Client& client) {
  std::vector<Item> out;
  append_values(out, ItemKind::address, client.addresses);
  append_values(out, ItemKind::subnet, client.subnets);
  append_texts(out, ItemKind::tag, client.tags);
  append_texts(out, ItemKind::ip_allow, client.security.ip_allow_list);
  append_texts(out, ItemKind::ip_block, client.security.ip_block_list);
  append_texts(out, ItemKind::destination_allow, client.security.destination_allow_list);
  append_texts(out, ItemKind::destination_block, client.security.destination_block_list);
  return out;
}

Result<void> add_item(Client& client, int64_t kind, std::string_view value) {
  ClientSecurity& security = client.security;
  const auto add = [&](std::vector<std::string>& to) -> Result<void> {
    to.emplace_back(value);
    return {};
  };
  switch (kind) {
    case static_cast<int64_t>(ItemKind::address):
      return add_parsed(client.addresses, inet::IpAddress::parse(value)) ? Result<void>()
                                                                         : damaged(client.id, "an address");
    case static_cast<int64_t>(ItemKind::subnet):
      return add_parsed(client.subnets, inet::Cidr::parse(value)) ? Result<void>() : damaged(client.id, "a subnet");
    case static_cast<int64_t>(ItemKind::tag):
      return add(client.tags);
    case static_cast<int64_t>(ItemKind::ip_allow):
      return add(security.ip_allow_list);
    case static_cast<int64_t>(ItemKind::ip_block):
      return add(security.ip_block_list);
    case static_cast<int64_t>(ItemKind::destination_allow):
      return add(security.destination_allow_list);
    case static_cast<int64_t>(ItemKind::destination_block):
      return add(security.destination_block_list);
    default:
      return damaged(client.id, "a list of a kind that is not known");
  }
}

}  // namespace smartvpn::registry
