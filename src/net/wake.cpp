// Wake over uv_async; see loop.hpp.
#include "net/loop_impl.hpp"

namespace smartvpn::net {

// Outlives its Wake until libuv has let go of the handle.
struct Wake::Node {
  uv_async_t handle{};
  std::function<void()> callback;
  bool alive = true;
};

Result<std::unique_ptr<Wake>> Wake::create(Loop& loop, std::function<void()> callback) {
  auto node = std::make_unique<Node>();
  std::unique_ptr<Wake> wake(new Wake(nullptr));  // nothing may fail once libuv has the handle
  node->callback = std::move(callback);
  int rc = uv_async_init(&loop.impl().uv, &node->handle, [](uv_async_t* handle) {
    auto* self = static_cast<Node*>(handle->data);
    // The callback may destroy the Wake; the node and its function live until the close callback.
    if (self->alive) static_cast<Loop::Impl*>(handle->loop->data)->contain(self->callback);
  });
  if (rc != 0) return system_error(-rc, "cannot create a wake-up");
  node->handle.data = node.get();
  wake->node_ = node.release();
  return wake;
}

Wake::~Wake() {
  if (!node_) return;
  node_->alive = false;
  uv_close(reinterpret_cast<uv_handle_t*>(&node_->handle),
           [](uv_handle_t* handle) { delete static_cast<Node*>(handle->data); });
}

void Wake::wake() noexcept { uv_async_send(&node_->handle); }

}  // namespace smartvpn::net
