// See udp_flow_table.hpp.
#include "relay/udp_flow_table.hpp"

namespace smartvpn::relay {
namespace {

uint64_t mix_flow(uint64_t value) noexcept {
  value = (value ^ value >> 32) * 0xd6e8feb86659fd93ull;
  return value ^ value >> 29;
}

uint64_t mix_endpoint(uint64_t hash, uint64_t seed, const inet::Endpoint& at) noexcept {
  const auto bytes = at.ip.bytes();  // 4 or 16
  hash = mix_flow(hash + seed + (uint64_t{at.port} << 8 | static_cast<uint64_t>(at.ip.family())));
  for (size_t i = 0; i < bytes.size(); i += 4) hash = mix_flow(hash + seed + load_be32(&bytes[i]));
  return hash;
}

}  // namespace

size_t UdpFlowTable::Hash::operator()(const FlowKey& key) const noexcept {
  const uint64_t peer = mix_endpoint(mix_flow(seed ^ key.socket), seed, key.peer);
  return static_cast<size_t>(key.real == key.peer ? mix_flow(peer + 1) : mix_endpoint(peer, seed, key.real));
}

UdpFlowTable::Member* UdpFlowTable::find(const FlowKey& key) const noexcept {
  const auto found = members_.find(key);
  return found != members_.end() ? found->second.get() : nullptr;
}

UdpFlowTable::Member* UdpFlowTable::add(std::unique_ptr<Member> member) {
  Member& added = *member;
  const auto [place, is_new] = members_.try_emplace(added.key_);
  if (!is_new) return nullptr;
  try {
    added.waiting_ = waiting_.insert(waiting_.end(), &added);
  } catch (...) {
    members_.erase(place);
    throw;
  }
  place->second = std::move(member);
  return &added;
}

std::unique_ptr<UdpFlowTable::Member> UdpFlowTable::take(Member& member) noexcept {
  const auto found = members_.find(member.key_);
  if (found == members_.end() || found->second.get() != &member) return nullptr;
  answered(member);
  auto out = std::move(found->second);
  members_.erase(found);
  return out;
}

void UdpFlowTable::answered(Member& member) noexcept {
  if (member.answered_) return;
  member.answered_ = true;
  waiting_.erase(member.waiting_);
}

}  // namespace smartvpn::relay
