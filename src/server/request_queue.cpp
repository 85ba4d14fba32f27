// An ordered map in place of a deque, so that a request in the middle can be taken back at once; and an
// eventfd that is written and drained only when its state changes, under the lock.
#include "server/request_queue.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/descriptor.hpp"
#include "telemetry/event.hpp"
#include "telemetry/json_text.hpp"

namespace smartvpn::server {

std::string AuthorizeRequest::json() const {
  std::string out;
  telemetry::JsonObject object(out);
  object.number("token", token);
  object.text("client_id", client_id);
  object.number("listener", connection.listener);
  object.text("transport", session::transport_name(connection.transport));
  if (connection.real_addr) object.text("remote_addr", connection.real_addr->text());
  object.text("peer_addr", connection.peer_addr.text());
  if (!connection.tlvs.empty()) {
    std::vector<std::pair<std::string, std::string>> items;
    for (const auto& tlv : connection.tlvs) items.emplace_back(tlv.name, tlv.value);
    object.key("tlvs");
    telemetry::append_json_texts(out, items, telemetry::Event::kMaxItems, telemetry::Event::kMaxTextBytes);
  }
  object.signed_number("deadline", deadline_ms);
  object.close();
  return out;
}

Result<std::shared_ptr<RequestQueue>> RequestQueue::create() {
  std::shared_ptr<RequestQueue> queue(new RequestQueue(-1));  // which closes the descriptor
  queue->fd_ = above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (queue->fd_ < 0) return system_error(errno, "eventfd");
  return queue;
}

RequestQueue::~RequestQueue() { abandon_after_fork(); }

void RequestQueue::abandon_after_fork() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

uint64_t RequestQueue::push(RequestPtr request) {
  MutexLock lock(mutex_);
  if (closed_) return 0;
  waiting_.emplace_hint(waiting_.end(), next_place_, std::move(request));
  refresh_fd_locked();
  arrived_.notify_one();
  return next_place_++;
}

void RequestQueue::withdraw(uint64_t place) noexcept {
  MutexLock lock(mutex_);
  if (waiting_.erase(place) != 0) refresh_fd_locked();
}

Result<RequestPtr> RequestQueue::next(int32_t timeout_ms, const Ready& ready_to_take) {
  MutexLock lock(mutex_);
  auto ready = [this]() REQUIRES(mutex_) { return closed_ || !waiting_.empty(); };
  if (timeout_ms < 0)
    arrived_.wait(lock, ready);
  else if (timeout_ms > 0 && !arrived_.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready))
    return make_error(Status::TIMEOUT, "no request came in time");
  if (closed_) return make_error(Status::CLOSED, "the server has stopped");
  if (waiting_.empty()) return make_error(Status::AGAIN, "no request is waiting");
  try {
    if (ready_to_take) ready_to_take(*waiting_.begin()->second);
  } catch (...) {
    arrived_.notify_one();  // somebody else may be able to take it
    throw;
  }
  RequestPtr request = std::move(waiting_.begin()->second);
  waiting_.erase(waiting_.begin());
  refresh_fd_locked();
  return request;
}

void RequestQueue::close() noexcept {
  MutexLock lock(mutex_);
  closed_ = true;
  waiting_.clear();
  refresh_fd_locked();
  arrived_.notify_all();
}

size_t RequestQueue::size() const {
  MutexLock lock(mutex_);
  return waiting_.size();
}

void RequestQueue::refresh_fd_locked() noexcept {
  bool readable = closed_ || !waiting_.empty();
  if (readable == readable_ || fd_ < 0) return;
  readable_ = readable;
  uint64_t value = 1;
  // Neither can fail on a non-blocking eventfd whose counter is only ever 0 or 1.
  [[maybe_unused]] ssize_t done = readable ? ::write(fd_, &value, sizeof value) : ::read(fd_, &value, sizeof value);
}

}  // namespace smartvpn::server
