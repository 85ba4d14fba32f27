#include "server/client_query.hpp"

#include <algorithm>

namespace smartvpn::server {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool has_text(std::string_view where, std::string_view what) {
  return std::search(where.begin(), where.end(), what.begin(), what.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != where.end();
}

bool matches(const registry::Client& client, const config::ClientQuery& query, const std::vector<std::string>& online) {
  const auto& tags = client.tags;
  if (!client.id.starts_with(query.id_prefix)) return false;
  if (!query.tag.empty() && std::find(tags.begin(), tags.end(), query.tag) == tags.end()) return false;
  if (query.enabled && client.enabled != *query.enabled) return false;
  if (query.online && std::binary_search(online.begin(), online.end(), client.id) != *query.online) return false;
  if (query.text.empty() || has_text(client.id, query.text) || has_text(client.description, query.text)) return true;
  return std::any_of(tags.begin(), tags.end(), [&](const std::string& tag) { return has_text(tag, query.text); });
}

}  // namespace

ClientPage page_of(const ClientSnapshot& all, const config::ClientQuery& query) {
  ClientPage out;
  out.revision = all.revision;
  for (const auto& client : all.clients) {
    if (!matches(*client, query, all.online)) continue;
    ++out.matches;
    if (client->id <= query.after && !query.after.empty()) continue;
    if (out.clients.size() < query.limit)
      out.clients.push_back(client);
    else if (out.next.empty())
      out.next = out.clients.back()->id;
  }
  return out;
}

}  // namespace smartvpn::server
