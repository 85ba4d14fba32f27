// The composition root: a validated configuration becomes shards, listeners, sessions and an engine.
// Every public member may be called from any thread unless it says otherwise. "Command" members wait
// for the control shard, which itself never waits for the host, DNS or disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/reason.hpp"
#include "base/result.hpp"
#include "config/client_json.hpp"
#include "config/server_config.hpp"
#include "forward/host/host_packet.hpp"
#include "registry/client.hpp"
#include "registry/store.hpp"
#include "server/authorizer.hpp"
#include "server/client_change.hpp"
#include "session/admission.hpp"
#include "telemetry/event_queue.hpp"
#include "telemetry/link_quality.hpp"
#include "telemetry/stats.hpp"
#include "transport/ws/ws_listener.hpp"

namespace smartvpn::server {

enum class State : int32_t { created = 0, running = 1, draining = 2, stopped = 3 };

struct BoundEndpoint {
  uint32_t listener = 0;
  session::Transport transport = session::Transport::websocket;
  inet::Endpoint address;  // the port the kernel gave, if the configuration said 0
};

struct SessionInfo {
  uint64_t id = 0;
  std::string client_id;
  uint32_t listener = 0;
  session::Transport transport = session::Transport::websocket;
  std::optional<inet::Endpoint> remote_addr;  // real
  inet::Endpoint peer_addr;                   // the proxy, or the client itself
  std::vector<inet::IpAddress> addresses;
  int64_t since_ms = 0;      // wall clock
  int64_t last_seen_ms = 0;  // wall clock
  telemetry::SessionCounters counters;
  telemetry::LinkQuality quality;
};

struct ClientPage {
  std::vector<registry::ClientPtr> clients;  // in order of id
  std::string next;                          // to ask for what follows; "": nothing does
  uint64_t matches = 0;                      // on all pages
  uint64_t revision = 0;
};

// Texts with secrets, wiped when it goes.
struct ExportedClient {
  ~ExportedClient() { wipe(text); }
  ExportedClient() = default;
  ExportedClient(ExportedClient&&) = default;
  ExportedClient& operator=(ExportedClient&&) = default;
  std::string text;
  bool has_private_key = false;
};

// A client's connection that a relay of this process hands over; see ws::AdoptedClient.
struct AdoptedConnection {
  net::Fd socket;
  ws::AdoptedClient client;
};

struct ClientAt {
  std::string client_id;
  uint64_t session_id = 0;
};

struct Callbacks {
  // On the dispatcher thread, one at a time. One that throws CallLater gets the same thing again in a moment.
  struct CallLater {};
  std::function<void(const telemetry::Event&)> event;
  std::function<void(const AuthorizeRequest&)> authorize;
};

class Server {
 public:
  // `open_store` opens the registry's store in start(); empty: the one that the configuration names.
  using OpenStore = std::function<Result<std::unique_ptr<registry::Store>>(const config::RegistryConfig&)>;
  static Result<std::unique_ptr<Server>> create(config::ServerConfig config, OpenStore open_store = {});
  ~Server();

  // created -> running. Waiting. On failure nothing is left behind and the state is stopped.
  Result<void> start();
  // -> draining -> stopped. Sessions are told and get up to `drain_ms` to leave. All callers wait for
  // the same end, up to `timeout_ms` (-1 for ever): TIMEOUT (AGAIN for 0) means it goes on by itself. Inside a
  // callback it only begins: AGAIN. OK when stopped already; a server never started is then stopped.
  Result<void> stop(int32_t drain_ms, int32_t timeout_ms);
  State state() const;
  std::vector<BoundEndpoint> endpoints() const;  // immediate

  // Immediate. Several subscriptions live side by side; type_mask bit n is EventType n.
  Result<std::shared_ptr<telemetry::EventQueue>> subscribe(uint64_t type_mask, size_t capacity);
  // Immediate, before start() only.
  Result<void> set_callbacks(Callbacks callbacks);
  // True on the dispatcher thread: where a callback runs and waiting would wait for itself.
  bool in_callback() const;

  // Command; BAD_STATE unless running. Registry; a change is in the store and has acted on live sessions when
  // these return. Statuses and paths as smartvpn.h says.
  // `ready` is for who has to make something of the answer: called with it before anything is written, so that what it
  // throws for want of memory leaves everything as it was. It may take the clients that were made out of it.
  using Ready = std::function<void(AppliedChanges& changes)>;
  Result<NewClient> client_create(const registry::ClientSpec& spec, const Ready& ready = {});
  Result<registry::Client> client_get(const std::string& id);
  Result<std::vector<registry::ClientPtr>> client_list();
  Result<ClientPage> client_query(const config::ClientQuery& query);
  Result<void> client_update(const std::string& id, std::string_view patch, uint64_t expected_revision);
  Result<void> client_set_enabled(const std::string& id, bool enabled);
  Result<void> client_remove(const std::string& id);
  Result<NewClient> client_rotate(const std::string& id, const registry::RotateOptions& options,
                                  const Ready& ready = {});
  Result<void> client_rotate_commit(const std::string& id);
  Result<void> client_rotate_roll_back(const std::string& id);
  Result<ExportedClient> client_export(const std::string& id, bool wireguard);
  Result<uint64_t> registry_revision();
  // All of them or none.
  Result<AppliedChanges> transact(const std::vector<ClientChange>& changes, uint64_t expected_revision,
                                  const Ready& ready = {});

  // Command; BAD_STATE before start() and after stop().
  Result<std::vector<SessionInfo>> sessions();
  Result<SessionInfo> session(uint64_t id);
  Result<void> disconnect(uint64_t session_id, Reason reason);
  Result<telemetry::StatsSnapshot> stats();
  // Of a registered client, over all its sessions since the start. NOT_FOUND.
  Result<telemetry::ClientStats> client_stats(const std::string& id);
  // Command; BAD_STATE unless running. `next` differs from what the server runs on only in keys whose effect is
  // `applied`. Compiles lists and reads certificates first, and changes nothing if that fails; then creates the clients
  // that are missing; then applies the rest at once. `told` is for the event.
  Result<void> reconfigure(config::ServerConfig next, const std::vector<std::pair<std::string, std::string>>& told);
  // Immediate. Whose session has that inner address now; nothing: nobody's, or the server does not run.
  std::optional<ClientAt> client_at(const inet::IpAddress& ip) const;
  // Immediate. To the first WebSocket listener: its settings hold, TLS included, but for what says who the client is.
  // BAD_STATE unless running, UNSUPPORTED without such a listener; the connection is then closed.
  Result<void> adopt(AdoptedConnection connection);
  // Reads certificate and key files again; live sessions keep theirs.
  Result<void> reload_certificates();

  // With `security.authorize` only, else BAD_STATE: requests that wait for the host's word, each handed out once,
  // here or to the callback. CLOSED once the server has stopped.
  Result<RequestPtr> authorize_next(int32_t timeout_ms, const RequestQueue::Ready& ready = {});
  Result<int> authorize_fd() const;
  // Command. NOT_FOUND for a token that was answered, is over (as all are after stop), or never was.
  Result<void> authorize_answer(uint64_t token, const Authorizer::Answer& answer);

  // The `host` engine, as forward::HostChannel; BAD_STATE with any other engine.
  Result<size_t> packets_read(ByteSpan arena, std::span<forward::HostPacket> meta, int32_t timeout_ms);
  Result<size_t> packets_write(ByteView arena, std::span<const forward::HostPacket> meta);
  Result<int> packets_fd() const;

  // In a forked child: closes descriptors, touches nothing shared.
  void abandon_after_fork() noexcept;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smartvpn::server
