// See tun_device.hpp. Reads land behind the headroom of a large pool block: a super-packet goes on in it, a small
// packet is copied to a small block, which is cheaper than 64 KiB standing behind every ACK.
#include "forward/tun/tun_device.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/features.hpp"
#include "forward/tun/device_read.hpp"
#include "forward/tun/link_watch.hpp"
#include "forward/tun/tun_interface.hpp"
#include "forward/tun/tun_open.hpp"
#include "forward/tun/tun_steering.hpp"
#include "forward/tun/virtio_header.hpp"
#include "inet/coalesce.hpp"
#include "inet/inner_packet.hpp"

namespace smartvpn::forward {
namespace {

constexpr size_t kMaxVirtio = 12;
// A batch of this many is enough for everything behind; more of them would only wait for each other.
constexpr size_t kDeliverSegments = 128;

}  // namespace

struct TunDevice::Impl {
  Impl(PacketPool& p, TunHandler& h, OpenedTun& tun)
      : pool(p),
        handler(h),
        virtio_size(tun.virtio_size),
        udp_offload(tun.udp_offload),
        adopted(tun.adopted),
        multi_queue(tun.multi_queue),
        interface(tun.index, tun.adopted || tun.persistent),
        coalescer({tun.virtio_size > 0, tun.udp_offload}) {}

  enum class Step { more, blocked, broken };
  Step read_one();
  void received(Packet packet, const VirtioHeader& header);
  void deliver();
  void tell_drops();
  void fail(int error);

  void write_single(ByteView packet);
  void write_super(ByteView packet, uint16_t segment_size);
  void write_coalesced();
  void send(const VirtioHeader& header, ByteView head, std::span<const ByteView> payloads);
  void cut(ByteView packet, const inet::SuperInfo& info);
  void drop(Drop why, uint64_t packets = 1);

