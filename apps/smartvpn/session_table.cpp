// See session_table.hpp.
#include "session_table.hpp"

#include <algorithm>
#include <utility>

#include "table.hpp"

namespace smartvpn::cli {
namespace {

std::string addresses_of(const Json& session) {
  std::string text;
  for (const auto& address : session.at("addresses")) text += (text.empty() ? "" : " ") + address.get<std::string>();
  return text;
}

std::string rtt_of(const Json& session) {
  uint64_t us = session.value("rtt_us", uint64_t{0});
  if (us == 0) return "";
  return us < 10000 ? std::to_string(us / 1000) + "." + std::to_string(us % 1000 / 100) + " ms"
                    : std::to_string(us / 1000) + " ms";
}

std::string origin_of(const Json& session) {
  if (session.contains("remote_addr")) return session.at("remote_addr");
  return "unknown, through " + session.value("peer_addr", "");
}

std::string rate(uint64_t now, uint64_t before, double seconds) {
  return human_bytes(now < before ? 0 : static_cast<double>(now - before) / seconds) + "/s";
}

}  // namespace

std::string SessionTable::show(const Json& answer, size_t width) {
  auto time = answer.at("time").get<int64_t>();
  bool rates = before_ms_ != 0;
  double seconds = static_cast<double>(std::max<int64_t>(time - before_ms_, 1)) / 1000;
  Table table({{"SESSION", false, 3},
               {"CLIENT", false, 9},
               {"REAL ADDRESS", false, 8},
               {"INNER ADDRESS", false, 5},
               {"TRANSPORT", false, 1},
               {"RTT", true, 4},
               {rates ? "IN/S" : "IN", true, 7},
               {rates ? "OUT/S" : "OUT", true, 6},
               {"SINCE", true, 2}});
  std::map<uint64_t, Sample> now;
  for (const auto& session : answer.at("sessions")) {
    auto id = session.at("id").get<uint64_t>();
    Sample sample{session.at("inner_bytes_in").get<uint64_t>(), session.at("inner_bytes_out").get<uint64_t>()};
    auto old = before_.find(id);
    std::string in, out;
    if (!rates) {
      in = human_bytes(static_cast<double>(sample.in));
      out = human_bytes(static_cast<double>(sample.out));
    } else if (old != before_.end()) {
      in = rate(sample.in, old->second.in, seconds);
      out = rate(sample.out, old->second.out, seconds);
    }
    table.add({std::to_string(id), session.at("client_id"), origin_of(session), addresses_of(session),
               session.at("transport"), rtt_of(session), in, out,
               human_duration(time - session.at("since").get<int64_t>())});
    now[id] = sample;
  }
  before_ = std::move(now);
  before_ms_ = time;
  return table.text(width);
}

}  // namespace smartvpn::cli
