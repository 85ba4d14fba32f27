// The whole C ABI as a sequence of calls. Input: records of eight bytes, a call each (abi/input.hpp): which one, on
// which handles (living, freed, of another kind, invented), with which texts, sizes and times. Checked besides what the
// sanitizers see: statuses and errors of every call, states that never go back, dead handles that stay dead, and at the
// end of each input that every descriptor is closed and every thread gone.
#include <dirent.h>

#include <chrono>
#include <thread>

#include "abi/client_calls.hpp"

namespace {

using namespace smartvpn::fuzz;

using Call = void (*)(World&, Record&);
constexpr Call kCalls[] = {running_server,
                           dial,
                           config_from_json,
                           config_set,
                           config_new,
                           config_validate,
                           server_create,
                           server_start,
                           server_stop,
                           server_read,
                           reconfigure,
                           set_callbacks,
                           events_open,
                           events_use,
                           event_read,
                           authorize,
                           client_create,
                           client_change,
                           client_read,
                           credentials_read,
                           transaction_begin,
                           transaction_use,
                           sessions,
                           server_packets,
                           tunnel_create,
                           tunnel_start,
                           tunnel_use,
                           tunnel_packets,
                           changes_read,
                           stats_read,
                           errors,
                           keys,
                           qr,
                           library,
                           free_any,
                           free_any,
                           client_change,
                           transaction_use,
                           tunnel_packets,
                           events_use};

size_t entries_of(const char* folder) {
  DIR* dir = ::opendir(folder);
  require(dir != nullptr);
  size_t count = 0;
  while (::readdir(dir)) ++count;
  ::closedir(dir);
  return count;
}

struct Held {
  size_t descriptors = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
  friend bool operator==(const Held&, const Held&) = default;
};

void run(const uint8_t* data, size_t size) {
  World world;
  size_t calls = 0;
  for (; size >= kRecord && calls < kMaxCalls; data += kRecord, size -= kRecord, ++calls) {
    Record record(data);
    kCalls[record.below(std::size(kCalls))](world, record);
  }
  const uint8_t rest[kRecord] = {size > 0 ? data[0] : uint8_t{0}};
  Record order(rest);
  world.free_all(order);
}

// What a process keeps after its first server (libuv's one pipe) is there before anything is counted.
bool warm_up() {
  const uint8_t server_and_tunnel[2 * kRecord] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
  run(server_and_tunnel, sizeof server_and_tunnel);
  // A thread that was joined may stand in /proc a moment longer.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool warm = warm_up();
  const Held before;  // of each input anew: between them libFuzzer may start a symbolizer
  run(data, size);
  for (int i = 0; i < 2000 && !(Held() == before); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  require(warm && Held() == before);
  return 0;
}

#ifndef LLVMFuzzerTestOneInput  // with libFuzzer; the replay program renames the entry points
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Half of the time whole calls are copied, moved, dropped, or changed in one byte.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  const size_t records = size / kRecord;
  if (seed % 2 == 0 || records < 2) return LLVMFuzzerMutate(data, size, max_size);
  seed /= 2;
  uint8_t* from = data + seed / 8 % records * kRecord;
  uint8_t* to = data + seed / 4096 % records * kRecord;
  switch (seed % 8) {
    case 0:
    case 1:  // a copy of one behind another
      if (size + kRecord > max_size) break;
      {
        uint8_t copy[kRecord];
        std::memcpy(copy, from, kRecord);
        std::memmove(to + kRecord, to, size - static_cast<size_t>(to - data));
        std::memcpy(to, copy, kRecord);
      }
      return size + kRecord;
    case 2:
      std::memmove(from, from + kRecord, size - static_cast<size_t>(from - data) - kRecord);
      return size - kRecord;
    case 3:
      std::swap_ranges(from, from + kRecord, to);
      return size;
    default:
      break;
  }
  from[(seed >> 20) % kRecord] = static_cast<uint8_t>(seed >> 12);
  return size;
}
#endif
