// See route_log.hpp. A list of which readers hold a place each: a node goes when nobody stands before or on it.
#include "server/route_log.hpp"

#include <algorithm>

namespace smartvpn::server {

RouteLog::RouteLog(size_t readers)
    : applied_(readers), first_(new RouteChange(RouteChange::Kind::detach, 0, 0)), last_(first_) {}

RouteLog::~RouteLog() {
  while (first_) delete std::exchange(first_, first_->next_.load(std::memory_order_relaxed));
}

void RouteLog::append(std::unique_ptr<RouteChange> change) noexcept {
  change->number_ = last_->number_ + 1;
  RouteChange* added = change.release();
  last_->next_.store(added, std::memory_order_release);
  last_ = added;
  trim();
}

void RouteLog::trim() noexcept {
  uint64_t all = last_->number_;
  for (const Place& place : applied_) all = std::min(all, place.number.load(std::memory_order_acquire));
  while (first_->number_ < all) delete std::exchange(first_, first_->next_.load(std::memory_order_relaxed));
}

void RouteLog::Reader::catch_up(router::RouteTable& table) {
  while (const RouteChange* next = at_->next_.load(std::memory_order_acquire)) {
    apply(*next, table);
    if (on_applied_)
      for (const inet::Cidr& prefix : next->prefixes) on_applied_(prefix);
    at_ = next;
    applied_.store(next->number_, std::memory_order_release);  // the one before may be gone from here on
  }
}

// Each may be repeated: it says what is to be there.
void RouteLog::apply(const RouteChange& change, router::RouteTable& table) {
  for (const inet::Cidr& prefix : change.prefixes) {
    switch (change.kind) {
      case RouteChange::Kind::add_client:
        table.add_client(prefix, change.client);
        break;
      case RouteChange::Kind::remove_client:
        table.remove_client(prefix, change.client);
        break;
      case RouteChange::Kind::attach:
        table.attach(prefix, change.session, change.client);
        break;
      case RouteChange::Kind::detach:
        table.detach(prefix, change.session);
        break;
    }
  }
}

}  // namespace smartvpn::server
