// See relay_json.hpp.
#include "capi/relay_json.hpp"

#include "telemetry/json_text.hpp"

namespace smartvpn::capi {
namespace {

using telemetry::JsonObject;

constexpr size_t kMaxTlvs = 64, kMaxTlvBytes = 1024;

void put(std::string& out, const relay::BoundEndpoint& endpoint) {
  JsonObject object(out);
  object.number("listener", endpoint.listener);
  object.text("address", endpoint.address.text());
  object.text("transport", config::relay_protocol_name(endpoint.protocol));
  object.close();
}

void put(std::string& out, const relay::ConnectionInfo& connection) {
  JsonObject object(out);
  object.number("id", connection.id);
  object.number("listener", connection.listener);
  object.text("peer_addr", connection.peer_addr.text());
  if (connection.remote_addr) object.text("remote_addr", connection.remote_addr->text());
  object.key("vouched");
  out += connection.vouched ? "true" : "false";
  if (!connection.tlvs.empty()) {
    object.key("tlvs");
    telemetry::append_json_texts(out, connection.tlvs, kMaxTlvs, kMaxTlvBytes);
  }
  if (!connection.client_id.empty()) object.text("client_id", connection.client_id);
  if (!connection.host.empty()) object.text("host", connection.host);
  if (!connection.route.empty()) object.text("route", connection.route);
  object.text("stage", connection.stage);
  if (connection.target) object.text("target", connection.target.text());
  object.number("bytes_in", connection.bytes_in);
  object.number("bytes_out", connection.bytes_out);
  object.signed_number("since", connection.since_ms);
  object.text("transport", config::relay_protocol_name(connection.protocol));
  object.close();
}

template <class T>
std::string list_of(const std::vector<T>& items) {
  std::string out = "[";
  for (const T& item : items) {
    if (out.size() > 1) out += ',';
    put(out, item);
  }
  return out += ']';
}

}  // namespace

std::string to_json(const std::vector<relay::BoundEndpoint>& endpoints) { return list_of(endpoints); }
std::string to_json(const std::vector<relay::ConnectionInfo>& connections) { return list_of(connections); }

}  // namespace smartvpn::capi
