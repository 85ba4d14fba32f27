// Calls about the registry, transactions, sessions, packets, and the dialling end.
#pragma once

#include "abi/server_calls.hpp"

namespace smartvpn::fuzz {

inline void keep_credentials(World& w, smartvpn_credentials* credentials) {
  if (!credentials) return;
  require(*smartvpn_credentials_client(credentials) == '{' && *smartvpn_credentials_config(credentials) == '{');
  keep(w, kCredentials, credentials);
}

inline void client_create(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  const std::string text = text_of(in, kClientJson);
  const int32_t before = look_at(server);
  smartvpn_credentials* credentials = nullptr;
  const auto status = w.run(in, server.good(), [&](auto** err) {
    return with_json(in, text, [&](const char* json, size_t size) {
      return smartvpn_client_create(server.handle, json, size, &credentials, err);
    });
  });
  require((status == SMARTVPN_OK) == (credentials != nullptr));
  require(status != SMARTVPN_OK || before != SMARTVPN_SERVER_CREATED);
  keep_credentials(w, credentials);
}

inline void client_change(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  const size_t what = in.below(8);
  const std::string json = what < 2 ? text_of(in, kPatchJson) : text_of(in, kOtherJson);
  Name id(in, in.below(2) ? "a" : text_of(in, kIds));
  smartvpn_credentials* credentials = nullptr;
  w.run(in, server.good(), [&](auto** err) -> smartvpn_status {
    switch (what) {
      case 0:
      case 1:
        return with_json(in, json, [&](const char* text, size_t size) {
          return smartvpn_client_update(server.handle, id, text, size, in.rarely() ? in.u8() : 0, err);
        });
      case 2:
        return smartvpn_client_enable(server.handle, id, err);
      case 3:
        return smartvpn_client_disable(server.handle, id, err);
      case 4:
        return smartvpn_client_remove(server.handle, id, err);
      case 5:
        return smartvpn_client_rotate_commit(server.handle, id, err);
      case 6:
        return smartvpn_client_rotate_roll_back(server.handle, id, err);
      default:
        return with_json(in, json, [&](const char* text, size_t size) {
          return smartvpn_client_rotate(server.handle, id, text, size, &credentials, err);
        });
    }
  });
  keep_credentials(w, credentials);
}

inline void client_read(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  const size_t what = in.below(6);
  const std::string query = text_of(in, kOtherJson);
  Name id(in, in.below(2) ? "a" : text_of(in, kIds));
  uint64_t revision = 0;
  w.run(in, server.good(), [&](auto** err) { return smartvpn_registry_revision(server.handle, &revision, err); });
  w.text(in, server.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) -> smartvpn_status {
    switch (what) {
      case 0:
        return smartvpn_client_get(server.handle, id, buf, cap, needed, err);
      case 1:
        return smartvpn_client_list(server.handle, buf, cap, needed, err);
      case 2:
        return smartvpn_client_stats(server.handle, id, buf, cap, needed, err);
      case 3:
        return smartvpn_client_export(server.handle, id, SMARTVPN_EXPORT_WIREGUARD, buf, cap, needed, err);
      case 4:
        return smartvpn_client_export(server.handle, id, static_cast<smartvpn_export>(in.below(4)) - 1, buf, cap,
                                      needed, err);
      default:
        return smartvpn_client_query(server.handle, query.data(), query.size(), buf, cap, needed, err);
    }
  });
}

inline void transaction_begin(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  if (!w.has_room(kTransaction)) return;
  smartvpn_transaction* transaction = nullptr;
  w.run(in, server.good(), [&](auto** err) { return smartvpn_transaction_begin(server.handle, &transaction, err); });
  if (transaction) w.add(kTransaction, transaction).server = server.handle;
}

