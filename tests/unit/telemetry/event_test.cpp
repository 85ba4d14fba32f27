#include "telemetry/event.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace smartvpn::telemetry {
namespace {

TEST(Event, GivesTextsAndNumbersByKey) {
  Event event(EventType::session_up, 1700000000123);
  event.set("client_id", "alice").set("session_id", uint64_t{42}).set_if("detail", "");
  EXPECT_STREQ(event.text("type"), "session_up");
  EXPECT_EQ(event.u64("time"), 1700000000123u);
  EXPECT_STREQ(event.text("client_id"), "alice");
  EXPECT_EQ(event.u64("session_id"), 42u);
  EXPECT_EQ(event.text("session_id"), nullptr);
  EXPECT_EQ(event.u64("client_id"), std::nullopt);
  EXPECT_EQ(event.text("detail"), nullptr);
  EXPECT_EQ(event.text("no such key"), nullptr);
}

TEST(Event, JsonIsOneLineInTheOrderOfSetting) {
  Event event(EventType::connection_rejected, 5);
  event.set("remote_addr", "192.0.2.7:1").set("reason", "rate_limited").set("listener", uint64_t{0});
  event.set_list("addresses", {"10.8.0.2", "fd00:8::2"});
  event.set_object("tlvs", {{"authority", "vpn.\"example\""}, {"0xE3", "a\nb"}});
  EXPECT_EQ(event.json(),
            R"({"type":"connection_rejected","time":5,"remote_addr":"192.0.2.7:1","reason":"rate_limited",)"
            R"("listener":0,"addresses":["10.8.0.2","fd00:8::2"],)"
            R"("tlvs":{"authority":"vpn.\"example\"","0xE3":"a\u000ab"}})");
  EXPECT_STREQ(event.text("addresses"), R"(["10.8.0.2","fd00:8::2"])");
}

TEST(Event, RepeatedTlvNamesStayDistinctKeys) {
  Event event(EventType::connection_accepted, 1);
  event.set_object("tlvs", {{"0xE3", "a"}, {"0xE3", "b"}});
  EXPECT_STREQ(event.text("tlvs"), R"({"0xE3":"a","0xE3#2":"b"})");
}

TEST(Event, SettingAgainReplacesInPlace) {
  Event event(EventType::log, 1);
  event.set("a", "x").set("b", "y").set("a", uint64_t{7});
  EXPECT_EQ(event.json(), R"({"type":"log","time":1,"a":7,"b":"y"})");
}

TEST(Event, BoundsWhatAPeerCanPutIntoIt) {
  Event event(EventType::log, -1);
  event.set("message", std::string(100000, 'x') + "\xFF");
  EXPECT_EQ(std::string(event.text("message")).size(), Event::kMaxTextBytes);
  for (uint64_t i = 0; i < 100; ++i) event.set("k" + std::to_string(i), i);
  event.set_list("k1", std::vector<std::string>(1000, "\xFF\""));
  auto parsed = nlohmann::json::parse(event.json(), nullptr, false);
  ASSERT_TRUE(parsed.is_object());
  EXPECT_EQ(parsed.size(), Event::kMaxKeys);
  EXPECT_EQ(parsed["k1"].size(), Event::kMaxItems);
  EXPECT_EQ(parsed["time"], 0);
}

TEST(Event, TypeNumbersAreStable) {
  EXPECT_EQ(static_cast<int>(EventType::listening), 0);
  EXPECT_EQ(static_cast<int>(EventType::session_down), 4);
  EXPECT_EQ(static_cast<int>(EventType::lost), 8);
  EXPECT_EQ(event_bit(EventType::session_up), 8u);
  EXPECT_STREQ(event_type_name(EventType::health_changed), "health_changed");
}

}  // namespace
}  // namespace smartvpn::telemetry
