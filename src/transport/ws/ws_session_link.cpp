// A connection that is a WebSocket: messages for the native protocol, the protocol's answers for the
// admission and the host, and what the server wants of the session. See ws_connection_link.hpp.
#include <new>

#include "transport/ws/ws_connection_link.hpp"

namespace smartvpn::ws {
namespace {

Limits message_limits(const session::Responder& responder) {
  Limits limits;
  limits.max_message = responder.max_incoming();
  limits.max_fragments = responder.established() ? 64 : 4;
  limits.max_pending = responder.established() ? 8192 : 1024;
  limits.binary_only = true;
  return limits;
}

}  // namespace

void ServerConnection::start_session() {
  stage_ = Stage::open;
  upgrade_.reset();
  session::ResponderHandler& self = *this;
  responder_ =
      std::make_unique<session::Responder>(listener_.options_.responder, self, around_.aead, around_.pool, around_.rng);
  machine_ = std::make_unique<Machine>(Machine::Role::server, message_limits(*responder_), around_.rng);
  responder_->start(now());
  flush_.request();
  arm_timer();
}

void ServerConnection::on_message(bool, ByteSpan message) {
  if (responder_->closed()) return;
  ++messages_in_;
  // A stranger's message 1 costs asymmetric operations: it waits for its turn. One is all that may wait.
  if (session_ == 0 && !responder_->authenticated()) {
    if (!waiting_handshake_.empty() || message.empty()) return responder_->close(Reason::handshake_failed, now());
    waiting_handshake_.assign(message.begin(), message.end());
    listener_.want_handshake(connection_.id);
    return;
  }
  responder_->receive(message, now());
}

void ServerConnection::run_handshake() noexcept {
  if (stage_ != Stage::open || waiting_handshake_.empty()) return;
  Bytes message;
  message.swap(waiting_handshake_);
  responder_->receive(message, now());
  after_receive();
}

void ServerConnection::deliver_verdict(const session::IdentityVerdict& verdict) noexcept {
  if (stage_ != Stage::open) return;
  if (held_) stage_deadline_ = now() + *held_;
  held_.reset();
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
    finish(session_ ? Reason::peer_closed : Reason::handshake_failed, "websocket close " + std::to_string(event.code),
           true);
  else
    finish(Reason::websocket_error, "code " + std::to_string(event.code), true);
}

bool ServerConnection::on_static_key(const PublicKey& key) { return around_.host.admission().knows_key(key); }

const SecretKey* ServerConnection::shared_secret(const PublicKey& own, const PublicKey& theirs) {
  return around_.host.admission().shared_secret(own, theirs);
}

void ServerConnection::on_identity(const session::Identity& identity) {
  auto verdict = around_.host.admission().on_identity(connection_, identity);
  if (verdict) return responder_->decide(*verdict, now());
  // The time the host takes is not the client's: until it has answered, the responder's own deadline holds.
  held_ = stage_deadline_ - now();
  stage_deadline_ = kNever;
}

uint64_t ServerConnection::on_confirmed(Reason* why) {
  session_ = around_.host.on_confirmed(connection_, *this, why);
  if (session_ == 0) return 0;
  stream_->set_stranger(false);
  responder_->ping();  // who watches wants the round trip now, not after the first silence
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

void ServerConnection::set_gate(session::SendGate* gate) noexcept {
  if (!responder_) return;
  responder_->set_gate(gate);
  flush_.request();  // what a former gate held may go, or the timer stands elsewhere now
}

void ServerConnection::close(Reason reason) noexcept {
  if (stage_ == Stage::open && responder_ && !responder_->closed()) {
    responder_->close(reason, now());
    return;
  }
  finish(reason);
}

void ServerConnection::set_keys(std::shared_ptr<const session::StaticKeys> keys) noexcept {
  if (responder_) responder_->set_keys(std::move(keys));
}

void ServerConnection::update(const session::NetworkUpdate& update) noexcept {
  if (stage_ != Stage::open || !responder_ || !responder_->established()) return;
  try {
    session::SessionParameters parameters = responder_->parameters();
    parameters.routes = update.routes;
    parameters.dns = update.dns;
    parameters.next_server_key = responder_->next_key();
    if (parameters == responder_->parameters()) return;
    if (!responder_->reconfigure(parameters)) around_.host.on_log(2, "a client could not be told its new network");
    if (session_ != 0) after_receive();  // else we are called inside a receive, which ends with it
  } catch (const std::bad_alloc&) {
    finish(Reason::out_of_memory);
  }
}

session::LinkFigures ServerConnection::figures() const {
  session::LinkFigures out;
  out.outer_bytes_in = bytes_in_;
  out.outer_bytes_out = outlet_.bytes_out();
  out.outer_messages_in = messages_in_;
  out.outer_messages_out = outlet_.messages_out();
  if (responder_) {
    out.queued_bytes = responder_->queued_bytes();
    out.last_heard = responder_->last_heard();
  }
  return out;
}

}  // namespace smartvpn::ws
