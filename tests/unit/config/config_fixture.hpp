// A small valid configuration of each kind, changed key by key in the tests.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "config/document.hpp"

namespace smartvpn::config {

inline const std::string kKeyA = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
inline const std::string kKeyB = "AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

inline const std::string kServer =
    R"({"listen":[{"transport":"websocket","port":8443}],"keys":{"noise_private_key":")" + kKeyA + R"("}})";
inline const std::string kTunnel = R"({"server":"ws://vpn.example.com","keys":{"noise_private_key":")" + kKeyA +
                                   R"(","server_public_key":")" + kKeyB + R"("}})";

struct Change {
  const char* pointer;
  std::string value;
};

// "OK", or "STATUS /path".
inline std::string outcome(const Result<void>& result) {
  if (result) return "OK";
  return std::string(status_name(static_cast<int32_t>(result.error().status))) + " " + result.error().path;
}

// The base with changes, validated.
inline std::string validated(Kind kind, std::initializer_list<Change> changes) {
  auto document = Document::parse(kind == Kind::server ? kServer : kTunnel, kind);
  if (!document) return "base is broken";
  for (const auto& change : changes)
    if (auto set = document->set(change.pointer, change.value); !set) return outcome(set);
  return outcome(document->validate());
}

inline ServerConfig server_with(std::initializer_list<Change> changes) {
  auto document = Document::parse(kServer);
  for (const auto& change : changes) EXPECT_EQ(outcome(document->set(change.pointer, change.value)), "OK");
  auto config = document->server_config();
  EXPECT_TRUE(config.ok()) << config.error().path << " " << config.error().text;
  return config ? std::move(*config) : ServerConfig{};
}

}  // namespace smartvpn::config
