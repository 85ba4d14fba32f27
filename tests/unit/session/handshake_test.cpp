// The handshake between two real machines: what goes right, and what a stranger, a wrong key, a bad
// byte or a refusing owner leads to.
#include <gtest/gtest.h>

#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

TEST(Handshake, ConfiguresBothEnds) {
  SessionPair pair;
  pair.client_config.wanted_mtu = 1380;
  pair.client_config.wanted_addresses = {*inet::IpAddress::parse("10.8.0.9"), *inet::IpAddress::parse("fd00::9")};
  ASSERT_TRUE(pair.connect());
  ASSERT_EQ(pair.client_handler.configured.size(), 1u);
  const SessionParameters& p = pair.client_handler.configured[0];
  EXPECT_EQ(p.addresses, pair.server_handler.verdict.grant.addresses);
  EXPECT_EQ(p.dns, pair.server_handler.verdict.grant.dns);
  EXPECT_EQ(p.routes, pair.server_handler.verdict.grant.routes);
  EXPECT_EQ(p.mtu, 1380);
  EXPECT_EQ(p.keepalive_interval, seconds(30));
  EXPECT_EQ(p, pair.server->parameters());
  EXPECT_EQ(pair.server->mtu(), 1380);
  EXPECT_EQ(pair.client->mtu(), 1380);
  EXPECT_TRUE(pair.client->peer_takes_super_packets());
  EXPECT_TRUE(pair.server->peer_takes_super_packets());
  ASSERT_EQ(pair.server_handler.identities.size(), 1u);
  EXPECT_EQ(pair.server_handler.identities[0].static_key, pair.client_key.pub);
  EXPECT_EQ(pair.server_handler.identities[0].wanted_addresses, pair.client_config.wanted_addresses);
  EXPECT_EQ(pair.server_handler.identities[0].wanted_mtu, 1380);
  EXPECT_FALSE(pair.server_handler.identities[0].rekey);
  EXPECT_EQ(pair.server_handler.confirmations, 1);
  EXPECT_EQ(pair.client_handler.confirmations, 1);
  EXPECT_EQ(pair.client_handler.all_dropped() + pair.server_handler.all_dropped(), 0u);
}

TEST(Handshake, WorksOverQuicCarrier) {
  SessionPair pair(Carrier::quic);
  EXPECT_TRUE(pair.connect());
}

TEST(Handshake, CarriersDoNotMix) {
  SessionPair pair;
  pair.server_config.carrier = Carrier::quic;
  EXPECT_FALSE(pair.connect());
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::handshake_failed);
}

TEST(Handshake, ClientConfirmsByItselfAtOnce) {
  SessionPair pair;
  pair.start();
  pair.run_for(milliseconds(35));  // hello, message 1, message 2: not yet back
  EXPECT_TRUE(pair.client->established());
  EXPECT_FALSE(pair.server->established());
  EXPECT_EQ(pair.server_handler.confirmations, 0);
  EXPECT_EQ(pair.send(Side::server, 100), Drop::session_not_ready);
  pair.run_for(milliseconds(10));
  EXPECT_EQ(pair.server_handler.confirmations, 1);
  EXPECT_TRUE(pair.server->established());
  EXPECT_EQ(pair.client_handler.confirmations, 0);
  pair.run_for(milliseconds(10));
  EXPECT_EQ(pair.client_handler.confirmations, 1);
  ASSERT_EQ(pair.client_handler.rtts.size(), 1u);
  EXPECT_EQ(pair.client_handler.rtts[0], milliseconds(20));
}

TEST(Handshake, OwnerMayAnswerLater) {
  SessionPair pair;
  pair.server_handler.answer_at_once = false;
  pair.start();
  pair.run_for(seconds(8));
  EXPECT_FALSE(pair.client->established());
  pair.server->decide(pair.server_handler.verdict, pair.now);
  pair.run_for(milliseconds(100));
  EXPECT_TRUE(pair.client->established());
  EXPECT_TRUE(pair.server->established());
}

TEST(Handshake, OwnerThatNeverAnswersTurnsTheClientAway) {
  SessionPair pair;
  pair.server_handler.answer_at_once = false;
  pair.client_config.timing.verdict_timeout = seconds(90);
  pair.start();
  pair.run_for(seconds(62));
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::authorize_timeout);
  EXPECT_EQ(pair.client_handler.closed.status, HandshakeStatus::busy);
}

