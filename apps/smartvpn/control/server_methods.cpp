// Methods about the server and its sessions.
#include <unistd.h>

#include <chrono>

#include "control/methods.hpp"

namespace smartvpn::cli {
namespace {

using nlohmann::json;

const char* state_name(int32_t state) {
  switch (state) {
    case SMARTVPN_SERVER_CREATED:
      return "created";
    case SMARTVPN_SERVER_RUNNING:
      return "running";
    case SMARTVPN_SERVER_DRAINING:
      return "draining";
    default:
      return "stopped";
  }
}

int64_t now_ms() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

SecretText server_info(const ControlContext& context, const Params&) {
  SecretText endpoints = read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_server_endpoints(context.server, buf, cap, needed, error);
  });
  json info = {{"version", smartvpn_version()}, {"pid", ::getpid()}, {"time", now_ms()}};
  info["state"] = state_name(smartvpn_server_state(context.server));
  info["endpoints"] = json::parse(endpoints.text());
  return SecretText(info.dump());
}

SecretText server_reload(const ControlContext& context, const Params& params) {
  return SecretText("{\"changes\":" + context.reload(params.flag("dry_run")) + "}");
}

SecretText stats_get(const ControlContext& context, const Params& params) {
  std::string format = params.text("format", "json");
  if (format != "json" && format != "prometheus")
    throw Failure{kExitUsage, "/format", "is \"json\" or \"prometheus\"", SMARTVPN_INVALID};
  Stats stats = make<Stats>(
      [&](smartvpn_stats** out, smartvpn_error** error) { return smartvpn_server_stats(context.server, out, error); });
  bool prometheus = format == "prometheus";
  auto read = prometheus ? smartvpn_stats_prometheus : smartvpn_stats_json;
  SecretText text = read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return read(stats.get(), buf, cap, needed, error);
  });
  return prometheus ? SecretText(json(text.text()).dump()) : std::move(text);
}

// With the moment, so that who asks twice can say how much a second.
SecretText sessions_list(const ControlContext& context, const Params&) {
  int64_t time = now_ms();
  SecretText list = read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_session_list(context.server, buf, cap, needed, error);
  });
  return SecretText("{\"time\":" + std::to_string(time) + ",\"sessions\":" + list.text() + "}");
}

SecretText sessions_get(const ControlContext& context, const Params& params) {
  return read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_session_get(context.server, params.number("id"), buf, cap, needed, error);
  });
}

// One by its id, or all of a client. A session that ends by itself meanwhile is as good.
SecretText sessions_disconnect(const ControlContext& context, const Params& params) {
  if (params.has("id") == params.has("client_id"))
    throw Failure{kExitUsage, "", "either `id` or `client_id` is required", SMARTVPN_INVALID};
  if (params.has("id")) {
    uint64_t id = params.number("id");
    call([&](smartvpn_error** error) { return smartvpn_session_disconnect(context.server, id, error); });
    return SecretText("{\"disconnected\":1}");
  }
  std::string client = params.text("client_id");
  (void)read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_client_get(context.server, client.c_str(), buf, cap, needed, error);
  });
  SecretText list = read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
    return smartvpn_session_list(context.server, buf, cap, needed, error);
  });
  int ended = 0;
  for (const auto& session : json::parse(list.text()))
    if (session.at("client_id") == client)
      ended += smartvpn_session_disconnect(context.server, session.at("id").get<uint64_t>(), nullptr) == SMARTVPN_OK;
  return SecretText("{\"disconnected\":" + std::to_string(ended) + "}");
}

constexpr ControlMethod kServerMethods[] = {
    {"server.info", "", server_info},     {"server.reload", "dry_run", server_reload, true},
    {"stats.get", "format", stats_get},   {"sessions.list", "", sessions_list},
    {"sessions.get", "id", sessions_get}, {"sessions.disconnect", "id client_id", sessions_disconnect, true},
};

}  // namespace

std::span<const ControlMethod> server_methods() { return kServerMethods; }

}  // namespace smartvpn::cli
