// What holds packets back in a SendQueue: a rate limit. The queue asks before it gives a packet away and
// says what it gave; somebody else knows what the limit is, and whom else it is shared with.
#pragma once

#include <cstddef>

#include "base/clock.hpp"

namespace smartvpn::session {

class SendGate {
 public:
  virtual bool open(Time now) const noexcept = 0;
  virtual void passed(size_t bytes, Time now) noexcept = 0;
  // When to ask again; may lie in the past. Others may have used up what there was by then.
  virtual Time opens_at() const noexcept = 0;

 protected:
  ~SendGate() = default;
};

}  // namespace smartvpn::session
