// How every C function is written: the exception barrier, the look-up of its handle, and the error
// object. Nothing that is thrown passes these functions; out of memory becomes a static error.
#pragma once

#include <memory>
#include <utility>

#include "base/result.hpp"
#include "capi/handle_table.hpp"
#include "smartvpn.h"

namespace smartvpn::capi {

// `error` as a status and, if `err` is given and the status is a failure, as an error object.
smartvpn_status fail(smartvpn_error** err, Error&& error) noexcept;
smartvpn_status fail_out_of_memory(smartvpn_error** err) noexcept;
smartvpn_status fail_internal(smartvpn_error** err, const char* what) noexcept;

Error handle_error(Status status);

template <class Handle>
uintptr_t value_of(const Handle* handle) noexcept {
  return reinterpret_cast<uintptr_t>(handle);
}

// `fn` gives a Result<void>. PENDING travels as an Error, too, but is no failure.
template <class Fn>
smartvpn_status barrier(smartvpn_error** err, Fn&& fn) noexcept {
  if (err) *err = nullptr;
  try {
    Result<void> result = fn();
    return result ? SMARTVPN_OK : fail(err, std::move(result).error());
  } catch (const std::bad_alloc&) {
    return fail_out_of_memory(err);
  } catch (const std::exception& e) {
    return fail_internal(err, e.what());
  } catch (...) {
    return fail_internal(err, "unknown exception");
  }
}

// A live object while a call runs. T::kKind says which kind it is.
template <class T>
class Reference {
 public:
  explicit Reference(uintptr_t handle) : handle_(handle) {
    Object* object = nullptr;
    status_ = HandleTable::instance().acquire(handle, T::kKind, &object);
    object_ = static_cast<T*>(object);
  }
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;
  ~Reference() {
    if (object_) HandleTable::instance().release(handle_);
  }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  Status status() const noexcept { return status_; }
  T& operator*() const noexcept { return *object_; }

 private:
  uintptr_t handle_;
  Status status_;
  T* object_ = nullptr;
};

// `fn(T&)` gives a Result<void>.
template <class T, class Handle, class Fn>
smartvpn_status call(const Handle* handle, smartvpn_error** err, Fn&& fn) noexcept {
  return barrier(err, [&]() -> Result<void> {
    Reference<T> object(value_of(handle));
    if (!object) return handle_error(object.status());
    return fn(*object);
  });
}

// For functions that answer with a number of their own: `fn(T&)` gives a Result<int32_t>.
template <class T, class Handle, class Fn>
int32_t call_for_number(const Handle* handle, Fn&& fn) noexcept {
  int32_t number = 0;
  smartvpn_status status = call<T>(handle, nullptr, [&](T& object) -> Result<void> {
    Result<int32_t> result = fn(object);
    if (!result) return std::move(result).error();
    number = *result;
    return {};
  });
  return status == SMARTVPN_OK ? number : status;
}

// For functions that lend a text: `fn(T&)` gives a const char*, `otherwise` answers a bad handle.
template <class T, class Handle, class Fn>
const char* call_for_text(const Handle* handle, const char* otherwise, Fn&& fn) noexcept {
  const char* text = otherwise;
  call<T>(handle, nullptr, [&](T& object) -> Result<void> {
    text = fn(object);
    return {};
  });
  return text;
}

// A new handle for `object`, written to `*out`.
template <class Handle, class T>
void give(Handle** out, std::unique_ptr<T> object) {
  *out = reinterpret_cast<Handle*>(HandleTable::instance().insert(T::kKind, std::move(object)));
}

// A place for the handle of what cannot be undone or taken twice: had before it is done, so that giving cannot fail.
class Place {
 public:
  Place() : index_(HandleTable::instance().reserve()) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    if (!used_) HandleTable::instance().give_back(index_);
  }
  template <class Handle, class T>
  void give(Handle** out, std::unique_ptr<T> object) noexcept {
    used_ = true;
    *out = reinterpret_cast<Handle*>(HandleTable::instance().fill(index_, T::kKind, std::move(object)));
  }

 private:
  const uint32_t index_;
  bool used_ = false;
};

template <class T, class Handle>
smartvpn_status free_handle(Handle* handle) noexcept {
  if (!handle) return SMARTVPN_OK;
  return barrier(nullptr, [&]() -> Result<void> {
    Status status = HandleTable::instance().free(value_of(handle), T::kKind);
    if (status != Status::OK) return handle_error(status);
    return {};
  });
}

}  // namespace smartvpn::capi
