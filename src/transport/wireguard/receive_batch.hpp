// Data messages on their way into the cipher: those of one peer, under one key and from one sender are a run, and a run
// is opened in one go. Peers may be mixed in what a socket gives; a peer's order is kept. Fixed memory; knows nothing
// of keys, sessions or sockets.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "crypto/aead.hpp"
#include "transport/wireguard/message_codec.hpp"
#include "transport/wireguard/path.hpp"

namespace smartvpn::wireguard {

class Peer;

class ReceiveBatch {
 public:
  static constexpr size_t kMessages = 128;  // of a run
  static constexpr size_t kRuns = 16;

  struct Run {
    Peer* peer = nullptr;  // null: forgotten meanwhile
    uint32_t index = 0;    // receiver index of all its messages
    Path path;
    size_t size = 0;
    std::array<crypto::OpenJob, kMessages> jobs;
    std::array<uint8_t, kMessages> ecn;
    std::span<crypto::OpenJob> messages() noexcept { return {jobs.data(), size}; }
  };
  class Opener {
   public:
    virtual void open_run(Run& run) = 0;

   protected:
    ~Opener() = default;
  };

  explicit ReceiveBatch(Opener& opener) : opener_(opener), runs_(std::make_unique<std::array<Run, kRuns>>()) {}

  // `message` is a data message; its bytes stay where they are until flush(). Runs that are full, or that a peer's
  // order wants first, are opened at once.
  void add(Peer& peer, uint32_t index, const Path& path, uint8_t ecn, ByteSpan message);
  void flush();
  // What was added and not opened, because an exception came between, is forgotten.
  void discard() noexcept;
  // Its messages are dropped unopened.
  void forget(const Peer& peer) noexcept;
  bool empty() const noexcept { return used_ == 0; }

 private:
  Run* run_of(const Peer& peer) noexcept;
  Run& begin_run(Peer& peer, uint32_t index, const Path& path);
  void open(Run& run);

  Opener& opener_;
  std::unique_ptr<std::array<Run, kRuns>> runs_;
  size_t used_ = 0;
  Run* last_ = nullptr;  // what the latest message was added to
};

}  // namespace smartvpn::wireguard
