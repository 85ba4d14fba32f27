// Result<T>: a value, or an Error that says what the environment or the host did wrong. Nothing in
// the core throws across rooms; a function that can fail for outside reasons returns one of these.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

#include "base/status.hpp"

namespace smartvpn {

struct Error {
  Status status = Status::INTERNAL;
  std::string path;      // JSON Pointer into the configuration, or empty
  int system_errno = 0;  // errno of the refused system call, or 0
  std::string text;      // one sentence for a person; never a secret
};

inline Error make_error(Status status, std::string text, std::string path = {}) {
  return Error{status, std::move(path), 0, std::move(text)};
}

// An Error of status SYSTEM whose text is `what: strerror(errno)`.
Error system_error(int system_errno, std::string what, std::string path = {});

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const noexcept { return value_.has_value(); }
  bool ok() const noexcept { return value_.has_value(); }

  T& value() & {
    assert(value_);
    return *value_;
  }
  const T& value() const& {
    assert(value_);
    return *value_;
  }
  T&& value() && {
    assert(value_);
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    assert(!value_);
    return error_;
  }
  Error&& error() && {
    assert(!value_);
    return std::move(error_);
  }

 private:
  std::optional<T> value_;
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const noexcept { return !error_; }
  bool ok() const noexcept { return !error_; }
  const Error& error() const& {
    assert(error_);
    return *error_;
  }
  Error&& error() && {
    assert(error_);
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace smartvpn
