// The bookkeeping of Coalescer: which run a packet belongs to, and the results. Which packets may join
// a run is decided in coalesce_rules.cpp.
#include "inet/coalesce.hpp"

#include "inet/checksum.hpp"
#include "inet/coalesce_rules.hpp"

namespace smartvpn::inet {
namespace {

constexpr uint16_t kNone = 0xffff;
constexpr size_t kSlots = 1024;  // at most half full
static_assert(Coalescer::kMaxPackets * 2 <= kSlots);

}  // namespace

struct Coalescer::State {
  // A packet on its own, or a run that grows while `open`.
  struct Run {
    RunState rules;
    ByteView first;
    uint64_t session = 0;
    uint64_t key = 0;
    uint16_t segment_size = 0;  // of a super-packet that came in whole
    uint16_t count = 0;         // packets joined
    uint16_t head_payload = kNone, last_payload = kNone;
    bool open = false;
  };

  explicit State(Options wanted)
      : options(wanted),
        runs(kMaxPackets),
        heads(kMaxPackets * kMaxPlainHeader),
        payloads(kMaxPackets),
        next(kMaxPackets),
        ordered(kMaxPackets),
        results(kMaxPackets) {
    slots.fill(kNone);
  }

  // The slot of this flow, or the free one where it belongs.
  uint16_t& slot_of(const FlowKey& flow, uint64_t session) noexcept {
    size_t i = static_cast<size_t>(flow.hash ^ session * 0x9e3779b97f4a7c15ull) & (kSlots - 1);
    for (;; i = (i + 1) & (kSlots - 1)) {
      const uint16_t at = slots[i];
      if (at == kNone) return slots[i];
      if (runs[at].session == session && runs[at].key == flow.hash && same_flow(runs[at].rules, flow)) return slots[i];
    }
  }

  uint16_t start_run(const PacketView& packet) noexcept {
    Run& run = runs[run_count];
    run = Run{};
    run.first = packet.bytes;
    run.session = packet.session;
    run.segment_size = packet.segment_size;
    run.count = 1;
    return static_cast<uint16_t>(run_count++);
  }

  void link(Run& run, ByteView payload) noexcept {
    const auto at = static_cast<uint16_t>(payload_count++);
    payloads[at] = payload;
    next[at] = kNone;
    (run.head_payload == kNone ? run.head_payload : next[run.last_payload]) = at;
    run.last_payload = at;
  }

  void forget_flows() noexcept {
    if (slots_used) slots.fill(kNone);
    slots_used = false;
  }

  Coalesced finish(const Run& run, size_t index) noexcept;

  Options options;
  std::vector<Run> runs;
  std::vector<uint8_t> heads;
  std::vector<ByteView> payloads;  // in order of arrival, chained per run by `next`
  std::vector<uint16_t> next;
  std::vector<ByteView> ordered;  // the same, run by run
  std::vector<Coalesced> results;
  std::array<uint16_t, kSlots> slots;
  size_t run_count = 0, payload_count = 0, ordered_count = 0;
  bool slots_used = false, flushed = false;
};

Coalescer::Coalescer(Options options) : state_(std::make_unique<State>(options)) {}
Coalescer::~Coalescer() = default;

bool Coalescer::empty() const noexcept { return state_->run_count == 0; }

bool Coalescer::add(const PacketView& packet) noexcept {
  State& s = *state_;
  if (s.flushed) clear();
  if (s.run_count == kMaxPackets || s.payload_count == kMaxPackets) return false;

  FlowKey flow;
  const FlowShape shape = read_flow(packet.bytes, flow);
  if (shape != FlowShape::flow) {
    // Something of a flow we cannot name must not be overtaken by later packets of that flow.
    if (shape == FlowShape::unclear) s.forget_flows();
    s.start_run(packet);
    return true;
  }
  uint16_t& slot = s.slot_of(flow, packet.session);
  JoinPacket candidate;
  const bool wanted = flow.protocol == ip_protocol::kTcp ? s.options.tcp : s.options.udp;
  const bool joinable = wanted && packet.segment_size == 0 && read_candidate(packet.bytes, flow, candidate);
  if (slot != kNone && joinable && s.runs[slot].open) {
    State::Run& run = s.runs[slot];
    const Join join = try_join(run.rules, run.first, packet.bytes, candidate);
    if (join != Join::no) {
      s.link(run, candidate.payload);
      ++run.count;
      run.open = join == Join::yes;
      return true;
    }
  }
  // The flow's earlier run, if any, is finished by this one.
  slot = s.start_run(packet);
  s.slots_used = true;
  State::Run& run = s.runs[slot];
  run.key = flow.hash;
  start_rules(run.rules, flow, candidate, joinable);
  run.open = joinable && !candidate.ends_run;
  if (joinable) s.link(run, candidate.payload);
  return true;
}

Coalesced Coalescer::State::finish(const Run& run, size_t index) noexcept {
  Coalesced out;
  out.session = run.session;
  if (run.count == 1) {
    out.head = run.first;
    out.segment_size = run.segment_size;
    out.size = static_cast<uint32_t>(run.first.size());
    if (run.segment_size != 0 && parse_super(run.first, run.segment_size, out.info) == Drop::none) {
      out.segments = out.info.segments;
    }
    return out;
  }
  const size_t begin = ordered_count;
  for (uint16_t at = run.head_payload; at != kNone; at = next[at]) ordered[ordered_count++] = payloads[at];
  uint8_t* head = &heads[index * kMaxPlainHeader];
  out.info = write_run_header(run.rules, run.first, head);
  out.head = {head, out.info.header_length};
  out.payloads = {ordered.data() + begin, ordered_count - begin};
  out.segment_size = out.info.segment_size;
  out.segments = out.info.segments;
  out.size = out.info.header_length + out.info.payload_length;
  return out;
}

std::span<const Coalesced> Coalescer::flush() noexcept {
  State& s = *state_;
  s.ordered_count = 0;
  for (size_t i = 0; i < s.run_count; ++i) s.results[i] = s.finish(s.runs[i], i);
  s.flushed = true;
  return {s.results.data(), s.run_count};
}

void Coalescer::clear() noexcept {
  State& s = *state_;
  s.forget_flows();
  s.run_count = s.payload_count = s.ordered_count = 0;
  s.flushed = false;
}

void copy_out(const Coalesced& packet, uint8_t* out) noexcept {
  std::memcpy(out, packet.head.data(), packet.head.size());
  out += packet.head.size();
  for (const ByteView payload : packet.payloads) {
    std::memcpy(out, payload.data(), payload.size());
    out += payload.size();
  }
}

}  // namespace smartvpn::inet
