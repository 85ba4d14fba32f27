// What the library says about itself (smartvpn.h, section 2), and the check that the header's
// statuses are those of base/status.hpp.
#include <cstring>

#include "base/features.hpp"
#include "base/status.hpp"
#include "smartvpn.h"

#define X(name, value, text) static_assert(SMARTVPN_##name == value, "smartvpn.h and base/status.hpp differ");
SMARTVPN_STATUS_LIST(X)
#undef X

namespace {

struct Feature {
  const char* name;
  bool present;
};

constexpr Feature kFeatures[] = {
    {"tls", SMARTVPN_WITH_TLS},
    {"websocket", SMARTVPN_WITH_WEBSOCKET},
    {"tunnel", SMARTVPN_WITH_TUNNEL},
    {"tun", SMARTVPN_WITH_TUN},
    {"host", true},
    {"testing", true},
    {"proxy_protocol", true},
    {"memory_store", true},
    {"sqlite_store", SMARTVPN_WITH_SQLITE},
    {"qr", SMARTVPN_WITH_QR},
    {"rotate", true},
    {"patch", true},
    {"transactions", true},
    {"export", true},
    {"quic", false},
    {"wireguard", SMARTVPN_WITH_WIREGUARD},
    {"nat", false},
    {"bridge", false},
    {"relay", SMARTVPN_WITH_RELAY},
    {"authorize", true},
    {"reconfigure", true},
    {"masquerade", SMARTVPN_WITH_TUN},
    {"vector_aead", SMARTVPN_WITH_VECTOR_AEAD},
};

}  // namespace

const char* smartvpn_version(void) { return SMARTVPN_VERSION_STRING; }

uint32_t smartvpn_abi_version(void) { return SMARTVPN_ABI_VERSION; }

int32_t smartvpn_has(const char* feature) {
  if (!feature) return SMARTVPN_INVALID;
  for (const Feature& known : kFeatures)
    if (std::strcmp(known.name, feature) == 0) return known.present ? 1 : 0;
  return SMARTVPN_NOT_FOUND;
}

const char* smartvpn_status_name(smartvpn_status status) { return smartvpn::status_name(status); }

const char* smartvpn_status_text(smartvpn_status status) { return smartvpn::status_text(status); }
