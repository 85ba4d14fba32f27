// What both ends share; see the header file.
#include "session/session_machine.hpp"

#include <cstring>
#include <new>

namespace smartvpn::session {
namespace {

constexpr std::string_view kPrologueText = "smartvpn/1";
constexpr size_t kPacketsPerCall = 64;

}  // namespace

SessionMachine::SessionMachine(DataChannel::Role role, const SessionConfig& config, SessionHandler& handler,
                               crypto::AeadEngine& engine, PacketPool& pool, Rng& rng) noexcept
    : config_(config),
      handler_(handler),
      rng_(rng),
      keepalive_(config.timing),
      channel_(role, config.carrier, config_.timing, engine),
      queue_(rng.u32()),
      writer_(pool),
      pool_(pool),
      is_initiator_(role == DataChannel::Role::initiator) {}

// ---- receiving ----

void SessionMachine::receive(ByteSpan message, Time now) noexcept {
  if (closed_) return;
  auto header = message.size() <= max_incoming() ? read_header(message) : std::nullopt;
  if (!header) return violation(Drop::unknown_message, now);
  try {
    switch (header->type) {
      case MessageType::initiation:
      case MessageType::response:
      case MessageType::hello:
        return on_handshake_message(*header, message, now);
      case MessageType::data:
        return receive_data(*header, message, now);
    }
    handler_.on_drop(Drop::unknown_message, 1);
    if (!authenticated_ && ++unknown_from_stranger_ > kMaxUnknownFromStranger) fail(Reason::handshake_failed, now);
  } catch (const std::bad_alloc&) {
    close(Reason::out_of_memory, now);
  }
}

void SessionMachine::receive_data(const MessageHeader& header, ByteSpan message, Time now) {
  ByteSpan plaintext;
  Drop drop = Drop::none;
  const auto opened = channel_.open(header, message, now, plaintext, drop);
  if (opened == DataChannel::Opened::dropped) return handler_.on_drop(drop, 1);
  if (opened == DataChannel::Opened::fatal) return violation(drop, now);
  heard(now);
  if (opened == DataChannel::Opened::first && !closed_) on_new_keys(now);
  if (!closed_) act_on(plaintext, now);
}

void SessionMachine::act_on(ByteView plaintext, Time now) {
  RecordSummary summary;
  std::optional<SessionParameters> update;
  const RecordPolicy policy{config_.super_packets, is_initiator_};
  bool well_formed = check_records(plaintext, policy, summary);
  if (well_formed && summary.has_configuration) {
    update = decode_parameters(summary.configuration);
    well_formed = update.has_value();
  }
  if (!well_formed) return handler_.on_drop(Drop::malformed_record, 1);

  std::array<PacketView, kPacketsPerCall> batch;
  size_t packets = 0;
  uint64_t unknown = 0;
  bool answered = false;
  Record record, close_record;
  auto deliver = [&] {
    if (packets > 0 && !closed_) handler_.on_packets({batch.data(), packets});
    packets = 0;
  };
  for (RecordReader reader(plaintext); !closed_ && reader.next(record);) {
    switch (record.kind) {
      case RecordKind::padding:
        break;
      case RecordKind::packet:
      case RecordKind::super_packet:
        batch[packets++] = {record.body, record.segment_size, session_id_};
        if (packets == batch.size()) deliver();
        break;
      case RecordKind::ping:
        if (!std::exchange(answered, true) && keepalive_.may_pong(now))
          control_.add_pong(load_le64(record.body.data()));
        break;
      case RecordKind::pong:
        if (auto rtt = keepalive_.pong_received(load_le64(record.body.data()), now)) handler_.on_rtt(*rtt);
        break;
      case RecordKind::configuration:
        break;
      case RecordKind::close:
        close_record = record;
        break;
      default:
        ++unknown;
    }
  }
  deliver();
  if (unknown > 0 && !closed_) handler_.on_drop(Drop::unknown_record, unknown);
  if (update && !closed_) on_configuration(*update);
  if (close_record.kind == RecordKind::close && !closed_) closed_by_peer(close_record.body, now);
}

void SessionMachine::closed_by_peer(ByteView body, Time now) noexcept {
  CloseInfo info;
  info.by_peer = true;
  info.code = read_close_code(load_le16(body.data()));
  info.retry_after_s = load_le32(body.data() + 2);
  info.reconnect = reconnect_after(info.code);
  // A client cannot say that it was replaced or disabled; it can only go.
  info.reason = is_initiator_ ? reason_for(info.code) : Reason::peer_closed;
  finish(info, false, now);
}

void SessionMachine::heard(Time now) {
  const bool was_dead = keepalive_.liveness() == Liveness::dead;
  keepalive_.heard(now);
  if (was_dead) handler_.on_liveness(Liveness::alive);
}

void SessionMachine::on_configuration(const SessionParameters&) {}

// ---- sending ----

Drop SessionMachine::send(Packet&& packet, Time now) noexcept {
  if (closed_ || !established_) return Drop::session_not_ready;
  if (!packet || packet.size() == 0) return Drop::malformed_packet;
  if (packet.segment_size != 0 && !peer_super_packets_) return Drop::bad_super_packet;
  if (packet.size() > kMaxPacket || packet.size() + packet_record_overhead(packet.segment_size) > peer_max_plaintext_)
    return Drop::too_big;
  const uint64_t dropped = queue_.push(std::move(packet), now, queue_room());
  if (dropped > 0) handler_.on_drop(queue_.drop_name(), dropped);
  return Drop::none;
}

// Where memory is bounded a queue may take a part of what is left, so that those who never read, many as
// they may be, leave something to the others.
size_t SessionMachine::queue_room() const noexcept { return pool_.room() / 8; }

void SessionMachine::trim_queue() noexcept {
  const uint64_t dropped = queue_.trim(queue_room());
  if (dropped > 0 && !closed_) handler_.on_drop(Drop::queue_full, dropped);
}

Packet SessionMachine::pull(Time now, bool* reliable) noexcept {
  if (reliable) *reliable = true;
  if (outbox_) return std::exchange(outbox_, Packet{});
  if (!channel_.can_send(now)) return {};
  bool has_control = false;
  uint64_t dropped = 0;
  const WriterLimits limits{config_.batch_bytes, peer_max_plaintext_};
  Packet message = writer_.next(queue_, control_, keepalive_, limits, now, &has_control, &dropped);
  if (dropped > 0 && !closed_) handler_.on_drop(queue_.drop_name(), dropped);
  if (!message) return {};
  channel_.seal(message.bytes());
  if (reliable) *reliable = has_control;
  return message;
}

bool SessionMachine::wants_write(Time now) const noexcept {
  if (outbox_) return true;
  return channel_.can_send(now) && (!control_.empty() || queue_.ready(now) || writer_.has_staged());
}

void SessionMachine::queue_handshake(ByteView message, Time now) noexcept {
  outbox_ = pool_.copy_of(message);
  if (!outbox_) close(Reason::out_of_memory, now);
}

// ---- time ----

Time SessionMachine::next_deadline() const noexcept {
  if (closed_) return kNever;
  if (!established_) return role_deadline();
  return std::min({role_deadline(), keepalive_.next_deadline(), queue_.next_release()});
}

void SessionMachine::tick(Time now) noexcept {
  if (closed_) return;
  try {
    channel_.purge(now);
    queue_.look_at_gate(now);
    role_tick(now);
    if (!closed_ && established_) keepalive_tick(now);
  } catch (const std::bad_alloc&) {
    close(Reason::out_of_memory, now);
  }
}

void SessionMachine::keepalive_tick(Time now) {
  queue_.release_if_empty();
  const bool was_dead = keepalive_.liveness() == Liveness::dead;
  if (keepalive_.tick(now)) control_.add_ping();
  if (was_dead || keepalive_.liveness() != Liveness::dead) return;
  handler_.on_liveness(Liveness::dead);
  if (config_.close_when_dead) close(Reason::peer_timeout, now);
}

void SessionMachine::mark_established(Time now) noexcept {
  established_ = true;
  keepalive_.start(now);
}

// ---- keys ----

bool SessionMachine::install_keys(KeyMaterial&& material) noexcept {
  ++handshakes_;
  return channel_.install(std::move(material));
}

void SessionMachine::set_peer(uint32_t capabilities, uint32_t max_plaintext, uint16_t mtu) noexcept {
  peer_super_packets_ = (capabilities & kCapSuperPackets) != 0;
  peer_max_plaintext_ = max_plaintext;
  mtu_ = mtu;
}

uint32_t SessionMachine::fresh_index() noexcept {
  uint32_t index;
  do {
    index = rng_.u32();
  } while (index == 0 || channel_.uses_index(index));
  return index;
}

SessionMachine::Prologue SessionMachine::prologue(std::span<const uint8_t, 32> binding) const noexcept {
  Prologue out;
  uint8_t* p = std::copy(kPrologueText.begin(), kPrologueText.end(), out.begin());
  *p++ = static_cast<uint8_t>(config_.carrier);
  std::copy(binding.begin(), binding.end(), p);
  return out;
}

// ---- the end ----

void SessionMachine::close(Reason reason, Time now, uint32_t retry_after_s) noexcept {
  CloseInfo info;
  info.reason = reason;
  info.code = close_code_for(reason);
  info.retry_after_s = retry_after_s;
  info.reconnect = reconnect_after(info.code);
  finish(info, true, now);
}

void SessionMachine::fail(Reason reason, Time now) noexcept {
  if (closed_) return;
  outbox_ = Packet{};
  CloseInfo info;
  info.reason = reason;
  finish(info, false, now);
}

void SessionMachine::violation(Drop drop, Time now) noexcept {
  handler_.on_drop(drop, 1);
  if (closed_) return;
  if (!authenticated_) return fail(Reason::handshake_failed, now);
  if (is_ordered(config_.carrier)) close(Reason::protocol_error, now);
}

void SessionMachine::finish(const CloseInfo& info, bool tell, Time now) noexcept {
  if (closed_) return;
  closed_ = true;
  close_reason_ = info.reason;
  const uint64_t waiting = queue_.clear() + writer_.clear();
  if (waiting > 0) handler_.on_drop(Drop::session_not_ready, waiting);
  control_ = ControlQueue{};
  if (tell && channel_.can_send(now)) control_.set_close(static_cast<uint16_t>(info.code), info.retry_after_s);
  handler_.on_close(info);
}

uint16_t SessionMachine::websocket_close_code() const noexcept {
  const bool uniform = !authenticated_ || (!established_ && is_uniform_failure(close_reason_));
  if (!is_initiator_ && uniform) return 1008;
  switch (close_reason_) {
    case Reason::server_stopping:
    case Reason::draining:
      return 1001;
    case Reason::out_of_memory:
    case Reason::internal_error:
      return 1011;
    default:
      return 1000;
  }
}

}  // namespace smartvpn::session
