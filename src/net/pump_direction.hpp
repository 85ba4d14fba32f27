// One way of a pump: from one TCP socket into another. Little data is copied through the loop's shared buffer, which
// takes two system calls and no memory; once a read has filled that buffer, bytes are spliced through a kernel pipe and
// never seen. Between two turns it holds a pipe or a buffer only for bytes that the sink has not taken. Loop thread
// only. Inside net/ only.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "net/pipe_pool.hpp"

namespace smartvpn::net {

class PumpDirection {
 public:
  static constexpr size_t kBytesPerTurn = 256 * 1024;  // so that others have their turn
  static constexpr size_t kPipeBytes = 64 * 1024;      // what a pipe holds, unless its owner asked for more

  enum class Result : uint8_t {
    wants_source,  // everything read is delivered
    wants_sink,    // the sink is full; the source is left alone until it is not
    ended,         // the source has sent FIN, and all of it is delivered
    source_failed,
    sink_failed,  // see error()
  };

  // The sockets belong to somebody else and stay open as long as this.
  PumpDirection(int source, int sink, PipePool& pipes) : source_(source), sink_(sink), pipes_(pipes) {}
  ~PumpDirection() { drop_pipe(); }
  PumpDirection(const PumpDirection&) = delete;
  PumpDirection& operator=(const PumpDirection&) = delete;

  // Goes before anything that is read.
  void owe(Bytes bytes) noexcept { owed_ = std::move(bytes); }
  bool owes() const noexcept { return !owed_.empty(); }
  // What somebody else has read from the source, where nothing is owed; or has read to its FIN.
  Result give(ByteView bytes);
  Result end_with(ByteView last);
  // Moves what can be moved now. `buffer`: the loop's.
  Result move(ByteSpan buffer);
  // Delivers what is here already and reads nothing: before the sink is closed. One attempt.
  void flush() noexcept;

  uint64_t delivered() const noexcept { return delivered_; }
  int error() const noexcept { return error_; }
  bool holds_pipe() const noexcept { return pipe_.has_value(); }
  void never_splice() noexcept { splice_works_ = false; }  // as where the kernel cannot

 private:
  enum class Step : uint8_t { moved, blocked, failed };
  static Result stopped_by(Step step) noexcept {
    return step == Step::blocked ? Result::wants_sink : Result::sink_failed;
  }
  Result move_some(ByteSpan buffer);
  Step deliver() noexcept;
  Step deliver_owed() noexcept;
  Step deliver_piped() noexcept;
  Step pass_on(ByteView bytes);
  bool have_pipe() noexcept;
  // Bytes read; 0: FIN; -1 with errno.
  ssize_t splice_in() noexcept;
  Step sink_step(ssize_t n) noexcept;
  void drop_pipe() noexcept;

  const int source_, sink_;
  PipePool& pipes_;
  Bytes owed_;
  size_t owed_sent_ = 0;
  std::optional<PipePool::Pipe> pipe_;
  size_t piped_ = 0;  // bytes in it
  uint64_t delivered_ = 0;
  int error_ = 0;
  bool bulk_ = false, splice_works_ = true, eof_ = false;
};

}  // namespace smartvpn::net
