// See worker.hpp. Here: listeners, connections, and what the relay asks for.
#include "relay/worker.hpp"

#include <algorithm>

#include "relay/udp_side.hpp"

namespace smartvpn::relay {
namespace {

constexpr Duration kTick = seconds(1);

}  // namespace

Result<std::unique_ptr<Worker>> Worker::create(SharedState& shared, PlanPtr plan) {
  auto loop = net::Loop::create_for_many();
  if (!loop) return std::move(loop).error();
  std::unique_ptr<Worker> worker(new Worker(shared, std::move(*loop), plan->limits.addresses));
  auto resolver = net::Resolver::create(*worker->loop_);
  if (!resolver) return std::move(resolver).error();
  worker->resolver_ = std::move(*resolver);
  worker->udp_ = std::make_unique<UdpSide>(*worker);
  worker->routing_ = Routing::make(std::move(plan), nullptr);
  worker->tick_.start_in(kTick);
  return worker;
}

Worker::Worker(SharedState& shared, std::unique_ptr<net::Loop> loop, size_t addresses)
    : shared_(shared),
      loop_(std::move(loop)),
      pipes_(loop_->descriptors()),
      addresses_(addresses),
      bury_(*loop_, [this] { bury(); }),
      tick_(*loop_, [this] { on_tick(); }),
      drained_(*loop_, [this] { close_all(Reason::relay_stopping); }) {}

Worker::~Worker() = default;

Result<void> Worker::prepare(const RelayPlan& plan, net::PortSharing sharing, Ports& ports) {
  for (const SocketPlan& socket : plan.sockets) {
    if (socket.key.protocol == config::RelayProtocol::udp) {
      auto made = udp_->prepare(socket, sharing, ports);
      if (!made) forget_prepared();
      if (!made) return made;
      continue;
    }
    if (listening_.count(socket.key) != 0) continue;
    auto made = listen(socket, sharing, ports);
    if (!made) {
      forget_prepared();
      return std::move(made).error();
    }
    (*made)->pause();
    ports[socket.key] = (*made)->local();
    prepared_[socket.key] = {socket.listener, std::move(*made)};
  }
  return {};
}

Result<std::unique_ptr<net::TcpListener>> Worker::listen(const SocketPlan& socket, net::PortSharing sharing,
                                                         const Ports& ports) {
  net::ListenOptions options;
  options.address = socket.key.address.text();
  options.port = socket.key.port;
  options.sharing = sharing;
  options.path = socket.path;
  if (sharing == net::PortSharing::join) options.port = ports.at(socket.key).port;
  auto made = net::TcpListener::listen_sockets(
      *loop_, options, [this, key = socket.key](net::Fd fd, net::Fd& spare, const inet::Endpoint& peer) {
        on_socket(key, std::move(fd), spare, peer);
      });
  // Pipes that are kept for later must not be what keeps clients out.
  if (made) (*made)->on_pressure([this](int) { pipes_.forget_idle(); });
  return made;
}

void Worker::forget_prepared() noexcept {
  prepared_.clear();
  udp_->forget_prepared();
}

void Worker::commit(PlanPtr plan) {
  if (draining_) return forget_prepared();
  std::map<SocketKey, Listening> next;
  for (const SocketPlan& socket : plan->sockets) {
    auto& from = listening_.count(socket.key) != 0 ? listening_ : prepared_;
    const auto found = from.find(socket.key);
    if (found == from.end()) continue;
    found->second.listener = socket.listener;
    next.insert(from.extract(found));
  }
  routing_ = Routing::make(std::move(plan), routing_.get());
  listening_ = std::move(next);
  prepared_.clear();
  for (auto& [key, one] : listening_) {
    if (!one.socket->accepting()) listening(one.listener, config::RelayProtocol::tcp, one.socket->local());
    one.socket->resume();
  }
  udp_->commit(routing_);
}

void Worker::drain(Duration longest) {
  draining_ = true;
  listening_.clear();
  udp_->drain();
  bury_.request();
  const Time until = loop_->now() + longest;
  if (!drained_.running() || until < drained_.deadline()) drained_.start_at(until);
}

void Worker::bury() {
  while (retired_) retired_ = retired_->take_next();
  if (draining_ && connections_.empty() && udp_->idle()) loop_->stop();
}

void Worker::flows_buried() noexcept {
  if (draining_) bury_.request();
}

void Worker::on_socket(const SocketKey& key, net::Fd socket, net::Fd& spare, const inet::Endpoint& peer) {
  const auto found = listening_.find(key);
  if (found == listening_.end()) return;
  ConnectionFacts facts;
  facts.id = shared_.next_id.fetch_add(1, std::memory_order_relaxed);
  facts.listener = found->second.listener;
  facts.peer = peer;
  facts.local = found->second.socket->local();
  facts.accepted_ms = wall_clock_ms();
  facts.accepted = loop_->now();
  ++total_.connections_total;
  if (!shared_.limits.enter()) {
    ConnectionInfo info;
    info.id = facts.id;
    return ended(facts, info, Reason::too_many_connections, true, false);
  }
  const uint64_t id = facts.id;
  Connection* begun = nullptr;
  try {
    auto connection = std::make_unique<Connection>(*this, routing_, std::move(facts));
    begun = connection.get();
    connections_.emplace(id, std::move(connection));
  } catch (const std::bad_alloc&) {
    shared_.limits.leave();
    ++rejections_[static_cast<size_t>(Reason::out_of_memory)];
    return;
  }
  ++total_.connections_open;
  begun->begin(std::move(socket), spare);
}

void Worker::retire(Connection& connection) noexcept {
  const auto found = connections_.find(connection.id());
  if (found == connections_.end()) return;
  --total_.connections_open;
  found->second->set_next(std::move(retired_));
  retired_ = std::move(found->second);
  connections_.erase(found);
  bury_.request();
}

void Worker::close_all(Reason why) {
  while (!connections_.empty()) connections_.begin()->second->close(why);
  udp_->close_all(why);
}

bool Worker::close_one(uint64_t id, Reason why) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return udp_->close_one(id, why);
  found->second->close(why);
  return true;
}

