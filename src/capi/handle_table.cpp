// The handle table. Values: on 64 bits a set bit 62, which no address has, 37 bits of generation, 24
// of slot and a set lowest bit, which no aligned pointer has; on 32 bits 15 bits of generation and 16
// of slot. So a real pointer that is passed by mistake is refused, and Go's collector, which looks at
// pointer values, never takes a handle for one of its own.
#include "capi/handle_table.hpp"

#include <pthread.h>

#include <new>

namespace smartvpn::capi {
namespace {

constexpr bool kWide = sizeof(uintptr_t) >= 8;
constexpr unsigned kSlotBits = kWide ? 24 : 16;
constexpr unsigned kGenerationBits = kWide ? 37 : 15;
constexpr uint64_t kTag = kWide ? uint64_t{1} << 62 : 0;
constexpr uint64_t kMaxSlots = uint64_t{1} << kSlotBits;
constexpr uint64_t kMaxGeneration = (uint64_t{1} << kGenerationBits) - 1;
constexpr size_t kRest = kWide ? 0 : 1024;  // slots kept unused, so that 15 bits of generation last

uintptr_t encode(uint32_t index, uint64_t generation) noexcept {
  return static_cast<uintptr_t>(kTag | generation << (kSlotBits + 1) | uint64_t{index} << 1 | 1);
}
uint32_t index_of(uintptr_t handle) noexcept { return static_cast<uint32_t>(handle >> 1 & (kMaxSlots - 1)); }

HandleTable* table = nullptr;
Mutex making;  // trivially destructible, as all that lives at namespace scope here

}  // namespace

HandleTable& HandleTable::instance() {
  if (auto* made = __atomic_load_n(&table, __ATOMIC_ACQUIRE)) return *made;
  MutexLock lock(making);
  if (!table) {
    auto* made = new HandleTable;
    if (pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
      delete made;
      throw std::bad_alloc();
    }
    __atomic_store_n(&table, made, __ATOMIC_RELEASE);
  }
  return *table;
}

uint32_t HandleTable::reserve() {
  MutexLock lock(mutex_);
  if (unused_ <= kRest && slots_.size() < kMaxSlots) {
    slots_.emplace_back();
    append_unused_locked(static_cast<uint32_t>(slots_.size() - 1));
  }
  if (unused_ == 0) throw std::bad_alloc();
  const uint32_t index = first_unused_;
  first_unused_ = slots_[index].next_unused;
  if (--unused_ == 0) last_unused_ = kNone;
  slots_[index].next_unused = kNone;
  return index;
}

uintptr_t HandleTable::fill(uint32_t index, Kind kind, std::unique_ptr<Object> object) noexcept {
  MutexLock lock(mutex_);
  Slot& slot = slots_[index];
  slot.object = object.release();
  slot.kind = kind;
  return encode(index, slot.generation);
}

void HandleTable::give_back(uint32_t index) noexcept {
  MutexLock lock(mutex_);
  append_unused_locked(index);
}

void HandleTable::append_unused_locked(uint32_t index) noexcept {
  (last_unused_ == kNone ? first_unused_ : slots_[last_unused_].next_unused) = index;
  last_unused_ = index;
  ++unused_;
}

HandleTable::Slot* HandleTable::find_locked(uintptr_t handle, Kind kind) noexcept {
  uint32_t index = index_of(handle);
  if (index >= slots_.size()) return nullptr;
  Slot& slot = slots_[index];
  bool live = slot.object && !slot.dying && slot.kind == kind && encode(index, slot.generation) == handle;
  return live ? &slot : nullptr;
}

Status HandleTable::acquire(uintptr_t handle, Kind kind, Object** object) noexcept {
  MutexLock lock(mutex_);
  Slot* slot = find_locked(handle, kind);
  if (!slot) return Status::BAD_HANDLE;
  if (slot->forked) return Status::FORKED;
  ++slot->references;
  *object = slot->object;
  return Status::OK;
}

void HandleTable::release(uintptr_t handle) noexcept {
  MutexLock lock(mutex_);
  Slot& slot = slots_[index_of(handle)];
  if (--slot.references == 0 && slot.dying) released_.notify_all();
}

Status HandleTable::free(uintptr_t handle, Kind kind) noexcept {
  MutexLock lock(mutex_);
  Slot* slot = find_locked(handle, kind);
  if (!slot) return Status::BAD_HANDLE;
  Object* object = slot->object;
  if (slot->forked) {
    retire_locked(index_of(handle));
    return Status::OK;
  }
  slot->dying = true;
  lock.unlock();
  object->wake();
  lock.lock();
  released_.wait(lock, [&] { return slot->references == 0; });
  retire_locked(index_of(handle));
  lock.unlock();
  delete object;
  return Status::OK;
}

void HandleTable::retire_locked(uint32_t index) noexcept {
  Slot& slot = slots_[index];
  uint64_t next = slot.generation == kMaxGeneration ? 1 : slot.generation + 1;
  slot = Slot{};
  slot.generation = next;
  append_unused_locked(index);
}

void HandleTable::before_fork() noexcept {
  making.lock();  // the handlers are registered a moment before `table` is set
  table->mutex_.lock();
}

void HandleTable::after_fork_in_parent() noexcept {
  table->mutex_.unlock();
  making.unlock();
}

void HandleTable::after_fork_in_child() noexcept {
  // Threads that waited here do not exist in the child; a condition variable remembers them.
  new (&table->released_) CondVar;
  for (Slot& slot : table->slots_) {
    if (!slot.object || slot.forked) continue;
    slot.forked = true;
    slot.references = 0;
    slot.object->abandon();
  }
  after_fork_in_parent();
}

}  // namespace smartvpn::capi
