// One end of a WebSocket connection after the upgrade (RFC 6455 sections 5 to 7), without sockets:
// stream bytes in, messages out, and the control frames this end owes as bytes to send. It sits
// between the stream (or TLS) and the native protocol, where one binary message is one message.
//
// A connection's shard owns its machine; nothing here is thread-safe. A handler may call close(),
// ping(), set_limits() and frame_packet() from inside a callback, but must not call feed() or destroy
// the machine.
#pragma once

#include <string_view>

#include "base/packet.hpp"
#include "base/rng.hpp"
#include "transport/ws/close_code.hpp"
#include "transport/ws/frame_codec.hpp"
#include "transport/ws/message_buffer.hpp"
#include "transport/ws/utf8.hpp"

namespace smartvpn::ws {

// Bounds on what a peer can make this end hold. The defaults are a stranger's; set_limits() raises them.
struct Limits {
  size_t max_message = 1024;  // payload bytes of a message, over all its fragments; more: 1009
  size_t max_fragments = 4;   // frames of a message; more: 1008
  size_t max_pending = 1024;  // bytes of control frames waiting to be sent; more: 1008
  bool binary_only = false;   // a text message is answered with 1003
};

// How the WebSocket layer ended.
struct CloseEvent {
  uint16_t code = kCloseNoStatus;  // the peer's code (kCloseNoStatus: none), or the one we failed with
  std::string_view reason;         // the peer's text, valid UTF-8; valid during the callback only
  bool by_peer = false;            // a valid Close frame came; false: the peer broke a rule or a limit
};

class Handler {
 public:
  virtual ~Handler() = default;
  // A whole message, unmasked. The bytes lie in the buffer given to feed() or in the machine's own;
  // they are the handler's to change until it returns, and gone after that.
  virtual void on_message(bool binary, ByteSpan message) = 0;
  virtual void on_ping(ByteView) {}  // the pong is queued already
  virtual void on_pong(ByteView) {}
  // At most once, and nothing follows it.
  virtual void on_close(const CloseEvent& event) = 0;
};

class Machine {
 public:
  enum class Role : uint8_t { server, client };
  enum class State : uint8_t {
    open,     // messages flow
    closing,  // our Close is queued or sent, the peer's has not come: data is read and thrown away
    closed,   // both Close frames exist: send what is pending, then end the stream
    failed,   // the peer broke a rule: send what is pending, then end the stream
  };

  // `rng` gives a client's masks and must outlive the machine; a server never uses it.
  Machine(Role role, const Limits& limits, Rng& rng) noexcept : rng_(&rng), limits_(limits), role_(role) {}

  // Takes the next bytes of the stream, all of them, and unmasks them in place. However the stream is
  // cut into calls, the callbacks are the same. A message that lies whole and unfragmented in `data`
  // is handed up where it lies; anything else is copied once. After a close or a failure the rest is
  // ignored.
  State feed(ByteSpan data, Handler& handler);

  // Where the next bytes of the stream belong, if they belong to a message under way: whoever reads them into
  // there spares a copy. Empty otherwise. Valid until the next call.
  ByteSpan gap() noexcept;
  // The first `n` bytes of gap() are the stream's next ones, and `rest` follows them.
  State feed_gap(size_t n, ByteSpan rest, Handler& handler);

  State state() const noexcept { return state_; }
  // From the next frame on.
  void set_limits(const Limits& limits) noexcept { limits_ = limits; }

  // Control frames to send, ahead of any further data; consume(n) as they go out. Bounded by
  // `max_pending` plus one Close frame.
  ByteView pending() const noexcept { return ByteView(out_).subspan(out_sent_); }
  void consume(size_t n) noexcept;

  // Queues a Close frame and gives up sending data. kCloseNoStatus, or a code that may not travel,
  // sends an empty body; the reason is cut at 123 bytes. Nothing happens unless open.
  void close(uint16_t code, std::string_view reason = {});
  // Queues a Ping of at most 125 bytes. False when not open, too long, or too much is pending.
  bool ping(ByteView payload);

  // Makes the packet one binary message by writing the frame header into its headroom (kMaxFrameHeader
  // bytes are enough) and, as a client, masking its bytes in place. False, with the packet untouched,
  // when not open or short of headroom.
  bool frame_packet(Packet& packet) noexcept;

  // Payload bytes held of a message not yet complete.
  size_t buffered() const noexcept { return message_.size(); }

 private:
  bool live() const noexcept { return state_ == State::open || state_ == State::closing; }
  bool take_header(ByteSpan& data, Handler& handler);
  uint16_t judge_frame() const noexcept;
  void begin_frame() noexcept;
  // `kept`: it lies at the end of `message_` already.
  void take_payload(ByteSpan chunk, bool kept, Handler& handler);
  void take_data(ByteSpan chunk, bool kept, bool frame_ends, Handler& handler);
  void take_control(ByteView chunk, bool frame_ends, Handler& handler);
  void on_control_frame(ByteView body, Handler& handler);
  void on_close_frame(ByteView body, Handler& handler);
  void deliver(ByteSpan message, Handler& handler);
  bool keep(ByteView chunk) noexcept;
  bool queue_control(Opcode opcode, ByteView payload, size_t limit) noexcept;
  void queue_close(uint16_t code, std::string_view reason) noexcept;
  void fail(uint16_t code, Handler& handler);
  MaskKey next_mask() noexcept;

  Rng* rng_;
  Limits limits_;
  Role role_;
  State state_ = State::open;

  // The frame being read.
  FrameHeader frame_;
  bool in_payload_ = false;
  uint8_t header_have_ = 0;
  std::array<uint8_t, kMaxFrameHeader> header_bytes_{};  // a header cut by the end of a read
  uint64_t frame_left_ = 0;

  // The message being read; `message_` holds what came in earlier calls or earlier fragments.
  bool in_message_ = false;
  bool binary_ = false;
  size_t fragments_ = 0;
  Utf8Validator utf8_;
  MessageBuffer message_;

  // A control frame cut by the end of a read, apart because it may come between fragments.
  uint8_t control_have_ = 0;
  std::array<uint8_t, kMaxControlPayload> control_{};

  Bytes out_;
  size_t out_sent_ = 0;

  // A client's masks are drawn sixteen at a time: the kernel's generator costs a system call.
  std::array<uint8_t, 64> masks_{};
  uint8_t masks_left_ = 0;
};

}  // namespace smartvpn::ws
