#include "relay/datagram_batch.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace smartvpn::relay {
namespace {

struct Gathered {
  size_t messages = 0;
  std::vector<std::string> datagrams;
};

// What would leave, cut as the kernel cuts it.
Gathered leaving(DatagramBatch& batch) {
  Gathered out;
  const auto messages = batch.messages();
  out.messages = messages.size();
  for (size_t i = 0; i < messages.size(); ++i) {
    std::string all;
    for (ByteView piece : messages[i].pieces) all += as_text(piece);
    EXPECT_LE(messages[i].pieces.size(), net::UdpSocket::kMaxPieces);
    const size_t step = messages[i].segment_size != 0 ? messages[i].segment_size : std::max<size_t>(all.size(), 1);
    size_t count = 0;
    for (size_t at = 0; at == 0 || at < all.size(); at += step, ++count) out.datagrams.push_back(all.substr(at, step));
    EXPECT_EQ(count, batch.datagrams_of(i));
    EXPECT_LE(count, net::UdpSocket::kMaxSegments);
    EXPECT_LE(count > 1 ? all.size() : 0, net::UdpSocket::kMaxGsoBytes);
  }
  return out;
}

struct Sent {
  std::string text;
  uint8_t ecn = 0;
};

Gathered gathered(const std::vector<Sent>& sent, const std::string& head = {}) {
  auto batch = std::make_unique<DatagramBatch>();
  size_t payload = 0, told = 0;
  for (const Sent& one : sent) {
    EXPECT_TRUE(batch->add(as_bytes(head), as_bytes(one.text), one.ecn));
    payload += one.text.size();
  }
  for (size_t i = 0; i < batch->messages().size(); ++i) told += batch->payload_of(i);
  EXPECT_EQ(told, payload);
  const Gathered out = leaving(*batch);
  std::vector<std::string> wanted;
  for (const Sent& one : sent) wanted.push_back(head + one.text);
  EXPECT_EQ(out.datagrams, wanted);
  return out;
}

TEST(DatagramBatch, EqualSizesAreOneMessageAndAShorterOneEndsIt) {
  EXPECT_EQ(gathered({{"one"}}).messages, 1u);
  EXPECT_EQ(gathered({{"one"}, {"two"}, {"six"}}).messages, 1u);
  EXPECT_EQ(gathered({{"one"}, {"two"}, {"x"}}).messages, 1u);
  EXPECT_EQ(gathered({{"one"}, {"two"}, {"x"}, {"y"}}).messages, 2u);
  EXPECT_EQ(gathered({{"one"}, {"three"}}).messages, 2u);
  EXPECT_EQ(gathered({{"one"}, {""}, {"two"}}).messages, 3u) << "an empty datagram is no segment";
  EXPECT_EQ(gathered({{""}, {""}}).messages, 2u);
}

TEST(DatagramBatch, EachHasTheHeadInFront) {
  EXPECT_EQ(gathered({{"one"}, {"two"}, {"x"}}, "HEAD").messages, 1u);
  EXPECT_EQ(gathered({{""}, {""}}, "HEAD").messages, 1u);
  std::vector<Sent> many(70, {"abc"});
  EXPECT_EQ(gathered(many, "HEAD").messages, 3u) << "32 pairs of head and payload a message";
  EXPECT_EQ(gathered(many).messages, 2u);
}

TEST(DatagramBatch, EcnIsOfAWholeMessage) {
  EXPECT_EQ(gathered({{"one", 1}, {"two", 1}, {"six", 3}, {"ten", 1}}).messages, 3u);
  DatagramBatch batch;
  batch.add({}, as_bytes("one"), 3);
  EXPECT_EQ(batch.messages()[0].ecn, 3);
}

TEST(DatagramBatch, AMessageStaysWithinWhatTheKernelTakes) {
  const std::string large(30000, 'x'), largest(65507, 'y');
  EXPECT_EQ(gathered({{large}, {large}, {large}}).messages, 2u);
  EXPECT_EQ(gathered({{largest}, {largest}}).messages, 2u);
  EXPECT_EQ(gathered({{largest}, {"x"}}, std::string(28, 'h')).messages, 2u) << "too big is for the kernel to say";
}

TEST(DatagramBatch, IsFullAtItsMessagesAndUsedAgain) {
  DatagramBatch batch;
  EXPECT_TRUE(batch.empty());
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> texts;
    for (size_t i = 0; i <= DatagramBatch::kMaxMessages; ++i) texts.push_back(std::string(i + 1, 'x'));
    for (size_t i = 0; i < DatagramBatch::kMaxMessages; ++i) EXPECT_TRUE(batch.add({}, as_bytes(texts[i]), 0));
    EXPECT_FALSE(batch.add({}, as_bytes(texts.back()), 0));
    EXPECT_TRUE(batch.add({}, as_bytes("x"), 0)) << "as a segment there is still room";
    const Gathered out = leaving(batch);
    EXPECT_EQ(out.messages, DatagramBatch::kMaxMessages);
    EXPECT_EQ(out.datagrams.size(), DatagramBatch::kMaxMessages + 1);
    batch.clear();
    EXPECT_TRUE(batch.empty());
  }
}

}  // namespace
}  // namespace smartvpn::relay
