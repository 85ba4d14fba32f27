// Names to addresses, on a thread of its own that is joined with the resolver. libuv's process-wide pool is
// never used: its threads could not be joined (c-api.md rule 9).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/loop.hpp"

namespace smartvpn::net {

class Resolver {
 public:
  static constexpr size_t kMaxWaiting = 64;
  // Addresses in the order to try them (RFC 6724), without doubles, never empty; or an error: NOT_FOUND
  // for a name without addresses, TIMEOUT for name servers that do not answer, SYSTEM.
  using Done = std::function<void(Result<std::vector<inet::Endpoint>>)>;

  static Result<std::unique_ptr<Resolver>> create(Loop& loop);
  // Cancels everything and joins the thread, which may take as long as one look-up that is under way.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // `host` is a name or an address (an address needs no look-up and passes the queue by). `done` runs
  // later on the loop's thread. An id for cancel(); 0 when kMaxWaiting look-ups are
  // under way, cancelled ones included until the thread has passed them.
  uint64_t resolve(std::string host, uint16_t port, Done done);
  // `done` will not be called. An id that is done already is ignored.
  void cancel(uint64_t id) noexcept;
  // In a forked child, where the thread does not exist.
  void abandon_after_fork() noexcept;

 private:
  struct Impl;
  explicit Resolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smartvpn::net
