#include "tunnel/driver.hpp"

#include <new>

namespace smartvpn::tunnel {
namespace {

constexpr Duration kGoodbyeStep = milliseconds(10);
constexpr Duration kGoodbyeLimit = seconds(1);

Result<std::shared_ptr<const net::TlsContext>> tls_context(const config::TunnelConfig& config) {
  if (!config.server.tls) return std::shared_ptr<const net::TlsContext>();
  net::TlsClientOptions options;
  options.path = "/tls";
  options.server_name = config.tls.server_name.empty() ? config.server.host : config.tls.server_name;
  if (config.tls.pinned_sha256) options.pins.push_back(to_hex(*config.tls.pinned_sha256));
  if (config.tls.verify) {
    options.ca = config.tls.ca;
    options.system_store = config.tls.ca.empty() && !config.tls.pinned_sha256;
  }
  // The tunnel trusts the server's Noise key; a certificate is asked for where the configuration says so.
  options.any_certificate = !config.tls.verify && options.pins.empty();
  return net::TlsContext::client(options);
}

}  // namespace

Result<std::unique_ptr<Driver>> Driver::create(config::TunnelConfig config, telemetry::EventHub& hub,
                                               OnState on_state) {
  auto tls = tls_context(config);
  if (!tls) return tls.error();
  auto loop = net::Loop::create();
  if (!loop) return loop.error();
  std::unique_ptr<Driver> driver(new Driver(std::move(config), hub, std::move(on_state), std::move(*loop)));
  driver->tls_ = *tls;
  auto engine = make_client_engine(driver->config_, *driver->loop_, *driver);
  if (!engine) return engine.error();
  driver->engine_ = std::move(*engine);
  return driver;
}

Driver::Driver(config::TunnelConfig config, telemetry::EventHub& hub, OnState on_state, std::unique_ptr<net::Loop> loop)
    : config_(std::move(config)),
      hub_(hub),
      on_state_(std::move(on_state)),
      loop_(std::move(loop)),
      backoff_(milliseconds(config_.reconnect.initial_ms), milliseconds(config_.reconnect.max_ms)),
      retry_(*loop_, [this] { on_retry(); }),
      goodbye_(*loop_, [this] { finish_stop(); }) {
  auto key = std::make_shared<crypto::KeyPair>();
  key->secret = config_.keys.noise_private_key.clone();
  key->pub = crypto::public_key_of(key->secret);
  key_ = std::move(key);
  info_.server = config_.server.text();
  loop_->set_turn_hook([this] { engine_->flush(); });
}

Driver::~Driver() {
  connection_.reset();
  if (engine_) engine_->close();
}

Result<void> Driver::open() {
  if (!inet::IpAddress::parse(config_.server.host)) {
    auto resolver = net::Resolver::create(*loop_);
    if (!resolver) return resolver.error();
    resolver_ = std::move(*resolver);
  }
  if (auto ok = engine_->open(); !ok) return ok;
  info_.device = engine_->device_name();
  started_ms_ = wall_clock_ms();
  retry_.start_in(Duration::zero());
  return {};
}

void Driver::run() {
  loop_->run();
  forget_connection();
  engine_->close();
  resolver_.reset();
}

void Driver::on_retry() {
  try {
    dial();
  } catch (const std::bad_alloc&) {
    forget_connection();
    info_.last_reason = Reason::out_of_memory;
    set_state(State::waiting);
    retry_.start_in(backoff_.next(system_rng()));
  }
}

void Driver::dial() {
  if (stopping_) return;
  ++info_.attempts;
  set_state(State::connecting);
  forget_connection();
  ClientConnection::Parts parts{*loop_, aead_,           pool_,    system_rng(), config_, key_, expected_server_key(),
                                tls_,   resolver_.get(), dialled_, true};
  // A session that was lost may come back where it was, and its routes may hide the name servers: no look-up first.
  parts.resolve_first = backoff_.failures() > 1;
  ClientConnection::Owner& self = *this;
  connection_ = std::make_unique<ClientConnection>(parts, self, info_.addresses);
  connection_->begin();
}

void Driver::on_dialling(const std::vector<inet::Endpoint>& addresses) {
  dialled_ = addresses;
  std::vector<inet::IpAddress> outside;
  outside.reserve(addresses.size());
  for (const auto& endpoint : addresses) outside.push_back(endpoint.ip);
  const bool afresh = backoff_.failures() > 1;
  if (auto ok = engine_->keep_outside(outside, afresh); !ok)
    log("warning", "the way to the server outside of the tunnel: " + ok.error().text);
}

const PublicKey& Driver::expected_server_key() const {
  return expect_next_key_ && next_server_key_ ? *next_server_key_ : config_.keys.server_public_key;
}

void Driver::set_state(State state, bool refused) {
  info_.state = state;
  on_state_(state, refused);
}

void Driver::apply(const session::SessionParameters& parameters) {
  parameters_ = parameters;
  info_.addresses = parameters.addresses;
  info_.dns = parameters.dns;
  info_.routes = parameters.routes;
  info_.mtu = parameters.mtu;
  if (parameters.next_server_key) info_.next_server_key = next_server_key_ = parameters.next_server_key;
  const auto& at = connection_->server_addr();
  if (auto ok = engine_->apply(parameters, at ? at->ip : inet::IpAddress()); !ok)
    log("error", "forwarding: " + ok.error().text);
}

void Driver::on_connected(const session::SessionParameters& parameters) {
  backoff_.reset();
  ++sessions_;
  quality_ = {};
  apply(parameters);
  info_.since_ms = wall_clock_ms();
  since_ = loop_->now();
  info_.server_addr = connection_->server_addr();
  telemetry::Event event(telemetry::EventType::session_up, info_.since_ms);
  std::vector<std::string> addresses;
  for (const auto& ip : info_.addresses) addresses.push_back(ip.text());
  event.set("transport", "websocket").set_if("peer_addr", info_.server_addr ? info_.server_addr->text() : "");
  event.set_list("addresses", addresses).set("mtu", uint64_t{info_.mtu}).set_if("device", info_.device);
  hub_.publish(std::move(event));
  set_state(State::connected);
}

void Driver::on_reconfigured(const session::SessionParameters& parameters) {
  apply(parameters);
  log("info", "the server has changed the settings of this tunnel");
}

void Driver::on_rtt(Duration sample) {
  quality_.on_rtt(sample, loop_->now());
  report_health();
}

void Driver::on_silence(bool silent) {
  silent ? quality_.mark_dead() : quality_.on_heard();
  report_health();
}

void Driver::report_health() {
  if (!quality_.take_health_change()) return;
  telemetry::Event event(telemetry::EventType::health_changed, wall_clock_ms());
  auto quality = quality_.quality();
  event.set("health", telemetry::health_name(quality.health)).set("rtt_us", uint64_t{quality.rtt_us});
  hub_.publish(std::move(event));
}

void Driver::on_ended(const Ending& ending) noexcept {
  bool was_up = info_.state == State::connected;
  // Not by the wall clock, which may have been set meanwhile.
  int64_t duration_ms = was_up ? std::chrono::duration_cast<milliseconds>(loop_->now() - since_).count() : 0;
  info_.last_reason = ending.reason;
  info_.last_detail.clear();
  info_.server_addr = connection_->server_addr();
  ++ended_[static_cast<size_t>(ending.reason)];
  info_.since_ms = 0;
  bool again = config_.reconnect.enabled && ending.reconnect != session::Reconnect::never;
  // Authenticated words of a server that announced it, so nobody else can make us change over.
  if (!was_up && next_server_key_) expect_next_key_ = !expect_next_key_;
  // The state first: whoever reads the event can then ask whether another attempt follows.
  if (!stopping_) set_state(State::waiting, !again);
  report_ending(ending, was_up, duration_ms);
  if (stopping_ || !again) return;
  Duration wait = backoff_.next(system_rng());
  if (ending.reconnect == session::Reconnect::at_once && backoff_.failures() == 1) wait = milliseconds(50);
  retry_.start_in(std::max<Duration>(wait, seconds(ending.retry_after_s)));
}

// For want of memory the details are left out, and the tunnel goes on.
void Driver::report_ending(const Ending& ending, bool was_up, int64_t duration_ms) noexcept {
  try {
    info_.last_detail = ending.detail;
    telemetry::Event event(was_up ? telemetry::EventType::session_down : telemetry::EventType::log, wall_clock_ms());
    if (!was_up) event.set("level", "warning").set("message", "no connection");
    event.set("reason", reason_name(ending.reason)).set_if("detail", ending.detail);
    if (was_up) event.set("duration_ms", static_cast<uint64_t>(std::max<int64_t>(0, duration_ms)));
    hub_.publish(std::move(event));
  } catch (const std::bad_alloc&) {
    info_.last_detail.clear();
    hub_.note_lost(was_up ? telemetry::EventType::session_down : telemetry::EventType::log, wall_clock_ms());
  }
}

// The bytes that it carried stay counted.
void Driver::forget_connection() {
  if (!connection_) return;
  counters_.outer_bytes_in += connection_->bytes_in();
  counters_.outer_bytes_out += connection_->bytes_out();
  connection_.reset();
}

void Driver::count_connection() noexcept {
  info_.counters = counters_;
  if (connection_) {
    info_.counters.outer_bytes_in += connection_->bytes_in();
    info_.counters.outer_bytes_out += connection_->bytes_out();
  }
  info_.quality = quality_.quality();
}

TunnelInfo Driver::info() {
  count_connection();
  return info_;
}

TunnelInfo Driver::take_info() noexcept {
  count_connection();
  return std::move(info_);
}

telemetry::StatsSnapshot Driver::stats() {
  telemetry::StatsSnapshot out;
  out.time_ms = wall_clock_ms();
  out.started_ms = started_ms_;
  out.memory_bytes = pool_.bytes_in_use();
  out.events_lost = hub_.lost();
  out.total.connections_total = info_.attempts;
  out.total.sessions_total = sessions_;
  out.total.sessions_now = info_.state == State::connected ? 1 : 0;
  for (size_t i = 0; i < kReasonCount; ++i) out.total.sessions_ended[i] = ended_[i];
  out.total.traffic = info().counters;
  return out;
}

void Driver::log(const char* level, const std::string& message) {
  telemetry::Event event(telemetry::EventType::log, wall_clock_ms());
  event.set("level", level).set("message", message);
  hub_.publish(std::move(event));
}

void Driver::stop_soon() {
  if (stopping_) return;
  stopping_ = true;
  retry_.stop();
  stop_until_ = loop_->now() + kGoodbyeLimit;
  if (connection_) connection_->close(Reason::peer_closed);
  finish_stop();
}

// The close record leaves first, if the server still takes bytes.
void Driver::finish_stop() {
  if (connection_ && !connection_->finished() && loop_->now() < stop_until_) return goodbye_.start_in(kGoodbyeStep);
  loop_->stop();
}

void Driver::abandon_after_fork() noexcept {
  loop_->abandon_after_fork();
  if (resolver_) resolver_->abandon_after_fork();
  if (auto channel = engine_->channel()) channel->abandon_after_fork();
}

}  // namespace smartvpn::tunnel
