// Initiations that wait for their turn: each costs several exchanges, and sessions come first. How many wait says
// whether we are under load, and whoever comes then has to show first that it receives what is sent to it. Bounded.
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "base/clock.hpp"
#include "session/admission.hpp"
#include "transport/wireguard/message_codec.hpp"
#include "transport/wireguard/path.hpp"

namespace smartvpn::wireguard {

struct PendingInitiation {
  std::array<uint8_t, kInitiationSize> message{};
  Path path;
  std::vector<session::ProxyTlvText> tlvs;
};

class HandshakeQueue {
 public:
  static constexpr size_t kCapacity = 1024;
  static constexpr size_t kCrowd = 128;           // so many waiting are a load
  static constexpr Duration kRelief = seconds(1);  // and for so long after there were

  // False: it is full. Throws std::bad_alloc with nothing changed.
  bool push(PendingInitiation&& initiation) {
    if (waiting_.size() >= kCapacity) return false;
    waiting_.push_back(std::move(initiation));
    return true;
  }
  bool empty() const noexcept { return waiting_.empty(); }
  size_t size() const noexcept { return waiting_.size(); }
  const PendingInitiation& front() const noexcept { return waiting_.front(); }
  PendingInitiation pop() {
    PendingInitiation first = std::move(waiting_.front());
    waiting_.pop_front();
    return first;
  }
  void clear() noexcept { waiting_.clear(); }
  bool under_load(Time now) noexcept {
    if (waiting_.size() >= kCrowd) loaded_until_ = now + kRelief;
    return now < loaded_until_;
  }

 private:
  std::deque<PendingInitiation> waiting_;
  Time loaded_until_{};
};

}  // namespace smartvpn::wireguard