  PacketPool& pool;
  TunHandler& handler;
  const size_t virtio_size;
  const bool udp_offload, adopted, multi_queue;
  TunInterface interface;
  inet::Coalescer coalescer;
  std::unique_ptr<net::FdWatcher> watcher;
  std::unique_ptr<LinkWatch> link_watch;
  Packet spare;               // where the next read goes
  std::vector<Packet> batch;  // read in this turn, not yet delivered
  size_t waiting = 0;         // segments in it
  std::array<uint64_t, kDropCount> drops{};
  bool dropped = false, failed = false;
  bool up = true;  // as far as we have told
};

TunDevice::TunDevice() = default;

TunDevice::~TunDevice() {
  if (impl_) impl_->interface.remove_all();
}

Result<std::unique_ptr<TunDevice>> TunDevice::open(net::Loop& loop, const TunOptions& options, PacketPool& pool,
                                                   TunHandler& handler) {
#if !SMARTVPN_WITH_TUN
  (void)loop, (void)pool, (void)handler;
  return make_error(Status::UNSUPPORTED, "this build has no tun device", options.path);
#else
  auto tun = open_tun(options);
  if (!tun) return tun.error();
  std::unique_ptr<TunDevice> device(new TunDevice);
  device->name_ = tun->name;
  device->index_ = tun->index;
  device->impl_ = std::make_unique<Impl>(pool, handler, *tun);
  auto watcher = net::FdWatcher::create(loop, std::move(tun->fd), *device);
  if (!watcher) return watcher.error();
  device->impl_->watcher = std::move(*watcher);
  device->loop_ = &loop;
  return device;
#endif
}

bool TunDevice::has_offload() const noexcept { return impl_->virtio_size > 0; }
bool TunDevice::has_udp_offload() const noexcept { return impl_->udp_offload; }

std::optional<TunOptions> TunDevice::another_queue() const {
  if (!impl_->multi_queue || impl_->failed) return std::nullopt;
  TunOptions out;
  out.name = name_;
  out.queue_of = {index_, impl_->virtio_size, impl_->udp_offload};
  return out;
}

Result<void> TunDevice::steer_by(const TunSteering& steering) { return steering.attach(impl_->watcher->fd()); }

Result<void> TunDevice::apply(const TunSettings& settings) {
  auto result = impl_->interface.apply(settings);
  if (!result) return result;
  if (!impl_->adopted && !impl_->link_watch) {
    auto watch = LinkWatch::create(*loop_, index_, [this] { look_after(); });
    if (!watch) return watch.error();
    impl_->link_watch = std::move(*watch);
  }
  start_reading();
  return result;
}

// Somebody else may have done something to the device.
void TunDevice::look_after() {
  auto& it = *impl_;
  if (it.failed) return;
  auto look = it.interface.look_after();
  if (!look) {
    // ENODEV: it is being deleted, or has moved to another network namespace.
    if (look.error().system_errno != ENODEV)
      it.handler.on_tun_notice("device " + name_ + " was changed by somebody: " + look.error().text);
    return;
  }
  const bool came_up = look->up && !it.up;
  const bool went_down = !look->up && it.up;
  it.up = look->up;
  const std::string again = std::to_string(look->set_again) + " of its addresses and routes were set again";
  if (went_down)
    it.handler.on_tun_notice("device " + name_ + " was set down: nothing is forwarded until it is up");
  else if (came_up)
    it.handler.on_tun_notice("device " + name_ + " is up again; " + again);
  else if (look->set_again > 0)
    it.handler.on_tun_notice("device " + name_ + " was changed by somebody; " + again);
}

Result<void> TunDevice::keep_outside(const std::vector<inet::IpAddress>& addresses, bool afresh) {
  return impl_->interface.keep_outside(addresses, afresh);
}

void TunDevice::start_reading() {
  if (!impl_->failed) impl_->watcher->watch(true, false);
}

void TunDevice::on_readable() {
  auto& it = *impl_;
  auto step = Impl::Step::more;
  int error = 0;
  for (int i = 0; i < kReadsPerTurn && step == Impl::Step::more; ++i) {
    step = it.read_one();
    error = errno;
    // What has been read is sealed and sent while the processor's cache still has it.
    if (it.waiting >= kDeliverSegments) it.deliver();
    if (it.failed) return;
  }
  it.deliver();
  if (step == Impl::Step::broken) it.fail(error);
}

void TunDevice::on_fd_error() { impl_->fail(ENODEV); }

// What was read in this turn is lost; the next turn may find memory again.
void TunDevice::on_out_of_memory() noexcept {
  impl_->batch.clear();
  impl_->waiting = 0;
  impl_->watcher->watch(!impl_->failed, false);
}

TunDevice::Impl::Step TunDevice::Impl::read_one() {
  if (!spare) spare = pool.take(PacketPool::kLarge);
  std::array<uint8_t, kMaxVirtio> raw{};
  // Without memory the packet is read and thrown away: the tun is always read, or it would stall.
  std::array<uint8_t, 1> nowhere{};
  iovec iov[2] = {{raw.data(), virtio_size}, {nowhere.data(), nowhere.size()}};
  if (spare) iov[1] = {spare.bytes().data(), spare.size()};
  ssize_t n = readv(watcher->fd(), virtio_size ? iov : iov + 1, virtio_size ? 2 : 1);
  if (n < 0) {
    if (errno == EINTR || errno == ENOMEM || errno == ENOBUFS) return Step::more;
    return errno == EAGAIN || errno == EWOULDBLOCK ? Step::blocked : Step::broken;
  }
  if (static_cast<size_t>(n) <= virtio_size) return Step::more;
  if (!spare) {
    drop(Drop::engine_full);
    return Step::more;
  }
  size_t size = static_cast<size_t>(n) - virtio_size;
  spare.set_range(PacketPool::kHeadroom, size);
  Packet packet = size <= PacketPool::kSmall ? pool.copy_of(spare.bytes()) : std::move(spare);
  if (spare) spare.set_range(PacketPool::kHeadroom, PacketPool::kLarge);
  if (packet) {
    received(std::move(packet), VirtioHeader::load(raw.data()));
  } else {
    drop(Drop::engine_full);
  }
  return Step::more;
}

void TunDevice::Impl::received(Packet packet, const VirtioHeader& header) {
  const size_t before = batch.size();
  const ReadDrop lost = take_device_read(std::move(packet), header, pool, batch);
  for (size_t i = before; i < batch.size(); ++i) waiting += batch[i].segments;
  if (lost.why != Drop::none) drop(lost.why, lost.packets);
}

void TunDevice::Impl::deliver() {
  if (!batch.empty()) handler.on_tun_packets(batch);
  batch.clear();
  waiting = 0;
  tell_drops();
}

void TunDevice::Impl::tell_drops() {
  if (!dropped) return;
  dropped = false;
  for (size_t i = 0; i < drops.size(); ++i)
    if (uint64_t count = std::exchange(drops[i], 0); count > 0) handler.on_tun_drop(static_cast<Drop>(i), count);
}

void TunDevice::Impl::fail(int error) {
  if (failed) return;
  failed = true;
  watcher->watch(false, false);
  Error told{Status::SYSTEM, {}, error, {}};
  try {
    told = system_error(error, "the tun device is gone");
  } catch (const std::bad_alloc&) {
    // Without a text, but told.
  }
  handler.on_tun_failed(told);  // may destroy the device
}

void TunDevice::Impl::drop(Drop why, uint64_t packets) {
  drops[static_cast<size_t>(why)] += packets;
  dropped = true;
}

void TunDevice::write(std::span<const PacketView> batch) {
  auto& it = *impl_;
  bool coalesce = it.virtio_size > 0 && batch.size() > 1;
  for (const PacketView& packet : batch) {
    if (it.failed) {
      it.drop(Drop::engine_failed, 1);
    } else if (coalesce) {
      if (it.coalescer.add(packet)) continue;
      it.write_coalesced();
      if (!it.coalescer.add(packet)) it.drop(Drop::engine_full, 1);  // an empty one takes any packet
    } else if (packet.segment_size != 0) {
      it.write_super(packet.bytes, packet.segment_size);
    } else {
      it.write_single(packet.bytes);
    }
  }
  if (!it.coalescer.empty()) it.write_coalesced();
  it.tell_drops();
}

void TunDevice::Impl::write_coalesced() {
  for (const inet::Coalesced& packet : coalescer.flush()) {
    if (packet.segment_size == 0) {
      send({}, packet.head, packet.payloads);
    } else if (packet.payloads.empty()) {
      write_super(packet.head, packet.segment_size);
    } else {
      send(VirtioHeader::of(packet.info), packet.head, packet.payloads);
    }
  }
  coalescer.clear();
}

void TunDevice::Impl::write_single(ByteView packet) { send({}, packet, {}); }

void TunDevice::Impl::write_super(ByteView packet, uint16_t segment_size) {
  inet::SuperInfo info;
  if (inet::parse_super(packet, segment_size, info) != Drop::none) return drop(Drop::bad_super_packet);
  if (virtio_size > 0 && info.segments > 1 && (info.tcp || udp_offload))
    return send(VirtioHeader::of(info), packet, {});
  cut(packet, info);
}

void TunDevice::Impl::cut(ByteView packet, const inet::SuperInfo& info) {
  size_t made = inet::segment(packet, info, pool, [this](Packet&& p) { write_single(p.bytes()); });
  if (made < info.segments) drop(Drop::engine_full, info.segments - made);
}

void TunDevice::Impl::send(const VirtioHeader& header, ByteView head, std::span<const ByteView> payloads) {
  constexpr size_t kPieces = inet::kMaxSegments + 2;
  std::array<uint8_t, kMaxVirtio> raw{};
  header.store(raw.data());
  std::array<iovec, kPieces> iov;
  size_t count = 0;
  if (virtio_size > 0) iov[count++] = {raw.data(), virtio_size};
  iov[count++] = {const_cast<uint8_t*>(head.data()), head.size()};
  if (payloads.size() > kPieces - count) return drop(Drop::bad_super_packet);
  for (ByteView piece : payloads) iov[count++] = {const_cast<uint8_t*>(piece.data()), piece.size()};
  ssize_t n;
  do {
    n = writev(watcher->fd(), iov.data(), static_cast<int>(count));
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return;
  drop(errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? Drop::engine_full : Drop::engine_failed);
}

}  // namespace smartvpn::forward