inline void transaction_use(World& w, Record& in) {
  auto t = w.choose<smartvpn_transaction>(kTransaction, in);
  const size_t what = in.below(8);
  const bool good = t.good() && (what < 6 || t.entry->committed || w.lives(kServer, t.entry->server));
  const std::string json = what < 3 ? text_of(in, kClientJson) : text_of(in, kPatchJson);
  Name id(in, in.below(2) ? "a" : text_of(in, kIds));
  smartvpn_credentials* credentials = nullptr;
  uint64_t revision = 0;
  const auto status = w.run(in, good, [&](auto** err) -> smartvpn_status {
    switch (what) {
      case 0:
      case 1:
      case 2:
        return with_json(in, json, [&](const char* text, size_t size) {
          return smartvpn_transaction_create(t.handle, text, size, err);
        });
      case 3:
        return with_json(in, json, [&](const char* text, size_t size) {
          return smartvpn_transaction_update(t.handle, id, text, size, err);
        });
      case 4:
        return smartvpn_transaction_remove(t.handle, id, err);
      case 5:
        return smartvpn_transaction_credentials(t.handle, in.below(4), &credentials, err);
      default:
        return smartvpn_transaction_commit(t.handle, in.rarely() ? in.u8() : 0, in.below(2) ? &revision : nullptr, err);
    }
  });
  if (what >= 6 && status == SMARTVPN_OK) t.entry->committed = true;
  keep_credentials(w, credentials);
}

inline void sessions(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  const std::string all = w.text(in, server.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return smartvpn_session_list(server.handle, buf, cap, needed, err);
  });
  const size_t at = all.find("\"id\":");
  const uint64_t id = at == std::string::npos || in.rarely() ? in.u16() : std::strtoull(&all[at + 5], nullptr, 10);
  w.text(in, server.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return smartvpn_session_get(server.handle, id, buf, cap, needed, err);
  });
  constexpr size_t kRoom = sizeof(smartvpn_session_info) + 16;
  const size_t size = in.rarely() ? in.below(kRoom + 1) : sizeof(smartvpn_session_info);
  std::unique_ptr<char[]> room(new char[std::max(size, sizeof(size_t))]());
  std::memcpy(room.get(), &size, sizeof size);
  w.run(in, server.good(), [&](auto** err) {
    return smartvpn_session_get_info(server.handle, id, reinterpret_cast<smartvpn_session_info*>(room.get()), err);
  });
  require(std::memcmp(room.get(), &size, sizeof size) == 0);
  if (in.below(4) == 0)
    w.run(in, server.good(), [&](auto** err) { return smartvpn_session_disconnect(server.handle, id, err); });
}

// An arena, and descriptions of packets in it that may lie.
struct Batch {
  explicit Batch(Record& in, const std::string& first) : arena(new uint8_t[kArena]()) {
    std::copy(first.begin(), first.end(), arena.get());
    constexpr size_t kStrides[] = {sizeof(smartvpn_packet), sizeof(smartvpn_packet), sizeof(smartvpn_packet) + 8, 8, 0};
    stride = in.of(kStrides);
    count = in.below(4) + (in.rarely() ? 0 : 1);
    meta.reset(new char[std::max<size_t>(1, stride * count)]());
    for (size_t i = 0; i < count && stride >= sizeof(smartvpn_packet); ++i) {
      smartvpn_packet packet{};
      packet.length = static_cast<uint32_t>(first.size());
      if (in.rarely()) packet.offset = uint64_t{in.u16()} << in.below(56);
      if (in.rarely()) packet.length = in.u16();
      if (in.rarely()) packet.segment_size = in.u16();
      if (in.rarely()) packet.flags = in.u8();
      std::memcpy(meta.get() + i * stride, &packet, sizeof packet);
    }
  }
  static constexpr size_t kArena = 70000;
  smartvpn_packet* packets() const { return reinterpret_cast<smartvpn_packet*>(meta.get()); }
  std::unique_ptr<uint8_t[]> arena;
  std::unique_ptr<char[]> meta;
  size_t stride, count;
};

