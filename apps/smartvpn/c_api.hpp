// RAII around the handles of smartvpn.h and one way to fail: a call that answers a negative status
// becomes a `Failure`, which main() prints as "smartvpn: <path>: <text>" and turns into the exit code.
#pragma once

#include <smartvpn.h>
#include <string.h>

#include <memory>
#include <string>
#include <utility>

namespace smartvpn::cli {

constexpr int kExitOk = 0;
constexpr int kExitRuntime = 1;
constexpr int kExitUsage = 2;  // wrong arguments, or a configuration that is refused

struct Failure {
  int exit_code = kExitRuntime;
  std::string path;  // of a file, or a JSON Pointer into the configuration; may be empty
  std::string text;
  smartvpn_status status = SMARTVPN_OK;  // of the library's call, if it was one
};

template <auto Free>
struct HandleDeleter {
  template <class T>
  void operator()(T* handle) const noexcept {
    (void)Free(handle);
  }
};
using Config = std::unique_ptr<smartvpn_config, HandleDeleter<smartvpn_config_free>>;
using Server = std::unique_ptr<smartvpn_server, HandleDeleter<smartvpn_server_free>>;
using Tunnel = std::unique_ptr<smartvpn_tunnel, HandleDeleter<smartvpn_tunnel_free>>;
using Relay = std::unique_ptr<smartvpn_relay, HandleDeleter<smartvpn_relay_free>>;
using Events = std::unique_ptr<smartvpn_events, HandleDeleter<smartvpn_events_free>>;
using Event = std::unique_ptr<smartvpn_event, HandleDeleter<smartvpn_event_free>>;
using Credentials = std::unique_ptr<smartvpn_credentials, HandleDeleter<smartvpn_credentials_free>>;
using Stats = std::unique_ptr<smartvpn_stats, HandleDeleter<smartvpn_stats_free>>;
using ApiError = std::unique_ptr<smartvpn_error, HandleDeleter<smartvpn_error_free>>;

void print_failure(const Failure& failure);
// The same line, without its end.
std::string failure_text(const Failure& failure);

// What an operator can only mend in the configuration is no run-time failure.
inline int exit_code_of(smartvpn_status status) noexcept {
  bool configuration = status == SMARTVPN_INVALID || status == SMARTVPN_UNSUPPORTED || status == SMARTVPN_EXISTS;
  return configuration ? kExitUsage : kExitRuntime;
}

inline Failure failure_of(smartvpn_status status, const smartvpn_error* error) {
  std::string text = error ? smartvpn_error_text(error) : "";
  if (text.empty()) text = smartvpn_status_text(status);
  return {exit_code_of(status), error ? smartvpn_error_path(error) : "", std::move(text), status};
}

// Calls `fn` with a place for an error object and throws Failure for a negative status.
template <class Fn>
smartvpn_status call(Fn fn) {
  smartvpn_error* raw = nullptr;
  smartvpn_status status = fn(&raw);
  ApiError error(raw);
  if (status < 0) throw failure_of(status, error.get());
  return status;
}

// The same for a function whose last but one argument is the new handle's place.
template <class Handle, class Fn>
Handle make(Fn fn) {
  typename Handle::pointer raw = nullptr;
  call([&](smartvpn_error** error) { return fn(&raw, error); });
  return Handle(raw);
}

// A text whose bytes are wiped when it goes: private keys and files that hold them.
class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string text) noexcept : text_(std::move(text)) {}
  ~SecretText() { ::explicit_bzero(text_.data(), text_.size()); }
  SecretText(SecretText&&) = default;
  SecretText& operator=(SecretText&&) = delete;
  std::string& text() noexcept { return text_; }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

// The text that a function with (buf, cap, needed, err) as its last arguments gives. `status` tells of
// SECRET_NOT_KEPT, which comes with a text and is no failure here.
template <class Fn>
SecretText read_text(Fn fn, smartvpn_status* status = nullptr) {
  size_t cap = 4096;
  for (;;) {
    SecretText text(std::string(cap, '\0'));
    size_t needed = 0;
    smartvpn_error* raw = nullptr;
    smartvpn_status answer = fn(text.text().data(), cap, &needed, &raw);
    ApiError error(raw);
    if (status) *status = answer;
    if (answer >= 0 || answer == SMARTVPN_SECRET_NOT_KEPT) {
      text.text().resize(needed == 0 ? 0 : needed - 1);
      return text;
    }
    if (answer != SMARTVPN_BUFFER_TOO_SMALL) throw failure_of(answer, error.get());
    cap = needed + needed / 8;  // it may have grown by the next call
  }
}

}  // namespace smartvpn::cli
