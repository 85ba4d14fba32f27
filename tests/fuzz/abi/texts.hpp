// Texts that calls are made with: JSON that is right, nearly right and wrong, ids, pointers. What a configuration could
// do to the machine that fuzzes (devices, files, ports, hosts) is set to harmless values before anything is made of it.
#pragma once

#include <string>

#include "abi/input.hpp"

namespace smartvpn::fuzz {

// Two X25519 keys that are nobody's.
#define FUZZ_PRIVATE_KEY "oK0kKgfSFCAW3zlZb1j0KjrCwYYQNpVJvsPuMxYL6Ew="
#define FUZZ_PUBLIC_KEY "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="

constexpr const char* kServerJson[] = {
    R"({"keys":{"noise_private_key":")" FUZZ_PRIVATE_KEY R"("},"network":{"subnets":["10.8.0.0/24","fd00:8::/64"]}})",
    R"({"keys":{"noise_private_key":")" FUZZ_PRIVATE_KEY R"(","wireguard_private_key":")" FUZZ_PRIVATE_KEY R"("},)"
    R"("network":{"subnets":["10.8.0.0/29"],"client_to_client":true,"mtu":1280,"dns":["10.8.0.1"]}})",
    R"({"keys":{"noise_private_key":")" FUZZ_PRIVATE_KEY R"("},"security":{"authorize":"required",)"
    R"("authorize_timeout_ms":100},"limits":{"sessions":1,"event_queue":16},)"
    R"("clients":[{"id":"a","noise_public_key":")" FUZZ_PUBLIC_KEY R"("}]})",
    R"({"keys":{"noise_private_key":")" FUZZ_PRIVATE_KEY R"("},"limits":{"memory_bytes":300000}})",
    R"({"keys":{}})",
    "{}",
    "[]",
    "{\"listen\":null}",
    "{\"network\":{\"mtu\":1e9}}",
    ""};
constexpr const char* kTunnelJson[] = {
    R"({"server":"ws://127.0.0.1:1","keys":{"noise_private_key":")" FUZZ_PRIVATE_KEY
    R"(","server_public_key":")" FUZZ_PUBLIC_KEY R"("},"reconnect":{"initial_ms":10,"max_ms":20}})",
    R"({"server":"ws://127.0.0.1:1","keys":{"noise_private_key":"","server_public_key":""}})", "{}"};
constexpr const char* kClientJson[] = {
    R"({"id":"a"})",
    R"({"id":"b","max_sessions":3})",
    R"({"id":"c","addresses":["10.8.0.5","fd00:8::5"]})",
    R"({"id":"a","noise_public_key":")" FUZZ_PUBLIC_KEY R"(","tags":["x"],"description":"\u0000\"\\"})",
    R"({"id":"b","subnets":["192.168.7.0/24","0.0.0.0/0"],"allow_overlap":true,"enabled":false})",
    R"({"id":"c","expires_at":1,"session_policy":"refuse-new","security":{"rate_limit":{"to_client_bytes_per_second":9}}})",
    R"({"id":"a","addresses":["10.8.0.5","10.8.0.6"]})",
    R"({"id":""})",
    "{}",
    "null"};
constexpr const char* kPatchJson[] = {R"({"enabled":false})",
                                      R"({"enabled":true,"max_sessions":null})",
                                      R"({"addresses":["10.8.0.7"]})",
                                      R"({"security":{"destination_allow_list":["10.8.0.0/24"],"ip_block_list":null}})",
                                      R"({"noise_public_key":")" FUZZ_PUBLIC_KEY R"("})",
                                      R"({"id":"b"})",
                                      "{}",
                                      "7"};
constexpr const char* kOtherJson[] = {R"({"allow":true,"valid_ms":50,"session_seconds":1})",
                                      R"({"allow":false,"detail":"no"})",
                                      R"({"allow":true})",
                                      R"({"overlap_seconds":0})",
                                      R"({"overlap_seconds":60})",
                                      R"({"limit":1,"after":"a","id_prefix":"","enabled":true,"online":false})",
                                      R"({"text":"X","tag":"x"})",
                                      "{}"};
constexpr const char* kValues[] = {"null",    "1",
                                   "-1",      "true",
                                   "\"\"",    "[]",
                                   "{}",      "65535",
                                   "1e400",   "\"10.8.0.9\"",
                                   "1280",    "18446744073709551616",
                                   "\"wss\"", "[[[[",
                                   "nul",     R"(["10.0.0.0/8",{}])"};
constexpr const char* kPointers[] = {"",
                                     "/",
                                     "/network/mtu",
                                     "/network/subnets/-",
                                     "/clients/0/id",
                                     "/clients/-",
                                     "/listen",
                                     "/listen/0/port",
                                     "/keys/wireguard_private_key",
                                     "/limits",
                                     "/security/authorize",
                                     "/reconnect/max_ms",
                                     "/server",
                                     "listen",
                                     "/~2",
                                     "/a~1b/~0",
                                     "/clients/99999999999999999999",
                                     "/telemetry/client_label",
                                     "/limits/event_queue",
                                     "/network/dns"};
constexpr const char* kIds[] = {"a",
                                "b",
                                "c",
                                "fuzz",
                                "",
                                "no such",
                                "A.z_9@-",
                                "0123456789012345678901234567890123456789012345678901234567890123",
                                "01234567890123456789012345678901234567890123456789012345678901234"};
constexpr const char* kEventKeys[] = {"type",     "time",    "session_id", "client_id", "reason",
                                      "listener", "message", "",           "x"};
constexpr const char* kStatNames[] = {"sessions_now",
                                      "inner_bytes_in",
                                      "drops",
                                      "drops.spoofed_source",
                                      "drops.",
                                      "rejections.ip_block_list",
                                      "sessions_ended.replaced",
                                      "",
                                      "."};

// Before a server or a tunnel is made of a configuration: what it may touch outside.
constexpr const char* kListen[] = {
    R"([{"transport":"websocket","address":"127.0.0.1","port":0}])",
    R"([{"transport":"websocket","address":"127.0.0.1","port":0},{"transport":"websocket","address":"::1","port":0}])",
    (R"([{"transport":"websocket","address":"127.0.0.1","port":0,"path":"/t","proxy_protocol":{"mode":"v2",)"
     R"("trusted_proxies":["127.0.0.1"]}}])")};
constexpr const char* kModes[] = {R"({"mode":"testing"})", R"({"mode":"host"})"};
constexpr const char* kRegistries[] = {R"({"store":"memory"})", R"({"keep_private_keys":true})"};

// One of a list, most often as it stands.
template <size_t N>
std::string text_of(Record& in, const char* const (&list)[N]) {
  std::string out = in.of(list);
  switch (in.below(32)) {
    case 0:
      return in.odd_bytes();
    case 1:
      return out.substr(0, in.u8());
    case 2:
      if (!out.empty()) out[in.u16() % out.size()] = static_cast<char>(in.u8());
      return out;
    case 3:
      return out.insert(in.u16() % (out.size() + 1), in.odd_bytes());
    default:
      return out;
  }
}

}  // namespace smartvpn::fuzz
