// The stages of a connection and its end; see the header file. What happens once it is a WebSocket is in
// ws_session_link.cpp.
#include "transport/ws/ws_connection_link.hpp"

#include <cerrno>
#include <new>

#include "proxyproto/tlv.hpp"

namespace smartvpn::ws {
namespace {

constexpr size_t kLocalDiscardBytes = 16 * 1024;
constexpr Duration kLocalDiscardTime = seconds(1);
constexpr Duration kLocalHealthTime = seconds(3);
constexpr Duration kLingerTime = seconds(1);
constexpr uint64_t kStrangerBytes = 512 * 1024;  // before a session, far above what anybody needs
constexpr size_t kLingerBytes = 256 * 1024;      // what a refused stranger may still send meanwhile

}  // namespace

ServerConnection::ServerConnection(WsListener& listener, uint64_t id, std::unique_ptr<net::TcpStream> stream)
    : listener_(listener),
      around_(listener.around_),
      stream_(std::move(stream)),
      outlet_(around_.pool),
      flush_(around_.loop, [this] { guarded([this] { flush(); }); }),
      timer_(around_.loop, [this] { guarded([this] { on_timer(); }); }) {
  connection_.id = id;
  connection_.listener = listener.options_.listener;
  connection_.transport = session::Transport::websocket;
  connection_.peer_addr = stream_->peer();
  stream_->set_stranger(true);
}

ServerConnection::~ServerConnection() = default;

template <class Fn>
void ServerConnection::guarded(Fn&& fn) noexcept {
  try {
    fn();
  } catch (const std::bad_alloc&) {
    finish(Reason::out_of_memory);
  } catch (const std::exception&) {
    finish(Reason::internal_error);
  }
}

void ServerConnection::begin() noexcept {
  guarded([this] { seek_admission(); });
}

void ServerConnection::begin_adopted(AdoptedClient client) noexcept {
  guarded([&] { take_over(std::move(client)); });
}

void ServerConnection::take_over(AdoptedClient client) {
  connection_.adopted = true;
  connection_.behind_proxy = client.vouched;
  connection_.real_addr = client.real;
  connection_.tlvs = std::move(client.tlvs);
  if (Reason reason = around_.host.admission().on_accept(connection_); reason != Reason::none) return finish(reason);
  if (!admit()) return;
  stream_->start(*this);
  if (!client.first.empty()) take_bytes(client.first);
}

void ServerConnection::seek_admission() {
  if (Reason reason = around_.host.admission().on_accept(connection_); reason != Reason::none) return finish(reason);
  if (listener_.options_.proxy_header) {
    proxy_ = std::make_unique<proxyproto::Parser>(listener_.options_.proxy_mode, listener_.options_.proxy_limits);
    stage_deadline_ = now() + listener_.options_.proxy_timeout;
    arm_timer();
  } else {
    expect_client();
    if (stage_ == Stage::gone) return;
  }
  stream_->start(*this);
}

// Whoever the PROXY header named (or the socket) is the client, or an HTTP proxy that will name it.
void ServerConnection::expect_client() {
  if (listener_.options_.real_ip.kind == RealIpHeader::Kind::off) {
    if (!connection_.behind_proxy) connection_.real_addr = connection_.peer_addr;
    admit();
    return;
  }
  if (Reason reason = around_.host.admission().on_http_proxy(connection_); reason != Reason::none)
    return finish(reason);
  connection_.real_addr.reset();
  client_unknown_ = true;
  expect_upgrade(listener_.options_.upgrade_timeout, UpgradeServer::Purpose::any);
}

// Phase 1, on the real address; nothing of the client's was read yet.
bool ServerConnection::admit() {
  if (Reason reason = around_.host.admission().on_real_address(connection_); reason != Reason::none) {
    finish(reason);
    return false;
  }
  return expect_upgrade(listener_.options_.upgrade_timeout, UpgradeServer::Purpose::any);
}

bool ServerConnection::expect_upgrade(Duration within, UpgradeServer::Purpose purpose) {
  stage_ = Stage::upgrade;
  stage_deadline_ = now() + within;
  upgrade_ = std::make_unique<UpgradeServer>(listener_.options_.upgrade, purpose);
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
  guarded([&] { take_bytes(bytes); });
}

// A message of the session that is under way goes from the socket to where it is gathered.
ByteSpan ServerConnection::stream_gap() noexcept {
  return stage_ == Stage::open && session_ != 0 && !tls_ ? machine_->gap() : ByteSpan();
}

void ServerConnection::on_stream_gap(size_t n, ByteSpan rest) {
  guarded([&] {
    bytes_in_ += n + rest.size();
    machine_->feed_gap(n, rest, *this);
    after_receive();
  });
}

void ServerConnection::take_bytes(ByteSpan bytes) {
  bytes_in_ += bytes.size();
  if (stage_ == Stage::proxy_header) bytes = bytes.subspan(read_proxy_header(bytes));
  if (bytes.empty() || stage_ == Stage::proxy_header) return;
  if (stage_ == Stage::discard) {
    discarded_ += bytes.size();
    if (discarded_ > kLocalDiscardBytes) bury();
    return;
  }
  if (stage_ == Stage::lingering && counted_lingering_) {
    discarded_ += bytes.size();
    if (discarded_ > kLingerBytes) return bury();
  }
  if (stage_ != Stage::upgrade && stage_ != Stage::open) return;
  if (session_ == 0 && bytes_in_ > kStrangerBytes) return finish(Reason::handshake_failed, "too many bytes");
  if (!tls_) return on_plain(bytes);
  auto state = tls_->feed(bytes, around_.loop.scratch_buffer(), *this);
  if (stage_ == Stage::gone) return;
  flush_.request();
  if (stage_ == Stage::lingering) return;
  // The alert goes out and may be read.
  if (state == net::TlsMachine::State::failed) return finish(Reason::tls_failed, tls_->error(), true);
  if (state == net::TlsMachine::State::closed) end_of_stream(0);
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
  for (auto& tlv : proxyproto::describe(header.tlvs))
    connection_.tlvs.push_back({std::move(tlv.name), std::move(tlv.value)});
  if (header.is_local()) return on_local_header();
  connection_.real_addr = header.source;
  expect_client();
}

// A health check of the proxy itself.
void ServerConnection::on_local_header() {
  local_header_ = true;
  if (listener_.options_.proxy_local_health) {
    expect_upgrade(kLocalHealthTime, UpgradeServer::Purpose::health_only);
    return;
  }
  stage_ = Stage::discard;
  stage_deadline_ = now() + kLocalDiscardTime;
  stream_->shutdown_write();
  arm_timer();
}

bool ServerConnection::on_tls_plaintext(ByteSpan plaintext) {
  on_plain(plaintext);
  // While lingering the rest is ignored, but TLS has to stay whole for what we still say.
  return stage_ != Stage::gone;
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
  if (client_unknown_ && !settle_client()) return;
  if (!outlet_.write_raw(*stream_, tls_.get(), upgrade_->response())) return finish(Reason::out_of_memory);
  if (outcome == UpgradeServer::Outcome::upgraded) return start_session();
  Reason reason = local_header_                  ? Reason::proxy_local
                  : upgrade_->was_health_check() ? Reason::none
                  : upgrade_->status() == 503    ? Reason::draining
                                                 : Reason::upgrade_malformed;
  std::string detail = reason == Reason::upgrade_malformed ? "answered " + std::to_string(upgrade_->status()) : "";
  finish(reason, detail, true);
}

// The request is complete: what it says of the client is judged before it gets its answer. An HTTP proxy takes a
// stream that just ends for a broken server, so refusals are answered. Health checks are the proxy's own.
bool ServerConnection::settle_client() {
  if (upgrade_->was_health_check() || !upgrade_->read_whole_request()) return true;
  Reason reason = Reason::upgrade_malformed;
  auto client = find_client(upgrade_->request(), listener_.options_.real_ip, listener_.options_.trusts);
  if (client) {
    client_unknown_ = false;
    connection_.real_addr = *client;
    reason = around_.host.admission().on_real_address(connection_);
    if (reason == Reason::none) return true;
  }
  upgrade_->refuse_client(!client ? 400 : reason == Reason::ip_block_list ? 403 : 503);
  if (!outlet_.write_raw(*stream_, tls_.get(), upgrade_->response()))
    finish(Reason::out_of_memory);
  else
    finish(reason, client ? std::string() : client.error().text, true);
  return false;
}

void ServerConnection::flush() {
  if (stage_ == Stage::gone || !stream_->is_open()) return;
  if (write_out() == Outlet::Left::some) return;
  if (stage_ == Stage::lingering) return say_goodbye();
  if (tls_ && tls_->state() == net::TlsMachine::State::failed) return finish(Reason::tls_failed, tls_->error());
  arm_timer();
}

Outlet::Left ServerConnection::write_out() {
  if (machine_) return outlet_.flush(*stream_, tls_.get(), *machine_, responder_.get(), now());
  return tls_ ? outlet_.flush_tls(*stream_, *tls_) : Outlet::Left::nothing;
}

// What there was to say is out; now what ends the WebSocket, TLS and the stream, each once.
void ServerConnection::say_goodbye() {
  if (machine_ && machine_->state() == Machine::State::open) {
    machine_->close(responder_->websocket_close_code());
    if (write_out() == Outlet::Left::some) return;
  }
  if (tls_) {
    tls_->close();
    if (outlet_.flush_tls(*stream_, *tls_) == Outlet::Left::some) return;
  }
  stream_->shutdown_write();
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
  guarded([&] { end_of_stream(error); });
}

void ServerConnection::end_of_stream(int error) {
  if (stage_ == Stage::discard || stage_ == Stage::lingering) return bury();
  if (stage_ == Stage::gone) return;
  if (local_header_) return finish(Reason::proxy_local);
  // A trusted proxy that looks whether the port is open, or whose LOCAL header its own reset overtook.
  if (stage_ == Stage::proxy_header && !proxy_->started()) return finish(Reason::proxy_local);
  if (error == ENOMEM) return finish(Reason::out_of_memory);
  if (error != 0) return finish(Reason::transport_error, system_error(error, "connection").text);
  finish(stage_ == Stage::open && session_ == 0 ? Reason::handshake_failed : Reason::peer_closed, "closed by the peer");
}

void ServerConnection::finish(Reason reason, const std::string& detail, bool linger) noexcept {
  if (stage_ == Stage::lingering || stage_ == Stage::gone) return;
  if (stage_ == Stage::discard || (local_header_ && reason != Reason::server_stopping)) reason = Reason::proxy_local;
  const bool stays = linger && stream_->is_open() && may_linger();
  stage_ = stays ? Stage::lingering : Stage::gone;
  if (!reported_) {
    reported_ = true;
    around_.host.admission().on_closed(connection_, reason, detail);
  }
  const bool stranger = session_ == 0;
  session_ = 0;
  if (!stays) return bury();
  counted_lingering_ = stranger;
  if (stranger) ++listener_.lingering_;
  flush_.request();
  stage_deadline_ = now() + kLingerTime;
  timer_.start_at(stage_deadline_);
}

// Strangers are no longer counted by anybody then, so there is a bound of its own.
bool ServerConnection::may_linger() const noexcept {
  return session_ != 0 || listener_.lingering_ < WsListener::kMaxLingering;
}

void ServerConnection::bury() noexcept {
  stage_ = Stage::gone;
  timer_.stop();
  if (!reported_) {
    reported_ = true;
    around_.host.admission().on_closed(connection_, Reason::proxy_local, {});
  }
  if (counted_lingering_) --listener_.lingering_;
  counted_lingering_ = false;
  listener_.retire(connection_.id);
}

}  // namespace smartvpn::ws