TEST(Handshake, BothServerKeysAreAcceptedAndTheNextIsAnnounced) {
  for (bool use_next : {false, true}) {
    SessionPair pair;
    pair.server_config.keys =
        std::make_shared<const StaticKeys>(StaticKeys{copy_of(pair.server_key), copy_of(pair.next_key)});
    if (use_next) pair.client_config.server_key = pair.next_key.pub;
    ASSERT_TRUE(pair.connect()) << use_next;
    ASSERT_TRUE(pair.client->parameters().next_server_key.has_value());
    EXPECT_EQ(*pair.client->parameters().next_server_key, pair.next_key.pub);
  }
}

struct Refusal {
  Reason reason;
  HandshakeStatus status;
  Reconnect reconnect;
};

TEST(Handshake, AuthenticatedClientIsToldWhy) {
  const Refusal refusals[] = {
      {Reason::client_disabled, HandshakeStatus::disabled, Reconnect::never},
      {Reason::client_expired, HandshakeStatus::expired, Reconnect::never},
      {Reason::client_ip_not_allowed, HandshakeStatus::denied, Reconnect::backoff},
      {Reason::authorize_denied, HandshakeStatus::denied, Reconnect::backoff},
      {Reason::no_address_left, HandshakeStatus::no_address, Reconnect::backoff},
      {Reason::too_many_sessions, HandshakeStatus::busy, Reconnect::backoff},
  };
  for (const Refusal& refusal : refusals) {
    SessionPair pair;
    pair.server_handler.verdict.reason = refusal.reason;
    pair.server_handler.verdict.retry_after_s = 17;
    EXPECT_FALSE(pair.connect());
    EXPECT_EQ(pair.server_handler.closed.reason, refusal.reason);
    EXPECT_EQ(pair.client_handler.closed.status, refusal.status);
    EXPECT_EQ(pair.client_handler.closed.reconnect, refusal.reconnect);
    EXPECT_EQ(pair.client_handler.closed.retry_after_s, 17u);
    EXPECT_TRUE(pair.client_handler.closed.by_peer);
    EXPECT_EQ(pair.server_handler.closes, 1);
    EXPECT_EQ(pair.client_handler.closes, 1);
    EXPECT_EQ(pair.server_handler.confirmations, 0);
    EXPECT_TRUE(pair.client_handler.configured.empty());
    EXPECT_EQ(pair.server->websocket_close_code(), 1000);
  }
}

TEST(Handshake, RefusedConfirmationIsTold) {
  SessionPair pair;
  pair.server_handler.refuse_confirmation = Reason::client_disabled;
  pair.connect();
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::client_disabled);
  EXPECT_EQ(pair.client_handler.closed.code, CloseCode::disabled);
  EXPECT_EQ(pair.client_handler.closed.reconnect, Reconnect::never);
}

// What a stranger can see: bytes the server sends, and the close code.
struct Visible {
  std::vector<Bytes> sent;
  uint16_t code = 0;
  bool closed = false;
  friend bool operator==(const Visible&, const Visible&) = default;
};

Visible watch(SessionPair& pair) {
  Visible seen;
  auto inner = pair.wire.filter;
  pair.wire.filter = [&seen, inner](Side to, Bytes& message) {
    if (inner && !inner(to, message)) return false;
    if (to == Side::client) seen.sent.push_back(message);
    return true;
  };
  pair.connect();
  pair.wire.filter = nullptr;
  seen.code = pair.server->websocket_close_code();
  seen.closed = pair.server->closed();
  return seen;
}

TEST(Handshake, UnknownKeyLooksLikeABadHandshake) {
  SessionPair unknown, late_unknown, bad, wrong_server;
  unknown.server_handler.known = false;
  late_unknown.server_handler.verdict.reason = Reason::unknown_client;
  bad.wire.filter = [](Side to, Bytes& m) {
    if (to == Side::server) m.back() ^= 1;
    return true;
  };
  wrong_server.client_config.server_key = wrong_server.next_key.pub;
  const Visible a = watch(unknown), b = watch(late_unknown), c = watch(bad), d = watch(wrong_server);
  EXPECT_EQ(a, b);
  EXPECT_EQ(a, c);
  EXPECT_EQ(a, d);
  EXPECT_EQ(a.sent.size(), 1u);  // the hello
  EXPECT_TRUE(a.closed);
  EXPECT_EQ(a.code, 1008);
  EXPECT_EQ(unknown.server_handler.closed.reason, Reason::unknown_client);
  EXPECT_EQ(bad.server_handler.closed.reason, Reason::handshake_failed);
  EXPECT_TRUE(unknown.server_handler.identities.empty());
  EXPECT_TRUE(bad.server_handler.identities.empty());
}

