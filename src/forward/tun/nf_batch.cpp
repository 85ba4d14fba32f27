// See nf_batch.hpp; formats are those of linux/netfilter/nfnetlink.h.
#include "forward/tun/nf_batch.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/descriptor.hpp"

namespace smartvpn::forward {

NfBatch::NfBatch() { header(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES); }

void NfBatch::header(uint16_t type, uint16_t flags, uint8_t family, uint16_t resource) {
  close_message();
  message_ = bytes_.size();
  nlmsghdr head{};
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  head.nlmsg_seq = messages_++;
  nfgenmsg body{family, NFNETLINK_V0, htons(resource)};
  bytes_.resize(message_ + NLMSG_HDRLEN + sizeof body);
  std::memcpy(&bytes_[message_], &head, sizeof head);
  std::memcpy(&bytes_[message_ + NLMSG_HDRLEN], &body, sizeof body);
}

void NfBatch::close_message() {
  if (bytes_.empty()) return;
  uint32_t length = static_cast<uint32_t>(bytes_.size() - message_);
  std::memcpy(&bytes_[message_], &length, sizeof length);  // nlmsg_len comes first
}

void NfBatch::message(uint8_t type, uint16_t flags) {
  header(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), static_cast<uint16_t>(NLM_F_ACK | flags),
         NFPROTO_INET, 0);
}

size_t NfBatch::begin(uint16_t type) {
  size_t at = bytes_.size();
  nlattr head{0, type};
  bytes_.resize(at + sizeof head);
  std::memcpy(&bytes_[at], &head, sizeof head);
  return at;
}

void NfBatch::end(size_t at) {
  uint16_t length = static_cast<uint16_t>(bytes_.size() - at);
  std::memcpy(&bytes_[at], &length, sizeof length);  // nla_len comes first
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NfBatch::attribute(uint16_t type, ByteView value) {
  size_t at = begin(type);
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  end(at);
}

void NfBatch::text(uint16_t type, std::string_view value) {
  size_t at = begin(type);
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  bytes_.push_back(0);
  end(at);
}

void NfBatch::number(uint16_t type, uint32_t value) {
  std::array<uint8_t, 4> bytes;
  store_be32(bytes.data(), value);
  attribute(type, bytes);
}

Result<NfSocket> NfSocket::open() {
  net::Fd fd(above_standard(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)));
  if (!fd && errno == EPROTONOSUPPORT) return make_error(Status::UNSUPPORTED, "this kernel has no netfilter");
  if (!fd) return system_error(errno, "cannot open nfnetlink");
  return NfSocket(std::move(fd));
}

Result<void> NfSocket::transact(NfBatch batch, const char* what) {
  uint32_t expected = batch.messages_ - 1;  // the opening one is answered only when all is refused
  batch.header(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  batch.close_message();
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = ::sendto(fd_.get(), batch.bytes_.data(), batch.bytes_.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return system_error(errno, what);
  auto accepted = take_answers(what);
  if (!accepted) return accepted.error();
  if (*accepted < expected) return system_error(EPROTO, what);
  return {};
}

Result<uint32_t> NfSocket::take_answers(const char* what) {
  uint32_t accepted = 0;
  int error = 0;
  for (;;) {
    alignas(nlmsghdr) std::array<uint8_t, 8192> reply;
    ssize_t n = ::recv(fd_.get(), reply.data(), reply.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return system_error(errno, what);
    if (n < 0) break;
    ByteView rest = ByteView(reply).first(static_cast<size_t>(n));
    nlmsghdr head;
    nlmsgerr answer;
    while (rest.size() >= NLMSG_HDRLEN) {
      std::memcpy(&head, rest.data(), sizeof head);
      if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > rest.size()) break;
      ByteView body = rest.first(head.nlmsg_len).subspan(NLMSG_HDRLEN);
      rest = rest.subspan(std::min<size_t>(rest.size(), NLMSG_ALIGN(head.nlmsg_len)));
      if (head.nlmsg_type != NLMSG_ERROR || body.size() < sizeof answer.error) continue;
      std::memcpy(&answer.error, body.data(), sizeof answer.error);
      if (answer.error == 0) ++accepted;
      if (answer.error != 0 && error == 0) error = -answer.error;
    }
  }
  if (error != 0) return system_error(error, what);
  return accepted;
}

}  // namespace smartvpn::forward
