// Handles of the C ABI. A handle is no address: slot and generation are encoded in the pointer value
// and looked up here before anything is read, so a stale, twice-freed or wrong-kind handle is always
// found out. One table a process, made on first use and never destroyed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "base/mutex.hpp"
#include "base/status.hpp"

namespace smartvpn::capi {

enum class Kind : uint8_t {
  none,
  error,
  config,
  server,
  events,
  event,
  credentials,
  stats,
  tunnel,
  changes,
  transaction,
  request,
  relay
};

// What stands behind a handle.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;
  // The handle was freed: calls that wait in this object return, now and from now on.
  virtual void wake() noexcept {}
  // In a forked child: closes descriptors, touches nothing shared. Nothing else follows, no destructor either.
  virtual void abandon() noexcept {}
};

class HandleTable {
 public:
  // Throws std::bad_alloc when there is no memory for the first one.
  static HandleTable& instance();

  // The new handle's value. Throws std::bad_alloc, also when every slot is taken.
  uintptr_t insert(Kind kind, std::unique_ptr<Object> object) { return fill(reserve(), kind, std::move(object)); }
  // The same in two steps, for what must not fail once it is done: a place, which throws; and its handle, or the place
  // back.
  uint32_t reserve();
  uintptr_t fill(uint32_t place, Kind kind, std::unique_ptr<Object> object) noexcept;
  void give_back(uint32_t place) noexcept;

  // OK and a reference that release() gives back; BAD_HANDLE; FORKED.
  Status acquire(uintptr_t handle, Kind kind, Object** object) noexcept;
  void release(uintptr_t handle) noexcept;

  // Dead for new calls at once; wakes and waits for running ones; destroys. OK or BAD_HANDLE. A handle
  // of the parent process is forgotten, its object left alone.
  Status free(uintptr_t handle, Kind kind) noexcept;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Slot {
    Object* object = nullptr;
    uint32_t references = 0;
    uint64_t generation = 1;
    uint32_t next_unused = kNone;
    Kind kind = Kind::none;
    bool dying = false;   // free() waits for `references`
    bool forked = false;  // belongs to the parent process
  };

  HandleTable() = default;
  // Take and give back both locks around a fork, which no analysis can follow.
  NO_THREAD_SAFETY_ANALYSIS static void before_fork() noexcept;
  NO_THREAD_SAFETY_ANALYSIS static void after_fork_in_parent() noexcept;
  NO_THREAD_SAFETY_ANALYSIS static void after_fork_in_child() noexcept;
  Slot* find_locked(uintptr_t handle, Kind kind) noexcept REQUIRES(mutex_);
  void retire_locked(uint32_t index) noexcept REQUIRES(mutex_);
  void append_unused_locked(uint32_t index) noexcept REQUIRES(mutex_);

  Mutex mutex_;
  CondVar released_;
  std::deque<Slot> slots_ GUARDED_BY(mutex_);  // grows only; a slot stays where it is
  // The slots that nobody uses, as a list through them: longest unused first, so that a value comes again as late as
  // possible, and freeing a handle needs no memory.
  uint32_t first_unused_ GUARDED_BY(mutex_) = kNone, last_unused_ GUARDED_BY(mutex_) = kNone;
  size_t unused_ GUARDED_BY(mutex_) = 0;
};

}  // namespace smartvpn::capi
