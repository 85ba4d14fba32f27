// Keys and counters; see the header file.
#include "session/data_channel.hpp"

#include <new>

namespace smartvpn::session {

DataChannel::DataChannel(Role role, Carrier carrier, const Timing& timing, crypto::AeadEngine& engine) noexcept
    : role_(role), ordered_(is_ordered(carrier)), timing_(timing), engine_(engine) {}

bool DataChannel::install(KeyMaterial&& material) noexcept {
  Epoch epoch;
  if (!ordered_) {
    epoch.window.reset(new (std::nothrow) ReplayWindow);
    if (!epoch.window) return false;
  }
  epoch.send = crypto::AeadKey(std::move(material.keys.send));
  epoch.recv = crypto::AeadKey(std::move(material.keys.recv));
  epoch.local_index = material.local_index;
  epoch.remote_index = material.remote_index;
  epoch.hash = material.hash;
  epoch.born = material.born;
  epoch.live = true;
  if (role_ == Role::responder) {
    next_ = std::move(epoch);
    return true;
  }
  previous_ = std::move(current_);
  current_ = std::move(epoch);
  current_heard_ = false;
  return true;
}

bool DataChannel::can_send(Time now) const noexcept {
  return current_.live && !stale(current_, now) && current_.sent < timing_.reject_after_messages;
}

void DataChannel::seal(ByteSpan message) noexcept {
  write_header(message.data(), {MessageType::data, current_.remote_index, current_.sent});
  crypto::SealJob job;
  job.counter = current_.sent++;
  job.ad = message.first(kHeaderSize);
  job.data = message.data() + kHeaderSize;
  job.size = message.size() - kHeaderSize - kTagSize;
  engine_.seal(current_.send, {&job, 1});
}

DataChannel::Epoch* DataChannel::find(uint32_t index) noexcept {
  for (Epoch* epoch : {&current_, &next_, &previous_})
    if (epoch->live && epoch->local_index == index) return epoch;
  return nullptr;
}

DataChannel::Opened DataChannel::open(const MessageHeader& header, ByteSpan message, Time now, ByteSpan& plaintext,
                                      Drop& drop) noexcept {
  const Opened bad = ordered_ ? Opened::fatal : Opened::dropped;
  drop = Drop::unknown_message;
  Epoch* epoch = find(header.receiver);
  if (!epoch || message.size() < kHeaderSize + kTagSize) return bad;
  if (stale(*epoch, now)) {
    drop = Drop::stale_key;
    return Opened::dropped;
  }
  drop = Drop::replayed;
  if (ordered_ && header.counter != epoch->expected) return bad;
  if (header.counter >= timing_.reject_after_messages) return bad;

  crypto::OpenJob job;
  job.counter = header.counter;
  job.ad = message.first(kHeaderSize);
  job.data = message.data() + kHeaderSize;
  job.size = message.size() - kHeaderSize;
  if (engine_.open(epoch->recv, {&job, 1}) != 1) {
    drop = Drop::decrypt_failed;
    return bad;
  }
  // Only a counter that authenticated may move the window.
  if (epoch->window && !epoch->window->accept(header.counter)) return bad;
  ++epoch->expected;
  plaintext = message.subspan(kHeaderSize, message.size() - kHeaderSize - kTagSize);

  const bool first = epoch == &next_ || (epoch == &current_ && role_ == Role::initiator && !current_heard_);
  if (!first) return Opened::ok;
  if (epoch == &next_) {
    previous_ = std::move(current_);
    current_ = std::move(next_);
    next_ = Epoch{};
  }
  current_heard_ = true;
  if (ordered_) previous_ = Epoch{};  // nothing older can still be on its way
  return Opened::first;
}

bool DataChannel::used_up() const noexcept {
  return current_.live &&
         (current_.sent >= timing_.rekey_after_messages || current_.expected >= timing_.rekey_after_messages);
}

bool DataChannel::uses_index(uint32_t index) const noexcept {
  for (const Epoch* epoch : {&current_, &next_, &previous_})
    if (epoch->live && epoch->local_index == index) return true;
  return false;
}

void DataChannel::purge(Time now) noexcept {
  if (previous_.live && stale(previous_, now)) previous_ = Epoch{};
  if (next_.live && stale(next_, now)) next_ = Epoch{};
}

}  // namespace smartvpn::session
