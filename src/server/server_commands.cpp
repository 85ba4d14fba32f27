// What is asked of a running server: sessions, figures, changes of its configuration, the host's answers and packets.
#include <algorithm>

#include "server/server_impl.hpp"

namespace smartvpn::server {

Result<std::vector<SessionInfo>> Server::sessions() {
  std::vector<SessionInfo> all;
  auto done = impl_->command_everywhere([&all](Shard& shard) -> Result<void> {
    shard.add_sessions(all);
    return {};
  });
  if (!done) return done.error();
  std::sort(all.begin(), all.end(), [](const SessionInfo& a, const SessionInfo& b) { return a.id < b.id; });
  return all;
}
Result<SessionInfo> Server::session(uint64_t id) {
  return impl_->command_on(impl_->owner_of(id), [id](Shard& shard) { return shard.session(id); });
}
Result<void> Server::disconnect(uint64_t session_id, Reason reason) {
  return impl_->command_on(impl_->owner_of(session_id),
                           [session_id, reason](Shard& shard) { return shard.disconnect(session_id, reason); });
}
Result<telemetry::StatsSnapshot> Server::stats() {
  telemetry::StatsSnapshot out;
  auto done = impl_->command_everywhere([&out](Shard& shard) -> Result<void> {
    shard.add_stats(out);
    return {};
  });
  if (!done) return done.error();
  out.callback_exceptions = impl_->callback_exceptions_;
  return out;
}
Result<telemetry::ClientStats> Server::client_stats(const std::string& id) {
  telemetry::ClientStats out;
  auto done = impl_->command_everywhere([&out, &id](Shard& shard) { return shard.add_client_stats(id, out); });
  if (!done) return done.error();
  return out;
}
Result<void> Server::reconfigure(config::ServerConfig next,
                                 const std::vector<std::pair<std::string, std::string>>& told) {
  auto made = make_plan(std::move(next));
  if (!made) return made.error();
  auto plan = std::make_shared<const Plan>(std::move(*made));
  impl_->registry_.set_rules(
      {plan->config.keys.wireguard_private_key.has_value(), plan->config.registry.keep_private_keys});
  return impl_->registry_.declare(plan->config.clients, [&](Shard& shard) -> Result<void> {
    shard.reconfigure(plan);
    if (shard.index() + 1 == impl_->shard_count_) shard.tell_reconfigured(told);
    return {};
  });
}
std::optional<ClientAt> Server::client_at(const inet::IpAddress& ip) const {
  MutexLock lock(impl_->mutex_);
  if (!impl_->control_ || impl_->state_ != State::running) return std::nullopt;
  MutexLock shared(impl_->control_->mutex);
  const uint64_t session = impl_->control_->sessions.find_by_lease(impl_->control_->addresses.owner_of(ip));
  const std::string* client = impl_->control_->sessions.client_of(session);
  if (!client) return std::nullopt;
  return ClientAt{*client, session};
}
Result<void> Server::adopt(AdoptedConnection connection) {
  // A command has to be copyable.
  auto held = std::make_shared<AdoptedConnection>(std::move(connection));
  MutexLock lock(impl_->mutex_);
  if (impl_->starting_ || impl_->state_ != State::running) return server_not_running();
  if (std::none_of(impl_->endpoints_.begin(), impl_->endpoints_.end(),
                   [](const BoundEndpoint& at) { return at.transport == session::Transport::websocket; }))
    return make_error(Status::UNSUPPORTED, "the server has no WebSocket listener");
  Shard& shard = *impl_->shards_[impl_->adopted_++ % impl_->shard_count_];
  if (!shard.loop().post([held, &shard] { shard.adopt(std::move(*held)); }))
    return make_error(Status::LIMIT, "too many commands are waiting");
  return {};
}
Result<void> Server::reload_certificates() {
  // Files are read here: the shard never waits for the disk.
  auto contexts = impl_->command([](Shard& shard) -> Result<Shard::TlsContexts> { return shard.tls_contexts(); });
  if (!contexts) return contexts.error();
  for (auto& context : *contexts) {
    if (!context) continue;
    auto fresh = context->reloaded();
    if (!fresh) return fresh.error();
    context = std::move(*fresh);
  }
  return impl_->command_everywhere([&contexts](Shard& shard) -> Result<void> {
    shard.set_tls_contexts(*contexts);
    return {};
  });
}

namespace {

Error nobody_is_asked() {
  return make_error(Status::BAD_STATE, "the host is asked only with security.authorize \"required\"");
}

}  // namespace

Result<RequestPtr> Server::authorize_next(int32_t timeout_ms, const RequestQueue::Ready& ready) {
  return impl_->requests_ ? impl_->requests_->next(timeout_ms, ready) : nobody_is_asked();
}

Result<int> Server::authorize_fd() const {
  return impl_->requests_ ? Result<int>(impl_->requests_->fd()) : nobody_is_asked();
}

Result<void> Server::authorize_answer(uint64_t token, const Authorizer::Answer& answer) {
  if (!impl_->requests_) return nobody_is_asked();
  auto answered = impl_->command([token, answer](Shard& shard) { return shard.authorize_answer(token, answer); });
  if (!answered && answered.error().status == Status::BAD_STATE)
    return make_error(Status::NOT_FOUND, "the server is not running, so nothing is open");
  return answered;
}

namespace {

Error no_host_engine() {
  return make_error(Status::BAD_STATE, "packets need forwarding.mode \"host\" and a started server");
}

}  // namespace

Result<size_t> Server::packets_read(ByteSpan arena, std::span<forward::HostPacket> meta, int32_t timeout_ms) {
  std::shared_ptr<forward::HostChannel> channel;
  {
    MutexLock lock(impl_->mutex_);
    channel = impl_->host_channel_;
  }
  return channel ? channel->read(arena, meta, timeout_ms) : no_host_engine();
}

Result<size_t> Server::packets_write(ByteView arena, std::span<const forward::HostPacket> meta) {
  std::shared_ptr<forward::HostChannel> channel;
  {
    MutexLock lock(impl_->mutex_);
    channel = impl_->host_channel_;
  }
  return channel ? channel->write(arena, meta) : no_host_engine();
}

Result<int> Server::packets_fd() const {
  MutexLock lock(impl_->mutex_);
  if (!impl_->host_channel_) return no_host_engine();
  return impl_->host_channel_->fd();
}

}  // namespace smartvpn::server
