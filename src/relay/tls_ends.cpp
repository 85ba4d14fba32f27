// See tls_ends.hpp.
#include "relay/tls_ends.hpp"

#include <algorithm>

namespace smartvpn::relay {
namespace {

using Mode = config::RelayTlsConfig::Mode;

net::TlsClientOptions towards(const config::RelayTlsConfig& tls, const std::string& path) {
  net::TlsClientOptions out;
  out.ca = tls.target_ca;
  out.system_store = tls.target_verify && tls.target_ca.empty();
  out.any_certificate = !tls.target_verify;
  out.path = path + "/target";
  return out;
}

}  // namespace

Result<std::shared_ptr<const TlsEnds>> TlsEnds::make(const config::RelayActionConfig& action, const std::string& path) {
  const config::RelayTlsConfig& tls = action.tls;
  if (tls.mode == Mode::passthrough) return std::shared_ptr<const TlsEnds>();
  auto ends = std::make_shared<TlsEnds>();
  for (size_t i = 0; i < tls.certificates.size(); ++i) {
    net::TlsServerOptions options;
    options.certificate = tls.certificates[i].certificate;
    options.key = tls.certificates[i].key;
    options.alpn = tls.alpn;
    options.path = path + "/certificates/" + std::to_string(i);
    auto context = net::TlsContext::server(options);
    if (!context) return std::move(context).error();
    ends->certificates_.push_back(std::move(*context));
  }
  ends->reencrypts_ = tls.mode == Mode::reencrypt;
  ends->name_ = tls.target_name;
  // Contexts are dear to make, so they are made here: one for each name, with and without each protocol.
  for (size_t t = 0; ends->reencrypts_ && t < action.targets.size(); ++t)
    for (size_t a = 0; a <= tls.alpn.size(); ++a) {
      Towards one{
          tls.target_name.empty() ? action.targets[t].host : tls.target_name, a == 0 ? "" : tls.alpn[a - 1], {}};
      if (std::any_of(ends->targets_.begin(), ends->targets_.end(),
                      [&](const Towards& made) { return made.name == one.name && made.alpn == one.alpn; }))
        continue;
      net::TlsClientOptions options = towards(tls, path);
      options.server_name = one.name;
      if (!one.alpn.empty()) options.alpn = {one.alpn};
      auto context = net::TlsContext::client(options);
      if (!context) return std::move(context).error();
      one.context = std::move(*context);
      ends->targets_.push_back(std::move(one));
    }
  return std::shared_ptr<const TlsEnds>(std::move(ends));
}

std::unique_ptr<net::TlsMachine> TlsEnds::towards_client(std::string_view server_name) const {
  for (const auto& context : certificates_)
    if (!server_name.empty() && context->serves(server_name)) return net::TlsMachine::create(context);
  return net::TlsMachine::create(certificates_.front());
}

Result<std::unique_ptr<net::TlsMachine>> TlsEnds::towards_target(const config::RelayTargetConfig& target,
                                                                 const std::string& alpn) const {
  if (!reencrypts_) return std::unique_ptr<net::TlsMachine>();
  const std::string& name = name_.empty() ? target.host : name_;
  for (const Towards& one : targets_) {
    if (one.name != name || one.alpn != alpn) continue;
    auto machine = net::TlsMachine::create(one.context);
    if (machine) return machine;
    break;
  }
  return make_error(Status::NO_MEMORY, {});
}

}  // namespace smartvpn::relay
