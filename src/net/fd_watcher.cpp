// See fd_watcher.hpp.
#include "net/fd_watcher.hpp"

#include <poll.h>

#include <utility>

#include "net/loop_impl.hpp"

namespace smartvpn::net {

// Lives until libuv has let go of the handle, so that a watcher may die inside its own callback.
struct FdWatcher::Node {
  uv_poll_t handle{};
  FdHandler* handler = nullptr;  // null once the watcher is gone
  Loop::Impl* loop = nullptr;
  Fd fd;
  uint32_t slot = 0;
  int events = 0;

  static void on_poll(uv_poll_t* handle, int status, int events) noexcept;
  bool in_error() const noexcept;
  void close() noexcept;
  template <class Fn>
  void call(Fn&& fn) noexcept;
};

void FdHandler::on_out_of_memory() noexcept {
  try {
    on_fd_error();
  } catch (...) {
    return;  // still no memory: the handler learns of it by its own timers
  }
}

template <class Fn>
void FdWatcher::Node::call(Fn&& fn) noexcept {
  if (!handler) return;
  try {
    fn(*handler);
  } catch (const std::bad_alloc& e) {
    loop->told(e.what());
    if (handler) handler->on_out_of_memory();
  } catch (const std::exception& e) {
    loop->told(e.what());
  } catch (...) {
    loop->told("unknown exception");
  }
}

void FdWatcher::Node::on_poll(uv_poll_t* handle, int status, int events) noexcept {
  auto* self = static_cast<Node*>(handle->data);
  if (status < 0) {
    self->events = 0;  // libuv has stopped the handle
    return self->call([](FdHandler& h) { h.on_fd_error(); });
  }
  if (events & UV_READABLE) self->call([](FdHandler& h) { h.on_readable(); });
  // The first callback may have destroyed the watcher or lost interest in writing.
  if ((events & UV_WRITABLE) && (self->events & UV_WRITABLE)) self->call([](FdHandler& h) { h.on_writable(); });
  if ((events & UV_DISCONNECT) && (self->events & UV_DISCONNECT)) self->call([](FdHandler& h) { h.on_hangup(); });
  if ((events & UV_PRIORITIZED) == 0 || (self->events & UV_PRIORITIZED) == 0) return;
  // Urgent bytes, or both ways are shut, which epoll tells of unasked: either would be told for ever. libuv hides an
  // error behind it.
  self->events = 0;
  uv_poll_stop(handle);
  if (self->in_error()) self->call([](FdHandler& h) { h.on_fd_error(); });
}

bool FdWatcher::Node::in_error() const noexcept {
  pollfd one{fd.get(), 0, 0};
  return ::poll(&one, 1, 0) == 1 && (one.revents & POLLERR) != 0;
}

// uv_close() takes the descriptor out of epoll, so it may go at once. Later it would take out another's that has got
// the same number.
void FdWatcher::Node::close() noexcept {
  handler = nullptr;
  events = 0;
  loop->descriptors.remove(slot);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle),
           [](uv_handle_t* closed) { delete static_cast<Node*>(closed->data); });
}

Result<std::unique_ptr<FdWatcher>> FdWatcher::create(Loop& loop, Fd fd, FdHandler& handler) {
  // Both before libuv knows the handle, which must not be freed without uv_close() from then on.
  auto node = std::make_unique<Node>();
  std::unique_ptr<FdWatcher> watcher(new FdWatcher(nullptr));
  auto& impl = loop.impl();
  node->slot = impl.descriptors.add(fd.get());
  if (int rc = uv_poll_init(&impl.uv, &node->handle, fd.get()); rc != 0) {
    impl.descriptors.remove(node->slot);
    return system_error(-rc, "cannot watch a descriptor");
  }
  node->handle.data = node.get();
  node->handler = &handler;
  node->loop = &impl;
  node->fd = std::move(fd);
  watcher->node_ = node.release();
  return watcher;
}

FdWatcher::~FdWatcher() { release(); }

void FdWatcher::watch(bool readable, bool writable, bool hangup, bool error) noexcept {
  if (!node_) return;
  // What is urgent is nobody's concern here: it stands for the error state that epoll tells of unasked, because libuv
  // watches for something or not at all.
  const int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0) | (hangup ? UV_DISCONNECT : 0) |
                     (error ? UV_PRIORITIZED : 0);
  if (events == node_->events) return;
  node_->events = events;
  if (events == 0) {
    uv_poll_stop(&node_->handle);
  } else {
    uv_poll_start(&node_->handle, events, &Node::on_poll);
  }
}

void FdWatcher::set_handler(FdHandler& handler) noexcept {
  if (node_) node_->handler = &handler;
}

int FdWatcher::fd() const noexcept { return node_ ? node_->fd.get() : -1; }

Fd FdWatcher::release() noexcept {
  if (!node_) return {};
  Fd fd = std::move(node_->fd);
  std::exchange(node_, nullptr)->close();
  return fd;
}

}  // namespace smartvpn::net