bool Worker::listens_at(const inet::Endpoint& at) const noexcept {
  return std::any_of(listening_.begin(), listening_.end(),
                     [&](const auto& entry) { return is_served_by(entry.second.socket->local(), at); });
}

void Worker::on_tick() {
  tick_.start_in(kTick);
  const Time now = loop_->now();
  for (auto& [id, connection] : connections_) connection->settle();
  udp_->settle();
  udp_->tick();
  windows_.sample(now, total_);
  for (const auto& route : routing_->routes) route->windows.sample(now, route->counters);
  shared_.limits.tick(now);
  report_rejections(now);
}

void Worker::add_to(Share& sum) {
  for (auto& [id, connection] : connections_) connection->settle();
  udp_->settle();
  sum.udp.add(udp_counters_);
  sum.udp_drops.add(udp_->drops());
  sum.total.add(total_);
  sum.rates.add(windows_.rates());
  for (size_t i = 0; i < kReasonCount; ++i) {
    sum.rejections[i] += rejections_[i];
    sum.ended[i] += ended_[i];
  }
  sum.routes.resize(routing_->routes.size());
  for (size_t i = 0; i < routing_->routes.size(); ++i) {
    sum.routes[i].route = routing_->routes[i]->name;
    sum.routes[i].counters.add(routing_->routes[i]->counters);
    sum.routes[i].rates.add(routing_->routes[i]->windows.rates());
  }
  addresses_.add_to(sum.addresses);
  const AddressStats& others = addresses_.others();
  sum.other_addresses.connections_open += others.connections_open;
  sum.other_addresses.connections_total += others.connections_total;
  sum.other_addresses.bytes_in += others.bytes_in;
  sum.other_addresses.bytes_out += others.bytes_out;
}

void Worker::list(std::vector<ConnectionInfo>& out) {
  for (auto& [id, connection] : connections_) {
    connection->settle();
    out.push_back(connection->info());
  }
  udp_->list(out);
}

void Worker::abandon_after_fork() noexcept {
  resolver_->abandon_after_fork();
  loop_->abandon_after_fork();
}

}  // namespace smartvpn::relay
