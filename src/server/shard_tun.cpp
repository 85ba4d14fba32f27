// The tun device of a server with several shards: one queue for each, and the kernel told which shard's client a packet
// is for. Where the kernel does not play along, packets go from shard to shard by ring; nothing else changes.
#include <new>

#include "server/shard.hpp"

namespace smartvpn::server {

// At the start, and again for a device that was made anew.
void Shard::share_tun() {
  if (!tun_ || !crossing_) return;
  auto queues = tun_->open_queues(control_.shards - 1);
  if (!queues) {
    reporter_.log(LogLevel::info, "all threads share one queue of the tun device: " + queues.error().text);
    return;
  }
  {
    MutexLock lock(control_.mutex);
    control_.tun_queues = std::move(*queues);
  }
  for (size_t other = 1; other < control_.shards; ++other) control_.send_mail(other);
  if (auto steered = steer_device(); !steered)
    reporter_.log(LogLevel::info, "packets may go from thread to thread: " + steered.error().text);
}

Result<void> Shard::steer_device() {
  if (!steering_) {
    auto steering = forward::TunSteering::create(*loop_, static_cast<unsigned>(control_.shards));
    if (!steering) return std::move(steering).error();
    steering_ = std::move(*steering);
    routes_.on_applied([this](const inet::Cidr& prefix) { steer(prefix); });
  }
  return tun_->steer_by(*steering_);
}

// What finds no place in the kernel's map goes to the first shard, which hands it over.
void Shard::steer(const inet::Cidr& prefix) noexcept {
  if (!steering_) return;
  try {
    const uint64_t session = router_.table().session_at(prefix);
    if (session != 0)
      (void)steering_->set(prefix, static_cast<unsigned>(ids_.shard_of(session))).ok();
    else
      steering_->erase(prefix);
  } catch (const std::bad_alloc&) {
    steering_->erase(prefix);
  }
}

void Shard::take_tun_queue() noexcept {
  if (!queue_engine_) return;
  try {
    forward::TunQueue queue;
    {
      MutexLock lock(control_.mutex);
      if (control_.tun_queues.size() < index()) return;
      queue = std::move(control_.tun_queues[index() - 1]);  // leaves none
    }
    if (!queue.fd) return;
    if (auto joined = queue_engine_->join(queue.options); !joined)
      reporter_.log(LogLevel::warning,
                    "thread " + std::to_string(index()) + " has no queue of the tun device: " + joined.error().text);
  } catch (const std::bad_alloc&) {
    return;  // by ring, then
  }
}

}  // namespace smartvpn::server
