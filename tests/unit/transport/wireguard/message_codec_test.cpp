// What is a message and what is not, and every message that wireguard-go sent, read field by field.
#include "transport/wireguard/message_codec.hpp"

#include <gtest/gtest.h>

#include "support/vector_files.hpp"

namespace smartvpn::wireguard {
namespace {

Bytes message_of(uint8_t type, size_t size) {
  Bytes out(size);
  if (size > 0) out[0] = type;
  return out;
}

TEST(WireguardChecklist, WrongTypeReservedBytesOrLengthIsNoMessage) {
  const std::pair<uint8_t, size_t> fixed[] = {{1, kInitiationSize}, {2, kResponseSize}, {3, kCookieReplySize}};
  for (const auto& [type, right] : fixed)
    for (size_t size = 0; size <= 2 * right; ++size)
      EXPECT_EQ(message_type(message_of(type, size)), size == right ? MessageType{type} : MessageType::invalid);
  for (size_t size = 0; size <= 100; ++size)
    EXPECT_EQ(message_type(message_of(4, size)), size >= kMinData ? MessageType::data : MessageType::invalid);
  for (const size_t size : {kInitiationSize, kResponseSize, kCookieReplySize, kMinData}) {
    EXPECT_EQ(message_type(message_of(0, size)), MessageType::invalid);
    EXPECT_EQ(message_type(message_of(5, size)), MessageType::invalid);
  }
  for (size_t reserved = 1; reserved < 4; ++reserved) {
    Bytes message = message_of(4, 64);
    message[reserved] = 1;
    EXPECT_EQ(message_type(message), MessageType::invalid);
  }
}

TEST(WireguardMessages, EveryRecordedMessageIsReadFieldByField) {
  size_t seen = 0;
  const auto file = testing::load_vectors("wireguard_wire.json");
  for (const auto& session : file["sessions"])
    for (const auto& m : session["messages"]) {
      const Bytes wire = testing::unhex(m["hex"]);
      const MessageType type = message_type(wire);
      const auto name = m["type"].get<std::string>();
      EXPECT_EQ(type, name == "initiation"     ? MessageType::initiation
                      : name == "response"     ? MessageType::response
                      : name == "cookie_reply" ? MessageType::cookie_reply
                                               : MessageType::data);
      if (m.contains("receiver_index")) {
        EXPECT_EQ(receiver_index(wire, type), load_le32(testing::unhex(m["receiver_index"]).data()));
      }
      if (m.contains("sender_index")) {
        EXPECT_EQ(sender_index(wire), load_le32(testing::unhex(m["sender_index"]).data()));
      }
      if (type == MessageType::data) {
        EXPECT_EQ(data_counter(wire), m["counter"].get<uint64_t>());
        Bytes header(kDataHeader);
        write_data_header(header.data(), receiver_index(wire, type), data_counter(wire));
        EXPECT_TRUE(std::equal(header.begin(), header.end(), wire.begin()));
      }
      ++seen;
    }
  EXPECT_EQ(seen, 23u);
}

TEST(WireguardChecklist, PacketsArePaddedToSixteenButNotPastTheMtu) {
  EXPECT_EQ(padded_size(0, 1420), 0u);
  EXPECT_EQ(padded_size(1, 1420), 16u);
  EXPECT_EQ(padded_size(16, 1420), 16u);
  EXPECT_EQ(padded_size(17, 1420), 32u);
  EXPECT_EQ(padded_size(1409, 1420), 1420u);
  EXPECT_EQ(padded_size(1297, 1300), 1300u);
  EXPECT_EQ(padded_size(1420, 1420), 1420u);
  EXPECT_EQ(padded_size(1500, 1420), 1500u);
}

TEST(WireguardChecklist, TheInnerLengthFieldStripsThePadding) {
  size_t packets = 0;
  const auto file = testing::load_vectors("wireguard_wire.json");
  for (const auto& session : file["sessions"])
    for (const auto& m : session["messages"]) {
      if (!m.contains("inner_packet")) continue;
      EXPECT_EQ(inner_size(testing::unhex(m["plaintext"])), testing::unhex(m["inner_packet"]).size());
      ++packets;
    }
  EXPECT_EQ(packets, 12u);
  Bytes six(96);
  six[0] = 0x60;
  six[5] = 50;
  EXPECT_EQ(inner_size(six), 90u);
  six[5] = 57;
  EXPECT_EQ(inner_size(six), 0u) << "longer than what came";
  EXPECT_EQ(inner_size(ByteView(six).first(39)), 0u);
  Bytes four(32);
  four[0] = 0x45;
  four[3] = 19;
  EXPECT_EQ(inner_size(four), 0u) << "shorter than its header";
  four[3] = 33;
  EXPECT_EQ(inner_size(four), 0u);
  four[3] = 20;
  EXPECT_EQ(inner_size(four), 20u);
  for (int version = 0; version < 16; ++version) {
    if (version == 4 || version == 6) continue;
    four[0] = static_cast<uint8_t>(version << 4 | 5);
    EXPECT_EQ(inner_size(four), 0u);
  }
  EXPECT_EQ(inner_size({}), 0u);
}

}  // namespace
}  // namespace smartvpn::wireguard
