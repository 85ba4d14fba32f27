// Puts runs of separately received TCP (and UDP) packets together into super-packets before an engine
// sees them, as the kernel's GRO does (performance.md section 7, items 6 and 10). Payload is not
// copied: a result is one rewritten header and a list of views. Checksums are verified first, because
// the result carries only a partial one.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/packet.hpp"
#include "inet/ip_header.hpp"
#include "inet/super_packet.hpp"

namespace smartvpn::inet {

// What goes to the engine: `head` followed by `payloads` in order.
struct Coalesced {
  ByteView head;                       // a whole packet (payloads empty), or the rewritten headers
  std::span<const ByteView> payloads;  // views into the packets that were added
  SuperInfo info;                      // meaningful if segment_size is not 0
  uint16_t segment_size = 0;           // 0: a single packet, exactly as it came
  uint16_t segments = 1;
  uint32_t size = 0;     // of head and payloads together
  uint64_t session = 0;  // that of its packets; packets of two sessions never mix
};

// Owned by a loop; all memory is taken at construction. Order within a flow is kept, order between
// flows is not promised.
class Coalescer {
 public:
  struct Options {
    bool tcp = true;
    bool udp = false;  // needs an engine that takes UDP super-packets (a device with USO)
  };
  static constexpr size_t kMaxPackets = 512;

  explicit Coalescer(Options options);
  Coalescer() : Coalescer(Options{}) {}
  Coalescer(const Coalescer&) = delete;
  Coalescer& operator=(const Coalescer&) = delete;
  ~Coalescer();

  // Takes a packet that classify() and, for super-packets, inspect() have passed. The bytes must stay
  // unchanged until clear(). False when full: flush() first.
  bool add(const PacketView& packet) noexcept;
  bool empty() const noexcept;

  // Finishes everything added so far. The results are valid until clear() or the next add().
  std::span<const Coalesced> flush() noexcept;
  void clear() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Copies head and payloads behind each other; `out` has room for `packet.size` bytes.
void copy_out(const Coalesced& packet, uint8_t* out) noexcept;

}  // namespace smartvpn::inet
