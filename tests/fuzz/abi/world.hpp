// Handles of every kind, living and dead, and the checks that hold for every call: a status that section 4 has, an
// error object exactly when a call failed, texts that fit their buffers, and nothing from a handle that is not good.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "abi/input.hpp"
#include "smartvpn.h"

namespace smartvpn::fuzz {

enum Kind : uint8_t {
  kError,
  kConfig,
  kServer,
  kEvents,
  kEvent,
  kCredentials,
  kStats,
  kTunnel,
  kChanges,
  kTransaction,
  kRequest,
  kKinds
};

struct Handle {
  void* value = nullptr;
  int32_t state = 0;             // servers and tunnels: the last that was seen; they never go back
  bool tunnel = false;           // configurations: of this kind
  const void* server = nullptr;  // transactions: whose, which may be freed before them
  bool committed = false;
};

// A handle for a call. `entry` is null if it is not a live one of the kind.
template <class T>
struct Choice {
  T* handle = nullptr;
  Handle* entry = nullptr;
  bool good() const { return entry != nullptr; }
};

// Heap copies of exactly the size, so that AddressSanitizer sees every byte too far.
struct Exact {
  explicit Exact(std::string_view text, bool terminated = false)
      : size(text.size()), data(new char[text.size() + terminated]) {
    std::memcpy(data.get(), text.data(), text.size());
    if (terminated) data[text.size()] = 0;
  }
  size_t size;
  std::unique_ptr<char[]> data;
};

class World {
 public:
  ~World();

  template <class T>
  Choice<T> choose(Kind kind, Record& in) {
    void* value = nullptr;
    const uint8_t how = in.u8();
    auto& live = live_[kind];
    if (how < 0xe0) {
      if (!live.empty()) value = live[how % live.size()]->value;
    } else if (how < 0xe8) {
      if (!dead_[kind].empty()) value = dead_[kind][how % dead_[kind].size()];
    } else if (how < 0xf4) {
      auto& other = live_[how % kKinds];
      if (!other.empty()) value = other[0]->value;
    } else if (how < 0xfe) {
      value = reinterpret_cast<void*>(uintptr_t{in.u16()} << (how % 48));
    }
    return {static_cast<T*>(value), find(kind, value)};
  }
  // The newest; null where there is none.
  template <class T>
  Choice<T> newest(Kind kind) {
    Handle* entry = live_[kind].empty() ? nullptr : live_[kind].back().get();
    return {entry ? static_cast<T*>(entry->value) : nullptr, entry};
  }
  Handle& add(Kind kind, void* value) {
    require(value && !find(kind, value));
    live_[kind].push_back(std::make_unique<Handle>());
    live_[kind].back()->value = value;
    return *live_[kind].back();
  }
  bool lives(Kind kind, const void* value) { return find(kind, value) != nullptr; }
  bool has_room(Kind kind) const { return live_[kind].size() < 4; }
  // After a free that answered OK.
  void forget(Kind kind, void* value);
  void free_all(Record& order);
  static smartvpn_status free_one(Kind kind, void* value);

  // `call(err)` with an error object or, rarely, without. `good`: all its handles are live.
  template <class Call>
  smartvpn_status run(Record& in, bool good, Call&& call) {
    smartvpn_error* err = reinterpret_cast<smartvpn_error*>(uintptr_t{0x5555});  // "ignored on entry"
    if (in.rarely()) return check(call(static_cast<smartvpn_error**>(nullptr)), good);
    const smartvpn_status status = check(call(&err), good);
    require((err != nullptr) == (status < 0));
    if (err) keep_error(err, status);
    return status;
  }
  static smartvpn_status check(smartvpn_status status, bool good) {
    require(std::strcmp(smartvpn_status_name(status), "UNKNOWN") != 0 && *smartvpn_status_text(status));
    require(status != SMARTVPN_INTERNAL && status != SMARTVPN_NO_MEMORY && status != SMARTVPN_FORKED);
    require(good == (status != SMARTVPN_BAD_HANDLE));
    return status;
  }
  // For functions that answer with a number or a status.
  static int32_t check_number(int32_t number, bool good) {
    if (number < 0) check(number, good);
    require(good || number < 0);
    return number;
  }
  // Something of another thread's, which ends by itself; joined before anything is judged at the end.
  void aside(std::function<void()> wait) {
    if (threads_.size() < 3) threads_.emplace_back(std::move(wait));
  }

  // What callbacks of this input's servers use.
  void keep(std::shared_ptr<void> object) { kept_.push_back(std::move(object)); }

  // `call(buf, cap, needed, err)` measures, gets too little room and gets enough. The text; "" after a failure.
  template <class Call>
  std::string text(Record& in, bool good, Call&& call, bool binary = false);

