// `smartvpn check`: everything that can be said of a configuration without opening a socket or device.
#include <cstdio>

#include "c_api.hpp"
#include "check_forwarding.hpp"
#include "commands.hpp"
#include "config_file.hpp"

namespace smartvpn::cli {

namespace {

const char* whose(Kind kind) {
  if (kind == Kind::relay) return "relay's";
  return kind == Kind::tunnel ? "tunnel's" : "server's";
}

void check(const LoadedConfig& loaded) {
  call([&](smartvpn_error** error) { return smartvpn_config_validate(loaded.config.get(), error); });
  // Creating also reads the certificates and compiles the address lists, and opens nothing.
  if (loaded.kind == Kind::tunnel) {
    make<Tunnel>([&](smartvpn_tunnel** out, smartvpn_error** error) {
      return smartvpn_tunnel_create(loaded.config.get(), out, error);
    });
  } else if (loaded.kind == Kind::relay) {
    make<Relay>([&](smartvpn_relay** out, smartvpn_error** error) {
      return smartvpn_relay_create(loaded.config.get(), out, error);
    });
  } else {
    make<Server>([&](smartvpn_server** out, smartvpn_error** error) {
      return smartvpn_server_create(loaded.config.get(), out, error);
    });
  }
}

}  // namespace

int run_check(const CheckOptions& options) {
  LoadedConfig loaded = load_config(options.config, options.kind);
  try {
    check(loaded);
  } catch (Failure& failure) {
    failure.exit_code = kExitUsage;  // also for a certificate that cannot be read
    throw;
  }
  if (loaded.kind == Kind::server) {
    for (const std::string& text : forwarding_warnings(loaded.config.get()))
      std::fprintf(stderr, "warning: %s\n", text.c_str());
  }
  std::printf("ok: a %s configuration\n", whose(loaded.kind));
  return kExitOk;
}

}  // namespace smartvpn::cli
