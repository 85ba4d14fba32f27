// The fixture of the message machine's tests: one machine in the role under test, its peer's frames,
// and what it wants to send, readable.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/ws_recorder.hpp"

namespace smartvpn::ws::test {

inline Limits roomy() {
  Limits limits;
  limits.max_message = 1 << 20;
  limits.max_fragments = 64;
  limits.max_pending = 4096;
  return limits;
}

class MachineRules : public testing::TestWithParam<Machine::Role> {
 protected:
  Machine::Role role() const { return GetParam(); }
  Bytes frame(Opcode opcode, std::string_view payload, bool fin = true) {
    return peer_frame(role(), opcode, payload, fin);
  }
  Bytes close_frame(uint16_t code, std::string_view reason = {}) { return peer_close(role(), code, reason); }
  Machine::State feed(Bytes data) { return machine_.feed(data, recorder_); }
  Machine::State feed_hex(std::string_view hex) { return feed(*from_hex(hex)); }
  // What the machine wants to send, unmasked, as "opcode payload-hex" lines.
  std::vector<std::string> sent() {
    Bytes out(machine_.pending().begin(), machine_.pending().end());
    machine_.consume(out.size());
    std::vector<std::string> lines;
    for (ByteSpan rest = out; !rest.empty();) {
      FrameHeader h;
      EXPECT_EQ(decode_frame_header(rest, role() == Machine::Role::client, h), HeaderStatus::done);
      ByteSpan payload = rest.subspan(h.size, static_cast<size_t>(h.payload_size));
      apply_mask(payload, h.mask);
      lines.push_back(std::to_string(static_cast<int>(h.opcode)) + " " + to_hex(payload));
      rest = rest.subspan(h.size + payload.size());
    }
    return lines;
  }
  static std::string close_line(uint16_t code) {
    uint8_t body[2];
    store_be16(body, code);
    return "8 " + to_hex(body);
  }
  // The peer broke a rule: told so, handed up, and nothing moves afterwards.
  void expect_failed(uint16_t code) {
    EXPECT_EQ(machine_.state(), Machine::State::failed);
    ASSERT_FALSE(recorder_.events.empty());
    EXPECT_EQ(recorder_.events.back(), "close " + std::to_string(code) + " '' us");
    EXPECT_THAT(sent(), testing::Contains(close_line(code)));
    const size_t before = recorder_.events.size();
    feed(frame(Opcode::binary, "late") + frame(Opcode::ping, "late") + close_frame(1000));
    EXPECT_EQ(recorder_.events.size(), before);
    EXPECT_THAT(sent(), testing::IsEmpty());
    EXPECT_EQ(machine_.buffered(), 0u);
  }

  CountingRng rng_;
  Machine machine_{GetParam(), roomy(), rng_};
  Recorder recorder_;
};

}  // namespace smartvpn::ws::test
