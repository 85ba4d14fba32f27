// A stranger's first bytes where a ClientHello is expected: state and contents do not depend on how they were cut,
// nothing is known before the last byte that matters, and what is told is fit to be compared, logged and bounded.
// Input: the stream.
#include "fuzz/require.hpp"
#include "relay/client_hello.hpp"
#include "relay/host_name.hpp"

using namespace smartvpn;
using relay::ClientHello;
using relay::ClientHelloMachine;
using State = relay::ClientHelloMachine::State;

namespace {

using smartvpn::fuzz::require;

struct Outcome {
  State state = State::need_more;
  ClientHello hello;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// `pieces`: 0 for one, else seeds their sizes. A final state comes again whatever follows.
Outcome run(ByteView stream, uint32_t pieces) {
  ClientHelloMachine machine;
  State state = machine.feed({});
  require(state == State::need_more);
  for (size_t at = 0; at < stream.size();) {
    size_t size = stream.size() - at;
    if (pieces != 0) {
      pieces = pieces * 1664525 + 1013904223;
      size = std::min<size_t>(size, pieces >> 27);  // 0 to 31 bytes
    }
    const State next = machine.feed(stream.subspan(at, size));
    require(state == State::need_more || next == state);
    require(next == machine.state());
    state = next;
    at += size;
  }
  return {state, machine.hello()};
}

// How many bytes it takes until the state is final; all of them if it is not.
size_t decided_after(ByteView stream) {
  ClientHelloMachine machine;
  size_t size = 0;
  while (size < stream.size() && machine.state() == State::need_more) machine.feed(stream.subspan(size++, 1));
  return size;
}

void check_told(const ClientHello& hello) {
  require(hello.server_name.empty() || relay::normalise_host(hello.server_name) == hello.server_name);
  require(hello.alpn.size() <= ClientHello::kMaxAlpn && hello.versions.size() <= 127);
  for (const std::string& name : hello.alpn) require(!name.empty() && name.size() <= 255);
  for (uint16_t version : hello.versions) require((version & 0x0f0f) != 0x0a0a || version >> 8 != (version & 0xff));
  const uint16_t highest = hello.highest_version();
  require(highest == 0 || (hello.offers(highest) && relay::version_name(highest) != nullptr));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView stream(data, size);
  const Outcome whole = run(stream, 0);
  require(whole == run(stream, static_cast<uint32_t>(size) * 2 + 1));
  if (whole.state != State::done) require(whole.hello == ClientHello());
  check_told(whole.hello);

  const size_t decided = decided_after(stream);
  require(decided <= ClientHelloMachine::kMaxSize);
  require(run(stream.first(decided), 0) == whole);
  if (whole.state != State::need_more) require(run(stream.first(decided - 1), 0).state == State::need_more);
  require((size > 0 && data[0] != 22) == (whole.state == State::not_tls && decided == 1));
  return 0;
}
