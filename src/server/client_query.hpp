// A page of clients out of all: sorted and searched by the thread that asks, over a snapshot.
#pragma once

#include "config/client_json.hpp"
#include "server/server.hpp"

namespace smartvpn::server {

struct ClientSnapshot {
  std::vector<registry::ClientPtr> clients;  // in order of id
  std::vector<std::string> online;           // ids, in order; only if the query asks
  uint64_t revision = 0;
};

ClientPage page_of(const ClientSnapshot& all, const config::ClientQuery& query);

}  // namespace smartvpn::server
