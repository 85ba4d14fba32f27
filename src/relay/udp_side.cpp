// See udp_side.hpp.
#include "relay/udp_side.hpp"

#include <algorithm>

#include "relay/worker.hpp"

namespace smartvpn::relay {
namespace {

size_t most_flows(const config::RelayLimitsConfig& limits) noexcept {
  return limits.connections != 0 ? limits.connections : UdpSide::kMostFlows;
}

constexpr Duration kLookAgain = milliseconds(50);

}  // namespace

UdpSide::UdpSide(Worker& worker)
    : worker_(worker),
      names_(worker.loop(), worker.resolver()),
      bury_(worker.loop(), [this] { bury(); }),
      look_again_(worker.loop(), [this] { bury_.request(); }),
      table_(kMostFlows, system_rng().u64()) {}

UdpSide::~UdpSide() {
  for (const auto& listener : lingering_) worker_.shared().udp_ports.stay_over(listener->key());
}

const std::shared_ptr<net::UdpBuffers>& UdpSide::buffers() {
  if (!buffers_) buffers_ = net::make_udp_buffers();
  return buffers_;
}

Result<void> UdpSide::prepare(const SocketPlan& socket, net::PortSharing sharing, BoundPorts& ports) {
  if (listening_.count(socket.key) != 0) return {};
  preparing_ = true;
  if (const UdpListener* there = lingering_at(socket.key)) {
    ports[socket.key] = there->local();
    return {};
  }
  net::UdpOptions options;
  options.address = {socket.key.address, socket.key.port};
  options.path = socket.path;
  options.buffers = buffers();
  // Where a worker still has flows there, the port is ours already.
  const bool ours = socket.key.port != 0 && worker_.shared().udp_ports.somebody_stays(socket.key);
  options.share_later = sharing == net::PortSharing::found && !ours;
  options.reuse_port = sharing == net::PortSharing::join || ours;
  if (sharing == net::PortSharing::join) options.address.port = ports.at(socket.key).port;
  auto made = UdpListener::open(*this, socket.key, next_number_++, std::move(options));
  if (!made) return std::move(made).error();
  ports[socket.key] = (*made)->local();
  prepared_[socket.key] = std::move(*made);
  return {};
}

void UdpSide::forget_prepared() noexcept {
  prepared_.clear();
  preparing_ = false;
  bury_.request();
}

// Sockets of a port that the kernel chose go with their listener, and a new one gets another.
UdpListener* UdpSide::lingering_at(const SocketKey& key) noexcept {
  for (const auto& listener : lingering_)
    if (key.port != 0 && listener->key() == key) return listener.get();
  return nullptr;
}

void UdpSide::commit(const RoutingPtr& routing) {
  Listeners next;
  for (const SocketPlan& socket : routing->plan->sockets) {
    if (socket.key.protocol != config::RelayProtocol::udp) continue;
    std::unique_ptr<UdpListener> listener;
    if (const auto found = listening_.find(socket.key); found != listening_.end()) {
      listener = std::move(found->second);
      listening_.erase(found);
    } else if (const UdpListener* there = lingering_at(socket.key)) {
      const auto at = std::find_if(lingering_.begin(), lingering_.end(), [&](auto& one) { return one.get() == there; });
      listener = std::move(*at);
      lingering_.erase(at);
      worker_.shared().udp_ports.stay_over(socket.key);
    } else if (const auto made = prepared_.find(socket.key); made != prepared_.end()) {
      listener = std::move(made->second);
      prepared_.erase(made);
    }
    if (!listener) continue;
    if (!listener->serving()) worker_.listening(socket.listener, config::RelayProtocol::udp, listener->local());
    listener->serve(routing, socket.listener);
    next[socket.key] = std::move(listener);
  }
  for (auto& [key, listener] : listening_) let_linger(std::move(listener));
  listening_ = std::move(next);
  table_.set_most(most_flows(routing->plan->limits));
  forget_prepared();
}

void UdpSide::let_linger(std::unique_ptr<UdpListener> listener) {
  listener->linger();
  worker_.shared().udp_ports.stays(listener->key());
  lingering_.push_back(std::move(listener));
}

void UdpSide::drain() {
  for (auto& [key, listener] : listening_) let_linger(std::move(listener));
  listening_.clear();
  forget_prepared();
}

// Sockets that are needed no more go here too, where none of them is being read.
void UdpSide::bury() {
  UdpPorts& ports = worker_.shared().udp_ports;
  while (retired_) {
    UdpListener& listener = retired_->listener();
    retired_ = retired_->take_next();
    listener.flow_ended();
  }
  bool wait = false;
  std::erase_if(lingering_, [&](const auto& listener) {
    const bool over = !preparing_ && listener->flows() == 0 && !ports.has_flows(listener->key());
    if (over) ports.stay_over(listener->key());
    wait = wait || (!over && listener->flows() == 0);
    return over;
  });
  if (wait) look_again_.start_in(kLookAgain);
  worker_.flows_buried();
}

void UdpSide::retire(UdpFlow& flow) noexcept {
  auto taken = table_.take(flow);
  if (!taken) return;
  (void)taken.release();
  std::unique_ptr<UdpFlow> owned(&flow);
  owned->set_next(std::move(retired_));
  retired_ = std::move(owned);
  bury_.request();
}

bool UdpSide::lend(size_t bytes) noexcept {
  if (held_bytes_ + bytes > kMaxHeldBytes) return false;
  held_bytes_ += bytes;
  return true;
}

bool UdpSide::make_room(FlowSeat& seat) {
  if (table_.full() && !displace_one()) return false;
  return seat.enter_relay() || (displace_one() && seat.enter_relay());
}

bool UdpSide::displace_one() {
  auto* longest = static_cast<UdpFlow*>(table_.longest_unanswered());
  if (longest) longest->close(Reason::too_many_connections);
  return longest != nullptr;
}

bool UdpSide::close_one(uint64_t id, Reason why) {
  UdpFlow* found = nullptr;
  table_.for_each([&](UdpFlowTable::Member& member) {
    auto& flow = static_cast<UdpFlow&>(member);
    if (flow.id() == id) found = &flow;
  });
  if (found) found->close(why);
  return found != nullptr;
}

void UdpSide::close_all(Reason why) {
  while (auto* first = table_.first()) static_cast<UdpFlow*>(first)->close(why);
}

void UdpSide::end_flows_of(const UdpListener& listener) {
  std::vector<UdpFlow*> ending;
  table_.for_each([&](UdpFlowTable::Member& member) {
    auto& flow = static_cast<UdpFlow&>(member);
    if (&flow.listener() == &listener) ending.push_back(&flow);
  });
  for (UdpFlow* flow : ending) flow->close(Reason::internal_error);
}

void UdpSide::settle() {
  table_.for_each([](UdpFlowTable::Member& member) { static_cast<UdpFlow&>(member).settle(); });
}

void UdpSide::list(std::vector<ConnectionInfo>& out) {
  table_.for_each([&](UdpFlowTable::Member& member) {
    auto& flow = static_cast<UdpFlow&>(member);
    flow.settle();
    out.push_back(flow.info());
  });
}

bool UdpSide::listens_at(const inet::Endpoint& at) const noexcept {
  auto here = [&](const UdpListener& listener) { return is_served_by(listener.local(), at); };
  return std::any_of(listening_.begin(), listening_.end(), [&](auto& entry) { return here(*entry.second); }) ||
         std::any_of(lingering_.begin(), lingering_.end(), [&](auto& one) { return here(*one); });
}

}  // namespace smartvpn::relay
