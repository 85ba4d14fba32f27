// Connections of strangers to the command itself (control socket, metrics): accepted up to a number,
// with bounded input, bounded output and a time for everything. What the bytes mean is the derived
// class's business.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "event_loop.hpp"
#include "unique_fd.hpp"

namespace smartvpn::cli {

// One connection. Its output is wiped when it was written: it may hold keys.
class Peer {
 public:
  Peer(UniqueFd fd, LoopTime now) : fd_(std::move(fd)), since_(now) {}
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // What came and was not taken yet.
  const std::string& input() const noexcept { return input_; }
  // Where the first line of it ends; npos while it does not. Looks at every byte once.
  size_t line_end();
  // The first `size` bytes were understood; they are wiped.
  void take(size_t size);
  // Only while nothing is pending.
  void send(std::string text);
  // No further request is read; the connection ends when what is pending is written.
  void finish() noexcept { finishing_ = true; }
  bool pending() const noexcept { return written_ < output_.size(); }
  size_t output_size() const noexcept { return output_.size(); }

 private:
  friend class PeerServer;
  bool read_some(size_t max_input);
  bool write_some();
  bool discard();

  UniqueFd fd_;
  LoopTime since_;  // of the connection, or of the state it is in
  std::string input_, output_;
  size_t written_ = 0, looked_at_ = 0, discarded_ = 0;
  bool over_ = false;
  bool ended_ = false;  // the other side will send nothing more
  bool finishing_ = false;
  bool shut_ = false;             // our side is shut; waiting for the other's end
  bool waiting_request_ = false;  // input_ holds a request that waits for its turn
};

struct PeerLimits {
  size_t peers;                          // at one time
  size_t input_bytes;                    // of one request
  std::chrono::milliseconds request{0};  // from a request's first byte to its last
  std::chrono::milliseconds answer{0};   // for the reader to take an answer
  bool idle_allowed;                     // between requests, for as long as it likes
  bool evict_oldest;                     // when there are too many: else the newcomer goes
};

class PeerServer : public LoopPart {
 public:
  // Takes a listening socket that does not block.
  PeerServer(UniqueFd listening, const PeerLimits& limits) : limits_(limits), listening_(std::move(listening)) {}
  void add_polls(std::vector<pollfd>& polls) override;
  void on_polls(std::span<const pollfd> polls, LoopTime now) override;
  std::optional<LoopTime> deadline() const override;

 protected:
  // Takes at most one request from `peer.input()` and sends its answer. False: there is no whole one
  // yet. `full`: the input is as long as it may be, so that none will ever come. `ended`: nor will more.
  virtual bool take_request(Peer& peer, bool full, bool ended) = 0;
  // Whether a new connection may stay; may write to it what fits a socket's buffer.
  virtual bool admit(int fd) = 0;
  // Too many are there: a last word to the newcomer.
  virtual void refuse(int) {}
  // Bytes of all answers that are not yet taken.
  size_t output_size() const noexcept;

 private:
  void accept_some(LoopTime now);
  bool make_room(int newcomer);
  // False: the connection is over.
  bool turn(Peer& peer, short events, LoopTime now);
  bool serve(Peer& peer, LoopTime now);
  std::optional<LoopTime> deadline_of(const Peer& peer) const;

  const PeerLimits limits_;
  UniqueFd listening_;
  std::optional<LoopTime> accept_after_;  // out of descriptors: not before this
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace smartvpn::cli
