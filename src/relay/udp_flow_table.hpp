// Which flow a datagram belongs to. A flow is one client's datagrams at one listening socket, through one peer: the
// client itself, or a proxy that says who he is. Bounded; where it is full, a newcomer may take the place of the flow
// that has waited longest for its first answer, so that strangers whom no target answers cannot keep clients out. Pure.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "inet/address.hpp"

namespace smartvpn::relay {

struct FlowKey {
  uint64_t socket = 0;        // number of the listening socket
  inet::Endpoint peer, real;  // real: none where a proxy has named no address
  friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

class UdpFlowTable {
 public:
  class Member {
   public:
    explicit Member(const FlowKey& key) noexcept : key_(key) {}
    virtual ~Member() = default;
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    const FlowKey& key() const noexcept { return key_; }

   private:
    friend class UdpFlowTable;
    const FlowKey key_;
    std::list<Member*>::iterator waiting_{};
    bool answered_ = false;
  };

  // `hash_seed` from the Rng: clients and proxies choose what keys consist of.
  UdpFlowTable(size_t most, uint64_t hash_seed) : most_(most), members_(0, Hash{hash_seed}) {}

  // Those above a smaller number stay.
  void set_most(size_t most) noexcept { most_ = most; }
  bool full() const noexcept { return members_.size() >= most_; }
  size_t size() const noexcept { return members_.size(); }

  Member* find(const FlowKey& key) const noexcept;
  // Null for a key that is there already; the table owns what it gives.
  Member* add(std::unique_ptr<Member> member);
  // Whose it is from then on; null for one that is not here.
  std::unique_ptr<Member> take(Member& member) noexcept;

  // From then on nobody takes its place.
  void answered(Member& member) noexcept;
  // Null: all have been answered.
  Member* longest_unanswered() const noexcept { return waiting_.empty() ? nullptr : waiting_.front(); }

  // Any; null when empty.
  Member* first() const noexcept { return members_.empty() ? nullptr : members_.begin()->second.get(); }
  // `each` must not change the table.
  template <class Each>
  void for_each(Each&& each) const {
    for (const auto& [key, member] : members_) each(*member);
  }

 private:
  struct Hash {
    uint64_t seed;
    size_t operator()(const FlowKey& key) const noexcept;
  };
  size_t most_;
  std::unordered_map<FlowKey, std::unique_ptr<Member>, Hash> members_;
  std::list<Member*> waiting_;  // for their first answer, the longest first
};

}  // namespace smartvpn::relay
