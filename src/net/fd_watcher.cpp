// See fd_watcher.hpp.
#include "net/fd_watcher.hpp"

#include <poll.h>

#include <utility>

#include "net/loop_impl.hpp"
#include "net/poll_set.hpp"

namespace smartvpn::net {
namespace {

enum Ready : int { kReadable = 1, kWritable = 2, kHangup = 4, kError = 8 };

}  // namespace

struct FdWatcher::Node {
  virtual ~Node() = default;
  virtual void wanted_changed() noexcept = 0;
  // Nobody listens any more. Frees the node, now or when nothing refers to it. Its descriptor is closed next, unless it
  // was handed over.
  virtual void close(bool handed_over) noexcept = 0;

  void came(int ready) noexcept;
  void failed() noexcept;  // watching has stopped
  void forget() noexcept;
  template <class Fn>
  void call(Fn&& fn) noexcept;

  FdHandler* handler = nullptr;  // null once the watcher is gone
  Loop::Impl* loop = nullptr;
  Fd fd;
  uint32_t slot = 0;
  int wanted = 0;  // of Ready
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

// A callback may destroy the watcher or lose interest in what else has come.
void FdWatcher::Node::came(int ready) noexcept {
  if (ready & kReadable) call([](FdHandler& h) { h.on_readable(); });
  if (ready & wanted & kWritable) call([](FdHandler& h) { h.on_writable(); });
  if (ready & wanted & kHangup) call([](FdHandler& h) { h.on_hangup(); });
}

void FdWatcher::Node::failed() noexcept {
  wanted = 0;
  call([](FdHandler& h) { h.on_fd_error(); });
}

void FdWatcher::Node::forget() noexcept {
  handler = nullptr;
  wanted = 0;
  loop->descriptors.remove(slot);
}

// Through libuv. Lives until it has let go of the handle, so that a watcher may die inside its own callback.
struct FdWatcher::OwnNode final : FdWatcher::Node {
  uv_poll_t handle{};

  static void on_poll(uv_poll_t* handle, int status, int events) noexcept;
  bool in_error() const noexcept;
  void wanted_changed() noexcept override;
  void close(bool handed_over) noexcept override;
};

void FdWatcher::OwnNode::on_poll(uv_poll_t* handle, int status, int events) noexcept {
  auto* self = static_cast<OwnNode*>(handle->data);
  if (status < 0) return self->failed();  // libuv has stopped the handle
  self->came(((events & UV_READABLE) ? kReadable : 0) | ((events & UV_WRITABLE) ? kWritable : 0) |
             ((events & UV_DISCONNECT) ? kHangup : 0));
  if ((events & UV_PRIORITIZED) == 0 || (self->wanted & kError) == 0) return;
  // Urgent bytes, or both ways are shut, which epoll tells of unasked: either would be told for ever. libuv hides an
  // error behind it.
  self->wanted = 0;
  uv_poll_stop(handle);
  if (self->in_error()) self->failed();
}

bool FdWatcher::OwnNode::in_error() const noexcept {
  pollfd one{fd.get(), 0, 0};
  return ::poll(&one, 1, 0) == 1 && (one.revents & POLLERR) != 0;
}

// What is urgent is nobody's concern here: it stands for the error state that epoll tells of unasked, because libuv
// watches for something or not at all.
void FdWatcher::OwnNode::wanted_changed() noexcept {
  if (wanted == 0) {
    uv_poll_stop(&handle);
    return;
  }
  const int events = ((wanted & kReadable) ? UV_READABLE : 0) | ((wanted & kWritable) ? UV_WRITABLE : 0) |
                     ((wanted & kHangup) ? UV_DISCONNECT : 0) | ((wanted & kError) ? UV_PRIORITIZED : 0);
  uv_poll_start(&handle, events, &OwnNode::on_poll);
}

// uv_close() takes the descriptor out of epoll, so it may go at once. Later it would take out another's that has got
// the same number.
void FdWatcher::OwnNode::close(bool) noexcept {
  forget();
  uv_close(reinterpret_cast<uv_handle_t*>(&handle),
           [](uv_handle_t* closed) { delete static_cast<OwnNode*>(closed->data); });
}

// Through the PollSet of a loop for many.
struct FdWatcher::SetNode final : FdWatcher::Node, PollSet::Item {
  void on_ready(uint32_t events) noexcept override;
  void wanted_changed() noexcept override;
  void close(bool handed_over) noexcept override;

