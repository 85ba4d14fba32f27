#include "server/shard.hpp"

#include <algorithm>

#include "crypto/x25519.hpp"
#include "forward/testing_engine.hpp"
#include "forward/tun/tun_engine.hpp"
#include "server/forwarding_advice.hpp"

namespace smartvpn::server {
namespace {

constexpr Duration kTick = seconds(1);
// What handshakes will need is computed beside everything else: at most a sixth of the thread's time.
constexpr size_t kSecretsAtOnce = 4;
constexpr Duration kSecretsStep = milliseconds(1);
constexpr Duration kDrainStep = milliseconds(20);
constexpr Duration kVerdictTimeout = seconds(75);     // beyond any authorize_timeout_ms, which holds first
constexpr Duration kCloseLimit = milliseconds(1500);  // what closing connections may take to say goodbye

using ForwardMode = config::ForwardingConfig::Mode;
using ProxyMode = config::ProxyProtocolConfig::Mode;

}  // namespace

router::RouterOptions router_options(const config::NetworkConfig& network) {
  router::RouterOptions options;
  options.client_to_client = network.client_to_client;
  options.allow_multicast = options.allow_broadcast = network.multicast;
  options.host_services.clear();
  for (const auto& service : router::default_host_services()) {
    bool is_dns = service.first_port == 53;
    if (is_dns ? network.host_services.dns : network.host_services.icmp_echo) options.host_services.push_back(service);
  }
  return options;
}

std::shared_ptr<const session::StaticKeys> static_keys(const config::KeysConfig& config) {
  auto keys = std::make_shared<session::StaticKeys>();
  if (config.noise_private_key) {
    keys->current.secret = config.noise_private_key->clone();
    keys->current.pub = crypto::public_key_of(keys->current.secret);
  }
  if (config.noise_next_private_key) {
    keys->next.emplace();
    keys->next->secret = config.noise_next_private_key->clone();
    keys->next->pub = crypto::public_key_of(keys->next->secret);
  }
  return keys;
}

std::shared_ptr<const session::StaticKeys> wireguard_key(const config::KeysConfig& config) {
  if (!config.wireguard_private_key) return nullptr;
  auto keys = std::make_shared<session::StaticKeys>();
  keys->current.secret = config.wireguard_private_key->clone();
  keys->current.pub = crypto::public_key_of(keys->current.secret);
  return keys;
}

namespace {

bool has_tls(const Plan& plan) {
  return std::any_of(plan.listeners.begin(), plan.listeners.end(), [](const auto& listener) { return !!listener.tls; });
}

std::vector<std::shared_ptr<const net::TlsContext>> contexts_of(const Plan& plan) {
  std::vector<std::shared_ptr<const net::TlsContext>> out;
  for (const auto& listener : plan.listeners) out.push_back(listener.tls);
  return out;
}

proxyproto::Mode proxy_mode(ProxyMode mode) {
  if (mode == ProxyMode::v1) return proxyproto::Mode::v1;
  if (mode == ProxyMode::v2) return proxyproto::Mode::v2;
  return proxyproto::Mode::any;
}

}  // namespace

Result<std::unique_ptr<Shard>> Shard::create(std::shared_ptr<const Plan> plan, const Place& place) {
  auto loop = net::Loop::create();
  if (!loop) return loop.error();
  std::unique_ptr<Shard> shard(new Shard(std::move(plan), place, std::move(*loop)));
  Shard* self = shard.get();
  if (place.crossing) {
    auto wake = net::Wake::create(*shard->loop_, [self] { self->on_wake(); });
    if (!wake) return wake.error();
    shard->wake_ = std::move(*wake);
    place.control.set_port(place.index, self, shard->wake_.get());
  }
  shard->gatekeeper_ =
      std::make_unique<Gatekeeper>(Gatekeeper::Parts{shard->plan_, place.control, place.index, shard->reporter_,
                                                     shard->memory_, *shard->loop_, shard->router_.table()});
  shard->gatekeeper_->on_session_end([self](uint64_t connection, Reason reason, const std::string& detail) {
    return self->on_session_end(connection, reason, detail);
  });
  shard->gatekeeper_->on_verdict([self](uint64_t connection, const session::IdentityVerdict& verdict) {
    for (auto& listener : self->listeners_)
      if (listener && listener->deliver_verdict(connection, verdict)) return;
    if (self->wireguard_) self->wireguard_->deliver_verdict(connection, verdict);
  });
  return shard;
}

Shard::Shard(std::shared_ptr<const Plan> plan, const Place& place, std::unique_ptr<net::Loop> loop)
    : plan_(std::move(plan)),
      hub_(place.hub),
      control_(place.control),
      ids_(place.index, place.control.shards),
      routes_(place.control.routes, place.index),
      loop_(std::move(loop)),
      memory_(plan_->config.limits.memory_bytes, has_tls(*plan_), packets_, place.control.memory_book()),
      aead_(crypto::AeadEngine::parse_backend(plan_->config.performance.aead).value()),
      router_(router_options(plan_->config.network), system_rng().u64()),
      sessions_(ids_),
      reporter_(hub_, control_.rejections, plan_->listeners.size()),
      data_path_({sessions_, router_, reporter_, packets_, *loop_, place.crossing ? &routes_ : nullptr,
                  place.crossing ? &crossing_.emplace(*place.crossing, place.index) : nullptr}),
      keys_(static_keys(plan_->config.keys)),
      tls_(contexts_of(*plan_)),
      stamps_(place.stamps ? place.stamps : std::make_shared<HandshakeStamps>()),
      tick_(*loop_, [this] { tick(); }),
      drain_timer_(*loop_, [this] { drain_step(); }),
      secrets_timer_(*loop_, [this] { prepare_secrets(); }),
      next_connection_id_(ids_.first_connection()) {
  router::RouteNetwork network;
  network.subnets = plan_->config.network.subnets;
  {
    MutexLock lock(control_.mutex);
    network.gateways = control_.addresses.gateways();
    if (is_first()) {
      if (plan_->config.keys.noise_private_key) control_.clients->set_static_keys(keys_);
      if (auto key = wireguard_key(plan_->config.keys); key && speaks_wireguard())
        control_.clients->set_wireguard_key(std::move(key));
    }
  }
  router_.table().set_network(network);
  loop_->set_turn_hook([this] {
    if (engine_) engine_->flush();
    if (wireguard_) wireguard_->flush();
    if (crossing_) crossing_->publish();
    gatekeeper_->begin_turn();
    memory_.refresh();
  });
}

Shard::~Shard() {
  close_everything();
  control_.set_port(index(), nullptr, nullptr);
}

std::unique_ptr<forward::Engine> Shard::make_engine() {
  switch (plan_->config.forwarding.mode) {
    case ForwardMode::testing:
      return std::make_unique<forward::TestingEngine>();
    case ForwardMode::host: {
      auto engine = std::make_unique<forward::HostEngine>(*loop_, forward::HostEngineOptions{});
      host_channel_ = engine->channel();
      return engine;
    }
    case ForwardMode::tun: {
      forward::TunOptions options;
      const config::TunConfig& tun = plan_->config.tun;
      options.name = tun.name;
      options.fd = tun.fd;
      options.path = tun.fd >= 0 ? "/tun/fd" : "/tun";
      options.multi_queue = control_.shards > 1;
      auto engine = std::make_unique<forward::TunEngine>(
          *loop_, std::move(options), forward::InternetAccess{tun.masquerade, tun.masquerade_interface});
      tun_ = engine.get();
      return engine;
    }
  }
  return nullptr;
}

Result<void> Shard::open_engine(const Shard* first) {
  forward::EngineNetwork network;
  network.subnets = plan_->config.network.subnets;
  {
    MutexLock lock(control_.mutex);
    network.gateways = control_.addresses.gateways();
  }
  network.mtu = plan_->config.network.mtu;
  network.routes = client_subnets();
  if (first) {
    auto engine = std::make_unique<QueueEngine>(*loop_, *crossing_, first->engine_->takes_super_packets());
    queue_engine_ = engine.get();
    engine_ = std::move(engine);
  } else {
    engine_ = make_engine();
  }
  if (auto ok = engine_->start(network, data_path_); !ok) {
    forget_engine();
    return ok.error();
  }
  data_path_.set_engine(engine_.get());
  if (first) return {};
  share_tun();
  data_path_.on_recovered([this] { share_tun(); });
  for (const std::string& advice : forwarding_advice(plan_->config)) reporter_.log(LogLevel::warning, advice);
  return {};
}

ws::ListenerOptions Shard::listener_options(const Plan& plan, std::shared_ptr<const session::StaticKeys> keys,
                                            size_t index) const {
  const config::ListenConfig& config = plan.listeners[index].config;
  const auto& proxy = config.proxy_protocol;
  ws::ListenerOptions options;
  options.listener = static_cast<uint32_t>(index);
  options.address = config.address;
  options.fd = config.fd;
  options.proxy_header = proxy.mode != ProxyMode::off;
  options.proxy_mode = proxy_mode(proxy.mode);
  options.proxy_limits.v2_max = proxy.max_header_bytes - proxyproto::kV2FixedSize;
  options.proxy_timeout = milliseconds(proxy.header_timeout_ms);
  options.proxy_local_health = proxy.local == config::ProxyProtocolConfig::Local::health;
  options.upgrade_timeout = milliseconds(plan.config.security.upgrade_timeout_ms);
  options.upgrade.path = config.path;
  options.real_ip = ws::RealIpHeader::named(config.real_ip_header);
  options.trusts = [this, index](const inet::IpAddress& ip) {
    return plan_->listeners[index].real_ip_trusted.contains(ip);
  };
  options.responder.keys = std::move(keys);
  options.responder.super_packets = true;
  options.responder.timing.verdict_timeout = kVerdictTimeout;
  options.responder.timing.keepalive_interval = milliseconds(config.keepalive_interval_ms);
  return options;
}

// The first shard gets the port, if the kernel is to choose; the others share it, and the kernel spreads connections.
Result<void> Shard::open_listeners(const Shard* first) {
  ws::Surroundings around{*loop_, *this, aead_, packets_, system_rng(), next_connection_id_};
  for (size_t i = 0; i < plan_->listeners.size(); ++i) {
    listeners_.emplace_back();
    if (plan_->listeners[i].config.transport == config::Transport::wireguard) {
      if (auto ok = open_wireguard(i, first); !ok) return ok;
      continue;
    }
    ws::ListenerOptions options = listener_options(*plan_, keys_, i);
    if (first) options.address.port = first->endpoints_[i].address.port;
    if (crossing_) options.port = first ? net::PortSharing::join : net::PortSharing::found;
    auto listener = ws::WsListener::create(around, std::move(options), tls_[i]);
    if (!listener) return listener.error();
    endpoints_.push_back({static_cast<uint32_t>(i), session::Transport::websocket, (*listener)->local()});
    listeners_.back() = std::move(*listener);
  }
  if (first) return {};
  for (const auto& endpoint : endpoints_) reporter_.listening(endpoint.listener, endpoint.transport, endpoint.address);
  return {};
}

Result<void> Shard::open(const Shard* first) {
  catch_up();
  auto ok = open_engine(first);
  if (ok) ok = open_listeners(first);
  if (!ok) {
    close_everything();
    return ok;
  }
  started_ms_ = wall_clock_ms();
  tick_.start_in(kTick);
  if (is_first()) prepare_secrets();
  return {};
}

void Shard::close_everything() {
  tick_.stop();
  drain_timer_.stop();
  secrets_timer_.stop();
  listeners_.clear();
  note_wireguard_stamps();
  wireguard_.reset();
  data_path_.on_offline(nullptr);
  reporter_.last_words();
  data_path_.set_engine(nullptr);
  if (engine_) engine_->stop();
  forget_engine();
}

void Shard::forget_engine() noexcept {
  tun_ = nullptr;
  queue_engine_ = nullptr;
  engine_.reset();
  steering_.reset();
}

void Shard::begin_drain(Duration drain) {
  // Called again it can only hasten the end.
  Time until = loop_->now() + drain;
  drain_until_ = draining_ ? std::min(drain_until_, until) : until;
  draining_ = true;
  gatekeeper_->stop_asking(drain == Duration::zero() ? Reason::server_stopping : Reason::draining);
  for (auto& listener : listeners_)
    if (listener) listener->begin_drain();
  if (wireguard_) wireguard_->begin_drain();
  drain_step();
}

void Shard::drain_step() {
  drain_timer_.start_in(kDrainStep);
  Time now = loop_->now();
  if (!closing_ && (now >= drain_until_ || nobody_is_left())) {
    closing_ = true;
    close_until_ = now + kCloseLimit;
    for (auto& listener : listeners_)
      if (listener) listener->close_all(Reason::server_stopping);
    if (wireguard_) wireguard_->close_all(Reason::server_stopping);
  }
  size_t open = 0;
  for (auto& listener : listeners_)
    if (listener) open += listener->connections();
  if (wireguard_) open += wireguard_->connections();
  if (closing_ && !drained_ && (open == 0 || now >= close_until_)) {
    drained_ = true;
    control_.note_drained();
  }
  if (control_.all_drained()) loop_->stop();  // not before: the others' commands and packets may need this one
}

bool Shard::nobody_is_left() {
  MutexLock lock(control_.mutex);
  return control_.sessions.size() == 0;
}

void Shard::tick() {
  tick_.start_in(kTick);  // first: nothing that fails below may end the ticking
  Time now = loop_->now();
  gatekeeper_->tick();
  reporter_.tick(now);
  note_wireguard_stamps();
  sessions_.for_each([&](LiveSession& session) { tell_roamed(session); });
  memory_.set_events(is_first() ? hub_.waiting() : 0);
  if (memory_.is_tight()) {
    sessions_.for_each([&](LiveSession& session) {
      session.link->trim();
      if (session.limits) session.counters.drop(Drop::rate_limit, session.limits->held.trim(packets_.room() / 8));
    });
  }
  expire();
}

void Shard::prepare_secrets() {
  MutexLock lock(control_.mutex);
  if (control_.clients->prepare_secrets(kSecretsAtOnce)) secrets_timer_.start_in(kSecretsStep);
}

void Shard::abandon_after_fork() noexcept {
  loop_->abandon_after_fork();
  if (host_channel_) host_channel_->abandon_after_fork();
}

}  // namespace smartvpn::server
