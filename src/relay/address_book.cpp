// See address_book.hpp.
#include "relay/address_book.hpp"

namespace smartvpn::relay {
namespace {

void add_up(AddressStats& sum, const AddressStats& other) noexcept {
  sum.connections_open += other.connections_open;
  sum.connections_total += other.connections_total;
  sum.bytes_in += other.bytes_in;
  sum.bytes_out += other.bytes_out;
}

}  // namespace

AddressStats& AddressBook::row(const inet::IpAddress& address) {
  if (const auto found = places_.find(address); found != places_.end()) return *found->second;
  if (places_.size() >= most_) {
    if (idle_.empty()) return others_;
    add_up(others_, idle_.front());
    places_.erase(idle_.front().address);
    idle_.pop_front();
  }
  Rows made{{address, 0, 0, 0, 0}};
  places_.emplace(address, made.begin());  // without memory for its place there is no row either
  idle_.splice(idle_.end(), made);
  return idle_.back();
}

AddressStats& AddressBook::row_or_others(const inet::IpAddress& address) noexcept {
  const auto found = places_.find(address);
  return found != places_.end() ? *found->second : others_;
}

void AddressBook::opened(const inet::IpAddress& address) {
  AddressStats& at = row(address);
  if (&at != &others_ && at.connections_open == 0) busy_.splice(busy_.end(), idle_, places_.find(address)->second);
  ++at.connections_open;
  ++at.connections_total;
}

void AddressBook::closed(const inet::IpAddress& address) noexcept {
  AddressStats& at = row_or_others(address);
  // An address that got its row while connections of its were counted with the others.
  AddressStats& counted = at.connections_open != 0 ? at : others_;
  if (counted.connections_open != 0) --counted.connections_open;
  if (&counted == &at && &at != &others_ && at.connections_open == 0)
    idle_.splice(idle_.end(), busy_, places_.find(address)->second);
}

void AddressBook::moved(const inet::IpAddress& address, uint64_t in, uint64_t out) noexcept {
  AddressStats& at = row_or_others(address);
  at.bytes_in += in;
  at.bytes_out += out;
}

void AddressBook::add_to(std::unordered_map<inet::IpAddress, AddressStats, inet::IpAddressHash>& sum) const {
  for (const Rows* rows : {&busy_, &idle_})
    for (const AddressStats& one : *rows) {
      AddressStats& at = sum[one.address];
      at.address = one.address;
      add_up(at, one);
    }
}

}  // namespace smartvpn::relay
