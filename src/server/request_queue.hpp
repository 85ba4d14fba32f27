// Authorize requests on their way to the host: the shard puts them in, the host's threads and the
// dispatcher take them out, each request once. Bounded by who puts in, because what is over is taken back.
// Any thread; the shard never waits here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.hpp"
#include "base/result.hpp"
#include "session/admission.hpp"

namespace smartvpn::server {

// Self-contained: it outlives the connection, the server and the answer.
struct AuthorizeRequest {
  uint64_t token = 0;  // what an answer is addressed to: an id with a generation, below 2^53
  std::string client_id;
  session::Connection connection;  // the first of those that wait for the answer
  int64_t deadline_ms = 0;         // wall clock; denied from then on

  std::string json() const;  // one line, as smartvpn_request_json
};
using RequestPtr = std::shared_ptr<const AuthorizeRequest>;

class RequestQueue {
 public:
  // SYSTEM when no descriptor is left.
  static Result<std::shared_ptr<RequestQueue>> create();
  ~RequestQueue();
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;

  // The place of the request, for withdraw(). Throws std::bad_alloc with nothing changed. Ignored once closed.
  uint64_t push(RequestPtr request);
  // Nobody is to be asked any more; without effect when somebody has taken it.
  void withdraw(uint64_t place) noexcept;

  // The oldest one. `timeout_ms`: 0 does not wait (AGAIN), -1 for ever, else TIMEOUT. CLOSED once closed.
  // `ready` sees the request before it is taken: what it throws leaves it where it is.
  using Ready = std::function<void(const AuthorizeRequest&)>;
  Result<RequestPtr> next(int32_t timeout_ms, const Ready& ready = {});
  // What is there is gone, nothing comes any more, and every `next` gives CLOSED.
  void close() noexcept;

  // Readable while `next(0)` would not give AGAIN: level-triggered, for polling only, ours to close, the same
  // for the queue's life.
  int fd() const noexcept { return fd_; }
  size_t size() const;

  // In a forked child: closes the descriptor, takes no lock. Only the destructor may follow.
  void abandon_after_fork() noexcept;

 private:
  explicit RequestQueue(int fd) : fd_(fd) {}
  void refresh_fd_locked() noexcept REQUIRES(mutex_);

  int fd_;
  mutable Mutex mutex_;
  CondVar arrived_;
  std::map<uint64_t, RequestPtr> waiting_ GUARDED_BY(mutex_);  // by place, which is the order of arrival
  uint64_t next_place_ GUARDED_BY(mutex_) = 1;
  bool readable_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace smartvpn::server
