// Calls that make, run and end servers: their callbacks, events, requests, sessions and packets.
#pragma once

#include <poll.h>

#include <atomic>

#include "abi/local_calls.hpp"

namespace smartvpn::fuzz {

// Timeouts: what waits for others is short; -1 is kept for what must end by itself.
inline int32_t short_time(Record& in) {
  constexpr int32_t kTimes[] = {0, 0, 0, 1, 5, 20};
  return in.of(kTimes);
}

inline void poll_descriptor(int32_t fd, bool good) {
  if (World::check_number(fd, good) < 0) return;
  pollfd poller{fd, POLLIN, 0};
  require(::poll(&poller, 1, 0) >= 0 && (poller.revents & POLLNVAL) == 0);
}

// False if the configuration is not good enough to be made safe: then nothing may be made of it.
inline bool make_safe(Record& in, Choice<smartvpn_config> config) {
  const auto set = [&](const char* pointer, const char* json) {
    return smartvpn_config_set(config.handle, pointer, json, SMARTVPN_NUL_TERMINATED, nullptr) == SMARTVPN_OK;
  };
  if (!set("/forwarding", in.of(kModes)) || !set("/tun", "null")) return false;
  if (config.entry->tunnel) return set("/server", "\"ws://127.0.0.1:1\"");
  return set("/listen", in.of(kListen)) && set("/registry", in.of(kRegistries));
}

// Keeps what a call has given, or frees it where there are enough.
inline void keep(World& w, Kind kind, void* value) {
  if (!value) return;
  if (w.has_room(kind))
    w.add(kind, value);
  else
    require(World::free_one(kind, value) == SMARTVPN_OK);
}

inline smartvpn_server* make_server(World& w, Record& in, Choice<smartvpn_config> config) {
  if (!w.has_room(kServer) || (config.good() && !make_safe(in, config))) return nullptr;
  smartvpn_server* server = nullptr;
  const auto status =
      w.run(in, config.good(), [&](auto** err) { return smartvpn_server_create(config.handle, &server, err); });
  require((status == SMARTVPN_OK) == (server != nullptr));
  if (server) w.add(kServer, server);
  return server;
}

inline void server_create(World& w, Record& in) { make_server(w, in, w.choose<smartvpn_config>(kConfig, in)); }

// The state, which must not have gone back since the last look.
inline int32_t look_at(Choice<smartvpn_server> server) {
  const int32_t state = World::check_number(smartvpn_server_state(server.handle), server.good());
  if (!server.good()) return state;
  require(state >= server.entry->state && state <= SMARTVPN_SERVER_STOPPED);
  return server.entry->state = state;
}

inline void start(World& w, Record& in, Choice<smartvpn_server> server) {
  const int32_t before = look_at(server);
  const auto status = w.run(in, server.good(), [&](auto** err) { return smartvpn_server_start(server.handle, err); });
  const int32_t after = look_at(server);
  if (!server.good()) return;
  if (before != SMARTVPN_SERVER_CREATED) require(status == SMARTVPN_BAD_STATE);
  require(after != SMARTVPN_SERVER_CREATED);
}

inline void server_start(World& w, Record& in) { start(w, in, w.choose<smartvpn_server>(kServer, in)); }

inline void server_stop(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  const int32_t drain = in.below(4) == 0 ? 10 : 0;
  const int32_t timeout = in.below(2) ? -1 : short_time(in);
  const auto status =
      w.run(in, server.good(), [&](auto** err) { return smartvpn_server_stop(server.handle, drain, timeout, err); });
  const int32_t after = look_at(server);
  if (status == SMARTVPN_OK) require(after == SMARTVPN_SERVER_STOPPED);
  if (server.good())
    require(status == SMARTVPN_OK || (timeout >= 0 && (status == SMARTVPN_TIMEOUT || status == SMARTVPN_AGAIN)));
}

inline void server_read(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  const size_t index = in.rarely() ? SIZE_MAX : in.below(3);
  const int32_t state = look_at(server);
  std::string all = w.text(in, server.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return smartvpn_server_endpoints(server.handle, buf, cap, needed, err);
  });
  if (server.good() && state == SMARTVPN_SERVER_CREATED) require(all == "[]");
  w.text(in, server.good(), [&](char* buf, size_t cap, size_t* needed, auto** err) {
    return smartvpn_server_endpoint(server.handle, index, buf, cap, needed, err);
  });
  smartvpn_stats* stats = nullptr;
  w.run(in, server.good(), [&](auto** err) { return smartvpn_server_stats(server.handle, &stats, err); });
  keep(w, kStats, stats);
}

