// Names of the transports, as configuration and events spell them.
#include "session/admission.hpp"

namespace smartvpn::session {

const char* transport_name(Transport transport) noexcept {
  switch (transport) {
    case Transport::websocket:
      return "websocket";
    case Transport::quic:
      return "quic";
    case Transport::wireguard:
      return "wireguard";
  }
  return "unknown";
}

}  // namespace smartvpn::session
