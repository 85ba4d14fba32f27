#include "tunnel/client_connection_link.hpp"

#include <cerrno>
#include <new>

#include "proxyproto/writer.hpp"

namespace smartvpn::tunnel {
namespace {

using ProxySend = config::TunnelProxyConfig::Send;

session::InitiatorConfig initiator_config(const config::TunnelConfig& config,
                                          std::shared_ptr<const crypto::KeyPair> key, const PublicKey& server_key,
                                          const std::vector<inet::IpAddress>& wanted) {
  session::InitiatorConfig out;
  out.static_key = std::move(key);
  out.server_key = server_key;
  out.wanted_mtu = config.mtu;
  out.wanted_addresses = wanted;
  out.super_packets = true;
  if (config.keepalive_interval_ms != 0) out.keepalive_interval = milliseconds(config.keepalive_interval_ms);
  return out;
}

ws::Limits message_limits(const session::Initiator& initiator) {
  ws::Limits limits;
  limits.max_message = initiator.max_incoming();
  limits.max_fragments = 64;
  limits.max_pending = 8192;
  limits.binary_only = true;
  return limits;
}

}  // namespace

ClientConnection::ClientConnection(const Parts& parts, Owner& owner, std::vector<inet::IpAddress> wanted_addresses)
    : parts_(parts),
      owner_(owner),
      wanted_addresses_(std::move(wanted_addresses)),
      outlet_(parts.pool),
      flush_(parts.loop, [this] { guarded([this] { flush(); }); }),
      timer_(parts.loop, [this] { guarded([this] { on_timer(); }); }) {}

ClientConnection::~ClientConnection() {
  if (lookup_ != 0) parts_.resolver->cancel(lookup_);
}

template <class Fn>
void ClientConnection::guarded(Fn&& fn) noexcept {
  try {
    fn();
  } catch (const std::bad_alloc&) {
    end(Reason::out_of_memory, {});
  }
}

void ClientConnection::begin() {
  const config::ServerUrl& url = parts_.config.server;
  stage_deadline_ = now() + kStepTimeout;
  arm_timer();
  if (auto ip = inet::IpAddress::parse(url.host)) return connect({{*ip, url.port}});
  if (!parts_.resolve_first && !parts_.last_known.empty()) return connect(parts_.last_known);
  lookup_ = parts_.resolver->resolve(url.host, url.port, [this](Result<std::vector<inet::Endpoint>> result) {
    lookup_ = 0;
    guarded([&] {
      if (!result) return not_resolved(result.error().text);
      connect(std::move(*result));
    });
  });
  if (lookup_ == 0) end(Reason::transport_error, "too many name look-ups are waiting");
}

// The host's resolver may be one that is reached through the tunnel which is to be brought back.
void ClientConnection::not_resolved(const std::string& why) {
  if (!parts_.last_known.empty()) return connect(parts_.last_known);
  end(Reason::transport_error, "resolve " + parts_.config.server.host + ": " + why);
}

void ClientConnection::connect(std::vector<inet::Endpoint> addresses) {
  stage_ = Stage::connecting;
  stage_deadline_ = kNever;  // the connector has limits of its own
  arm_timer();
  owner_.on_dialling(addresses);
  net::ConnectOptions options;
  options.addresses = std::move(addresses);
  connector_ = std::make_unique<net::TcpConnector>(
      parts_.loop, std::move(options), [this](Result<std::unique_ptr<net::TcpStream>> result) {
        guarded([&] {
          if (!result) return end(Reason::transport_error, "connect: " + result.error().text);
          on_connected(std::move(*result));
        });
      });
}

void ClientConnection::on_connected(std::unique_ptr<net::TcpStream> stream) {
  stream_ = std::move(stream);
  server_addr_ = stream_->peer();
  stage_deadline_ = now() + kStepTimeout;
  arm_timer();
  stream_->start(*this);
  send_proxy_header();
  if (stage_ == Stage::over) return;
  if (!parts_.tls) return start_upgrade();
  stage_ = Stage::tls;
  tls_ = net::TlsMachine::create(parts_.tls);
  if (!tls_) return end(Reason::out_of_memory, {});
  flush_.request();
}

void ClientConnection::send_proxy_header() {
  const auto& proxy = parts_.config.proxy_protocol;
  if (proxy.send == ProxySend::off) return;
  inet::Endpoint source = proxy.source.value_or(stream_->local());
  inet::Endpoint destination = proxy.destination.value_or(stream_->peer());
  proxyproto::Header header = proxyproto::relayed(source, destination);
  if (proxy.send == ProxySend::v1) {
    write_head(as_bytes(proxyproto::write_v1(header)), nullptr);
  } else if (auto bytes = proxyproto::write_v2(header)) {
    write_head(*bytes, nullptr);
  }
}

void ClientConnection::write_head(ByteView head, net::TlsMachine* tls) {
  if (!outlet_.write_raw(*stream_, tls, head)) end(Reason::out_of_memory, {});
}

void ClientConnection::start_upgrade() {
  stage_ = Stage::upgrade;
  ws::UpgradeClientConfig config;
  config.host = parts_.config.server.authority();
  config.path = parts_.config.server.path;
  auto upgrade = ws::UpgradeClient::create(config, parts_.rng);
  if (!upgrade) return end(Reason::internal_error, upgrade.error().text);
  upgrade_.emplace(std::move(*upgrade));
  write_head(upgrade_->request(), tls_.get());
  flush_.request();
}

void ClientConnection::on_stream_bytes(ByteSpan bytes) {
  guarded([&] { take_bytes(bytes); });
}

// A message of the session that is under way goes from the socket to where it is gathered.
ByteSpan ClientConnection::stream_gap() noexcept {
  return stage_ == Stage::open && !tls_ ? machine_->gap() : ByteSpan();
}

void ClientConnection::on_stream_gap(size_t n, ByteSpan rest) {
  guarded([&] {
    bytes_in_ += n + rest.size();
    machine_->feed_gap(n, rest, *this);
    after_receive();
  });
}

void ClientConnection::take_bytes(ByteSpan bytes) {
  bytes_in_ += bytes.size();
  if (stage_ == Stage::over) return;
  if (!tls_) return on_plain(bytes);
  auto state = tls_->feed(bytes, parts_.loop.scratch_buffer(), *this);
  if (stage_ == Stage::over) return;
  flush_.request();
  if (state == net::TlsMachine::State::failed) return end(Reason::tls_failed, tls_->error());
  if (state == net::TlsMachine::State::closed) return on_stream_end(0);
  if (stage_ == Stage::tls && state == net::TlsMachine::State::open) start_upgrade();
}

bool ClientConnection::on_tls_plaintext(ByteSpan plaintext) {
  if (stage_ == Stage::tls) start_upgrade();
  on_plain(plaintext);
  return true;  // after the end the rest is ignored, but TLS has to stay whole for what we still say
}

void ClientConnection::on_plain(ByteSpan bytes) {
  if (stage_ == Stage::upgrade) read_upgrade(bytes);
  if (stage_ != Stage::open || bytes.empty()) return;
  machine_->feed(bytes, *this);
  after_receive();
}

void ClientConnection::read_upgrade(ByteSpan& bytes) {
  size_t consumed = 0;
  auto outcome = upgrade_->feed(bytes, consumed);
  bytes = bytes.subspan(consumed);
  if (outcome == ws::UpgradeClient::Outcome::need_more) return;
  if (outcome == ws::UpgradeClient::Outcome::upgraded) return start_session();
  Ending ending;
  ending.reason = upgrade_->status() == 503 ? Reason::draining : Reason::upgrade_malformed;
  ending.detail = upgrade_->error();
  end(ending);
}

void ClientConnection::start_session() {
  stage_ = Stage::open;
  stage_deadline_ = now() + kStepTimeout;
  upgrade_.reset();
  session::InitiatorHandler& self = *this;
  initiator_ = std::make_unique<session::Initiator>(
      initiator_config(parts_.config, parts_.key, parts_.server_key, wanted_addresses_), self, parts_.aead, parts_.pool,
      parts_.rng);
  machine_ = std::make_unique<ws::Machine>(ws::Machine::Role::client, message_limits(*initiator_), parts_.rng);
  initiator_->start(now());
  flush_.request();
  arm_timer();
}

void ClientConnection::on_message(bool, ByteSpan message) {
  if (!initiator_->closed()) initiator_->receive(message, now());
}

void ClientConnection::after_receive() {
  if (stage_ != Stage::open) return;
  machine_->set_limits(message_limits(*initiator_));
  if (initiator_->wants_write(now()) || !machine_->pending().empty()) flush_.request();
  arm_timer();
}

void ClientConnection::on_close(const ws::CloseEvent& event) {
  if (stage_ != Stage::open) return;
  // A server that closes without a word before the session stands does not know us, or our key of it
  // is wrong: trying again soon is no use, but an operator may be about to add us.
  std::string detail = "websocket close " + std::to_string(event.code);
  if (!event.by_peer) return end(Reason::websocket_error, detail);
  end(confirmed_ ? Reason::peer_closed : Reason::handshake_failed, detail);
}

void ClientConnection::on_configured(const session::SessionParameters&) { flush_.request(); }

void ClientConnection::on_confirmed() {
  confirmed_ = true;
  owner_.on_connected(initiator_->parameters());
}

void ClientConnection::on_reconfigured(const session::SessionParameters& parameters) {
  owner_.on_reconfigured(parameters);
}

void ClientConnection::on_close(const session::CloseInfo& info) {
  end(Ending{info.reason, {}, info.reconnect, info.retry_after_s});
}

Drop ClientConnection::send(Packet&& packet) {
  if (stage_ != Stage::open || !confirmed_) return Drop::session_not_ready;
  Drop drop = initiator_->send(std::move(packet), now());
  flush_.request();
  return drop;
}

void ClientConnection::close(Reason reason) {
  if (stage_ == Stage::open && !initiator_->closed()) return initiator_->close(reason, now());
  end(reason, {});
}

void ClientConnection::flush() {
  if (!stream_ || !stream_->is_open()) return;
  if (write_out() == ws::Outlet::Left::some) return;
  if (stage_ == Stage::over) return say_goodbye();
  if (tls_ && tls_->state() == net::TlsMachine::State::failed) return end(Reason::tls_failed, tls_->error());
  arm_timer();
}

ws::Outlet::Left ClientConnection::write_out() {
  if (machine_) return outlet_.flush(*stream_, tls_.get(), *machine_, initiator_.get(), now());
  return tls_ ? outlet_.flush_tls(*stream_, *tls_) : ws::Outlet::Left::nothing;
}

void ClientConnection::say_goodbye() {
  if (machine_ && machine_->state() == ws::Machine::State::open) {
    machine_->close(initiator_->websocket_close_code());
    if (write_out() == ws::Outlet::Left::some) return;
  }
  if (tls_) {
    tls_->close();
    if (outlet_.flush_tls(*stream_, *tls_) == ws::Outlet::Left::some) return;
  }
  stream_->shutdown_write();
  said_all_ = true;
}

void ClientConnection::arm_timer() {
  Time at = stage_deadline_;
  if (stage_ == Stage::open) at = initiator_->next_deadline();
  if (at == kNever || stage_ == Stage::over)
    timer_.stop();
  else if (!timer_.running() || timer_.deadline() != at)
    timer_.start_at(at);
}

void ClientConnection::on_timer() {
  switch (stage_) {
    case Stage::resolving:
      if (lookup_ != 0) parts_.resolver->cancel(std::exchange(lookup_, 0));
      return guarded([this] { not_resolved("no answer in time"); });
    case Stage::tls:
      return end(Reason::tls_failed, "the TLS handshake took too long");
    case Stage::upgrade:
      return end(Reason::upgrade_timeout, {});
    case Stage::open:
      initiator_->tick(now());
      return after_receive();
    case Stage::connecting:
    case Stage::over:
      return;
  }
}

void ClientConnection::on_stream_end(int error) {
  if (stage_ == Stage::over) return;
  if (error == ENOMEM) return end(Reason::out_of_memory, {});
  guarded([&] {
    if (error != 0) return end(Reason::transport_error, system_error(error, "connection").text);
    const Reason reason = confirmed_              ? Reason::peer_closed
                          : stage_ == Stage::open ? Reason::handshake_failed
                                                  : Reason::transport_error;
    end(reason, "closed by the server");
  });
}

void ClientConnection::end(Reason reason, const std::string& detail) noexcept {
  Ending ending;
  ending.reason = reason;
  try {
    ending.detail = detail;
  } catch (const std::bad_alloc&) {
    ending.detail.clear();
  }
  if (confirmed_) ending.reconnect = session::Reconnect::at_once;
  end(ending);
}

void ClientConnection::end(const Ending& ending) noexcept {
  if (ended_) return;
  ended_ = true;
  stage_ = Stage::over;
  timer_.stop();
  flush_.request();
  owner_.on_ended(ending);
}

}  // namespace smartvpn::tunnel