// A UDP packet of IPv4 from a client's likely address, or to it.
inline std::string some_packet(Record& in) {
  std::string p("\x45\0\0\x20\0\0\0\0\x40\x11\0\0\x0a\x08\0\x02\xc0\0\x02\x09\x30\0\x30\0\0\x0c\0\0abcd", 32);
  if (in.below(2)) p.replace(12, 8, std::string("\xc0\0\x02\x09\x0a\x08\0\x02", 8));
  if (in.rarely()) p[in.below(p.size())] = static_cast<char>(in.u8());
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2) sum += uint32_t{static_cast<uint8_t>(p[i])} << 8 | static_cast<uint8_t>(p[i + 1]);
  sum = ~((sum & 0xffff) + (sum >> 16));
  p[10] = static_cast<char>(sum >> 8);
  p[11] = static_cast<char>(sum);
  return p;
}

// `read`, `write`, `fd`: of a server or of a tunnel.
template <class T, class Read, class Write, class Fd>
void packets(World& w, Record& in, Choice<T> end, Read read, Write write, Fd fd) {
  Batch batch(in, some_packet(in));
  const size_t arena = in.rarely() ? in.u8() : Batch::kArena;
  size_t number = 0;
  const int32_t timeout = short_time(in);
  poll_descriptor(fd(end.handle), end.good());
  if (in.below(2)) {
    const auto status = w.run(in, end.good(), [&](auto** err) {
      return write(end.handle, batch.arena.get(), arena, batch.packets(), batch.stride, batch.count, &number, err);
    });
    require(number <= batch.count && (status != SMARTVPN_INVALID || number == 0));
  } else {
    const auto status = w.run(in, end.good(), [&](auto** err) {
      return read(end.handle, batch.arena.get(), arena, batch.packets(), batch.stride, batch.count, &number, timeout,
                  err);
    });
    if (status == SMARTVPN_OK) require(number >= 1 && number <= batch.count);
  }
}

inline void server_packets(World& w, Record& in) {
  packets(w, in, w.choose<smartvpn_server>(kServer, in), smartvpn_packets_read, smartvpn_packets_write,
          smartvpn_packets_fd);
}
inline void tunnel_packets(World& w, Record& in) {
  packets(w, in, w.choose<smartvpn_tunnel>(kTunnel, in), smartvpn_tunnel_packets_read, smartvpn_tunnel_packets_write,
          smartvpn_tunnel_packets_fd);
}

inline int32_t look_at(Choice<smartvpn_tunnel> tunnel) {
  const int32_t state = World::check_number(smartvpn_tunnel_state(tunnel.handle), tunnel.good());
  if (!tunnel.good()) return state;
  require(state <= SMARTVPN_TUNNEL_STOPPED);
  require(tunnel.entry->state != SMARTVPN_TUNNEL_STOPPED || state == SMARTVPN_TUNNEL_STOPPED);
  require(tunnel.entry->state == SMARTVPN_TUNNEL_CREATED || state != SMARTVPN_TUNNEL_CREATED);
  return tunnel.entry->state = state;
}

inline void tunnel_create(World& w, Record& in) {
  auto config = w.choose<smartvpn_config>(kConfig, in);
  if (!w.has_room(kTunnel) || (config.good() && !make_safe(in, config))) return;
  smartvpn_tunnel* tunnel = nullptr;
  w.run(in, config.good(), [&](auto** err) { return smartvpn_tunnel_create(config.handle, &tunnel, err); });
  if (tunnel) w.add(kTunnel, tunnel);
}

inline void start_tunnel(World& w, Record& in, Choice<smartvpn_tunnel> tunnel) {
  const int32_t before = look_at(tunnel);
  const auto status = w.run(in, tunnel.good(), [&](auto** err) { return smartvpn_tunnel_start(tunnel.handle, err); });
  if (tunnel.good()) require((status == SMARTVPN_BAD_STATE) == (before != SMARTVPN_TUNNEL_CREATED));
  look_at(tunnel);
}

