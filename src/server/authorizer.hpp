// Who waits for the host's word: the table behind `security.authorize`. A question becomes a request with a
// token; whoever comes again meanwhile as the same client, from the same address and by the same transport joins
// it; the first answer decides for all of them, and an allow may hold for a while without another question.
// Shard thread only, no clock and no waiting; docs: smartvpn.h, section 14.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/reason.hpp"
#include "base/slot_map.hpp"
#include "registry/client.hpp"
#include "server/request_queue.hpp"

namespace smartvpn::server {

class Authorizer {
 public:
  // As the configuration stands when somebody asks.
  struct Limits {
    Duration timeout = seconds(5);
    size_t max_open = 1000;  // requests, and allows that are remembered
  };
  struct Question {
    const session::Connection& connection;
    const std::string& client_id;
    uint64_t client_number = 0;  // the registry entry's: a name may be given to somebody else
    PublicKey key{};
  };
  struct Answer {
    bool allow = false;
    Duration valid{};              // how long an allow holds without another question
    uint32_t session_seconds = 0;  // 0: no limit
    std::optional<registry::RateLimit> rate_limit;
    std::string detail;  // of a deny
  };
  struct Outcome {
    Reason reason = Reason::none;  // none: allowed
    uint32_t session_seconds = 0;
    std::optional<registry::RateLimit> rate_limit;
    std::string detail;
  };
  // Called for each connection that waited; must not throw. It may end connections, and so call forget().
  using Deliver = std::function<void(uint64_t connection, const Outcome& outcome)>;

  // `seed` should be random: an answer that is meant for another server's request then finds none of ours.
  Authorizer(std::shared_ptr<RequestQueue> queue, Deliver deliver, uint32_t seed = 0)
      : queue_(std::move(queue)), deliver_(std::move(deliver)), open_(seed) {}

  // An outcome that needs no question, or nothing: deliver() follows, once, unless forget() does. A connection
  // without a real address joins nobody and is remembered by nobody. Throws std::bad_alloc with nothing changed.
  std::optional<Outcome> ask(const Question& question, const Limits& limits, Time now, int64_t wall_ms);
  // False for a token that was answered, is over, or never was.
  bool answer(uint64_t token, const Answer& answer, const Limits& limits, Time now) noexcept;
  // The connection has ended. The last one takes its request with it.
  void forget(uint64_t connection) noexcept;
  // Denies what has waited too long, and forgets allows that no longer hold.
  void tick(Time now) noexcept;
  // When a request runs out; kNever if none is open.
  Time next_deadline() const noexcept { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }
  // Denies all that waits and whoever asks from now on.
  void close(Reason reason) noexcept;

  size_t open() const noexcept { return open_.size(); }
  size_t remembered() const noexcept { return allowed_.size(); }

 private:
  struct Who {
    uint64_t client_number = 0;
    PublicKey key{};
    inet::IpAddress from;
    session::Transport transport = session::Transport::websocket;
    friend auto operator<=>(const Who&, const Who&) = default;
  };
  struct Request {
    Who who;
    uint64_t place = 0;  // in the queue
    std::multimap<Time, uint64_t>::iterator deadline;
    std::vector<uint64_t> connections;
  };
  struct Allowed {
    Outcome outcome;
    Time until{};
  };

  void join(uint64_t token, uint64_t connection);
  void open_request(const Question& question, const Who& who, const Limits& limits, Time now, int64_t wall_ms);
  std::unique_ptr<Request> take_out(uint64_t token) noexcept;
  void resolve(uint64_t token, const Outcome& outcome) noexcept;
  void remember(const Who& who, const Outcome& outcome, Time until, size_t max, Time now);
  void forget_allowed_before(Time now) noexcept;

  std::shared_ptr<RequestQueue> queue_;
  Deliver deliver_;
  SlotMap<Request> open_;
  std::map<Who, uint64_t> token_of_;                         // those that can be joined
  std::unordered_map<uint64_t, uint64_t> token_waited_for_;  // by connection
  std::multimap<Time, uint64_t> deadlines_;
  std::map<Who, Allowed> allowed_;
  std::set<std::pair<Time, Who>> allowed_until_;
  Reason closed_ = Reason::none;
};

}  // namespace smartvpn::server
