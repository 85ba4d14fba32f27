// The `wg` tool's protocol, whole and in pieces of the fuzzer's choice: both must agree in everything, what is accepted
// is within its bounds, and what is answered about it can be read back. Input: a byte that seeds the piece sizes, the
// stream.
#include "fuzz/require.hpp"
#include "transport/wireguard/uapi_codec.hpp"

using namespace smartvpn;
using namespace smartvpn::wireguard;

namespace {

using smartvpn::fuzz::require;

template <class T>
void add(std::string& out, const std::optional<T>& value) {
  out += value ? std::to_string(*value) + ";" : "-;";
}
void add(std::string& out, const std::optional<SecretKey>& value) {
  out += value ? format_key(value->view()) + ";" : "-;";
}

void add(std::string& out, const UapiPeer& peer) {
  out += format_key(peer.key) + (peer.remove ? "r" : "") + (peer.update_only ? "u" : "") +
         (peer.replace_allowed_ips ? "a" : "");
  add(out, peer.preshared_key);
  add(out, peer.persistent_keepalive_s);
  if (peer.endpoint) {
    require(peer.endpoint->ip && peer.endpoint->port != 0);
    out += peer.endpoint->text();
  }
  for (const auto& ip : peer.allowed_ips) {
    require(ip.prefix.base && ip.prefix.base == ip.prefix.base.masked(ip.prefix.prefix));
    out += (ip.remove ? "-" : "+") + ip.prefix.text();
  }
}

// What an accepted peer would be told as is a request about the same peer, but for what only answers have.
void check_told_back(const UapiPeer& peer) {
  std::vector<inet::Cidr> allowed;
  for (const auto& ip : peer.allowed_ips) allowed.push_back(ip.prefix);
  UapiPeerState state;
  state.key = peer.key;
  state.preshared_key = peer.preshared_key ? &*peer.preshared_key : nullptr;
  state.endpoint = peer.endpoint;
  state.persistent_keepalive_s = peer.persistent_keepalive_s.value_or(0);
  state.allowed_ips = allowed;
  std::string answer, request = "set=1\n";
  append_uapi_peer(answer, state);
  require(answer.size() <= uapi_peer_size(state));
  for (size_t at = 0, end; at < answer.size(); at = end + 1) {
    end = answer.find('\n', at);
    const std::string line = answer.substr(at, end - at);
    if (line.find("_bytes=") == std::string::npos && line.rfind("last_", 0) != 0) request += line + "\n";
  }
  UapiParser parser;
  UapiRequest again;
  request += "\n";
  require(parser.feed(request) == request.size() && parser.state() == UapiParser::State::done);
  require(parser.take(again) == 0 && again.peers.size() == 1 && again.peers[0].key == peer.key);
  require(again.peers[0].endpoint == peer.endpoint && again.peers[0].allowed_ips.size() == allowed.size());
}

// All that was understood of a stream.
std::string read(std::string_view stream, uint32_t pieces, bool tell_back) {
  UapiParser parser;
  std::string out;
  while (!stream.empty()) {
    size_t size = stream.size();
    if (pieces != 0) {
      pieces = pieces * 1664525 + 1013904223;
      size = std::min<size_t>(size, 1 + (pieces >> 27));
    }
    const size_t used = parser.feed(stream.substr(0, size));
    stream.remove_prefix(used);
    require(parser.state() != UapiParser::State::more || used == size);
    require(parser.state() != UapiParser::State::lost);  // no input is that long
    if (parser.state() != UapiParser::State::done) continue;
    UapiRequest request;
    out += std::to_string(parser.take(request)) + (request.set ? "s" : "g") + (request.replace_peers ? "p" : "");
    add(out, request.private_key);
    add(out, request.listen_port);
    add(out, request.fwmark);
    for (const auto& peer : request.peers) {
      add(out, peer);
      if (tell_back) check_told_back(peer);
    }
    require(!parser.begun());
  }
  return out + (parser.begun() ? "begun" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);
  require(read(stream, 0, true) == read(stream, data[0] * 2u + 1, false));
  return 0;
}