inline void reconfigure(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  auto config = w.choose<smartvpn_config>(kConfig, in);
  if (config.good() && !make_safe(in, config)) return;
  smartvpn_changes* changes = nullptr;
  const uint32_t flags = in.rarely() ? in.u16() : in.u8() % 2u;
  const bool wanted = in.below(4) != 0;
  const bool good = server.good() && config.good();
  w.run(in, good, [&](auto** err) {
    return smartvpn_server_reconfigure(server.handle, config.handle, flags, wanted ? &changes : nullptr, err);
  });
  keep(w, kChanges, changes);
  w.run(in, server.good(), [&](auto** err) { return smartvpn_server_reload_certificates(server.handle, err); });
}

// What callbacks do: a few of everything, on the library's thread. The world keeps it until all servers are freed.
struct Script {
  smartvpn_server* server;
  std::atomic<uint32_t> choices;
};

inline uint32_t next_choice(Script& script) { return script.choices.exchange(script.choices / 5) % 5; }

inline void on_event(void* user, const smartvpn_event* event) {
  auto& script = *static_cast<Script*>(user);
  require(smartvpn_event_type(event) >= 0 && smartvpn_event_json(event));
  switch (next_choice(script)) {
    case 1:
      require(smartvpn_server_free(script.server) == SMARTVPN_BAD_STATE || smartvpn_server_state(script.server) < 0);
      break;
    case 2: {
      const auto status = smartvpn_server_stop(script.server, 0, -1, nullptr);
      require(status == SMARTVPN_PENDING || status == SMARTVPN_OK || status == SMARTVPN_BAD_HANDLE);
      break;
    }
    case 3: {
      smartvpn_events* events = nullptr;
      if (smartvpn_events_open(script.server, SMARTVPN_EVENTS_ALL, 4, &events, nullptr) == SMARTVPN_OK)
        require(smartvpn_events_free(events) == SMARTVPN_OK);
      break;
    }
    case 4:
      smartvpn_client_remove(script.server, "fuzz", nullptr);
      smartvpn_session_list(script.server, nullptr, 0, nullptr, nullptr);
      break;
    default:
      break;
  }
}

inline void on_authorize(void* user, const smartvpn_request* request) {
  auto& script = *static_cast<Script*>(user);
  const uint64_t token = smartvpn_request_token(request);
  require(token != 0 && smartvpn_request_json(request));
  const uint32_t choice = next_choice(script);
  const char* answer = choice == 1 ? "{\"allow\":false}" : "{\"allow\":true}";
  for (uint32_t i = 0; i < choice; ++i)
    smartvpn_authorize_answer(script.server, token, answer, SMARTVPN_NUL_TERMINATED, nullptr);
}