// Length of the n-th message (0 hello, 1 initiation, 2 response) of a good handshake.
size_t handshake_length(int n) {
  std::vector<size_t> lengths;
  SessionPair pair;
  pair.wire.filter = [&](Side, Bytes& m) {
    lengths.push_back(m.size());
    return true;
  };
  EXPECT_TRUE(pair.connect());
  return lengths[static_cast<size_t>(n)];
}

bool connects_with(int n, const std::function<void(Bytes&)>& change) {
  SessionPair pair;
  int count = 0;
  pair.wire.filter = [&](Side, Bytes& m) {
    if (count++ == n) change(m);
    return true;
  };
  const bool connected = pair.connect();
  EXPECT_LE(pair.server_handler.confirmations, connected ? 1 : 0);
  if (n < 2) {
    EXPECT_TRUE(connected || pair.server_handler.identities.empty());
  }
  return connected;
}

TEST(Handshake, EveryFlippedBitOfEveryByteFails) {
  for (int n = 0; n < 3; ++n) {
    const size_t length = handshake_length(n);
    for (size_t i = 0; i < length; ++i) {
      // Every bit of the header and the ephemeral key; a walking bit elsewhere.
      for (int bit = 0; bit < 8; ++bit) {
        if (i >= 48 && bit != static_cast<int>(i % 8)) continue;
        EXPECT_FALSE(connects_with(n, [&](Bytes& m) { m[i] ^= static_cast<uint8_t>(1 << bit); }))
            << "message " << n << " byte " << i << " bit " << bit;
      }
    }
  }
}

TEST(Handshake, EveryTruncationAndExtensionFails) {
  for (int n = 0; n < 3; ++n) {
    const size_t length = handshake_length(n);
    for (size_t i = 0; i < length; ++i)
      EXPECT_FALSE(connects_with(n, [&](Bytes& m) { m.resize(i); })) << "message " << n << " cut to " << i;
    EXPECT_FALSE(connects_with(n, [](Bytes& m) { m.push_back(0); })) << "message " << n;
  }
}

TEST(Handshake, ReplayedInitiationFailsOnAnotherConnection) {
  Bytes recorded;
  SessionPair first;
  first.wire.filter = [&](Side to, Bytes& m) {
    if (to == Side::server && recorded.empty()) recorded = m;
    return true;
  };
  ASSERT_TRUE(first.connect());
  SessionPair second;
  SeededRng other_rng(555);
  crypto::AeadEngine engine;
  ServerRecorder handler;
  Responder server(second.server_config, handler, engine, second.pool, other_rng);
  server.start(second.now);
  server.receive(recorded, second.now);
  EXPECT_TRUE(server.closed());
  EXPECT_EQ(handler.closed.reason, Reason::handshake_failed);
}

TEST(Handshake, LowOrderServerKeyIsRefusedByTheClient) {
  SessionPair pair;
  pair.client_config.server_key = PublicKey{};
  EXPECT_FALSE(pair.connect());
  EXPECT_EQ(pair.client_handler.closed.reason, Reason::internal_error);
}

TEST(Handshake, SecondInitiationBeforeConfirmationEndsIt) {
  SessionPair pair;
  pair.server_handler.answer_at_once = false;
  Bytes initiation;
  pair.wire.filter = [&](Side to, Bytes& m) {
    if (to == Side::server) initiation = m;
    return true;
  };
  pair.start();
  pair.run_for(milliseconds(50));
  ASSERT_EQ(pair.server_handler.identities.size(), 1u);
  pair.server->receive(initiation, pair.now);
  EXPECT_TRUE(pair.server->closed());
  pair.server->decide(pair.server_handler.verdict, pair.now);  // too late, and harmless
  EXPECT_FALSE(pair.server->pull(pair.now)) << "whoever broke a rule gets no answer";
  EXPECT_EQ(pair.server_handler.closes, 1);
}

