// An engine's other side, which records everything.
#pragma once

#include <map>
#include <vector>

#include "forward/engine.hpp"

namespace smartvpn::testing {

struct RecordingSink : forward::EngineSink {
  PacketPool pool;
  std::vector<Packet> packets;
  std::map<Drop, uint64_t> drops;
  std::vector<Error> failures;
  std::vector<std::string> recoveries, notices;

  void on_engine_packets(std::span<Packet> batch) override {
    for (Packet& packet : batch) packets.push_back(std::move(packet));
  }
  void on_engine_drop(Drop drop, uint64_t count) override { drops[drop] += count; }
  void on_engine_failed(const Error& error) override { failures.push_back(error); }
  void on_engine_recovered(const std::string& how) override { recoveries.push_back(how); }
  void on_engine_notice(const std::string& text) override { notices.push_back(text); }
  PacketPool& engine_pool() override { return pool; }
};

}  // namespace smartvpn::testing