  bool in_callback = false;
};

void FdWatcher::SetNode::on_ready(uint32_t events) noexcept {
  in_callback = true;
  if ((events & EPOLLERR) != 0) {
    loop->polls.want_nothing(*this);
    failed();
  } else if ((events & EPOLLHUP) != 0) {
    // Both ways are shut: what there is to read ends with FIN. Who reads nothing would be told for ever.
    if (wanted == kError) {
      wanted = 0;
      loop->polls.want_nothing(*this);
    }
    came(wanted);
  } else {
    came(((events & EPOLLIN) ? kReadable : 0) | ((events & EPOLLOUT) ? kWritable : 0) |
         ((events & EPOLLRDHUP) ? kHangup : 0));
  }
  in_callback = false;
  if (!handler) delete this;
}

void FdWatcher::SetNode::wanted_changed() noexcept {
  if (wanted == 0) return loop->polls.want_nothing(*this);
  loop->polls.want(*this, fd.get(),
                   ((wanted & kReadable) ? uint32_t{EPOLLIN} : 0) | ((wanted & kWritable) ? uint32_t{EPOLLOUT} : 0) |
                       ((wanted & kHangup) ? uint32_t{EPOLLRDHUP} : 0));
}

void FdWatcher::SetNode::close(bool handed_over) noexcept {
  forget();
  loop->polls.forget(*this, !handed_over);
  if (!in_callback) delete this;
}

Result<std::unique_ptr<FdWatcher>> FdWatcher::create(Loop& loop, Fd fd, FdHandler& handler) {
  return loop.impl().polls.is_open() ? create_in_set(loop.impl(), std::move(fd), handler)
                                     : create_by_libuv(loop.impl(), std::move(fd), handler);
}

Result<std::unique_ptr<FdWatcher>> FdWatcher::create_by_libuv(Loop::Impl& impl, Fd fd, FdHandler& handler) {
  // Both before libuv knows the handle, which must not be freed without uv_close() from then on.
  auto node = std::make_unique<OwnNode>();
  std::unique_ptr<FdWatcher> watcher(new FdWatcher(nullptr));
  node->slot = impl.descriptors.add(fd.get());
  if (int rc = uv_poll_init(&impl.uv, &node->handle, fd.get()); rc != 0) {
    impl.descriptors.remove(node->slot);
    return system_error(-rc, "cannot watch a descriptor");
  }
  node->handle.data = node.get();
  watcher->adopt(std::move(node), impl, std::move(fd), handler);
  return watcher;
}

Result<std::unique_ptr<FdWatcher>> FdWatcher::create_in_set(Loop::Impl& impl, Fd fd, FdHandler& handler) {
  auto node = std::make_unique<SetNode>();
  std::unique_ptr<FdWatcher> watcher(new FdWatcher(nullptr));
  impl.polls.join(*node);
  try {
    node->slot = impl.descriptors.add(fd.get());
  } catch (const std::bad_alloc&) {
    impl.polls.forget(*node, true);
    throw;
  }
  watcher->adopt(std::move(node), impl, std::move(fd), handler);
  return watcher;
}

void FdWatcher::adopt(std::unique_ptr<Node> node, Loop::Impl& loop, Fd fd, FdHandler& handler) noexcept {
  node_ = node.release();
  node_->loop = &loop;
  node_->fd = std::move(fd);
  node_->handler = &handler;
}

FdWatcher::~FdWatcher() {
  if (!node_) return;
  const Fd closed = std::move(node_->fd);
  node_->close(false);
}

void FdWatcher::watch(bool readable, bool writable, bool hangup, bool error) noexcept {
  if (!node_) return;
  const int wanted =
      (readable ? kReadable : 0) | (writable ? kWritable : 0) | (hangup ? kHangup : 0) | (error ? kError : 0);
  if (wanted == node_->wanted) return;
  node_->wanted = wanted;
  node_->wanted_changed();
}

void FdWatcher::set_handler(FdHandler& handler) noexcept {
  if (node_) node_->handler = &handler;
}

int FdWatcher::fd() const noexcept { return node_ ? node_->fd.get() : -1; }

Fd FdWatcher::release() noexcept {
  if (!node_) return {};
  Fd fd = std::move(node_->fd);
  std::exchange(node_, nullptr)->close(true);
  return fd;
}

}  // namespace smartvpn::net
