// Arbitrary bytes as configurations: nothing but a status comes out of what is wrong, and what is
// right keeps its invariants. The first line is a JSON Pointer for Document::set, the rest is JSON.
#include <cstdint>
#include <string>
#include <string_view>

#include "config/document.hpp"
#include "fuzz/require.hpp"

namespace {

using smartvpn::fuzz::require;
using namespace smartvpn;
using namespace smartvpn::config;

void check_error(const Error& error) {
  bool expected = error.status == Status::INVALID || error.status == Status::UNSUPPORTED;
  require(expected && !error.text.empty() && (error.path.empty() || error.path[0] == '/'));
}

// What was taken is taken again from the text that the document gives, and means the same.
void check_same(Kind kind, std::string_view text) {
  auto document = Document::parse(text, kind);
  require(document && document->validate());
  const std::string written = document->to_json(true);
  auto again = Document::parse(written, kind);
  require(again && again->validate() && again->to_json(true) == written);
  require(document->changes_to(*again).empty() && again->changes_to(*document).empty());
}

void check_server(std::string_view text) {
  auto config = parse_server_config(text);
  if (!config) return check_error(config.error());
  require(!config->listen.empty() && !config->network.subnets.empty() && config->network.mtu >= 576);
  for (const auto& listener : config->listen) {
    bool proxied = listener.proxy_protocol.mode != ProxyProtocolConfig::Mode::off;
    require(proxied == !listener.proxy_protocol.trusted_proxies.empty());
    require((listener.fd >= 0) != static_cast<bool>(listener.address));
    require(is_valid_path(listener.path));
  }
  for (const auto& client : config->clients) {
    require(!client.id.empty() && client.max_sessions >= 1);
    for (const auto& ip : client.addresses) {
      bool inside = false;
      for (const auto& subnet : config->network.subnets) inside |= subnet.contains(ip) && ip != gateway_of(subnet);
      require(inside);
    }
  }
  check_same(Kind::server, text);
}

void check_tunnel(std::string_view text) {
  auto config = parse_tunnel_config(text);
  if (!config) return check_error(config.error());
  require(config->server.port != 0 && !config->server.host.empty());
  auto again = ServerUrl::parse(config->server.text());
  require(again && again->text() == config->server.text());
  require(!config->tls.verify || !config->tls.ca.empty() || !config->server.tls);
  check_same(Kind::tunnel, text);
}

// Taking over every difference leaves none, whatever the two are.
void check_differences(const Document& from, const Document& to) {
  Document changed = from.clone();
  changed.take(to, from.changes_to(to));
  require(changed.changes_to(to).empty() && to.changes_to(changed).empty());
  require(from.changes_to(from.clone()).empty());
}

// A document is structurally valid whatever was set or refused, and reads back as itself.
void check_document(Kind kind, std::string_view pointer, std::string_view value) {
  Document document(kind), parsed(kind);
  if (auto whole = Document::parse(value, kind)) parsed = std::move(*whole);
  for (int round = 0; round < 2; ++round) {
    auto before = document.to_json(true);
    auto set = document.set(pointer, value);
    if (!set) {
      check_error(set.error());
      require(document.to_json(true) == before);
    }
    auto text = document.to_json(true);
    auto again = Document::parse(text, kind);
    require(again.ok() && again->to_json(true) == text);
    require(Document::parse(document.to_json(false), kind).ok());
    if (auto valid = document.validate(); !valid) check_error(valid.error());
    check_differences(document, parsed);
    check_differences(parsed, document);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t newline = text.find('\n');
  std::string_view pointer = text.substr(0, newline);
  std::string_view json = newline == std::string_view::npos ? std::string_view{} : text.substr(newline + 1);
  check_server(json);
  check_tunnel(json);
  check_document(Kind::server, pointer, json);
  check_document(Kind::tunnel, pointer, json);
  return 0;
}
