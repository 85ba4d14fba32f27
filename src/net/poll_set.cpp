// See poll_set.hpp.
#include "net/poll_set.hpp"

#include <cerrno>

#include "base/descriptor.hpp"

namespace smartvpn::net {

int PollSet::open() noexcept {
  fd_ = Fd(above_standard(::epoll_create1(EPOLL_CLOEXEC)));
  return fd_ ? 0 : errno;
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

void PollSet::forget(Item& item) noexcept {
  want_nothing(item);
  unlink(item);
  for (int i = next_; i < count_; ++i)
    if (batch_[static_cast<size_t>(i)].data.ptr == &item) batch_[static_cast<size_t>(i)].data.ptr = nullptr;
  // Also of a descriptor that is about to be closed: a forked child may have it still, and epoll would go on telling of
  // an item that is no more.
  if (item.in_) ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, item.fd_, nullptr);
  item.in_ = false;
  item.known_ = 0;
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
  while (changed_) {
    Item& item = *changed_;
    unlink(item);
    tell_kernel(item);
  }
}

void PollSet::tell_kernel(Item& item) noexcept {
  if (!item.watching_) {
    if (item.in_) ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, item.fd_, nullptr);
    item.in_ = false;
    item.known_ = 0;
    return;
  }
  if (item.in_ && item.known_ == item.wanted_) return;
  epoll_event event{};
  event.events = item.wanted_;
  event.data.ptr = &item;
  if (::epoll_ctl(fd_.get(), item.in_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, item.fd_, &event) != 0)
    return item.on_ready(EPOLLERR);  // no memory, or no more watches: whoever would wait for ever is told
  item.in_ = true;
  item.known_ = item.wanted_;
}

// What does not fit into a batch is told in the next turn.
void PollSet::wait(int timeout) noexcept {
  flush();
  count_ = ::epoll_wait(fd_.get(), batch_.data(), kBatch, timeout);
  for (next_ = 0; next_ < count_;) {
    const epoll_event& event = batch_[static_cast<size_t>(next_++)];
    if (event.data.ptr) meet(*static_cast<Item*>(event.data.ptr), event.events);
  }
  next_ = count_ = 0;
}

void PollSet::meet(Item& item, uint32_t events) noexcept {
  constexpr uint32_t kUnasked = EPOLLERR | EPOLLHUP;
  const uint32_t asked = events & item.wanted_;
  // The kernel would tell it again and again.
  if (!item.watching_ || (events & ~item.wanted_ & ~kUnasked) != 0) note_change(item);
  if (item.watching_ && (asked | (events & kUnasked)) != 0) item.on_ready(asked | (events & kUnasked));
}

}  // namespace smartvpn::net