TEST(Handshake, EachStepHasADeadline) {
  {
    SessionPair pair;  // the client says nothing
    pair.wire.filter = [](Side to, Bytes&) { return to == Side::client; };
    pair.start();
    pair.run_for(seconds(9));
    EXPECT_FALSE(pair.server->closed());
    pair.run_for(seconds(2));
    EXPECT_EQ(pair.server_handler.closed.reason, Reason::handshake_timeout);
    EXPECT_EQ(pair.server->websocket_close_code(), 1008);
  }
  {
    SessionPair pair;  // the server says nothing
    pair.wire.filter = [](Side to, Bytes&) { return to == Side::server; };
    pair.start();
    pair.run_for(seconds(11));
    EXPECT_EQ(pair.client_handler.closed.reason, Reason::handshake_timeout);
  }
  {
    SessionPair pair;  // message 2 is never confirmed
    int to_server = 0;
    pair.wire.filter = [&](Side to, Bytes&) { return to == Side::client || to_server++ == 0; };
    pair.start();
    pair.run_for(seconds(11));
    EXPECT_EQ(pair.server_handler.closed.reason, Reason::handshake_timeout);
    EXPECT_EQ(pair.server_handler.confirmations, 0);
  }
}

TEST(Handshake, StrangerGetsLittleMemoryAndSmallMessages) {
  SessionPair pair;
  SeededRng rng(3);
  crypto::AeadEngine engine;
  ServerRecorder handler;
  Responder server(pair.server_config, handler, engine, pair.pool, rng);
  server.start(pair.now);
  EXPECT_EQ(server.max_incoming(), 1024u);
  EXPECT_LE(pair.pool.bytes_in_use(), 4096u);
  EXPECT_LE(sizeof(Responder), 4096u);
  Bytes large(1025, 1);
  server.receive(large, pair.now);
  EXPECT_EQ(handler.closed.reason, Reason::handshake_failed);
  EXPECT_EQ(pair.pool.bytes_in_use(), 0u);
}

TEST(Handshake, UnknownTypesFromAStrangerAreIgnoredAFewTimes) {
  SessionPair pair;
  SeededRng rng(3);
  crypto::AeadEngine engine;
  ServerRecorder handler;
  Responder server(pair.server_config, handler, engine, pair.pool, rng);
  server.start(pair.now);
  for (int i = 0; i < 4; ++i) {
    Bytes strange(16, 0);
    strange[0] = 200;
    server.receive(strange, pair.now);
  }
  EXPECT_FALSE(server.closed());
  EXPECT_EQ(handler.dropped(Drop::unknown_message), 4u);
  Bytes strange(16, 0);
  strange[0] = 200;
  server.receive(strange, pair.now);
  EXPECT_TRUE(server.closed());
}

// The kernel's generator may say zero, or the same twice.
TEST(Handshake, AnIndexIsNeverZero) {
  class ZeroFirst final : public Rng {
   public:
    void fill(ByteSpan out) noexcept override {
      if (out.size() != 4 || zeros_ == 0) return seeded_.fill(out);
      --zeros_;
      std::fill(out.begin(), out.end(), uint8_t{0});
    }

   private:
    SeededRng seeded_{8};
    int zeros_ = 5;
  };
  SessionPair pair;
  ZeroFirst rng;
  crypto::AeadEngine engine;
  Initiator client(pair.client_config, pair.client_handler, engine, pair.pool, rng);
  client.start(pair.now);
  Bytes hello(kHeaderSize + kChallengeSize);
  hello[0] = 3;
  client.receive(hello, pair.now);
  Packet initiation = client.pull(pair.now);
  ASSERT_TRUE(initiation);
  EXPECT_NE(load_le32(initiation.bytes().data() + 4), 0u);
}

TEST(Handshake, BothEndsStartAfreshOnANewConnection) {
  SessionPair first;
  ASSERT_TRUE(first.connect());
  const uint64_t handshakes = first.client->handshakes();
  first.start();  // new machines on both sides, same keys
  first.run_for(milliseconds(200));
  EXPECT_TRUE(first.client->established() && first.server->established());
  EXPECT_EQ(first.client->handshakes(), handshakes);
}

}  // namespace
}  // namespace smartvpn::testing
