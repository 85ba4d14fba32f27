#include "telemetry/event_queue.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <future>
#include <thread>

namespace smartvpn::telemetry {
namespace {

std::shared_ptr<EventQueue> make_queue(size_t capacity, uint64_t mask = kAllEvents) {
  auto queue = EventQueue::create(mask, capacity);
  EXPECT_TRUE(queue.ok());
  return *queue;
}

Event numbered(EventType type, uint64_t n) {
  Event event(type, static_cast<int64_t>(n));
  event.set("n", n);
  return event;
}

bool readable(const EventQueue& queue) {
  pollfd entry{queue.fd(), POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

// The waiting events as "type:n", a lost one as "lost:count@lane"; then the status that ended it.
std::vector<std::string> drain(EventQueue& queue) {
  std::vector<std::string> out;
  for (;;) {
    auto event = queue.next(0);
    if (!event) {
      out.push_back(status_name(static_cast<int32_t>(event.error().status)));
      return out;
    }
    const Event& e = **event;
    std::string n = std::to_string(e.type() == EventType::lost ? *e.u64("count") : *e.u64("n"));
    out.push_back(std::string(e.text("type")) + ":" + n + (e.text("lane") ? std::string("@") + e.text("lane") : ""));
  }
}

using Texts = std::vector<std::string>;

TEST(EventQueue, KeepsTheOrderOverBothLanes) {
  auto queue = make_queue(10);
  queue->push(numbered(EventType::connection_rejected, 1));
  queue->push(numbered(EventType::session_up, 2));
  queue->push(numbered(EventType::log, 3));
  queue->push(numbered(EventType::session_down, 4));
  EXPECT_EQ(drain(*queue), (Texts{"connection_rejected:1", "session_up:2", "log:3", "session_down:4", "AGAIN"}));
}

TEST(EventQueue, MaskLetsOnlyWantedTypesIn) {
  auto queue = make_queue(10, event_bit(EventType::session_up));
  queue->push(numbered(EventType::session_up, 1));
  queue->push(numbered(EventType::session_down, 2));
  EXPECT_EQ(drain(*queue), (Texts{"session_up:1", "AGAIN"}));
}

TEST(EventQueue, FloodOfRejectionsNeverPushesOutASessionDown) {
  auto queue = make_queue(4);
  for (uint64_t i = 0; i < 1000; ++i) queue->push(numbered(EventType::connection_rejected, i));
  queue->push(numbered(EventType::session_down, 7));
  EXPECT_EQ(drain(*queue),
            (Texts{"connection_rejected:0", "connection_rejected:1", "connection_rejected:2", "connection_rejected:3",
                   "lost:996@connections_and_logs", "session_down:7", "AGAIN"}));
  EXPECT_EQ(queue->lost(), 996u);
}

// Whoever gets as far as a connection is still a stranger.
TEST(EventQueue, FloodOfAcceptedConnectionsNeverPushesOutASessionDown) {
  auto queue = make_queue(2);
  for (uint64_t i = 0; i < 10; ++i) queue->push(numbered(EventType::connection_accepted, i));
  queue->push(numbered(EventType::session_down, 7));
  EXPECT_EQ(drain(*queue), (Texts{"connection_accepted:0", "connection_accepted:1", "lost:8@connections_and_logs",
                                  "session_down:7", "AGAIN"}));
}

TEST(EventQueue, LostStandsWhereTheEventsAreMissing) {
  auto queue = make_queue(2);
  for (uint64_t i = 1; i <= 5; ++i) queue->push(numbered(EventType::session_up, i));
  EXPECT_EQ(*(*queue->next(0))->u64("n"), 1u);
  queue->push(numbered(EventType::session_up, 6));
  queue->push(numbered(EventType::session_up, 7));
  queue->push(numbered(EventType::connection_rejected, 8));
  EXPECT_EQ(drain(*queue), (Texts{"session_up:2", "lost:3@events", "session_up:6", "lost:1@events",
                                  "connection_rejected:8", "AGAIN"}));
}

TEST(EventQueue, LostTellsTheTimeOfTheFirstOneMissing) {
  auto queue = make_queue(2);
  for (uint64_t i = 10; i <= 14; ++i) queue->push(numbered(EventType::session_up, i));
  (void)queue->next(0);
  (void)queue->next(0);
  EXPECT_EQ((*queue->next(0))->time_ms(), 12);
}

TEST(EventQueue, StaysBoundedWhenReaderIsSlow) {
  auto queue = make_queue(8);
  for (uint64_t i = 0; i < 10000; ++i) {
    queue->push(numbered(EventType::session_up, i));
    if (i % 7 == 0) (void)queue->next(0);
    ASSERT_LE(queue->size(), 17u);
  }
}

TEST(EventQueue, DescriptorIsReadableWhileSomethingIsThere) {
  auto queue = make_queue(10);
  EXPECT_FALSE(readable(*queue));
  queue->push(numbered(EventType::session_up, 1));
  queue->push(numbered(EventType::log, 2));
  EXPECT_TRUE(readable(*queue));
  (void)queue->next(0);
  EXPECT_TRUE(readable(*queue));
  (void)queue->next(0);
  EXPECT_FALSE(readable(*queue));
  queue->push(numbered(EventType::session_up, 3));
  EXPECT_TRUE(readable(*queue));
}

TEST(EventQueue, DescriptorIsReadableForAPendingLostEventAlone) {
  auto queue = make_queue(2);
  for (uint64_t i = 0; i < 3; ++i) queue->push(numbered(EventType::session_up, i));
  (void)queue->next(0);
  (void)queue->next(0);
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(drain(*queue), (Texts{"lost:1@events", "AGAIN"}));
  EXPECT_FALSE(readable(*queue));
}

TEST(EventQueue, InterruptIsConsumedByExactlyOneNext) {
  auto queue = make_queue(10);
  queue->push(numbered(EventType::session_up, 1));
  queue->interrupt();
  queue->interrupt();
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(queue->next(-1).error().status, Status::INTERRUPTED);
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(drain(*queue), (Texts{"session_up:1", "AGAIN"}));
  queue->interrupt();
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(queue->next(0).error().status, Status::INTERRUPTED);
  EXPECT_FALSE(readable(*queue));
}

TEST(EventQueue, CloseGivesTheRestThenClosed) {
  auto queue = make_queue(10);
  queue->push(numbered(EventType::session_down, 1));
  queue->close();
  queue->push(numbered(EventType::session_up, 2));
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(drain(*queue), (Texts{"session_down:1", "CLOSED"}));
  EXPECT_TRUE(readable(*queue));
  EXPECT_EQ(queue->next(-1).error().status, Status::CLOSED);
  EXPECT_TRUE(queue->closed());
}

TEST(EventQueue, DiscardLeavesNothing) {
  auto queue = make_queue(2);
  for (uint64_t i = 0; i < 5; ++i) queue->push(numbered(EventType::session_up, i));
  queue->interrupt();
  queue->discard();
  EXPECT_EQ(drain(*queue), (Texts{"CLOSED"}));
  EXPECT_EQ(queue->size(), 0u);
}

TEST(EventQueue, WaitingNextTimesOutOrWakes) {
  auto queue = make_queue(10);
  EXPECT_EQ(queue->next(1).error().status, Status::TIMEOUT);
  auto waiting = std::async(std::launch::async, [&] { return queue->next(-1); });
  queue->push(numbered(EventType::session_up, 9));
  EXPECT_EQ((*waiting.get())->u64("n"), 9u);
  waiting = std::async(std::launch::async, [&] { return queue->next(60000); });
  queue->interrupt();
  EXPECT_EQ(waiting.get().error().status, Status::INTERRUPTED);
  auto second = std::async(std::launch::async, [&] { return queue->next(-1); });
  waiting = std::async(std::launch::async, [&] { return queue->next(-1); });
  queue->close();
  EXPECT_EQ(waiting.get().error().status, Status::CLOSED);
  EXPECT_EQ(second.get().error().status, Status::CLOSED);
}

TEST(EventQueue, ManyWritersAndReadersLoseNothingUncounted) {
  auto queue = make_queue(64);
  constexpr uint64_t kEach = 2000;
  std::atomic<uint64_t> seen{0}, lost{0};
  auto read = [&] {
    while (auto event = queue->next(-1)) {
      if ((*event)->type() == EventType::lost)
        lost += *(*event)->u64("count");
      else
        ++seen;
    }
  };
  auto write = [&](EventType type) {
    for (uint64_t i = 0; i < kEach; ++i) queue->push(numbered(type, i));
  };
  std::thread readers[] = {std::thread(read), std::thread(read)};
  std::thread writers[] = {std::thread(write, EventType::session_up), std::thread(write, EventType::log),
                           std::thread(write, EventType::connection_rejected)};
  for (auto& thread : writers) thread.join();
  queue->close();
  for (auto& thread : readers) thread.join();
  EXPECT_EQ(seen + lost, 3 * kEach);
  EXPECT_EQ(queue->lost(), lost);
}

}  // namespace
}  // namespace smartvpn::telemetry
