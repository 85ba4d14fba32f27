// Readiness of many descriptors that come and go, in an epoll set of our own, where what libuv would ask of the kernel
// in twenty system calls for each of them takes three: a change is kept until the loop waits, and what is wanted no
// longer is told to the kernel only if it comes nevertheless. The loop waits here, and what libuv watches is one
// descriptor of the set (uv_backend_fd()). One of a loop, on its thread. Inside net/ only.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <vector>

#include "net/fd.hpp"

namespace smartvpn::net {

class PollSet {
 public:
  // One descriptor's place.
  class Item {
   public:
    virtual ~Item() = default;
    Item(const Item&) = delete;
    Item& operator=(const Item&) = delete;

   protected:
    Item() = default;

   private:
    friend class PollSet;
    // Of EPOLLIN, EPOLLOUT and EPOLLRDHUP what is wanted; EPOLLERR and EPOLLHUP unasked while anything is. May forget
    // and destroy any item, this one too.
    virtual void on_ready(uint32_t events) noexcept = 0;

    int fd_ = -1;
    uint32_t slot_ = 0;
    uint32_t wanted_ = 0, known_ = 0;        // to us, to the kernel
    bool watching_ = false, in_ = false;     // the same of whether anything is
    Item *next_ = nullptr, **at_ = nullptr;  // of those with a change; null: none
  };

  PollSet() = default;
  PollSet(const PollSet&) = delete;
  PollSet& operator=(const PollSet&) = delete;

  // 0 or an errno. Before the first item.
  int open() noexcept;
  bool is_open() const noexcept { return static_cast<bool>(fd_); }
  int fd() const noexcept { return fd_.get(); }

  // First of all. Throws std::bad_alloc.
  void join(Item& item);
  // Level-triggered, from the next wait on; `events` may be 0, for error states alone.
  void want(Item& item, int fd, uint32_t events) noexcept;
  // Nothing more is told of it, also of what has been seen already; one that watches again later tells it then.
  void want_nothing(Item& item) noexcept;
  // Last of all: right before its descriptor is closed, or `closing` is false and it goes on without the set.
  void forget(Item& item, bool closing) noexcept;

  // Tells the kernel what has changed, waits, for so many milliseconds (-1: for ever), and tells what has come.
  void wait(int timeout) noexcept;

 private:
  static constexpr int kBatch = 128;
  // What the kernel tells comes with a slot and its generation, never with an address: of a descriptor that was closed
  // while a forked child has it too, epoll goes on telling.
  struct Slot {
    Item* item = nullptr;
    uint32_t generation = 0;
    uint64_t left_in = 0;  // the turn
  };
  void flush() noexcept;
  void begin_anew() noexcept;
  void take(const epoll_event& event) noexcept;
  void meet(Item& item, uint32_t events) noexcept;
  void note_change(Item& item) noexcept;
  void unlink(Item& item) noexcept;
  void tell_kernel(Item& item) noexcept;

  Fd fd_;
  Item* changed_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::array<epoll_event, kBatch> batch_;
  uint64_t turn_ = 0;
  bool haunted_ = false;  // by one that has left
};

}  // namespace smartvpn::net
