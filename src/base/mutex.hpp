// std::mutex with what clang's -Wthread-safety needs to know about it: which lock guards what is checked when
// clang compiles. With other compilers the words mean nothing and the types cost nothing. The names are those
// of clang's manual, as every other project has them.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SMARTVPN_THREAD_SAFETY(words) __attribute__((words))
#else
#define SMARTVPN_THREAD_SAFETY(words)
#endif
#define CAPABILITY(name) SMARTVPN_THREAD_SAFETY(capability(name))
#define SCOPED_CAPABILITY SMARTVPN_THREAD_SAFETY(scoped_lockable)
#define GUARDED_BY(mutex) SMARTVPN_THREAD_SAFETY(guarded_by(mutex))
#define REQUIRES(...) SMARTVPN_THREAD_SAFETY(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) SMARTVPN_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
#define RELEASE(...) SMARTVPN_THREAD_SAFETY(release_capability(__VA_ARGS__))
#define RETURN_CAPABILITY(mutex) SMARTVPN_THREAD_SAFETY(lock_returned(mutex))
// For what runs where no other thread is: in a forked child, for instance. Say why at each place.
#define NO_THREAD_SAFETY_ANALYSIS SMARTVPN_THREAD_SAFETY(no_thread_safety_analysis)

namespace smartvpn {

class CAPABILITY("mutex") Mutex {
 public:
  constexpr Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

// Holds a mutex for as long as it lives, but for what lies between unlock() and lock().
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~MutexLock() RELEASE() {}
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  void lock() ACQUIRE() { lock_.lock(); }
  void unlock() RELEASE() { lock_.unlock(); }

 private:
  friend class CondVar;
  std::unique_lock<std::mutex> lock_;
};

// A condition's lambda names the lock it is called under: [this]() REQUIRES(mutex_) { return ready_; }
class CondVar {
 public:
  template <class Condition>
  void wait(MutexLock& held, Condition condition) {
    changed_.wait(held.lock_, condition);
  }
  // False when the time is over and the condition still does not hold.
  template <class Span, class Condition>
  bool wait_for(MutexLock& held, const Span& span, Condition condition) {
    return changed_.wait_for(held.lock_, span, condition);
  }
  void notify_one() noexcept { changed_.notify_one(); }
  void notify_all() noexcept { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace smartvpn
