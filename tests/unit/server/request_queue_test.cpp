#include "server/request_queue.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <future>
#include <thread>

namespace smartvpn::server {
namespace {

std::shared_ptr<RequestQueue> make_queue() {
  auto queue = RequestQueue::create();
  EXPECT_TRUE(queue.ok());
  return *queue;
}

RequestPtr numbered(uint64_t token) {
  auto request = std::make_shared<AuthorizeRequest>();
  request->token = token;
  return request;
}

bool readable(const RequestQueue& queue) {
  pollfd entry{queue.fd(), POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

std::string taken(RequestQueue& queue) {
  auto request = queue.next(0);
  return request ? std::to_string((*request)->token) : status_name(static_cast<int32_t>(request.error().status));
}

TEST(RequestQueue, GivesEachOnceInOrder) {
  auto queue = make_queue();
  for (uint64_t token : {7, 8, 9}) queue->push(numbered(token));
  EXPECT_EQ(taken(*queue), "7");
  EXPECT_EQ(taken(*queue), "8");
  EXPECT_EQ(taken(*queue), "9");
  EXPECT_EQ(taken(*queue), "AGAIN");
}

TEST(RequestQueue, TakesBackWhatNobodyHasTaken) {
  auto queue = make_queue();
  const uint64_t first = queue->push(numbered(1));
  const uint64_t second = queue->push(numbered(2));
  queue->push(numbered(3));
  EXPECT_EQ(taken(*queue), "1");
  queue->withdraw(first);
  queue->withdraw(second);
  queue->withdraw(second);
  EXPECT_EQ(taken(*queue), "3");
  EXPECT_EQ(queue->size(), 0u);
}

TEST(RequestQueue, DescriptorIsReadableWhileThereIsAnAnswer) {
  auto queue = make_queue();
  EXPECT_FALSE(readable(*queue));
  const uint64_t place = queue->push(numbered(1));
  queue->push(numbered(2));
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(taken(*queue), "1");
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(taken(*queue), "2");
  EXPECT_FALSE(readable(*queue));
  queue->withdraw(place);
  queue->withdraw(queue->push(numbered(3)));
  EXPECT_FALSE(readable(*queue));
  queue->close();
  EXPECT_TRUE(readable(*queue));
}

TEST(RequestQueue, ClosedForgetsWhatItHas) {
  auto queue = make_queue();
  queue->push(numbered(1));
  queue->close();
  EXPECT_EQ(taken(*queue), "CLOSED");
  EXPECT_EQ(queue->push(numbered(2)), 0u);
  EXPECT_EQ(taken(*queue), "CLOSED");
}

TEST(RequestQueue, WaitsAsLongAsItIsTold) {
  auto queue = make_queue();
  auto late = queue->next(20);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().status, Status::TIMEOUT);
  auto waiting = std::async(std::launch::async, [&] { return queue->next(-1); });
  queue->push(numbered(5));
  auto came = waiting.get();
  ASSERT_TRUE(came);
  EXPECT_EQ((*came)->token, 5u);
  auto closed = std::async(std::launch::async, [&] { return queue->next(-1); });
  queue->close();
  EXPECT_EQ(closed.get().error().status, Status::CLOSED);
}

TEST(RequestQueue, ManyTakersGetEveryRequestExactlyOnce) {
  constexpr uint64_t kRequests = 2000;
  auto queue = make_queue();
  std::atomic<uint64_t> count{0}, sum{0};
  std::vector<std::thread> takers;
  for (int i = 0; i < 4; ++i)
    takers.emplace_back([&] {
      for (auto request = queue->next(-1); request; request = queue->next(-1)) {
        sum += (*request)->token;
        ++count;
      }
    });
  for (uint64_t token = 1; token <= kRequests; ++token) queue->push(numbered(token));
  while (queue->size() != 0) std::this_thread::yield();
  queue->close();
  for (auto& taker : takers) taker.join();
  EXPECT_EQ(count, kRequests);
  EXPECT_EQ(sum, kRequests * (kRequests + 1) / 2);
}

TEST(RequestQueue, RequestsAreOneLineOfJson) {
  AuthorizeRequest request;
  request.token = 77;
  request.client_id = "alice";
  request.connection.listener = 2;
  request.connection.peer_addr = *inet::Endpoint::parse("10.0.0.1:99");
  request.deadline_ms = 1700000000123;
  EXPECT_EQ(request.json(),
            R"({"token":77,"client_id":"alice","listener":2,"transport":"websocket","peer_addr":"10.0.0.1:99",)"
            R"("deadline":1700000000123})");
  request.connection.real_addr = *inet::Endpoint::parse("[2001:db8::7]:1");
  request.connection.tlvs = {{"authority", "vpn\n"}, {"0xE3", "a"}, {"0xE3", "b"}};
  EXPECT_EQ(request.json(),
            R"({"token":77,"client_id":"alice","listener":2,"transport":"websocket","remote_addr":"[2001:db8::7]:1",)"
            R"("peer_addr":"10.0.0.1:99","tlvs":{"authority":"vpn\u000a","0xE3":"a","0xE3#2":"b"},)"
            R"("deadline":1700000000123})");
}

}  // namespace
}  // namespace smartvpn::server