 private:
  Handle* find(Kind kind, const void* value) {
    for (auto& entry : live_[kind])
      if (value && entry->value == value) return entry.get();
    return nullptr;
  }
  void keep_error(smartvpn_error* err, smartvpn_status status);

  std::array<std::vector<std::unique_ptr<Handle>>, kKinds> live_;
  std::array<std::vector<void*>, kKinds> dead_;
  std::vector<std::thread> threads_;
  std::vector<std::shared_ptr<void>> kept_;
};

inline smartvpn_status World::free_one(Kind kind, void* value) {
  switch (kind) {
    case kError:
      return smartvpn_error_free(static_cast<smartvpn_error*>(value));
    case kConfig:
      return smartvpn_config_free(static_cast<smartvpn_config*>(value));
    case kServer:
      return smartvpn_server_free(static_cast<smartvpn_server*>(value));
    case kEvents:
      return smartvpn_events_free(static_cast<smartvpn_events*>(value));
    case kEvent:
      return smartvpn_event_free(static_cast<smartvpn_event*>(value));
    case kCredentials:
      return smartvpn_credentials_free(static_cast<smartvpn_credentials*>(value));
    case kStats:
      return smartvpn_stats_free(static_cast<smartvpn_stats*>(value));
    case kTunnel:
      return smartvpn_tunnel_free(static_cast<smartvpn_tunnel*>(value));
    case kChanges:
      return smartvpn_changes_free(static_cast<smartvpn_changes*>(value));
    case kTransaction:
      return smartvpn_transaction_free(static_cast<smartvpn_transaction*>(value));
    default:
      return smartvpn_request_free(static_cast<smartvpn_request*>(value));
  }
}

inline void World::forget(Kind kind, void* value) {
  auto& live = live_[kind];
  std::erase_if(live, [&](const auto& entry) { return entry->value == value; });
  dead_[kind].push_back(value);
}

inline void World::keep_error(smartvpn_error* err, smartvpn_status status) {
  require(smartvpn_error_status(err) == status && *smartvpn_error_text(err));
  const char* path = smartvpn_error_path(err);
  require(*path == 0 || *path == '/');
  require((smartvpn_error_system_errno(err) != 0) <= (status == SMARTVPN_SYSTEM));
  if (live_[kError].size() < 2) {
    add(kError, err);
    return;
  }
  require(smartvpn_error_free(err) == SMARTVPN_OK);
  require(smartvpn_error_free(err) == SMARTVPN_BAD_HANDLE);
  require(!*smartvpn_error_path(err) && smartvpn_error_text(err));
}

// Everything that lives, in an order of the input's choice; what was freed stays dead.
inline void World::free_all(Record& order) {
  for (;;) {
    std::vector<Kind> left;
    for (uint8_t kind = 0; kind < kKinds; ++kind)
      if (!live_[kind].empty()) left.push_back(static_cast<Kind>(kind));
    if (left.empty()) break;
    const Kind kind = left[order.below(left.size())];
    void* value = live_[kind][order.below(live_[kind].size())]->value;
    require(free_one(kind, value) == SMARTVPN_OK);
    forget(kind, value);
  }
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  for (uint8_t kind = 0; kind < kKinds; ++kind)
    for (void* value : dead_[kind]) require(free_one(static_cast<Kind>(kind), value) == SMARTVPN_BAD_HANDLE);
}

inline World::~World() {
  for (auto& thread : threads_) thread.join();
}

template <class Call>
std::string World::text(Record& in, bool good, Call&& call, bool binary) {
  size_t needed = 0, cap = in.rarely() ? 0 : in.below(64);
  for (int round = 0; round < 8; ++round) {
    std::unique_ptr<char[]> buf(new char[cap]);
    std::memset(buf.get(), 0x5a, cap);
    const smartvpn_status status =
        run(in, good, [&](smartvpn_error** err) { return call(cap ? buf.get() : nullptr, cap, &needed, err); });
    if (status == SMARTVPN_OK || status == SMARTVPN_SECRET_NOT_KEPT) {
      require(needed > 0 && needed <= cap);
      if (binary) return std::string(buf.get(), needed);
      require(strnlen(buf.get(), cap) == needed - 1);
      return std::string(buf.get(), needed - 1);
    }
    for (size_t i = 0; i < cap; ++i) require(buf[i] == 0x5a);
    if (status != SMARTVPN_BUFFER_TOO_SMALL) return {};
    require(needed > cap);
    cap = needed;
  }
  return {};  // it grew eight times between two calls
}

}  // namespace smartvpn::fuzz
