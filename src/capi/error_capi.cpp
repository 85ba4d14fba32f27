// Error objects (smartvpn.h, section 3). The one for "out of memory" is a value that needs no slot.
#include "capi/call.hpp"

namespace smartvpn::capi {
namespace {

class ErrorObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::error;
  explicit ErrorObject(Error&& error) noexcept : error(std::move(error)) {}
  const Error error;
};

// Even, so the table never gives it out.
constexpr uintptr_t kNoMemory = (sizeof(uintptr_t) >= 8 ? uintptr_t{1} << (sizeof(uintptr_t) * 8 - 2) : 0) | 0x10000;

bool is_no_memory(const smartvpn_error* err) noexcept { return value_of(err) == kNoMemory; }

}  // namespace

smartvpn_status fail(smartvpn_error** err, Error&& error) noexcept {
  auto status = static_cast<smartvpn_status>(error.status);
  if (!err || status >= 0) return status;
  try {
    give(err, std::make_unique<ErrorObject>(std::move(error)));
  } catch (...) {
    *err = reinterpret_cast<smartvpn_error*>(kNoMemory);
  }
  return status;
}

smartvpn_status fail_out_of_memory(smartvpn_error** err) noexcept {
  if (err) *err = reinterpret_cast<smartvpn_error*>(kNoMemory);
  return SMARTVPN_NO_MEMORY;
}

smartvpn_status fail_internal(smartvpn_error** err, const char* what) noexcept {
  try {
    return fail(err, make_error(Status::INTERNAL, what));
  } catch (...) {
    return fail_out_of_memory(err);
  }
}

Error handle_error(Status status) { return make_error(status, status_text(static_cast<int32_t>(status))); }

}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_error_status(const smartvpn_error* err) {
  if (is_no_memory(err)) return SMARTVPN_NO_MEMORY;
  return call_for_number<ErrorObject>(
      err, [](ErrorObject& object) -> Result<int32_t> { return static_cast<int32_t>(object.error.status); });
}

const char* smartvpn_error_path(const smartvpn_error* err) {
  return call_for_text<ErrorObject>(err, "", [](ErrorObject& object) { return object.error.path.c_str(); });
}

int32_t smartvpn_error_system_errno(const smartvpn_error* err) {
  if (is_no_memory(err)) return 0;
  return call_for_number<ErrorObject>(err,
                                      [](ErrorObject& object) -> Result<int32_t> { return object.error.system_errno; });
}

const char* smartvpn_error_text(const smartvpn_error* err) {
  if (is_no_memory(err)) return status_text(SMARTVPN_NO_MEMORY);
  return call_for_text<ErrorObject>(err, "", [](ErrorObject& object) { return object.error.text.c_str(); });
}

smartvpn_status smartvpn_error_free(smartvpn_error* err) {
  return is_no_memory(err) ? SMARTVPN_OK : free_handle<ErrorObject>(err);
}
