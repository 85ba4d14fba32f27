// A carrier between two machines, in virtual time. Ordered and reliable like a WebSocket, or losing
// and reordering like QUIC datagrams; a test may look at, change, hold back or drop what passes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <random>

#include "base/bytes.hpp"
#include "base/clock.hpp"

namespace smartvpn::testing {

enum class Side { client, server };
inline Side other(Side side) { return side == Side::client ? Side::server : Side::client; }

class VirtualWire {
 public:
  struct Options {
    Duration latency = milliseconds(10);
    Duration jitter{0};           // of unreliable messages: up to this much later, so they overtake
    uint32_t loss_per_mille = 0;  // of unreliable messages
    uint32_t seed = 1;
  };
  struct Delivery {
    Side to;
    Bytes message;
  };
  // Sees every message on its way; false drops it.
  using Filter = std::function<bool(Side to, Bytes& message)>;

  VirtualWire() : VirtualWire(Options{}) {}
  explicit VirtualWire(Options options) : options_(options), random_(options.seed) {}
  Filter filter;

  void put(Side to, ByteView bytes, bool reliable, Time now) {
    Bytes message(bytes.begin(), bytes.end());
    ++sent_;
    if (filter && !filter(to, message)) return;
    Time due = now + options_.latency;
    if (reliable) {
      Time& last = to == Side::client ? last_to_client_ : last_to_server_;
      due = last = std::max(last, due);
    } else {
      if (random_() % 1000 < options_.loss_per_mille) return;
      if (options_.jitter.count() > 0) due += Duration(static_cast<int64_t>(random_()) % options_.jitter.count());
    }
    queue_.emplace(due, Delivery{to, std::move(message)});
  }
  Time next_due() const { return queue_.empty() ? kNever : queue_.begin()->first; }
  std::optional<Delivery> take(Time now) {
    if (queue_.empty() || queue_.begin()->first > now) return std::nullopt;
    Delivery out = std::move(queue_.begin()->second);
    queue_.erase(queue_.begin());
    return out;
  }
  uint64_t sent() const { return sent_; }

 private:
  Options options_;
  std::mt19937 random_;
  std::multimap<Time, Delivery> queue_;  // equal times keep their order
  Time last_to_client_{}, last_to_server_{};
  uint64_t sent_ = 0;
};

}  // namespace smartvpn::testing
