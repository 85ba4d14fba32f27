// The receiving and the closing rules of RFC 6455: a loop of header, payload, header. Payload is
// unmasked where it lies; only a message that is cut, by the stream or by its sender, is gathered in
// `message_`. Every rule that can fail does so before the bytes it concerns are kept.
#include "transport/ws/message_machine.hpp"

#include <new>

namespace smartvpn::ws {
namespace {

// A message up to this size gets its buffer in one step, so a cut frame is copied once. Beyond it the
// buffer grows with what has really arrived.
constexpr size_t kReserveStep = 128 * 1024;

constexpr size_t kMaxReason = kMaxControlPayload - 2;

}  // namespace

Machine::State Machine::feed(ByteSpan data, Handler& handler) {
  while (live() && !data.empty()) {
    if (!in_payload_ && !take_header(data, handler)) break;
    const size_t n = static_cast<size_t>(std::min<uint64_t>(frame_left_, data.size()));
    ByteSpan chunk = data.first(n);
    data = data.subspan(n);
    take_payload(chunk, false, handler);
  }
  // Kept while a message is under way.
  if (message_.empty() || state_ != State::open) message_.release();
  return state_;
}

ByteSpan Machine::gap() noexcept {
  if (state_ != State::open || !in_payload_ || is_control(frame_.opcode) || message_.empty()) return {};
  ByteSpan room = message_.room();
  return room.first(static_cast<size_t>(std::min<uint64_t>(frame_left_, room.size())));
}

Machine::State Machine::feed_gap(size_t n, ByteSpan rest, Handler& handler) {
  ByteSpan chunk = gap().first(n);
  message_.commit(n);
  take_payload(chunk, true, handler);
  return feed(rest, handler);
}

// False when the header is not complete (all of `data` is then taken) or the frame broke a rule.
bool Machine::take_header(ByteSpan& data, Handler& handler) {
  const size_t before = header_have_;
  ByteView view = data;
  if (before != 0) {
    const size_t n = std::min(data.size(), header_bytes_.size() - before);
    std::memcpy(header_bytes_.data() + before, data.data(), n);
    view = ByteView(header_bytes_).first(before + n);
  }
  const HeaderStatus status = decode_frame_header(view, role_ == Role::server, frame_);
  if (status == HeaderStatus::need_more) {
    if (before == 0) std::memcpy(header_bytes_.data(), data.data(), data.size());
    header_have_ = static_cast<uint8_t>(view.size());
    data = {};
    return false;
  }
  const uint16_t code = status == HeaderStatus::malformed ? uint16_t{kCloseProtocolError} : judge_frame();
  if (code != 0) {
    fail(code, handler);
    return false;
  }
  data = data.subspan(frame_.size - before);
  header_have_ = 0;
  begin_frame();
  return true;
}

// The close code a well-formed header deserves here and now; 0 if none.
uint16_t Machine::judge_frame() const noexcept {
  if (is_control(frame_.opcode)) return 0;
  const bool continues = frame_.opcode == Opcode::continuation;
  if (continues != in_message_) return kCloseProtocolError;
  if (state_ == State::closing) return 0;  // thrown away, so no limit is touched
  if (frame_.opcode == Opcode::text && limits_.binary_only) return kCloseUnsupportedData;
  const size_t fragments = continues ? fragments_ : 0;
  if (fragments >= limits_.max_fragments) return kClosePolicyViolation;
  const size_t held = message_.size();
  if (held > limits_.max_message || frame_.payload_size > limits_.max_message - held) return kCloseMessageTooBig;
  return 0;
}

void Machine::begin_frame() noexcept {
  in_payload_ = true;
  frame_left_ = frame_.payload_size;
  if (is_control(frame_.opcode)) return;
  if (frame_.opcode != Opcode::continuation) {
    in_message_ = true;
    binary_ = frame_.opcode == Opcode::binary;
    fragments_ = 0;
    utf8_.reset();
  }
  ++fragments_;
}

// `chunk` is the next part of the frame's payload, possibly empty, at most `frame_left_` bytes.
void Machine::take_payload(ByteSpan chunk, bool kept, Handler& handler) {
  if (frame_.masked) apply_mask(chunk, frame_.mask, static_cast<size_t>(frame_.payload_size - frame_left_));
  frame_left_ -= chunk.size();
  const bool frame_ends = frame_left_ == 0;
  in_payload_ = !frame_ends;
  if (is_control(frame_.opcode)) {
    take_control(chunk, frame_ends, handler);
  } else {
    take_data(chunk, kept, frame_ends, handler);
  }
}

void Machine::take_data(ByteSpan chunk, bool kept, bool frame_ends, Handler& handler) {
  const bool message_ends = frame_ends && frame_.fin;
  if (state_ == State::closing) {
    if (message_ends) in_message_ = false;
    return;
  }
  if (!binary_ && (!utf8_.feed(chunk) || (message_ends && !utf8_.complete()))) {
    return fail(kCloseInvalidPayload, handler);
  }
  if (message_ends && message_.empty()) return deliver(chunk, handler);
  if (!kept && !keep(chunk)) return fail(kCloseInternalError, handler);
  if (message_ends) deliver(message_.bytes(), handler);
}

void Machine::deliver(ByteSpan message, Handler& handler) {
  in_message_ = false;
  handler.on_message(binary_, message);
  message_.clear();
}

// Appends to the message under way; false when memory is out.
bool Machine::keep(ByteView chunk) noexcept {
  const size_t needed = message_.size() + chunk.size();
  if (needed > message_.capacity()) {
    const size_t announced = needed + static_cast<size_t>(frame_left_);
    const size_t grown = std::min(2 * message_.capacity(), limits_.max_message);
    const size_t target = std::max({needed, std::min(announced, kReserveStep), grown});
    if (!message_.reserve(target)) return false;
  }
  message_.append(chunk);
  return true;
}

void Machine::take_control(ByteView chunk, bool frame_ends, Handler& handler) {
  if (frame_ends && control_have_ == 0) return on_control_frame(chunk, handler);
  if (!chunk.empty()) std::memcpy(control_.data() + control_have_, chunk.data(), chunk.size());
  control_have_ = static_cast<uint8_t>(control_have_ + chunk.size());
  if (!frame_ends) return;
  const size_t size = control_have_;
  control_have_ = 0;
  on_control_frame(ByteView(control_).first(size), handler);
}

void Machine::on_control_frame(ByteView body, Handler& handler) {
  if (frame_.opcode == Opcode::close) return on_close_frame(body, handler);
  if (state_ != State::open) return;
  if (frame_.opcode == Opcode::pong) return handler.on_pong(body);
  if (!queue_control(Opcode::pong, body, limits_.max_pending)) return fail(kClosePolicyViolation, handler);
  handler.on_ping(body);
}

void Machine::on_close_frame(ByteView body, Handler& handler) {
  if (body.size() == 1) return fail(kCloseProtocolError, handler);
  CloseEvent event;
  event.by_peer = true;
  if (!body.empty()) {
    event.code = load_be16(body.data());
    if (!close_code_on_wire(event.code)) return fail(kCloseProtocolError, handler);
    if (!is_utf8(body.subspan(2))) return fail(kCloseInvalidPayload, handler);
    event.reason = as_text(body.subspan(2));
  }
  if (state_ == State::open) queue_close(event.code, {});
  state_ = State::closed;
  handler.on_close(event);
}

void Machine::fail(uint16_t code, Handler& handler) {
  if (state_ == State::open) queue_close(code, {});
  state_ = State::failed;
  CloseEvent event;
  event.code = code;
  handler.on_close(event);
}

void Machine::close(uint16_t code, std::string_view reason) {
  if (state_ != State::open) return;
  queue_close(code, reason);
  state_ = State::closing;
}

bool Machine::ping(ByteView payload) {
  return state_ == State::open && payload.size() <= kMaxControlPayload &&
         queue_control(Opcode::ping, payload, limits_.max_pending);
}

void Machine::queue_close(uint16_t code, std::string_view reason) noexcept {
  std::array<uint8_t, kMaxControlPayload> body;
  size_t size = 0;
  if (close_code_on_wire(code)) {
    store_be16(body.data(), code);
    size = 2;
    const size_t n = is_utf8(as_bytes(reason)) ? utf8_prefix(as_bytes(reason), kMaxReason) : 0;
    if (n != 0) std::memcpy(body.data() + 2, reason.data(), n);
    size += n;
  }
  queue_control(Opcode::close, ByteView(body).first(size), SIZE_MAX);
}

// False when `limit` bytes would be pending, or memory is out.
bool Machine::queue_control(Opcode opcode, ByteView payload, size_t limit) noexcept {
  const bool masked = role_ == Role::client;
  if (pending().size() + frame_header_size(payload.size(), masked) + payload.size() > limit) return false;
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(out_sent_));
  out_sent_ = 0;
  const MaskKey mask = masked ? next_mask() : MaskKey{};
  try {
    append_frame(out_, opcode, true, payload, masked ? &mask : nullptr);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void Machine::consume(size_t n) noexcept {
  out_sent_ = std::min(out_sent_ + n, out_.size());
  if (out_sent_ < out_.size()) return;
  Bytes().swap(out_);
  out_sent_ = 0;
}

bool Machine::frame_packet(Packet& packet) noexcept {
  const bool masked = role_ == Role::client;
  const size_t size = packet.size(), header = frame_header_size(size, masked);
  if (state_ != State::open || packet.headroom() < header) return false;
  const MaskKey mask = masked ? next_mask() : MaskKey{};
  write_frame_header(packet.bytes().data(), size, Opcode::binary, true, masked ? &mask : nullptr);
  packet.set_range(packet.headroom() - header, size + header);
  return true;
}

MaskKey Machine::next_mask() noexcept {
  if (masks_left_ == 0) {
    rng_->fill(masks_);
    masks_left_ = static_cast<uint8_t>(masks_.size());
  }
  masks_left_ = static_cast<uint8_t>(masks_left_ - 4);
  MaskKey mask;
  std::memcpy(mask.data(), masks_.data() + masks_left_, 4);
  return mask;
}

}  // namespace smartvpn::ws
