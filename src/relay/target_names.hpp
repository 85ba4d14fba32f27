// Addresses of targets that are names, for flows: a stranger's datagram begins one, so however many there are, a name
// is looked up once for all of them and again only after a while. One a worker, on its loop.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "net/resolver.hpp"

namespace smartvpn::relay {

class TargetNames {
 public:
  static constexpr Duration kFresh = seconds(10), kFailedFresh = seconds(1);
  using Found = Result<std::vector<inet::Endpoint>>;  // port 0; never empty

  class Waiter {
   public:
    virtual ~Waiter() = default;
    virtual void on_name(const Found& found) = 0;
  };

  TargetNames(net::Loop& loop, net::Resolver& resolver) : loop_(loop), resolver_(resolver) {}
  ~TargetNames();
  TargetNames(const TargetNames&) = delete;
  TargetNames& operator=(const TargetNames&) = delete;

  // What is known of the name, good until the next call; or null, and `waiter` is told later, unless it cancels.
  const Found* find(const std::string& host, Waiter& waiter);
  void cancel(const std::string& host, Waiter& waiter) noexcept;
  // Forgets what is no longer fresh; once in a while.
  void prune();
  size_t size() const noexcept { return names_.size(); }

 private:
  struct Name {
    Found found = make_error(Status::AGAIN, "not looked up yet");
    Time until{};
    uint64_t look_up = 0;  // 0: none under way
    std::unordered_set<Waiter*> waiters;
  };
  void learned(const std::string& host, Found found);

  net::Loop& loop_;
  net::Resolver& resolver_;
  std::unordered_map<std::string, Name> names_;
};

}  // namespace smartvpn::relay
