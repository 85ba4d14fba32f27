// Who an HTTP proxy says the client is: X-Forwarded-For, Forwarded (RFC 7239), or a header with one address
// such as CF-Connecting-IP. Each proxy appends whom it saw, and what stands to the left of the last trusted
// proxy's word is whatever the client likes to write; so the right-most address that is not a trusted proxy's
// is the client. Everything that leaves a doubt is an error: the caller refuses the request. Pure.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "inet/address.hpp"
#include "transport/ws/http_head.hpp"

namespace smartvpn::ws {

struct RealIpHeader {
  enum class Kind : uint8_t { off, x_forwarded_for, forwarded, single };
  Kind kind = Kind::off;
  std::string name;  // lower case

  // "off", "x-forwarded-for", "forwarded", or the name of a header with a single address; in lower case.
  static RealIpHeader named(std::string_view name);
};

// Whether an address is a trusted proxy's.
using TrustedAddress = std::function<bool(const inet::IpAddress&)>;

constexpr size_t kMaxHops = 32;  // addresses that are looked at

// The client of a request that a trusted proxy has sent. Port 0 where the header names none. INVALID, with a
// text that quotes nothing, for a header that is missing, malformed, twice there (single), or says that the
// client is not to be told ("unknown", "_hidden").
Result<inet::Endpoint> find_client(const HttpHead& request, const RealIpHeader& header, const TrustedAddress& trusted);

// The same on the values of the header's lines, in order. The left-most address if all are trusted.
Result<inet::Endpoint> client_of_x_forwarded_for(std::span<const std::string_view> lines,
                                                 const TrustedAddress& trusted);
Result<inet::Endpoint> client_of_forwarded(std::span<const std::string_view> lines, const TrustedAddress& trusted);
Result<inet::Endpoint> client_of_single(std::span<const std::string_view> lines);

// An address that a client can have, alone or with a port: "192.0.2.7", "192.0.2.7:80", "[2001:db8::7]",
// "[2001:db8::7]:80", and with `bare_v6` "2001:db8::7". With `hidden_ports`, "_port" counts as none.
std::optional<inet::Endpoint> parse_node(std::string_view text, bool bare_v6, bool hidden_ports) noexcept;

}  // namespace smartvpn::ws
