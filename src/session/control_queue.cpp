// Control records that wait; see the header file.
#include "session/control_queue.hpp"

namespace smartvpn::session {

void ControlQueue::add_pong(uint64_t token) noexcept {
  if (pongs_ < kMaxPongs) pong_tokens_[pongs_++] = token;
}

void ControlQueue::set_close(uint16_t code, uint32_t retry_after_s) noexcept {
  ping_ = false;
  pongs_ = 0;
  configuration_ = {};
  close_code_ = code;
  retry_after_s_ = retry_after_s;
  closing_ = true;
}

size_t ControlQueue::records() const noexcept {
  return pongs_ + (ping_ ? 1 : 0) + (configuration_.empty() ? 0 : 1) + (closing_ ? 1 : 0);
}

size_t ControlQueue::size() const noexcept {
  return records() * kRecordHeader + (pongs_ + (ping_ ? 1 : 0)) * kPingBody + configuration_.size() +
         (closing_ ? kCloseBody : 0);
}

void ControlQueue::write(uint8_t* out, Keepalive& keepalive, Time now) noexcept {
  auto token_record = [&](RecordKind kind, uint64_t token) {
    write_record_header(out, kind, kPingBody);
    store_le64(out + kRecordHeader, token);
    out += kRecordHeader + kPingBody;
  };
  for (size_t i = 0; i < pongs_; ++i) token_record(RecordKind::pong, pong_tokens_[i]);
  if (ping_) token_record(RecordKind::ping, keepalive.ping_sent(now));
  if (!configuration_.empty()) {
    write_record_header(out, RecordKind::configuration, configuration_.size());
    std::copy(configuration_.begin(), configuration_.end(), out + kRecordHeader);
    out += kRecordHeader + configuration_.size();
  }
  if (closing_) {
    write_record_header(out, RecordKind::close, kCloseBody);
    store_le16(out + kRecordHeader, close_code_);
    store_le32(out + kRecordHeader + 2, retry_after_s_);
  }
  ping_ = closing_ = false;
  pongs_ = 0;
  configuration_ = {};
}

}  // namespace smartvpn::session
