// A connected TCP socket. Bytes come up in the loop's shared buffer; down goes only what the socket takes
// now, so that the queue stays where inner packets can still be dropped by name (behaviour.md, Streams).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/packet.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd_watcher.hpp"

namespace smartvpn::net {

struct TcpInfo {
  Duration rtt{};
  Duration rtt_variance{};
  Duration min_rtt{};
  uint64_t retransmits = 0;  // segments, over the connection's life
  uint64_t segments_out = 0;
  uint32_t unacked_segments = 0;
  uint32_t notsent_bytes = 0;  // taken by the kernel, not on the wire yet
};

class TcpStream final : private FdHandler {
 public:
  static constexpr int kNotSentLowWater = 128 * 1024;
  // What may wait in the stream itself: the rest of the packets of one write().
  static constexpr size_t kMaxPending = size_t{1} << 20;

  // Called on the loop's thread. The stream may be destroyed inside any of them.
  class Handler {
   public:
    virtual ~Handler() = default;
    // At least one byte, writable (unmasked or decrypted in place), valid during the call.
    virtual void on_stream_bytes(ByteSpan bytes) = 0;
    // Where the handler would like the next bytes to be put, asked before each read. With such a place,
    // on_stream_gap() comes in place of on_stream_bytes(): the first `n` bytes (at least one) lie there, and what
    // did not fit is `rest`, as `bytes` is above.
    virtual ByteSpan stream_gap() noexcept { return {}; }
    virtual void on_stream_gap(size_t /*n*/, ByteSpan /*rest*/) {}
    // The socket takes bytes again and nothing waits in the stream. Once for each short try_write(),
    // unfinished write() or want_writable().
    virtual void on_stream_writable() = 0;
    // No more bytes will come. 0: the peer sent FIN, and writing still works. Otherwise an errno: the
    // connection is gone. At most once each for FIN and for an errno, never after reset().
    virtual void on_stream_end(int error) = 0;
  };

  // A connected socket. TCP_NODELAY, TCP_NOTSENT_LOWAT and close-on-exec are set here.
  // `known_peer`: what accept() said; a connection that was reset meanwhile cannot be asked any more.
  static Result<std::unique_ptr<TcpStream>> adopt(Loop& loop, Fd fd, const inet::Endpoint& known_peer = {});
  // Closes: FIN, or RST when received bytes were never read. Does not wait for unsent bytes of ours.
  ~TcpStream() override;

  // Sets who hears of this stream and begins to read. The handler outlives the stream or a call with
  // another one.
  void start(Handler& handler);
  // Back-pressure towards the peer; reading begins with start().
  void read_stop() noexcept;
  void read_start() noexcept;

  // Somebody of whom nothing is known yet: read only while strangers have time left in this turn. Not so at first.
  void set_stranger(bool is) noexcept { stranger_ = is; }

  // Gives what the socket takes now, in one system call where it can. The count of bytes taken, from the
  // first piece on; short when the socket is full (on_stream_writable follows), when a write() is
  // unfinished, or when the connection is gone (on_stream_end follows).
  size_t try_write(std::span<const ByteView> pieces) noexcept;
  size_t try_write(ByteView piece) noexcept { return try_write({&piece, 1}); }

  // Takes every packet, whole, in order. True: all of it went to the socket. False: a rest waits here
  // (pending_bytes()) and on_stream_writable() follows; or the connection is gone. The caller stops
  // giving more while something is pending; past kMaxPending the connection ends with ENOBUFS.
  bool write(std::span<Packet> batch);
  size_t pending_bytes() const noexcept { return pending_bytes_; }
  void want_writable() noexcept;

  // FIN after what is pending. Reading goes on.
  void shutdown_write() noexcept;
  // RST at once; the handler hears nothing more.
  void reset() noexcept;
  bool is_open() const noexcept { return watcher_ != nullptr && error_ == 0; }

  const inet::Endpoint& peer() const noexcept { return peer_; }
  const inet::Endpoint& local() const noexcept { return local_; }
  std::optional<TcpInfo> info() const noexcept;

 private:
  TcpStream(Loop& loop, const inet::Endpoint& local, const inet::Endpoint& peer);
  void on_readable() override;
  void read_some();
  void on_writable() override;
  void on_fd_error() override;
  void on_out_of_memory() noexcept override;
  size_t send_some(std::span<const ByteView> pieces) noexcept;
  bool flush_pending() noexcept;
  void update_watch() noexcept;
  void fail_later(int error) noexcept;
  void end(int error);

  Loop& loop_;
  std::unique_ptr<FdWatcher> watcher_;
  Handler* handler_ = nullptr;
  inet::Endpoint local_, peer_;
  std::vector<Packet> pending_;  // empty, without memory, almost always
  size_t pending_front_ = 0;     // first packet of pending_ that is not wholly sent
  size_t pending_offset_ = 0;    // bytes of it that are
  size_t pending_bytes_ = 0;
  int error_ = 0;
  bool stranger_ = false;
  bool reading_ = false, eof_ = false, want_writable_ = false, shutdown_wanted_ = false, told_end_ = false;
  bool put_off_ = false;  // not watched until the turn is over
  TurnEnd resume_;
  TurnEnd failure_;  // tells the handler of an error met while the handler was calling us
};

}  // namespace smartvpn::net
