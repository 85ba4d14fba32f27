// The one list of statuses. C++ results, the C ABI's SMARTVPN_* constants, their texts and the
// bindings' exceptions are all made from it, so they cannot drift apart. Values are never renumbered.
#pragma once

#include <cstdint>

namespace smartvpn {

// X(NAME, value, text). Zero and above: the call did what it says. Below zero: it did not.
#define SMARTVPN_STATUS_LIST(X)                                                    \
  X(OK, 0, "success")                                                              \
  X(PENDING, 1, "accepted, completes later")                                       \
  X(INVALID, -1, "invalid argument or configuration")                              \
  X(UNSUPPORTED, -2, "not supported by this build or version")                     \
  X(BAD_HANDLE, -3, "not a live handle of this kind")                              \
  X(BAD_STATE, -4, "not allowed in the present state")                             \
  X(NOT_FOUND, -5, "not found")                                                    \
  X(EXISTS, -6, "already exists")                                                  \
  X(CONFLICT, -7, "changed by somebody else meanwhile")                            \
  X(TIMEOUT, -8, "timed out, nothing was done")                                    \
  X(AGAIN, -9, "nothing there now")                                                \
  X(CLOSED, -10, "closed")                                                         \
  X(INTERRUPTED, -11, "interrupted by the host")                                   \
  X(FORKED, -12, "the handle belongs to the parent process")                       \
  X(NO_MEMORY, -13, "out of memory")                                               \
  X(LIMIT, -14, "a limit is reached")                                              \
  X(BUFFER_TOO_SMALL, -15, "the buffer is too small, nothing was written")         \
  X(SECRET_NOT_KEPT, -16, "done, but the private key is not kept by the registry") \
  X(SYSTEM, -17, "the operating system refused")                                   \
  X(REFUSED, -18, "refused by the other side")                                     \
  X(INTERNAL, -19, "internal error, please report it")

enum class Status : int32_t {
#define X(name, value, text) name = value,
  SMARTVPN_STATUS_LIST(X)
#undef X
};

// "INVALID" and so on; "UNKNOWN" for a number that is not in the list. Static strings.
const char* status_name(int32_t status) noexcept;
// One English sentence fragment without a full stop. Static strings.
const char* status_text(int32_t status) noexcept;

}  // namespace smartvpn
