// See poll_set.hpp.
#include "net/poll_set.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "base/descriptor.hpp"

namespace smartvpn::net {

int PollSet::open() noexcept {
  fd_ = Fd(above_standard(::epoll_create1(EPOLL_CLOEXEC)));
  return fd_ ? 0 : errno;
}

void PollSet::join(Item& item) {
  if (free_.empty()) {
    slots_.emplace_back();
    try {
      free_.reserve(slots_.capacity());  // so that forget() needs no memory
    } catch (const std::bad_alloc&) {
      slots_.pop_back();
      throw;
    }
    free_.push_back(static_cast<uint32_t>(slots_.size() - 1));
  }
  item.slot_ = free_.back();
  free_.pop_back();
  slots_[item.slot_].item = &item;
}

void PollSet::want(Item& item, int fd, uint32_t events) noexcept {
  item.fd_ = fd;
  item.wanted_ = events;
  item.watching_ = true;
  if (!item.in_ || (events & ~item.known_) != 0) note_change(item);
}

void PollSet::want_nothing(Item& item) noexcept {
  item.wanted_ = 0;
  item.watching_ = false;
}

void PollSet::forget(Item& item, bool closing) noexcept {
  want_nothing(item);
  unlink(item);
  if (item.in_ && !closing) ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, item.fd_, nullptr);
  item.in_ = false;
  Slot& slot = slots_[item.slot_];
  slot.item = nullptr;
  ++slot.generation;
  slot.left_in = turn_;
  free_.push_back(item.slot_);
}

void PollSet::note_change(Item& item) noexcept {
  if (item.at_) return;
  item.next_ = changed_;
  item.at_ = &changed_;
  if (changed_) changed_->at_ = &item.next_;
  changed_ = &item;
}

void PollSet::unlink(Item& item) noexcept {
  if (!item.at_) return;
  *item.at_ = item.next_;
  if (item.next_) item.next_->at_ = item.at_;
  item.next_ = nullptr;
  item.at_ = nullptr;
}

void PollSet::flush() noexcept {
  if (haunted_) begin_anew();
  while (changed_) {
    Item& item = *changed_;
    unlink(item);
    tell_kernel(item);
  }
}

// Another set under the same number, without what nobody here can take out of the old one any more.
void PollSet::begin_anew() noexcept {
  const Fd fresh(::epoll_create1(EPOLL_CLOEXEC));
  if (!fresh || ::dup3(fresh.get(), fd_.get(), O_CLOEXEC) < 0) return;  // at the next turn
  haunted_ = false;
  for (const Slot& slot : slots_) {
    if (!slot.item || !slot.item->in_) continue;
    slot.item->in_ = false;
    note_change(*slot.item);
  }
}

void PollSet::tell_kernel(Item& item) noexcept {
  if (!item.watching_) {
    if (item.in_) ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, item.fd_, nullptr);
    item.in_ = false;
    return;
  }
  if (item.in_ && item.known_ == item.wanted_) return;
  epoll_event event{};
  event.events = item.wanted_;
  event.data.u64 = uint64_t{slots_[item.slot_].generation} << 32 | item.slot_;
  if (::epoll_ctl(fd_.get(), item.in_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, item.fd_, &event) != 0)
    return item.on_ready(EPOLLERR);  // no memory, or no more watches: whoever would wait for ever is told
  item.in_ = true;
  item.known_ = item.wanted_;
}

// What does not fit into a batch is told in the next turn.
void PollSet::wait(int timeout) noexcept {
  flush();
  ++turn_;
  const int count = ::epoll_wait(fd_.get(), batch_.data(), kBatch, timeout);
  for (int i = 0; i < count; ++i) take(batch_[static_cast<size_t>(i)]);
}

void PollSet::take(const epoll_event& event) noexcept {
  const Slot& slot = slots_[static_cast<uint32_t>(event.data.u64)];
  if (slot.item && slot.generation == event.data.u64 >> 32) return meet(*slot.item, event.events);
  // Who has left since the kernel was asked is told of once; who is told of later, for ever.
  haunted_ = haunted_ || slot.left_in != turn_;
}

void PollSet::meet(Item& item, uint32_t events) noexcept {
  constexpr uint32_t kUnasked = EPOLLERR | EPOLLHUP;
  const uint32_t asked = events & item.wanted_;
  // The kernel would tell it again and again.
  if (!item.watching_ || (events & ~item.wanted_ & ~kUnasked) != 0) note_change(item);
  if (item.watching_ && (asked | (events & kUnasked)) != 0) item.on_ready(asked | (events & kUnasked));
}

}  // namespace smartvpn::net
