// See lasting_tun.hpp.
#include "forward/tun/lasting_tun.hpp"

#include <utility>

namespace smartvpn::forward {

LastingTun::LastingTun(net::Loop& loop, std::string name, Maker maker)
    : maker_(std::move(maker)),
      name_(std::move(name)),
      revival_(
          loop, [this] { return make_again(); }, [this](const std::string& text) { on_tun_notice(text); }) {}

LastingTun::~LastingTun() { close(); }

Result<void> LastingTun::open(EngineSink& sink) {
  sink_ = &sink;
  if (auto result = make(); !result) return result;
  name_ = device_->name();
  return {};
}

void LastingTun::close() {
  revival_.stop();
  part();
  sink_ = nullptr;
}

Result<void> LastingTun::make() {
  auto device = maker_.make(name_, *this);
  if (!device) return device.error();
  device_ = std::move(*device);
  return {};
}

Result<void> LastingTun::make_again() {
  part();  // of an attempt that had no memory to end well
  if (auto result = make(); !result) return result;
  sink_->on_engine_recovered("device " + name_ + " was made anew");
  return {};
}

void LastingTun::part() {
  if (maker_.part) maker_.part();
  device_.reset();
}

void LastingTun::write(std::span<const PacketView> batch) {
  if (device_) return device_->write(batch);
  if (sink_) sink_->on_engine_drop(Drop::engine_failed, batch.size());
}

void LastingTun::on_tun_packets(std::span<Packet> batch) { sink_->on_engine_packets(batch); }
void LastingTun::on_tun_drop(Drop drop, uint64_t packets) { sink_->on_engine_drop(drop, packets); }
void LastingTun::on_tun_notice(const std::string& text) { sink_->on_engine_notice(text); }

void LastingTun::on_tun_failed(const Error& error) {
  if (!maker_.lent) {
    part();
    revival_.begin();  // before anything that may want memory
  }
  sink_->on_engine_failed(error);
}

}  // namespace smartvpn::forward
