// A device's datagrams: what strangers send, what a peer that has proven its key seals, what is sent to it, and PROXY
// headers in front. Input: steps of a byte that says what, a u16 length and so many bytes.
#include "crypto/x25519.hpp"
#include "fuzz/require.hpp"
#include "support/wireguard_client.hpp"
#include "transport/wireguard/proxy_datagram.hpp"

using namespace smartvpn;
using smartvpn::fuzz::require;
using testing::WireguardClient;

namespace {

constexpr int kMaxSteps = 24;

SecretKey key_of(uint8_t seed) {
  std::array<uint8_t, 32> bytes{};
  bytes.fill(seed);
  return SecretKey(std::span<const uint8_t, 32>(bytes));
}
PublicKey public_of(uint8_t seed) { return wireguard::Identity(key_of(seed)).key.pub; }

// A peer that is called and one that calls, connected over loopback.
struct World {
  World() {
    auto made = net::Loop::create();
    require(made.ok());
    loop = std::move(*made);
    called = make(1, 2, *inet::Endpoint::parse("127.0.0.1:9"));
    caller = make(2, 1, {inet::IpAddress::v4(0x7f000001), called->local().port});
    loop->set_turn_hook([this] {
      called->flush();
      caller->flush();
    });
    say(*caller, Bytes(20, 0x45));
    for (int turn = 0; turn < 200 && !called->connected(); ++turn) turn_once();
    require(called->connected() && caller->connected());
  }
  ~World() { loop->set_turn_hook({}); }

  std::unique_ptr<WireguardClient> make(uint8_t own, uint8_t other, const inet::Endpoint& at) {
    testing::WireguardClientOptions options;
    options.private_key = key_of(own);
    options.server_key = public_of(other);
    options.server = at;
    auto client = WireguardClient::create(*loop, pool, options, [this](std::span<const PacketView> batch) {
      require(!batch.empty() && batch.size() <= 128);
      for (const PacketView& packet : batch) {
        require(packet.segment_size == 0 && packet.bytes.size() >= 20);
        require(packet.bytes[0] >> 4 == 4 || packet.bytes[0] >> 4 == 6);
        seen += packet.bytes.back();
      }
    });
    require(client.ok());
    return std::move(*client);
  }
  void turn_once() {
    loop->post([] {});
    loop->run_turn();
  }
  void say(WireguardClient& from, ByteView bytes, uint16_t segment_size = 0) {
    if (bytes.empty()) return;
    Packet packet = pool.copy_of(bytes);
    packet.segment_size = segment_size;
    from.send(std::move(packet));
  }
  // Straight into the device, as if another shard had got it.
  void hear(Bytes message, uint8_t from) {
    wireguard::Stray stray;
    stray.message = pool.copy_of(message);
    stray.note.from.peer = {inet::IpAddress::v4(0x7f000000u + from), 1000};
    stray.note.from.real = stray.note.from.peer;
    stray.note.ecn = from & 3;
    called->device().take_strays({&stray, 1});
  }

  PacketPool pool;
  std::unique_ptr<net::Loop> loop;
  std::unique_ptr<WireguardClient> called, caller;
  size_t seen = 0;
};

void step(World& world, uint8_t what, ByteView bytes) {
  switch (what % 8) {
    case 0:
      return world.hear(Bytes(bytes.begin(), bytes.end()), what);
    case 1: {  // a message with a right type and a mac1 that is right
      Bytes message(what & 8 ? wireguard::kInitiationSize : wireguard::kResponseSize);
      std::copy_n(bytes.begin(), std::min(bytes.size(), message.size()), message.begin());
      store_le32(message.data(), what & 8 ? 1 : 2);
      wireguard::CookieGenerator(public_of(1)).add_macs(message, Time{} + seconds(1));
      return world.hear(std::move(message), what);
    }
    case 2:
    case 3:  // sealed by who has the key, whatever it says inside
      return world.say(*world.caller, bytes);
    case 4:
      return world.say(*world.called, bytes, bytes.size() > 1 ? load_be16(bytes.data()) : 1);
    case 5: {
      wireguard::ProxyDatagram proxy;
      Bytes copy(bytes.begin(), bytes.end());
      for (int again = 0; again < 2; ++again) {
        ByteSpan message;
        if (proxy.strip(copy, &message) == wireguard::ProxyDatagram::Result::message)
          require(message.size() < copy.size() && message.data() + message.size() == copy.data() + copy.size());
      }
      return;
    }
    case 6:
      if (what & 8 && world.called->link()) world.called->link()->close(Reason::disconnected);
      return;
    default:
      world.turn_once();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World world;
  ByteReader in({data, size});
  for (int i = 0; i < kMaxSteps && !in.at_end(); ++i) {
    const uint8_t what = in.u8();
    const size_t length = std::min<size_t>(in.be16(), in.remaining());
    step(world, what, in.take(length));
  }
  for (int turn = 0; turn < 4; ++turn) world.turn_once();
  world.called->device().close_all(Reason::server_stopping);
  require(world.called->device().connections() == 0);
  return 0;
}
