// What a WireGuard handshake costs the responder, from mac1 to the first data message that confirms it, on one core.
// Making the initiation is not timed.
#include <benchmark/benchmark.h>

#include "transport/wireguard/peer_machine.hpp"

namespace smartvpn::bench {
namespace {

using namespace wireguard;

SecretKey fresh_secret() {
  SecretKey out;
  system_rng().fill(out.span());
  return out;
}

struct Responding {
  Bytes initiation() {
    noise::Initiator initiator(system_rng(), peer.key, own.key.pub, as_bytes(kPrologue), noise::Pattern::ikpsk2);
    stamp = tai64n(0, stamp);
    Bytes out(8);
    store_le32(out.data(), 1);
    if (!initiator.write_message(stamp.bytes, out)) return {};
    out.resize(kInitiationSize);
    macs.add_macs(out, now);
    return out;
  }

  // `shared`: static-static is at hand, as in a server; null: computed.
  bool respond(ByteView message, const SecretKey* shared) {
    if (message_type(message) != MessageType::initiation || !checker.mac1_ok(message)) return false;
    auto opened = OpenedInitiation::open(own, message, system_rng());
    if (!opened) return false;
    const auto proven = opened->prove(shared);
    if (!proven || machine.accept(std::move(*opened), *proven, now) != Accepted::ok) return false;
    const auto response = machine.respond(now);
    Keypair* keys = response ? machine.receiving_keys(sender_index(*response), now) : nullptr;
    return keys && machine.on_received(*keys, true, now).confirmed;
  }

  Identity own{fresh_secret()}, peer{fresh_secret()};
  CookieChecker checker{own, fresh_secret()};
  CookieGenerator macs{own.key.pub};
  IndexTable indices{system_rng()};
  PeerMachine machine{{&own, &indices, &system_rng()}, peer.key.pub, nullptr, Timing{}};
  Time now{seconds(1000)};
  Tai64n stamp;
};

void wireguard_responder(benchmark::State& state, bool prepared) {
  Responding end;
  SecretKey shared;
  if (!crypto::x25519(shared.span(), end.own.key.secret, end.peer.key.pub)) return state.SkipWithError("no secret");
  for (auto _ : state) {
    state.PauseTiming();
    end.now += milliseconds(20);
    const Bytes message = end.initiation();
    state.ResumeTiming();
    if (!end.respond(message, prepared ? &shared : nullptr)) return state.SkipWithError("the handshake failed");
  }
  state.counters["per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(wireguard_responder, prepared, true);
BENCHMARK_CAPTURE(wireguard_responder, all_exchanges, false);

}  // namespace
}  // namespace smartvpn::bench
