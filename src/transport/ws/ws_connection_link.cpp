#include "transport/ws/ws_connection_link.hpp"

#include "proxyproto/tlv.hpp"

namespace smartvpn::ws {
namespace {

constexpr size_t kLocalDiscardBytes = 16 * 1024;
constexpr Duration kLocalDiscardTime = seconds(1);
constexpr Duration kLocalHealthTime = seconds(3);
constexpr Duration kLingerTime = seconds(1);

Limits message_limits(const session::Responder& responder) {
  Limits limits;
  limits.max_message = responder.max_incoming();
  limits.max_fragments = responder.established() ? 64 : 4;
  limits.max_pending = responder.established() ? 8192 : 1024;
  limits.binary_only = true;
  return limits;
}

}  // namespace

ServerConnection::ServerConnection(WsListener& listener, uint64_t id, std::unique_ptr<net::TcpStream> stream)
    : listener_(listener),
      around_(listener.around_),
      stream_(std::move(stream)),
      outlet_(around_.pool),
      flush_(around_.loop, [this] { flush(); }),
      timer_(around_.loop, [this] { on_timer(); }) {
  connection_.id = id;
  connection_.listener = listener.options_.listener;
  connection_.transport = session::Transport::websocket;
  connection_.peer_addr = stream_->peer();
}

ServerConnection::~ServerConnection() = default;

void ServerConnection::begin() {
  if (Reason reason = around_.host.admission().on_accept(connection_); reason != Reason::none)
    return finish(reason);
  if (listener_.options_.proxy_header) {
    proxy_ = std::make_unique<proxyproto::Parser>(listener_.options_.proxy_mode, listener_.options_.proxy_limits);
    stage_deadline_ = now() + listener_.options_.proxy_timeout;
  } else {
    connection_.real_addr = connection_.peer_addr;
    if (!admit()) return;
  }
  arm_timer();
  stream_->start(*this);
}

// Phase 1, on the real address; nothing of the client's was read yet.
bool ServerConnection::admit() {
  if (Reason reason = around_.host.admission().on_real_address(connection_); reason != Reason::none) {
    finish(reason);
    return false;
  }
  stage_ = Stage::upgrade;
  stage_deadline_ = now() + listener_.options_.upgrade_timeout;
  upgrade_ = std::make_unique<UpgradeServer>(listener_.options_.upgrade);
  if (listener_.tls_) {
    tls_ = net::TlsMachine::create(listener_.tls_);
    if (!tls_) {
      finish(Reason::out_of_memory);
      return false;
    }
  }
  arm_timer();
  return true;
}

void ServerConnection::on_stream_bytes(ByteSpan bytes) {
  bytes_in_ += bytes.size();
  if (stage_ == Stage::proxy_header) bytes = bytes.subspan(read_proxy_header(bytes));
  if (bytes.empty() || stage_ == Stage::proxy_header) return;
  if (stage_ == Stage::discard) {
    discarded_ += bytes.size();
    if (discarded_ > kLocalDiscardBytes) bury();
    return;
  }
  if (stage_ != Stage::upgrade && stage_ != Stage::open) return;
  if (!tls_) return on_plain(bytes);
  auto state = tls_->feed(bytes, around_.loop.scratch_buffer(), *this);
  flush_.request();
  if (state == net::TlsMachine::State::failed && stage_ != Stage::lingering && stage_ != Stage::gone) {
    outlet_.flush_tls(*stream_, *tls_);  // the alert
    finish(Reason::tls_failed, tls_->error());
  } else if (state == net::TlsMachine::State::closed) {
    on_stream_end(0);
  }
}

size_t ServerConnection::read_proxy_header(ByteView bytes) {
  size_t consumed = 0;
  switch (proxy_->feed(bytes, consumed)) {
    case proxyproto::ParseResult::need_more:
      break;
    case proxyproto::ParseResult::done:
      on_proxy_header();
      break;
    default:
      finish(Reason::proxy_header_malformed, proxy_->error());
  }
  return consumed;
}

void ServerConnection::on_proxy_header() {
  proxyproto::Header header = proxy_->take_header();
  proxy_.reset();
  connection_.behind_proxy = true;
  for (auto& tlv : proxyproto::describe(header.tlvs)) connection_.tlvs.push_back({std::move(tlv.name), std::move(tlv.value)});
  if (header.is_local()) return on_local_header();
  connection_.real_addr = header.source;
  admit();
}

// A health check of the proxy itself.
void ServerConnection::on_local_header() {
  local_header_ = true;
  if (listener_.options_.proxy_local_health) {
    stage_ = Stage::upgrade;
    stage_deadline_ = now() + kLocalHealthTime;
    upgrade_ = std::make_unique<UpgradeServer>(listener_.options_.upgrade, UpgradeServer::Purpose::health_only);
    if (listener_.tls_) tls_ = net::TlsMachine::create(listener_.tls_);
  } else {
    stage_ = Stage::discard;
    stage_deadline_ = now() + kLocalDiscardTime;
    stream_->shutdown_write();
  }
  arm_timer();
}

bool ServerConnection::on_tls_plaintext(ByteSpan plaintext) {
  on_plain(plaintext);
  return stage_ == Stage::upgrade || stage_ == Stage::open;
}

void ServerConnection::on_plain(ByteSpan bytes) {
  if (stage_ == Stage::upgrade) read_upgrade(bytes);
  if (stage_ != Stage::open || bytes.empty()) return;
  machine_->feed(bytes, *this);
  after_receive();
}

void ServerConnection::read_upgrade(ByteSpan& bytes) {
  size_t consumed = 0;
  auto outcome = upgrade_->feed(bytes, consumed, around_.host.draining());
  bytes = bytes.subspan(consumed);
  if (outcome == UpgradeServer::Outcome::need_more) return;
  outlet_.write_raw(*stream_, tls_.get(), upgrade_->response());
  if (outcome == UpgradeServer::Outcome::upgraded) return start_session();
  Reason reason = local_header_                  ? Reason::proxy_local
                  : upgrade_->was_health_check() ? Reason::none
                  : upgrade_->status() == 503    ? Reason::draining
                                                 : Reason::upgrade_malformed;
  std::string detail = reason == Reason::upgrade_malformed ? "answered " + std::to_string(upgrade_->status()) : "";
  finish(reason, std::move(detail), true);
}

void ServerConnection::start_session() {
  stage_ = Stage::open;
  upgrade_.reset();
  session::ResponderHandler& self = *this;
  responder_ = std::make_unique<session::Responder>(listener_.options_.responder, self, around_.aead, around_.pool,
                                                    around_.rng);
  machine_ = std::make_unique<Machine>(Machine::Role::server, message_limits(*responder_), around_.rng);
  responder_->start(now());
  flush_.request();
  arm_timer();
}

void ServerConnection::on_message(bool, ByteSpan message) {
  if (responder_->closed()) return;
  // A stranger's message 1 costs asymmetric operations: it waits for its turn. One is all that may wait.
  if (session_ == 0 && !responder_->authenticated()) {
    if (!waiting_handshake_.empty() || message.empty()) return responder_->close(Reason::handshake_failed, now());
    waiting_handshake_.assign(message.begin(), message.end());
    listener_.want_handshake(connection_.id);
    return;
  }
  responder_->receive(message, now());
}

void ServerConnection::run_handshake() {
  if (stage_ != Stage::open || waiting_handshake_.empty()) return;
  Bytes message;
  message.swap(waiting_handshake_);
  responder_->receive(message, now());
  after_receive();
}

void ServerConnection::deliver_verdict(const session::IdentityVerdict& verdict) {
  if (stage_ != Stage::open) return;
  responder_->decide(verdict, now());
  after_receive();
}

void ServerConnection::after_receive() {
  if (stage_ != Stage::open) return;
  machine_->set_limits(message_limits(*responder_));
  if (responder_->wants_write(now()) || !machine_->pending().empty() || responder_->closed()) flush_.request();
  arm_timer();
}

void ServerConnection::on_close(const CloseEvent& event) {
  if (stage_ != Stage::open) return;
  flush_.request();
  if (event.by_peer)
    finish(session_ ? Reason::peer_closed : Reason::handshake_failed, "websocket close " + std::to_string(event.code), true);
  else
    finish(Reason::websocket_error, "code " + std::to_string(event.code), true);
}

bool ServerConnection::on_static_key(const PublicKey& key) { return around_.host.admission().knows_key(key); }

void ServerConnection::on_identity(const session::Identity& identity) {
  auto verdict = around_.host.admission().on_identity(connection_, identity);
  if (verdict) responder_->decide(*verdict, now());
}

uint64_t ServerConnection::on_confirmed(Reason* why) {
  session_ = around_.host.on_confirmed(connection_, *this, why);
  return session_;
}

void ServerConnection::on_packets(std::span<const PacketView> batch) { around_.host.on_packets(session_, batch); }
void ServerConnection::on_drop(Drop drop, uint64_t count) { around_.host.on_drop(session_, drop, count); }
void ServerConnection::on_rtt(Duration sample) {
  if (session_) around_.host.on_rtt(session_, sample, now());
}

void ServerConnection::on_liveness(session::Liveness liveness) {
  bool silent = liveness != session::Liveness::alive;
  if (session_ && silent != silent_) around_.host.on_silence(session_, silent);
  silent_ = silent;
}

void ServerConnection::on_close(const session::CloseInfo& info) {
  // Said, and then closed: an authenticated peer gets the time to read it.
  machine_->set_limits(message_limits(*responder_));
  finish(info.reason, {}, true);
}

Drop ServerConnection::send(Packet&& packet) {
  if (stage_ != Stage::open) return Drop::session_not_ready;
  Drop drop = responder_->send(std::move(packet), now());
  flush_.request();
  return drop;
}

void ServerConnection::close(Reason reason) {
  if (stage_ == Stage::open && responder_ && !responder_->closed()) {
    responder_->close(reason, now());
    return;
  }
  finish(reason);
}

session::LinkFigures ServerConnection::figures() const {
  session::LinkFigures out;
  out.outer_bytes_in = bytes_in_;
  out.outer_bytes_out = outlet_.bytes_out();
  if (responder_) {
    out.queued_bytes = responder_->queued_bytes();
    out.last_heard = responder_->last_heard();
  }
  return out;
}

void ServerConnection::flush() {
  if (stage_ == Stage::gone || !stream_->is_open()) return;
  if (!machine_) {
    if (tls_) outlet_.flush_tls(*stream_, *tls_);
    return;
  }
  auto left = outlet_.flush(*stream_, tls_.get(), *machine_, responder_.get(), now());
  if (left == Outlet::Left::some) return;
  if (stage_ == Stage::lingering) {
    // What the session had to say is out; now the frame that ends the WebSocket.
    if (machine_->state() == Machine::State::open) {
      machine_->close(responder_->websocket_close_code());
      if (outlet_.flush(*stream_, tls_.get(), *machine_, nullptr, now()) == Outlet::Left::some) return;
    }
    if (tls_) {
      tls_->close();
      outlet_.flush_tls(*stream_, *tls_);
    }
    stream_->shutdown_write();
    return;
  }
  arm_timer();
}

void ServerConnection::arm_timer() {
  Time at = stage_deadline_;
  if (stage_ == Stage::open && responder_) {
    Time session = responder_->next_deadline();
    at = session_ ? session : std::min(at, session);
  }
  if (at == kNever)
    timer_.stop();
  else if (!timer_.running() || timer_.deadline() != at)
    timer_.start_at(at);
}

void ServerConnection::on_timer() {
  Time t = now();
  bool stage_over = t >= stage_deadline_ && session_ == 0;
  switch (stage_) {
    case Stage::proxy_header:
      return finish(Reason::proxy_header_timeout);
    case Stage::upgrade:
      return finish(local_header_ ? Reason::proxy_local : Reason::upgrade_timeout);
    case Stage::open:
      if (stage_over) return responder_->close(Reason::handshake_timeout, t);
      responder_->tick(t);
      return after_receive();
    case Stage::discard:
    case Stage::lingering:
      return bury();
    case Stage::gone:
      return;
  }
}

void ServerConnection::on_stream_end(int error) {
  if (stage_ == Stage::discard || stage_ == Stage::lingering) return bury();
  if (stage_ == Stage::gone) return;
  if (local_header_) return finish(Reason::proxy_local);
  // A trusted proxy that looks whether the port is open, or whose LOCAL header its own reset overtook.
  if (stage_ == Stage::proxy_header && !proxy_->started()) return finish(Reason::proxy_local);
  if (error != 0) return finish(Reason::transport_error, system_error(error, "connection").text);
  finish(stage_ == Stage::open && session_ == 0 ? Reason::handshake_failed : Reason::peer_closed, "closed by the peer");
}

void ServerConnection::finish(Reason reason, std::string detail, bool linger) {
  if (stage_ == Stage::lingering || stage_ == Stage::gone) return;
  if (stage_ == Stage::discard || (local_header_ && reason != Reason::server_stopping)) reason = Reason::proxy_local;
  Stage before = stage_;
  stage_ = linger && stream_->is_open() ? Stage::lingering : Stage::gone;
  if (!reported_) {
    reported_ = true;
    around_.host.admission().on_closed(connection_, reason, detail);
  }
  session_ = 0;
  if (stage_ == Stage::gone) return bury();
  if (before == Stage::upgrade) stream_->shutdown_write();
  flush_.request();
  stage_deadline_ = now() + kLingerTime;
  timer_.start_at(stage_deadline_);
}

void ServerConnection::bury() {
  stage_ = Stage::gone;
  timer_.stop();
  if (!reported_) {
    reported_ = true;
    around_.host.admission().on_closed(connection_, Reason::proxy_local, {});
  }
  listener_.retire(connection_.id);
}

}  // namespace smartvpn::ws
