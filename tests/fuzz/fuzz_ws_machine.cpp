// The message machine against any stream: the callbacks and the bytes to send may not depend on how
// the stream is cut or whether pieces are put into gaps, and nothing may be kept beyond the limits. Byte 0: role and
// limits; byte 1: the size of the pieces; the rest: the stream.
#undef NDEBUG
#include <cassert>

#include "support/ws_recorder.hpp"

namespace {

using namespace smartvpn;
using namespace smartvpn::ws;

Limits limits_of(uint8_t options) {
  Limits limits;
  limits.max_message = options & 2 ? 70000 : 300;
  limits.max_fragments = options & 4 ? 64 : 3;
  limits.max_pending = SIZE_MAX;  // the runs drain nothing
  limits.binary_only = (options & 8) != 0;
  return limits;
}

struct Trace {
  std::vector<std::string> events;
  Bytes sent;
  Machine::State state = Machine::State::open;
};

Trace run(uint8_t options, ByteView stream, size_t piece_size, bool into_gaps = false) {
  const Limits limits = limits_of(options);
  test::CountingRng rng;
  Machine machine(options & 1 ? Machine::Role::client : Machine::Role::server, limits, rng);
  test::Recorder recorder;
  for (ByteView rest = stream; !rest.empty();) {
    const size_t n = std::min(rest.size(), piece_size);
    Bytes piece(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n));
    if (into_gaps)
      test::feed_as_socket(machine, piece, recorder);
    else
      machine.feed(piece, recorder);
    assert(machine.buffered() <= limits.max_message);
    rest = rest.subspan(n);
  }
  return {recorder.events, Bytes(machine.pending().begin(), machine.pending().end()), machine.state()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const ByteView stream(data + 2, size - 2);
  const Trace whole = run(data[0], stream, SIZE_MAX);
  const Trace cut = run(data[0], stream, 1 + data[1] % 64);
  assert(whole.events == cut.events);
  assert(whole.sent == cut.sent);
  assert(whole.state == cut.state);
  const Trace placed = run(data[0], stream, 1 + data[1] % 64, true);
  assert(whole.events == placed.events);
  assert(whole.sent == placed.sent);
  assert(whole.state == placed.state);
  const bool ended = whole.state == Machine::State::closed || whole.state == Machine::State::failed;
  assert(ended == (!whole.events.empty() && whole.events.back().rfind("close ", 0) == 0));
  return 0;
}
