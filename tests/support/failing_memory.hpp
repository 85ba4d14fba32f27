// Memory that runs out when a test says so: the n-th allocation of C++, OpenSSL, SQLite or libuv fails, or all for a
// while, and what was taken and not given back is counted. Defines the global operators, so exactly one source of a
// test program may include it, and calls install() before anything else.
//
// The library's threads always count. The test's own thread counts inside a Guest only, where it plays the host that
// calls the library; everywhere else it has memory aplenty.
#pragma once

#include <execinfo.h>
#include <openssl/crypto.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/features.hpp"

#if SMARTVPN_WITH_SQLITE
#include <sqlite3.h>
#endif

namespace smartvpn::testing {

class FailingMemory {
 public:
  enum Source { cpp, openssl, sqlite, uv, kSources };

  // From now on allocation number `first` of this kind (0 is the next one) fails, and with it `count` in a row, and
  // whatever comes within `window` after the first.
  static void arm(Source source, long first, long count, std::chrono::milliseconds window = {}) {
    before_ = first;
    left_ = count;
    window_ns_ = window.count() * 1000000;
    until_ns_ = 0;
    frames_ = 0;
    failed_ = 0;
    armed_ = source;
  }
  // How many have failed.
  static long disarm() {
    armed_ = kSources;
    return failed_;
  }
  // Memory is there again, but for what it is worth allocations are still counted.
  static bool over() { return armed_ != kSources && failed_ > 0 && left_ <= 0 && now_ns() >= until_ns_; }
  // Whether what failed was to make a piece larger.
  static bool resize_failed() { return resize_failed_; }
  static long live(Source source) { return live_[source]; }
  // Where the first failure was, for a person with addr2line, on stderr. Safe in a signal handler.
  static void explain() {
    static const char head[] = "the allocation that failed first:\n";
    if (frames_ == 0) return;
    [[maybe_unused]] ssize_t done = ::write(2, head, sizeof head - 1);
    backtrace_symbols_fd(trace_.data(), frames_, 2);
  }

  static bool fails(Source source) noexcept {
    if (armed_.load(std::memory_order_relaxed) != source || (is_test_thread() && !guest_)) return false;
    if (before_.fetch_sub(1) > 0) return false;
    const bool first = failed_ == 0;
    if (first && window_ns_ != 0) until_ns_ = now_ns() + window_ns_;
    if (left_.fetch_sub(1) <= 0 && now_ns() >= until_ns_) return false;
    ++failed_;
    if (first) remember();
    return true;
  }
  static void* take(Source source, size_t size, size_t alignment = 0) noexcept {
    if (fails(source)) return nullptr;
    if (size == 0) size = 1;
    void* p = alignment == 0 ? std::malloc(size)
                             : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (p) ++live_[source];
    return p;
  }
  static void* resize(Source source, void* old, size_t size) noexcept {
    void* p = !old ? take(source, size) : fails(source) ? nullptr : std::realloc(old, size);
    if (!p) resize_failed_ = true;
    return p;
  }
  static void give(Source source, void* p) noexcept {
    if (!p) return;
    --live_[source];
    std::free(p);
  }

  static void install();

 private:
  friend class Guest;
  friend class NoGuest;
  static int64_t now_ns() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
  }
  static bool is_test_thread() noexcept {
    thread_local const bool first = gettid() == getpid();
    return first;
  }
  static void remember() noexcept { frames_ = backtrace(trace_.data(), static_cast<int>(trace_.size())); }

  static inline thread_local int guest_ = 0;
  static inline std::atomic<int> armed_{kSources};
  static inline std::atomic<long> before_{0}, left_{0}, failed_{0};
  static inline std::atomic<int64_t> window_ns_{0}, until_ns_{0};
  static inline std::array<std::atomic<long>, kSources> live_{};
  static inline std::array<void*, 40> trace_{};
  static inline int frames_ = 0;
  static inline std::atomic<bool> resize_failed_{false};
};

// The test's thread is the host's, as long as one lives.
class Guest {
 public:
  Guest() { ++FailingMemory::guest_; }
  ~Guest() { --FailingMemory::guest_; }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
};

