// How a batch reaches the lanes: packets of like sizes side by side, what does not fit one after the other.
#include <algorithm>

#include "crypto/aead.hpp"

namespace smartvpn::crypto {

namespace {

constexpr size_t kJobsSortedAtOnce = 128;

// How many jobs it takes for lanes to be faster than OpenSSL with one after the other, the largest being of this many
// bytes. More than kLaneJobs: never. As measured; a few, or one, where packets are small.
constexpr size_t fewest_lane_jobs(VectorUnit unit, size_t size) noexcept {
  constexpr size_t kNever = kLaneJobs + 1;
  if (unit == VectorUnit::avx512)
    return size <= 1024 ? 1 : size <= 2048 ? 2 : size <= 8192 ? 3 : size <= kMaxLaneBytes ? 6 : kNever;
  if (unit == VectorUnit::avx2) return size <= 1024 ? 2 : size <= 2048 ? 3 : size <= 4096 ? 4 : kNever;
  return kNever;
}

// 0 for a job that is not for lanes, else 16-byte pieces of its text, plus one.
uint32_t lane_pieces(VectorUnit unit, uint64_t counter, ByteView ad, size_t size) noexcept {
  if (counter == kReservedCounter || ad.size() > kMaxLaneAdBytes || fewest_lane_jobs(unit, size) > kLaneJobs) return 0;
  return static_cast<uint32_t>(size / kTagSize) + 1;
}
uint32_t lane_pieces(VectorUnit unit, const SealJob& job) noexcept {
  return lane_pieces(unit, job.counter, job.ad, job.size);
}
uint32_t lane_pieces(VectorUnit unit, const OpenJob& job) noexcept {
  return job.size < kTagSize ? 0 : lane_pieces(unit, job.counter, job.ad, job.size - kTagSize);
}

size_t text_size(const SealJob& job) noexcept { return job.size; }
size_t text_size(const OpenJob& job) noexcept { return job.size < kTagSize ? 0 : job.size - kTagSize; }

void store_result(SealJob&, bool) noexcept {}
void store_result(OpenJob& job, bool ok) noexcept { job.ok = ok; }

// Lanes whose packets end early do nothing for the rest of the longest, so sizes are made to fall. Batches that came
// out of a super-packet are in this order already.
template <class Job, class Lanes, class Singly>
void deal(std::span<Job> jobs, VectorUnit unit, Lanes in_lanes, Singly singly) noexcept {
  std::array<uint32_t, kJobsSortedAtOnce> order;
  size_t count = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const uint32_t pieces = lane_pieces(unit, jobs[i]);
    if (pieces == 0)
      singly(jobs[i]);
    else
      order[count++] = (kMaxLaneBytes - pieces) << 7 | static_cast<uint32_t>(i);
  }
  const auto end = order.begin() + static_cast<ptrdiff_t>(count);
  if (!std::is_sorted(order.begin(), end)) std::sort(order.begin(), end);

  for (size_t first = 0; first < count; first += kLaneJobs) {
    auto job = [&](size_t i) -> Job& { return jobs[order[first + i] % kJobsSortedAtOnce]; };
    const size_t some = std::min(kLaneJobs, count - first);
    LaneJob lanes[kLaneJobs];
    for (size_t i = 0; i < some; ++i) {
      const Job& from = job(i);
      lanes[i] = {from.counter,
                  from.ad.data(),
                  from.data,
                  static_cast<uint32_t>(from.ad.size()),
                  static_cast<uint32_t>(text_size(from)),
                  false};
    }
    if (some < fewest_lane_jobs(unit, lanes[0].size)) {
      for (size_t i = 0; i < some; ++i) singly(job(i));
      continue;
    }
    in_lanes(lanes, some);
    for (size_t i = 0; i < some; ++i) store_result(job(i), lanes[i].ok);
  }
}

// By the first job, which mostly is like the others; a wrong guess costs time and nothing else.
template <class Job>
bool worth_dealing(VectorUnit unit, std::span<Job> jobs) noexcept {
  return unit != VectorUnit::none && !jobs.empty() && jobs.size() >= fewest_lane_jobs(unit, text_size(jobs[0]));
}

template <class Job>
std::span<Job> taken_from(std::span<Job>& jobs) noexcept {
  const auto part = jobs.first(std::min(jobs.size(), kJobsSortedAtOnce));
  jobs = jobs.subspan(part.size());
  return part;
}

void wipe_all(LaneKey& key) noexcept {
  wipe({reinterpret_cast<uint8_t*>(&key), sizeof key});
  wipe_lanes();
}

}  // namespace

void AeadEngine::seal(const AeadKey& key, std::span<SealJob> jobs) noexcept {
  if (!worth_dealing(unit_, jobs)) return seal_singly(key, jobs);
  LaneKey lane_key = make_lane_key(key.view().data(), 0);
  while (!jobs.empty())
    deal(
        taken_from(jobs), unit_, [&](LaneJob* lanes, size_t count) { seal_lanes(unit_, lane_key, lanes, count); },
        [&](SealJob& job) {
          seal_singly(key, {&job, 1});
        });
  wipe_all(lane_key);
}

size_t AeadEngine::open(const AeadKey& key, std::span<OpenJob> jobs) noexcept {
  if (!worth_dealing(unit_, jobs)) return open_singly(key, jobs);
  LaneKey lane_key = make_lane_key(key.view().data(), 0);
  size_t opened = 0;
  auto in_lanes = [&](LaneJob* lanes, size_t count) {
    open_lanes(unit_, lane_key, lanes, count);
    for (size_t i = 0; i < count; ++i) opened += lanes[i].ok;
  };
  while (!jobs.empty())
    deal(taken_from(jobs), unit_, in_lanes, [&](OpenJob& job) { opened += open_singly(key, {&job, 1}); });
  wipe_all(lane_key);
  return opened;
}

}  // namespace smartvpn::crypto
