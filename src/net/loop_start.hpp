// How a libuv loop comes into being in somebody else's process. libuv ends the process when its first loop finds no
// descriptor for a pipe, and when it closes a descriptor that has a number of the standard streams; a guest may not.
#pragma once

#include <uv.h>

namespace smartvpn::net {

// As uv_loop_init, with an asynchronous handle `async` that calls `on_async`: 0 or an errno, and nothing is left then.
// None of the loop's descriptors has a number below 3, neither here nor in children forked later. Any thread.
int start_loop(uv_loop_t* loop, uv_async_t* async, uv_async_cb on_async) noexcept;

}  // namespace smartvpn::net