inline void tunnel_start(World& w, Record& in) { start_tunnel(w, in, w.choose<smartvpn_tunnel>(kTunnel, in)); }

inline void tunnel_use(World& w, Record& in) {
  auto tunnel = w.choose<smartvpn_tunnel>(kTunnel, in);
  const int32_t timeout = short_time(in), before = look_at(tunnel);
  smartvpn_stats* stats = nullptr;
  smartvpn_events* events = nullptr;
  switch (in.below(6)) {
    case 0: {
      const bool wait = in.below(2) != 0;
      const auto status = w.run(
          in, tunnel.good(), [&](auto** err) { return smartvpn_tunnel_stop(tunnel.handle, wait ? -1 : timeout, err); });
      if (status == SMARTVPN_OK) require(look_at(tunnel) == SMARTVPN_TUNNEL_STOPPED);
      break;
    }
    case 1:
      w.text(in, tunnel.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) {
        return smartvpn_tunnel_info(tunnel.handle, buf, cap, needed, err);
      });
      break;
    case 2:
      w.run(in, tunnel.good(), [&](auto** err) { return smartvpn_tunnel_stats(tunnel.handle, &stats, err); });
      keep(w, kStats, stats);
      break;
    case 3:
      w.run(in, tunnel.good(), [&](auto** err) {
        return smartvpn_tunnel_events_open(tunnel.handle, SMARTVPN_EVENTS_ALL, in.u8(), &events, err);
      });
      keep(w, kEvents, events);
      break;
    case 4:
      w.aside([handle = tunnel.handle] { smartvpn_tunnel_wait_connected(handle, 50, nullptr); });
      break;
    default: {
      const auto status = w.run(
          in, tunnel.good(), [&](auto** err) { return smartvpn_tunnel_wait_connected(tunnel.handle, timeout, err); });
      if (tunnel.good() && before == SMARTVPN_TUNNEL_CREATED) require(status == SMARTVPN_BAD_STATE);
    }
  }
}

// A client of the newest server and its tunnel, started; it may wait for the connection. Where the server does not take
// it (limits, authorize, an older client of this name) the tunnel tries on.
inline void dial(World& w, Record& in) {
  auto server = w.newest<smartvpn_server>(kServer);
  if (!server.good() || !w.has_room(kTunnel)) return;
  smartvpn_credentials* credentials = nullptr;
  smartvpn_config* config = nullptr;
  smartvpn_tunnel* tunnel = nullptr;
  const std::string json = std::string("{\"id\":\"") + (in.below(2) ? "a" : "fuzz") + "\"}";
  if (smartvpn_client_create(server.handle, json.data(), json.size(), &credentials, nullptr) != SMARTVPN_OK) return;
  auto made = smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials),
                                        SMARTVPN_NUL_TERMINATED, &config, nullptr);
  require(smartvpn_credentials_free(credentials) == SMARTVPN_OK);
  if (made != SMARTVPN_OK) return;  // the server has stopped: it has no address to tell
  smartvpn_config_set(config, "/forwarding", in.of(kModes), SMARTVPN_NUL_TERMINATED, nullptr);
  smartvpn_config_set(config, "/reconnect", "{\"initial_ms\":10,\"max_ms\":50}", SMARTVPN_NUL_TERMINATED, nullptr);
  made = smartvpn_tunnel_create(config, &tunnel, nullptr);
  require(smartvpn_config_free(config) == SMARTVPN_OK && made == SMARTVPN_OK);
  w.add(kTunnel, tunnel);
  start_tunnel(w, in, w.newest<smartvpn_tunnel>(kTunnel));
  if (in.below(4)) smartvpn_tunnel_wait_connected(tunnel, 30, nullptr);
}

}  // namespace smartvpn::fuzz
