// What one shard does for another: it learns of changed routes, takes packets over, and ends sessions that were
// displaced elsewhere. A wake brings it here; what waits is in Control and in the rings.
#include "server/shard.hpp"

namespace smartvpn::server {

void Shard::catch_up() { routes_.catch_up(router_.table()); }

void Shard::on_wake() {
  if (control_.take_mail(index())) {
    gatekeeper_->deliver_late();
    end_condemned();
    take_tun_queue();
  }
  // The rest in the next turn, after what sockets have brought. It also follows the log of routes.
  if (data_path_.from_other_shards(DataPath::kBatch)) crossing_->wake_self();
  take_strays();
}

void Shard::end_condemned() noexcept {
  for (;;) {
    uint64_t id = 0;
    {
      MutexLock lock(control_.mutex);
      id = control_.sessions.take_condemned(index());
    }
    if (id == 0) return;
    end_session(id, Reason::replaced);
  }
}

uint64_t Shard::displace(uint64_t lease) noexcept {
  const uint64_t session = lease == 0 ? 0 : control_.sessions.find_by_lease(lease);
  if (session == 0 || ids_.is_mine(session)) return session;
  control_.sessions.condemn(session);
  control_.send_mail(ids_.shard_of(session));
  return 0;
}

}  // namespace smartvpn::server
