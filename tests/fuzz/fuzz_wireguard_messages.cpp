// Any datagrams against two machines with real keys. The input is a script of two-byte steps: what the ends send, what
// the wire does to it (keep, flip, cut, replay), how far the clock goes, and raw bytes. A damaged datagram never makes
// a handshake or a packet; the rules of support/wireguard_pair.hpp hold all along; what is left at the end still works.
#include "fuzz/require.hpp"
#include "support/wireguard_pair.hpp"

namespace {

using namespace smartvpn;
using fuzz::require;
using testing::WireguardEnd;
using testing::WireguardPair;

constexpr size_t kSteps = 48, kKept = 16;

class Script {
 public:
  Script() {
    pair_.filter = [this](WireguardEnd& from, ByteView bytes) {
      if (kept_.size() == kKept) kept_.erase(kept_.begin());
      kept_.push_back({&pair_.other(from), Bytes(bytes.begin(), bytes.end())});
      return !blocked_;
    };
  }

  void step(uint8_t what, uint8_t how, ByteView rest) {
    WireguardEnd& end = what & 0x80 ? pair_.b : pair_.a;
    switch (what & 7) {
      case 0:
        return pair_.send(end);
      case 1:
        pair_.initiate(end);
        return;
      case 2:
        return pair_.run_for(milliseconds(int64_t{how} * how * 10));  // up to 650 s
      case 3:
        return damage(what, how);
      case 4:
        if (!kept_.empty()) replay(kept_[how % kept_.size()]);
        return;
      case 5:
        return raw(end, rest.first(std::min<size_t>(how, rest.size())));
      case 6:
        blocked_ = (how & 1) != 0;
        end.under_load = (how & 2) != 0;
        if (how & 4) end.machine->end_session();
        return;
      default:
        pair_.perform(end, end.machine->set_persistent_keepalive(seconds(how & 31), pair_.now));
    }
  }

  void end() {
    blocked_ = false;
    pair_.a.under_load = pair_.b.under_load = false;
    pair_.run_for(seconds(6));
    for (int i = 0; i < 20; ++i) {
      pair_.send(pair_.a);
      pair_.send(pair_.b);
      pair_.run_for(seconds(1));
    }
    const uint64_t a = pair_.a.delivered, b = pair_.b.delivered;
    pair_.send(pair_.a);
    pair_.send(pair_.b);
    pair_.run_for(seconds(1));
    require(pair_.a.delivered > a && pair_.b.delivered > b);
    require(pair_.violations == 0);
  }

 private:
  struct Kept {
    WireguardEnd* to;
    Bytes bytes;
  };

  void replay(Kept kept) { pair_.receive(*kept.to, kept.bytes); }

  // What a datagram that was changed may do: nothing. The two bits that no tag covers are left alone: the receiver does
  // not use mac2 without load, and a key's top bit is no part of the number, though mac1 covers it.
  void damage(uint8_t what, uint8_t how) {
    if (kept_.empty()) return;
    Kept kept = kept_[how % kept_.size()];
    Bytes& bytes = kept.bytes;
    const auto type = wireguard::message_type(bytes);
    const bool handshake = type == wireguard::MessageType::initiation || type == wireguard::MessageType::response;
    const size_t covered = bytes.size() - (handshake ? 16 : 0);
    bytes[(size_t{how} * 7 + what) % covered] ^= static_cast<uint8_t>(1u << (what >> 4 & 7));
    unharmed(*kept.to, bytes);
  }

  void raw(WireguardEnd& end, ByteView bytes) { unharmed(end, bytes); }

  void unharmed(WireguardEnd& end, ByteView bytes) {
    const auto before = std::tuple(end.responses, end.delivered, end.empty, end.confirmed, end.cookies,
                                   end.indices.size(), end.machine->greatest_timestamp());
    pair_.receive(end, bytes);
    require(before == std::tuple(end.responses, end.delivered, end.empty, end.confirmed, end.cookies,
                                 end.indices.size(), end.machine->greatest_timestamp()));
  }

  WireguardPair pair_;
  std::vector<Kept> kept_;
  bool blocked_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Script script;
  const ByteView input(data, size);
  for (size_t i = 0; i + 1 < size && i < 2 * kSteps; i += 2) script.step(data[i], data[i + 1], input.subspan(i + 2));
  script.end();
  return 0;
}
