// Servers and their callbacks (smartvpn.h, sections 6 and 7) and their events (8).
#include "capi/arguments.hpp"
#include "capi/authorize_object.hpp"
#include "capi/call.hpp"
#include "capi/config_object.hpp"
#include "capi/events_object.hpp"
#include "capi/json.hpp"
#include "capi/server_object.hpp"

namespace smartvpn::capi {
namespace {

static_assert(SMARTVPN_SERVER_CREATED == static_cast<int>(server::State::created));
static_assert(SMARTVPN_SERVER_RUNNING == static_cast<int>(server::State::running));
static_assert(SMARTVPN_SERVER_DRAINING == static_cast<int>(server::State::draining));
static_assert(SMARTVPN_SERVER_STOPPED == static_cast<int>(server::State::stopped));

// Lends the object that `make()` makes to the host's function, as a handle that dies when it returns. Without memory
// for it the function is called later.
template <class T, class Handle, class Make>
void lend(Make&& make, void (*function)(void*, const Handle*), void* user) {
  struct Lent {
    Handle* handle = nullptr;
    ~Lent() { free_handle<T>(handle); }
  } lent;
  try {
    give(&lent.handle, std::unique_ptr<T>(make()));
  } catch (const std::bad_alloc&) {
    throw server::Callbacks::CallLater();
  }
  function(user, lent.handle);
}

}  // namespace

void ServerObject::wake() noexcept {
  barrier(nullptr, [&] { return server->stop(0, 0); });
}

}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_server_create(const smartvpn_config* config, smartvpn_server** out, smartvpn_error** err) {
  return call<ConfigObject>(config, err, [&](ConfigObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    MutexLock lock(object.mutex);
    auto checked = object.document.server_config();
    config::Document running = object.document.clone();
    lock.unlock();
    if (!checked) return std::move(checked).error();
    auto made = server::Server::create(std::move(*checked));
    if (!made) return std::move(made).error();
    give(out, std::make_unique<ServerObject>(std::move(*made), std::move(running)));
    return {};
  });
}

smartvpn_status smartvpn_server_start(smartvpn_server* server, smartvpn_error** err) {
  return call<ServerObject>(server, err, [](ServerObject& object) { return object.server->start(); });
}

smartvpn_status smartvpn_server_stop(smartvpn_server* server, int32_t drain_ms, int32_t timeout_ms,
                                     smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!object.server->in_callback()) return object.server->stop(drain_ms, timeout_ms);
    Result<void> begun = object.server->stop(drain_ms, 0);
    Status status = begun ? Status::OK : begun.error().status;
    if (status == Status::OK || status == Status::TIMEOUT || status == Status::AGAIN)
      return make_error(Status::PENDING, "the server stops in the background");
    return begun;
  });
}

smartvpn_status smartvpn_server_free(smartvpn_server* server) {
  if (!server) return SMARTVPN_OK;
  bool in_callback = false;
  smartvpn_status status = call<ServerObject>(server, nullptr, [&](ServerObject& object) -> Result<void> {
    in_callback = object.server->in_callback();
    return {};
  });
  if (status == SMARTVPN_OK && in_callback) return SMARTVPN_BAD_STATE;
  return free_handle<ServerObject>(server);
}

int32_t smartvpn_server_state(const smartvpn_server* server) {
  return call_for_number<ServerObject>(
      server, [](ServerObject& object) -> Result<int32_t> { return static_cast<int32_t>(object.server->state()); });
}

smartvpn_status smartvpn_server_endpoints(const smartvpn_server* server, char* buf, size_t cap, size_t* needed,
                                          smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) {
    return put_text(to_json(object.server->endpoints()), buf, cap, needed);
  });
}

smartvpn_status smartvpn_server_endpoint(const smartvpn_server* server, size_t index, char* buf, size_t cap,
                                         size_t* needed, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    std::vector<server::BoundEndpoint> endpoints = object.server->endpoints();
    if (index >= endpoints.size()) return make_error(Status::NOT_FOUND, "the server has fewer endpoints");
    return put_text(endpoints[index].address.text(), buf, cap, needed);
  });
}

smartvpn_status smartvpn_server_reload_certificates(smartvpn_server* server, smartvpn_error** err) {
  return call<ServerObject>(server, err, [](ServerObject& object) {
    MutexLock lock(object.reconfiguring);  // or a path that is being changed would come back
    return object.server->reload_certificates();
  });
}

smartvpn_status smartvpn_server_set_callbacks(smartvpn_server* server, const smartvpn_callbacks* callbacks,
                                              smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto mine = read_struct<smartvpn_callbacks>(callbacks, callbacks ? callbacks->struct_size : 0, "callbacks");
    if (!mine) return std::move(mine).error();
    server::Callbacks made;
    if (mine->event)
      made.event = [host = *mine](const telemetry::Event& event) {
        lend<EventObject>(
            [&] { return std::make_unique<EventObject>(std::make_shared<const telemetry::Event>(event)); }, host.event,
            host.user);
      };
    if (mine->authorize)
      made.authorize = [host = *mine](const server::AuthorizeRequest& request) {
        lend<RequestObject>([&] { return std::make_unique<RequestObject>(request); }, host.authorize, host.user);
      };
    return object.server->set_callbacks(std::move(made));
  });
}

smartvpn_status smartvpn_events_open(smartvpn_server* server, uint64_t type_mask, size_t capacity,
                                     smartvpn_events** out, smartvpn_error** err) {
  return call<ServerObject>(
      server, err, [&](ServerObject& object) { return open_events(*object.server, type_mask, capacity, out); });
}