inline void set_callbacks(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  auto script = std::make_shared<Script>();
  script->server = server.handle;
  script->choices = uint32_t{in.u16()} << 16 | in.u16();
  constexpr size_t kRoom = sizeof(smartvpn_callbacks) + 16;
  std::unique_ptr<char[]> room(new char[kRoom]());
  smartvpn_callbacks mine{};
  mine.user = script.get();
  mine.event = in.below(4) ? on_event : nullptr;
  mine.authorize = in.below(4) ? on_authorize : nullptr;
  mine.struct_size = in.rarely() ? in.below(kRoom + 1) : sizeof mine;
  std::memcpy(room.get(), &mine, sizeof mine);
  if (in.rarely()) room[kRoom - 1 - in.below(16)] = 1;
  const int32_t before = look_at(server);
  const auto status = w.run(in, server.good(), [&](auto** err) {
    return smartvpn_server_set_callbacks(server.handle, reinterpret_cast<const smartvpn_callbacks*>(room.get()), err);
  });
  if (status == SMARTVPN_OK) {
    require(before == SMARTVPN_SERVER_CREATED);
    w.keep(std::move(script));
  }
}

inline void events_open(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  const uint64_t mask = in.below(2) ? SMARTVPN_EVENTS_ALL : in.u16();
  smartvpn_events* events = nullptr;
  w.run(in, server.good(), [&](auto** err) {
    return smartvpn_events_open(server.handle, mask, in.rarely() ? 0 : in.u8(), in.rarely() ? nullptr : &events, err);
  });
  keep(w, kEvents, events);
}

inline void events_use(World& w, Record& in) {
  auto events = w.choose<smartvpn_events>(kEvents, in);
  smartvpn_event* event = nullptr;
  const int32_t timeout = short_time(in);
  switch (in.below(6)) {
    case 0:
      w.run(in, events.good(), [&](auto** err) { return smartvpn_events_interrupt(events.handle, err); });
      break;
    case 1:
      w.run(in, events.good(), [&](auto** err) { return smartvpn_events_close(events.handle, err); });
      break;
    case 2:
      poll_descriptor(smartvpn_events_fd(events.handle), events.good());
      break;
    case 3:
      w.aside([handle = events.handle] {
        smartvpn_event* mine = nullptr;
        if (smartvpn_events_next(handle, 50, &mine, nullptr) == SMARTVPN_OK)
          require(smartvpn_event_free(mine) == SMARTVPN_OK);
      });
      break;
    default:
      w.run(in, events.good(), [&](auto** err) { return smartvpn_events_next(events.handle, timeout, &event, err); });
      keep(w, kEvent, event);
  }
}

inline void authorize(World& w, Record& in) {
  auto server = w.choose<smartvpn_server>(kServer, in);
  auto request = w.choose<smartvpn_request>(kRequest, in);
  const std::string answer = text_of(in, kOtherJson);
  const uint64_t token = smartvpn_request_token(request.handle);
  require((token != 0) == request.good() && (smartvpn_request_json(request.handle) != nullptr) == request.good());
  switch (in.below(4)) {
    case 0:
      poll_descriptor(smartvpn_authorize_fd(server.handle), server.good());
      break;
    case 1:
      w.run(in, server.good(), [&](auto** err) {
        return with_json(in, answer, [&](const char* json, size_t size) {
          return smartvpn_authorize_answer(server.handle, token ? token : in.u8(), json, size, err);
        });
      });
      break;
    default: {
      smartvpn_request* taken = nullptr;
      const int32_t timeout = short_time(in);
      w.run(in, server.good(),
            [&](auto** err) { return smartvpn_authorize_next(server.handle, timeout, &taken, err); });
      keep(w, kRequest, taken);
    }
  }
}

// A running server with nothing odd about it, so that inputs get deep.
inline void running_server(World& w, Record& in) {
  if (!w.has_room(kServer) || !w.has_room(kConfig)) return;
  smartvpn_config* config = nullptr;
  require(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, kServerJson[in.below(4)], SMARTVPN_NUL_TERMINATED, &config,
                                    nullptr) == SMARTVPN_OK);
  w.add(kConfig, config);
  if (make_server(w, in, w.newest<smartvpn_config>(kConfig))) start(w, in, w.newest<smartvpn_server>(kServer));
}

}  // namespace smartvpn::fuzz
