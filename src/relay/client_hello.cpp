// Takes the handshake message out of its records (RFC 8446 section 5.1), which may cut it anywhere, and bounds
// both. What the message says is the codec's.
#include "relay/client_hello.hpp"

#include "relay/client_hello_codec.hpp"

namespace smartvpn::relay {
namespace {

constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kTlsMajorVersion = 3;
constexpr uint8_t kClientHelloType = 1;
constexpr size_t kMaxTlsFragment = 16384;

}  // namespace

ClientHelloMachine::State ClientHelloMachine::feed(ByteView bytes) {
  if (state_ != State::need_more) return state_;
  bytes = bytes.first(std::min(bytes.size(), kMaxSize - seen_));
  while (state_ == State::need_more && !bytes.empty()) {
    size_t used = 1;
    if (record_left_ == 0) {
      take_header_byte(bytes[0]);
    } else {
      used = take_fragment(bytes);
    }
    bytes = bytes.subspan(used);
    seen_ += used;
  }
  if (state_ == State::need_more && seen_ == kMaxSize) state_ = State::too_large;
  if (state_ != State::need_more) Bytes().swap(message_);  // the connection outlives its hello by hours
  return state_;
}

// Byte by byte, because a protocol that waits for the other side's answer may send no more than one.
void ClientHelloMachine::take_header_byte(uint8_t byte) noexcept {
  const size_t at = header_size_++;
  header_[at] = byte;
  if ((at == 0 && byte != kHandshakeRecord) || (at == 1 && byte != kTlsMajorVersion)) {
    state_ = seen_ < kRecordHeader ? State::not_tls : State::malformed;
    return;
  }
  if (header_size_ < kRecordHeader) return;
  header_size_ = 0;
  record_left_ = load_be16(&header_[3]);
  const bool empty_again = record_left_ == 0 && ++empty_records_ > kMaxEmptyRecords;
  if (record_left_ > kMaxTlsFragment || empty_again) state_ = State::malformed;
}

size_t ClientHelloMachine::take_fragment(ByteView bytes) {
  const size_t size = std::min({bytes.size(), size_t{record_left_}, message_size_ - message_.size()});
  reserve(message_.size() + size);
  append(message_, bytes.first(size));
  record_left_ = static_cast<uint16_t>(record_left_ - size);
  if (message_[0] != kClientHelloType) {
    state_ = State::malformed;
  } else if (message_size_ == kMessageHeader && message_.size() == kMessageHeader) {
    message_size_ += load_be32(message_.data()) & 0xffffff;
    if (message_size_ > kMaxSize) state_ = State::too_large;
  }
  if (state_ == State::need_more && message_.size() == message_size_) finish();
  return size;
}

// Grows with what has come, not with what was announced, and never over it.
void ClientHelloMachine::reserve(size_t size) {
  if (size > message_.capacity()) message_.reserve(std::max(size, std::min(message_size_, 2 * message_.capacity())));
}

// The next flight is the server's, so the message ends where its record does (RFC 8446 section 5.1).
void ClientHelloMachine::finish() {
  const bool good = record_left_ == 0 && decode_client_hello(ByteView(message_).subspan(kMessageHeader), hello_);
  if (!good) hello_ = ClientHello();
  state_ = good ? State::done : State::malformed;
}

bool ClientHello::offers(uint16_t version) const noexcept {
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

uint16_t ClientHello::highest_version() const noexcept {
  uint16_t highest = 0;
  for (uint16_t version : versions)
    if (version_name(version)) highest = std::max(highest, version);
  return highest;
}

const char* version_name(uint16_t version) noexcept {
  constexpr const char* kNames[] = {"SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
  return version >= 0x0300 && version <= kTls13 ? kNames[version - 0x0300] : nullptr;
}

}  // namespace smartvpn::relay
