// See receive_batch.hpp.
#include "transport/wireguard/receive_batch.hpp"

#include <utility>

namespace smartvpn::wireguard {

ReceiveBatch::Run* ReceiveBatch::run_of(const Peer& peer) noexcept {
  if (last_ && last_->peer == &peer) return last_;
  for (size_t i = 0; i < used_; ++i)
    if ((*runs_)[i].peer == &peer) return &(*runs_)[i];
  return nullptr;
}

ReceiveBatch::Run& ReceiveBatch::begin_run(Peer& peer, uint32_t index, const Path& path) {
  if (used_ == kRuns) flush();
  Run& run = (*runs_)[used_++];
  run.peer = &peer;
  run.index = index;
  run.path = path;
  run.size = 0;
  return run;
}

void ReceiveBatch::add(Peer& peer, uint32_t index, const Path& path, uint8_t ecn, ByteSpan message) {
  Run* run = run_of(peer);
  // Another key or sender of the same peer: what came before is opened before.
  if (run && (run->index != index || !(run->path == path))) {
    flush();
    run = nullptr;
  }
  if (!run) run = &begin_run(peer, index, path);
  crypto::OpenJob& job = run->jobs[run->size];
  job.counter = data_counter(message);
  job.ad = {};
  job.data = message.data() + kDataHeader;
  job.size = message.size() - kDataHeader;
  job.ok = false;
  run->ecn[run->size++] = ecn;
  last_ = run;
  if (run->size == kMessages) open(*run);
}

void ReceiveBatch::open(Run& run) {
  // Whatever the host throws in there: the run is over, and its bytes are somebody else's soon.
  struct Emptied {
    Run& run;
    ~Emptied() { run.size = 0; }
  } emptied{run};
  if (run.peer && run.size > 0) opener_.open_run(run);
}

void ReceiveBatch::discard() noexcept {
  used_ = 0;
  last_ = nullptr;
}

void ReceiveBatch::flush() {
  const size_t used = std::exchange(used_, 0);
  last_ = nullptr;
  for (size_t i = 0; i < used; ++i) open((*runs_)[i]);
}

void ReceiveBatch::forget(const Peer& peer) noexcept {
  for (Run& run : *runs_)
    if (run.peer == &peer) run.peer = nullptr;
}

}  // namespace smartvpn::wireguard
