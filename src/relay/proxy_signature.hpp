// Whether a stream begins as a PROXY header does (haproxy doc/proxy-protocol.txt, sections 2.1 and 2.2): "PROXY " or
// the twelve bytes of version 2. On a connection that must not have one it is somebody's forged address.
#pragma once

#include <algorithm>
#include <array>

#include "base/bytes.hpp"

namespace smartvpn::relay {

enum class Signature : uint8_t { no, maybe, yes };

// `maybe`: too short to tell; at most eleven bytes are.
inline Signature proxy_signature(ByteView stream) noexcept {
  constexpr std::array<uint8_t, 6> v1{'P', 'R', 'O', 'X', 'Y', ' '};
  constexpr std::array<uint8_t, 12> v2{'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
  auto begins = [&](auto& signature) {
    const size_t n = std::min(stream.size(), signature.size());
    if (!std::equal(signature.begin(), signature.begin() + static_cast<std::ptrdiff_t>(n), stream.begin()))
      return Signature::no;
    return n == signature.size() ? Signature::yes : Signature::maybe;
  };
  return std::max(begins(v1), begins(v2));
}

}  // namespace smartvpn::relay
