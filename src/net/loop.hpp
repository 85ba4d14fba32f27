// One event loop, the heart of a shard: descriptors, timers, work posted by other threads, and the end of
// a turn, when everything that the turn produced goes out in one write per connection.
//
// Everything here belongs to the loop's thread unless it says "any thread". Before run() and after it
// returned, the thread that owns the Loop counts as the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/descriptor_register.hpp"

struct uv_loop_s;

namespace smartvpn::net {

class Loop {
 public:
  static constexpr size_t kReadBuffer = 65536;  // 64 KiB: larger was measured slower
  static constexpr size_t kScratchBuffer = 65536;

  // `post_capacity` bounds the commands waiting from other threads.
  static Result<std::unique_ptr<Loop>> create(size_t post_capacity = 4096);
  // The same for thousands of sockets that come and go: watchers take fewer system calls to begin, to change and to end
  // (poll_set.hpp).
  static Result<std::unique_ptr<Loop>> create_for_many(size_t post_capacity = 4096);
  // Every watcher, timer, stream and wake of this loop must be gone before. Commands that were posted
  // and never ran are destroyed unrun.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Serves until stop(). Returns at once if stop() was called before.
  void run();
  // One turn: waits for the first event, serves what is ready, runs the end of the turn.
  void run_turn();
  // Any thread. Final: a stopped loop does not run again.
  void stop() noexcept;
  bool stopped() const noexcept;

  // Any thread. Runs `command` on the loop's thread, in order of posting. False, with `command`
  // dropped, when the queue is full or the loop was stopped.
  bool post(std::function<void()> command);

  // The time of this turn: read once, at the first call in a turn.
  Time now() noexcept;

  // What the streams of strangers (TcpStream::set_stranger) may take of one turn together: whoever comes after that is
  // read in a later turn, so that however many there are and whatever they say, known sessions are served in between.
  static constexpr Duration kStrangersTime = milliseconds(1);
  bool strangers_have_time() const noexcept;
  void charge_strangers(Duration taken) noexcept;
  // One more who came too late. False: there are so many that this one must not be watched until the turn is over, or
  // libuv, which asks the kernel again as long as it gets a thousand descriptors at once, would not end it.
  bool stranger_may_stay_watched() noexcept;

  // Called at the end of every turn, after all I/O callbacks and before the TurnEnds that the turn
  // requested. For what has to be done whatever happened, e.g. flushing the engine.
  void set_turn_hook(std::function<void()> hook);

  // Commands, timers and I/O callbacks that throw (bad_alloc, in practice) are contained: counted, told
  // to this hook if there is one, and the loop goes on. Streams end with ENOMEM instead.
  void set_exception_hook(std::function<void(const char* what)> hook);
  uint64_t contained_exceptions() const noexcept;

  // Borrowed for the length of one callback: where bytes from a socket land, and where a machine may
  // put what it makes of them (decrypted TLS records). Valid until the callback returns.
  ByteSpan read_buffer() noexcept;
  ByteSpan scratch_buffer() noexcept;

  // Descriptors that belong to this loop's thread but are not watched (an eventfd given to the host).
  DescriptorRegister& descriptors() noexcept;
  // In a forked child: closes every descriptor of the loop. The Loop and all that hangs on it must be
  // leaked afterwards, never destroyed: its threads' state is a snapshot taken at any instruction.
  void abandon_after_fork() noexcept;

  class Impl;
  Impl& impl() noexcept { return *impl_; }  // for this room's files

 private:
  explicit Loop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Work that is wanted once, at the end of the turn in which it was requested, however often it was. A
// session requests one to write its frames. It may request others (they run in the same turn end) and
// may be destroyed by its own callback.
class TurnEnd {
 public:
  TurnEnd(Loop& loop, std::function<void()> callback);
  ~TurnEnd();  // cancels
  TurnEnd(const TurnEnd&) = delete;
  TurnEnd& operator=(const TurnEnd&) = delete;

  void request() noexcept;
  bool requested() const noexcept { return previous_ != nullptr; }

 private:
  friend class Loop;
  friend class TurnList;
  Loop& loop_;
  std::function<void()> callback_;
  TurnEnd* next_ = nullptr;       // list of requested ones, owned by the loop
  TurnEnd** previous_ = nullptr;  // what points at us; null when not requested
};

// Wakes a loop from any thread, as often as you like: one callback for any number of wakes since the
// last one. Never fails, never blocks. Created and destroyed on the loop's thread; nobody may call
// wake() once destruction has begun.
class Wake {
 public:
  static Result<std::unique_ptr<Wake>> create(Loop& loop, std::function<void()> callback);
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  void wake() noexcept;  // any thread

  struct Node;

 private:
  explicit Wake(Node* node) : node_(node) {}
  Node* node_;
};

}  // namespace smartvpn::net
