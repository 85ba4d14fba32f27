// Connections and bytes by real address, in a table of bounded size: a newcomer takes the place of who has been idle
// longest without an open connection; where all have one, it is counted with the others that had no place. Pure; one a
// worker.
#pragma once

#include <list>
#include <unordered_map>

#include "inet/address.hpp"
#include "relay/relay_stats.hpp"

namespace smartvpn::relay {

class AddressBook {
 public:
  explicit AddressBook(size_t most) : most_(most) {}

  void opened(const inet::IpAddress& address);
  // For who was opened; a row it had may be gone.
  void closed(const inet::IpAddress& address) noexcept;
  void moved(const inet::IpAddress& address, uint64_t in, uint64_t out) noexcept;

  const AddressStats& others() const noexcept { return others_; }
  // Adds the rows to `sum`.
  void add_to(std::unordered_map<inet::IpAddress, AddressStats, inet::IpAddressHash>& sum) const;
  size_t size() const noexcept { return places_.size(); }

 private:
  using Rows = std::list<AddressStats>;
  AddressStats& row(const inet::IpAddress& address);
  AddressStats& row_or_others(const inet::IpAddress& address) noexcept;

  const size_t most_;
  Rows busy_, idle_;  // with an open connection; without one, the longest idle first
  std::unordered_map<inet::IpAddress, Rows::iterator, inet::IpAddressHash> places_;
  AddressStats others_;
};

}  // namespace smartvpn::relay
