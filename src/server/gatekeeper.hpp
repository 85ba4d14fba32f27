// Who may come in: the one implementation of session::Admission, over the lists, the limits, the
// registry and the address pool. Phase 1 (before any crypto) judges the real address, phase 2 the
// identity; nothing that costs another client anything happens before a session is confirmed. One a shard, for
// its connections; what all of them count together is in Control.
#pragma once

#include <functional>
#include <unordered_map>

#include "net/loop.hpp"
#include "net/timer.hpp"
#include "server/control.hpp"
#include "server/reporter.hpp"
#include "session/admission.hpp"

namespace smartvpn::server {

class Gatekeeper final : public session::Admission {
 public:
  struct Parts {
    const std::shared_ptr<const Plan>& plan;  // the one in force
    Control& control;
    size_t shard;
    Reporter& reporter;
    MemoryGuard& memory;
    net::Loop& loop;  // for the time of the turn
    const router::RouteTable& routes;
  };
  // What a confirmed connection becomes a session with.
  struct Admitted {
    std::string client_id;
    uint64_t client_number = 0;
    uint64_t lease = 0;
    PublicKey key{};
    std::vector<inet::IpAddress> addresses;
    std::vector<inet::IpAddress> fixed;  // the entry's at the offer
    uint32_t session_seconds = 0;        // of the host's allow; 0: no limit
    std::optional<registry::RateLimit> granted_rate;
  };

  explicit Gatekeeper(const Parts& parts);

  // Every turn of the loop may pay for a few handshakes again.
  void begin_turn() noexcept { handshakes_left_ = kHandshakesPerTurn; }

  Reason on_accept(const session::Connection& connection) override;
  Reason on_http_proxy(const session::Connection& connection) override;
  Reason on_real_address(const session::Connection& connection) override;
  bool may_start_handshake(const session::Connection& connection) override;
  bool knows_key(const PublicKey& key) override;
  // Valid until the next call.
  const SecretKey* shared_secret(const PublicKey& own, const PublicKey& theirs) override;
  std::optional<session::IdentityVerdict> on_identity(const session::Connection& connection,
                                                      const session::Identity& identity) override;
  Reason may_send(const session::Connection& there) override;
  Reason may_shake_hands(const session::Connection& there, const PublicKey& key) override;
  Reason may_roam(const session::Connection& connection) override;
  void on_closed(const session::Connection& connection, Reason reason, const std::string& detail) noexcept override;

  // Both under the lock of Control, which the shard knows by another name than this does, so that no analysis sees it.
  // Key confirmation, first step: null with `*why` when the grant no longer holds.
  const Admitted* may_confirm(const session::Connection& connection, Reason* why);
  // Second step, right after: commits the lease. The lease of an older session that has to go, or 0.
  uint64_t confirm(const session::Connection& connection) noexcept;
  // Called by on_closed, under the lock of Control, for connections that had been confirmed; set by the shard. Must
  // not throw. False: no session came of it.
  using SessionEnd = std::function<bool(uint64_t connection, Reason, const std::string&)>;
  void on_session_end(SessionEnd callback) { session_end_ = std::move(callback); }
  // Takes a late verdict to the connection's transport; set by the shard. Must not throw.
  using VerdictLater = std::function<void(uint64_t connection, const session::IdentityVerdict&)>;
  void on_verdict(VerdictLater callback) { verdict_later_ = std::move(callback); }
  // The host's answer, on any shard. NOT_FOUND for a token that was answered, is over, or never was.
  Result<void> authorize_answer(uint64_t token, const Authorizer::Answer& answer);
  // Denies all that waits for the host, and whoever comes from now on, with this reason.
  void stop_asking(Reason reason) noexcept;
  // Takes verdicts that have arrived for this shard's connections to them.
  void deliver_late() noexcept;
  void tick();
  // The plan has changed.
  void reconfigured();

 private:
  bool is_inner(const inet::IpAddress& ip) const;
  static constexpr int kHandshakesPerTurn = 4;
  static constexpr uint32_t kOrdinaryPriority = 100;  // above: the first to go without when memory is scarce
  enum class Stage : uint8_t { header, stranger, session };
  struct Entry {
    Stage stage = Stage::stranger;
    inet::IpAddress counted;  // whom the open connection counts against; none: nobody
    bool in_handshake = false;
    bool offered = false;
    Admitted admitted;
    std::string denied_because;  // the host's words
  };

  const Plan& plan() const noexcept { return *parts_.plan; }
  Reason judge(const session::Connection& connection, const PublicKey& key, const ClientDirectory::Found& found) const;
  bool refuses_new(const registry::Client& client) const REQUIRES(control_.mutex);
  bool has_room(const registry::Client& client) const REQUIRES(control_.mutex);
  Reason offer(Entry& entry, const ClientDirectory::Found& found, const session::Identity& identity)
      REQUIRES(control_.mutex);
  session::Grant grant(const Entry& entry) const;
  // gatekeeper_authorize.cpp. False: the host is asked, and the verdict comes later.
  bool ask_host(const session::Connection& connection, const session::Identity& identity, Entry& entry,
                session::IdentityVerdict& verdict) REQUIRES(control_.mutex);
  void next_deadline() noexcept REQUIRES(control_.mutex);
  Reason take(Entry& entry, const Authorizer::Outcome& outcome);
  void host_has_decided(uint64_t connection, const Authorizer::Outcome& outcome) noexcept;
  Authorizer::Limits authorize_limits() const;
  Reason enter_header_stage(const session::Connection& connection, Entry& entry);
  void leave_header_stage(const session::Connection& connection, Entry& entry) noexcept REQUIRES(control_.mutex);
  void count_connections() noexcept;

  Parts parts_;
  Control& control_;
  std::unordered_map<uint64_t, Entry> entries_;
  size_t confirmed_ = 0;  // of them
  SecretKey secret_;      // given out last
  SessionEnd session_end_;
  VerdictLater verdict_later_;
  net::Timer authorize_timer_;  // the next deadline of a request
  int handshakes_left_ = kHandshakesPerTurn;
};

}  // namespace smartvpn::server
