// The control records that wait to leave. They overtake data and never grow: a ping is a flag, pongs
// are a few tokens, a newer configuration replaces an unsent one, and a close ends everything.
#pragma once

#include <array>

#include "session/keepalive.hpp"
#include "session/record_codec.hpp"

namespace smartvpn::session {

class ControlQueue {
 public:
  static constexpr size_t kMaxPongs = 4;
  // The most that waits beside a configuration.
  static constexpr size_t kMaxOther = (kMaxPongs + 1) * (kRecordHeader + kPingBody);

  void add_ping() noexcept { ping_ = true; }
  void add_pong(uint64_t token) noexcept;  // beyond a few waiting ones, forgotten
  void set_configuration(Bytes encoded) noexcept { configuration_ = std::move(encoded); }
  void set_close(uint16_t code, uint32_t retry_after_s) noexcept;  // everything else is forgotten

  bool empty() const noexcept { return !ping_ && pongs_ == 0 && configuration_.empty() && !closing_; }
  // Bytes that write() will need.
  size_t size() const noexcept;
  size_t records() const noexcept;
  // Writes size() bytes and leaves the queue empty. Pings get their token and departure time here.
  void write(uint8_t* out, Keepalive& keepalive, Time now) noexcept;

 private:
  std::array<uint64_t, kMaxPongs> pong_tokens_{};
  Bytes configuration_;
  size_t pongs_ = 0;
  uint32_t retry_after_s_ = 0;
  uint16_t close_code_ = 0;
  bool ping_ = false, closing_ = false;
};

}  // namespace smartvpn::session
