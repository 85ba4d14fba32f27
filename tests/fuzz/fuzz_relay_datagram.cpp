// Datagrams from trusted proxies as a UDP listener of the relay sorts them: what is recognised by its bytes is what
// reading all of it would give, whatever came before, and what is gathered for a target leaves as it came.
// Input: steps of a byte (peer, what becomes of the flow, ECN), a u16 length and so many bytes, a datagram.
#include <map>

#include "fuzz/require.hpp"
#include "relay/datagram_batch.hpp"
#include "relay/datagram_header.hpp"
#include "relay/udp_flow_table.hpp"

using namespace smartvpn;
using namespace smartvpn::relay;
using smartvpn::fuzz::require;

namespace {

constexpr size_t kMaxHeader = 600, kMaxFlows = 6;
const Bytes kHead(28, 0xaa);

struct Flow : UdpFlowTable::Member {
  explicit Flow(const FlowKey& key) : Member(key) {}
  Bytes known;
};

// Those that wait for an answer, in the order in which they came, as a slow table would have them.
using Waiting = std::vector<const UdpFlowTable::Member*>;

struct World {
  UdpFlowTable table{kMaxFlows, 7};
  Waiting waiting;
  DatagramBatch batch;
  std::vector<Bytes> gathered;  // what should leave
  std::vector<std::unique_ptr<Bytes>> payloads;

  void forget(Flow& flow) {
    std::erase(waiting, &flow);
    require(table.take(flow) != nullptr);
  }
};

// Cut as the kernel cuts it, they are what was put in.
void leave(World& world) {
  size_t at = 0;
  for (size_t i = 0; i < world.batch.messages().size(); ++i) {
    const net::OutDatagram& message = world.batch.messages()[i];
    Bytes all;
    for (ByteView piece : message.pieces) append(all, piece);
    const size_t step = message.segment_size != 0 ? message.segment_size : std::max<size_t>(all.size(), 1);
    size_t count = 0;
    for (size_t from = 0; from == 0 || from < all.size(); from += step, ++count) {
      const ByteView one = ByteView(all).subspan(from, std::min(step, all.size() - from));
      require(at < world.gathered.size());
      require(std::equal(one.begin(), one.end(), world.gathered[at].begin(), world.gathered[at].end()));
      ++at;
    }
    require(count == world.batch.datagrams_of(i) && count <= net::UdpSocket::kMaxSegments);
    require(all.size() == world.batch.payload_of(i) + count * (kHead.size()));
    require(message.pieces.size() <= net::UdpSocket::kMaxPieces);
  }
  require(at == world.gathered.size());
  world.batch.clear();
  world.gathered.clear();
  world.payloads.clear();
}

void gather(World& world, ByteView payload, uint8_t ecn) {
  world.payloads.push_back(std::make_unique<Bytes>(payload.begin(), payload.end()));
  const ByteView kept = *world.payloads.back();
  if (!world.batch.add(kHead, kept, ecn)) {
    auto last = std::move(world.payloads.back());
    world.payloads.pop_back();
    leave(world);
    world.payloads.push_back(std::move(last));
    require(world.batch.add(kHead, kept, ecn));
  }
  Bytes whole = kHead;
  append(whole, kept);
  world.gathered.push_back(std::move(whole));
}

Flow& flow_of(World& world, const FlowKey& key) {
  if (auto* found = world.table.find(key)) return static_cast<Flow&>(*found);
  if (world.table.full()) {
    auto* longest = world.table.longest_unanswered();
    require(longest == (world.waiting.empty() ? nullptr : world.waiting.front()));
    if (!longest) longest = world.table.first();
    world.forget(static_cast<Flow&>(*longest));
  }
  auto* added = world.table.add(std::make_unique<Flow>(key));
  require(added && world.table.size() <= kMaxFlows);
  world.waiting.push_back(added);
  return static_cast<Flow&>(*added);
}

void hear(World& world, uint8_t what, ByteView datagram) {
  const inet::Endpoint peer{inet::IpAddress::v4(0x7f000001), static_cast<uint16_t>(what & 3)};
  proxyproto::Header header;
  const HeaderVerdict verdict = read_datagram_header(datagram, kMaxHeader, header);
  const auto glance = glance_at_header(datagram);
  if (verdict == HeaderVerdict::sound) {
    require(begins_with_v2(datagram) && glance && glance->size == header.size && header.size <= kMaxHeader);
    require(glance->source == header.source.value_or(inet::Endpoint{}));
  }
  if (glance) {
    require(glance->size <= datagram.size());
    const auto* known = static_cast<const Flow*>(world.table.find({1, peer, glance->source}));
    const ByteView bytes = datagram.first(glance->size);
    if (known && std::equal(bytes.begin(), bytes.end(), known->known.begin(), known->known.end()))
      require(verdict == HeaderVerdict::sound);
  }
  if (verdict != HeaderVerdict::sound) return;
  Flow& flow = flow_of(world, {1, peer, header.source.value_or(inet::Endpoint{})});
  flow.known.assign(datagram.begin(), datagram.begin() + static_cast<ptrdiff_t>(header.size));
  gather(world, datagram.subspan(header.size), what >> 6);
  if ((what & 4) != 0) {
    world.table.answered(flow);
    std::erase(world.waiting, &flow);
  }
  if ((what & 8) != 0) world.forget(flow);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World world;
  ByteReader in({data, size});
  while (!in.at_end()) {
    const uint8_t what = in.u8();
    const size_t length = std::min<size_t>(in.be16(), in.remaining());
    if (!in.ok()) break;
    hear(world, what, in.take(length));
  }
  leave(world);
  return 0;
}