// What the test itself does in between.
class NoGuest {
 public:
  NoGuest() : before_(std::exchange(FailingMemory::guest_, 0)) {}
  ~NoGuest() { FailingMemory::guest_ = before_; }
  NoGuest(const NoGuest&) = delete;
  NoGuest& operator=(const NoGuest&) = delete;

 private:
  const int before_;
};

// OpenSSL takes other allocators only before its first allocation, SQLite before its first use.
inline void FailingMemory::install() {
  std::array<void*, 2> warm{};
  backtrace(warm.data(), 2);  // which allocates the first time
  const int taken =
      CRYPTO_set_mem_functions([](size_t size, const char*, int) { return size == 0 ? nullptr : take(openssl, size); },
                               [](void* old, size_t size, const char*, int) -> void* {
                                 if (size != 0) return resize(openssl, old, size);
                                 give(openssl, old);
                                 return nullptr;
                               },
                               [](void* p, const char*, int) { give(openssl, p); });
  if (taken != 1) std::abort();
  uv_replace_allocator([](size_t size) { return take(uv, size); },
                       [](void* old, size_t size) { return resize(uv, old, size); },
                       [](size_t count, size_t size) {
                         void* p = take(uv, count * size);
                         if (p) std::memset(p, 0, count * size);
                         return p;
                       },
                       [](void* p) { give(uv, p); });
#if SMARTVPN_WITH_SQLITE
  // SQLite asks how large a piece is: the size stands before it.
  static const sqlite3_mem_methods methods = {
      [](int size) -> void* {
        auto* p = static_cast<uint64_t*>(take(sqlite, static_cast<size_t>(size) + 8));
        if (p) *p++ = static_cast<uint64_t>(size);
        return p;
      },
      [](void* p) { give(sqlite, p ? static_cast<uint64_t*>(p) - 1 : nullptr); },
      [](void* old, int size) -> void* {
        auto* p =
            static_cast<uint64_t*>(resize(sqlite, static_cast<uint64_t*>(old) - 1, static_cast<size_t>(size) + 8));
        if (p) *p++ = static_cast<uint64_t>(size);
        return p;
      },
      [](void* p) { return p ? static_cast<int>(static_cast<uint64_t*>(p)[-1]) : 0; },
      [](int size) { return (size + 7) & ~7; },
      [](void*) { return SQLITE_OK; },
      [](void*) {},
      nullptr};
  if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK) std::abort();
#endif
}

}  // namespace smartvpn::testing

namespace smartvpn::testing::operators {
inline void* take_or_throw(size_t size, size_t alignment) {
  void* p = FailingMemory::take(FailingMemory::cpp, size, alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
}  // namespace smartvpn::testing::operators

// The other forms of the standard library come down to these.
[[gnu::noinline]] void* operator new(size_t size) { return smartvpn::testing::operators::take_or_throw(size, 0); }
[[gnu::noinline]] void* operator new(size_t size, std::align_val_t alignment) {
  return smartvpn::testing::operators::take_or_throw(size, static_cast<size_t>(alignment));
}
[[gnu::noinline]] void* operator new[](size_t size) { return ::operator new(size); }
[[gnu::noinline]] void* operator new[](size_t size, std::align_val_t alignment) {
  return ::operator new(size, alignment);
}
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return smartvpn::testing::FailingMemory::take(smartvpn::testing::FailingMemory::cpp, size);
}
[[gnu::noinline]] void* operator new[](size_t size, const std::nothrow_t& tag) noexcept {
  return ::operator new(size, tag);
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  smartvpn::testing::FailingMemory::give(smartvpn::testing::FailingMemory::cpp, p);
}
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete(void* p, size_t, std::align_val_t) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete(void* p, const std::nothrow_t&) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete[](void* p) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete[](void* p, size_t) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete[](void* p, std::align_val_t) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete[](void* p, size_t, std::align_val_t) noexcept { ::operator delete(p); }
[[gnu::noinline]] void operator delete[](void* p, const std::nothrow_t&) noexcept { ::operator delete(p); }
