// The host's side of the host engine; see host_engine.hpp and host_channel.hpp.
#include "forward/host/host_channel.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.hpp"
#include "base/descriptor.hpp"

namespace smartvpn::forward {
namespace {

constexpr uint32_t kMaxPacket = 65535;

// What is left until `end`, in whole milliseconds rounded up; -1 for ever.
int remaining_ms(Time end) {
  if (end == kNever) return -1;
  auto left = std::chrono::ceil<milliseconds>(end - monotonic_now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

}  // namespace

HostChannel::HostChannel(const HostEngineOptions& options) : impl_(std::make_unique<Impl>(options.ring_bytes)) {
  impl_->event.reset(above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!impl_->event) impl_->error = errno;
}

HostChannel::~HostChannel() = default;

int HostChannel::fd() const noexcept { return impl_->event.get(); }
void HostChannel::abandon_after_fork() noexcept { impl_->event.reset(); }

void HostChannel::Impl::signal_host() noexcept {
  if (!host_signalled.exchange(true)) eventfd_write(event.get(), 1);
}

void HostChannel::Impl::close() noexcept {
  closed.store(true);
  eventfd_write(event.get(), 1);  // never lowered again: every reader wakes and sees it
  MutexLock lock(write_lock);
  shard_wake = nullptr;
}

void HostChannel::Impl::lower_signal() noexcept {
  if (closed.load()) return;
  eventfd_t count;
  eventfd_read(event.get(), &count);
  host_signalled.store(false);
  if (!to_host.empty()) signal_host();
  if (closed.load()) eventfd_write(event.get(), 1);
}

size_t HostChannel::Impl::take(ByteSpan arena, std::span<HostPacket> meta, bool& too_small) noexcept {
  size_t count = 0, used = 0;
  PacketRing::Record record;
  while (count < meta.size() && to_host.front(record)) {
    if (record.length > arena.size() - used) {
      too_small = count == 0;
      break;
    }
    to_host.pop(record, arena.data() + used);
    meta[count++] = {used, record.length, record.segment_size, record.session};
    used += record.length;
  }
  to_host.release();
  if (to_host.empty()) lower_signal();
  return count;
}

Result<size_t> HostChannel::read(ByteSpan arena, std::span<HostPacket> meta, int32_t timeout_ms) {
  if (meta.empty()) return make_error(Status::INVALID, "no room for a packet's description");
  Time end = timeout_ms < 0 ? kNever : timeout_ms == 0 ? Time{} : monotonic_now() + milliseconds(timeout_ms);
  for (;;) {
    bool was_closed = impl_->closed.load(), too_small = false;
    {
      MutexLock lock(impl_->read_lock);
      if (size_t count = impl_->take(arena, meta, too_small); count > 0) return count;
    }
    if (too_small) return make_error(Status::BUFFER_TOO_SMALL, "the next packet is larger than the arena");
    if (was_closed) return make_error(Status::CLOSED, "the server has stopped");
    if (timeout_ms == 0) return make_error(Status::AGAIN, "no packet waits");
    int wait = remaining_ms(end);
    pollfd item{fd(), POLLIN, 0};
    if (wait == 0 || poll(&item, 1, wait) == 0) {
      if (remaining_ms(end) == 0) return make_error(Status::TIMEOUT, "no packet came in time");
    }
  }
}

Result<size_t> HostChannel::write(ByteView arena, std::span<const HostPacket> meta) {
  for (const HostPacket& packet : meta)
    if (packet.length == 0 || packet.length > kMaxPacket || packet.offset > arena.size() ||
        packet.length > arena.size() - packet.offset || packet.segment_size > kMaxPacket)
      return make_error(Status::INVALID, "a packet lies outside the arena, is empty or longer than 65535 bytes");
  MutexLock lock(impl_->write_lock);
  if (impl_->closed.load() || !impl_->shard_wake) return make_error(Status::CLOSED, "the server is not running");
  size_t count = 0;
  for (const HostPacket& packet : meta) {
    PacketRing::Record record{packet.length, packet.segment_size, packet.session_id};
    if (!impl_->to_clients.push(record, arena.subspan(packet.offset, packet.length))) break;
    ++count;
  }
  impl_->to_clients.publish();
  if (count > 0 && !impl_->shard_signalled.exchange(true)) impl_->shard_wake->wake();
  if (count == 0 && !meta.empty()) return make_error(Status::AGAIN, "no room for a packet now");
  return count;
}

}  // namespace smartvpn::forward
