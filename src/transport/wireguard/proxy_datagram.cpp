// See proxy_datagram.hpp; haproxy's proxy-protocol.txt, section 2, has the format.
#include "transport/wireguard/proxy_datagram.hpp"

#include <algorithm>

namespace smartvpn::wireguard {

bool ProxyDatagram::is_kept(ByteView datagram) const noexcept {
  return kept_size_ != 0 && datagram.size() >= kept_size_ &&
         std::equal(kept_.begin(), kept_.begin() + kept_size_, datagram.begin());
}

ProxyDatagram::Result ProxyDatagram::strip(ByteSpan datagram, ByteSpan* message) {
  // A header's length stands in its fixed part, so that equal bytes are an equal header.
  if (is_kept(datagram)) {
    *message = datagram.subspan(kept_size_);
    return Result::message;
  }
  proxyproto::Header header;
  size_t size = 0;
  const proxyproto::Limits limits{kMaxBlock};
  if (proxyproto::parse_datagram(datagram, header, size, limits) != proxyproto::ParseResult::done)
    return Result::malformed;
  if (header.is_local()) return Result::local;
  if (header.source && header.transport != proxyproto::Transport::dgram) return Result::malformed;
  kept_size_ = 0;
  header_ = std::move(header);
  if (size <= kept_.size()) {
    std::copy_n(datagram.begin(), size, kept_.begin());
    kept_size_ = size;
  }
  *message = datagram.subspan(size);
  return Result::message;
}

}  // namespace smartvpn::wireguard
