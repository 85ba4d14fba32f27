// Requests to nf_tables in one batch, which the kernel applies whole or not at all (nfnetlink). We speak netlink
// ourselves: libnftables is GPL and its descriptor is not close-on-exec, and neither suits a guest in somebody
// else's process.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/fd.hpp"

namespace smartvpn::forward {

// Numbers are those of linux/netfilter/nf_tables.h. Integers go out big-endian, as nf_tables has them.
class NfBatch {
 public:
  NfBatch();

  // A message of the `inet` family; attributes follow until the next one.
  void message(uint8_t type, uint16_t flags);
  void attribute(uint16_t type, ByteView value);
  void text(uint16_t type, std::string_view value);  // with a NUL
  void number(uint16_t type, uint32_t value);
  // What lies between the two goes into attribute `type`.
  size_t begin(uint16_t type);
  void end(size_t at);

 private:
  friend class NfSocket;
  void header(uint16_t type, uint16_t flags, uint8_t family, uint16_t resource);
  void close_message();

  Bytes bytes_;
  size_t message_ = 0;     // where the last message begins
  uint32_t messages_ = 0;  // all of them, begin and end included; a message's number is its sequence
};

class NfSocket {
 public:
  // UNSUPPORTED where the kernel has no netfilter at all, SYSTEM with errno.
  static Result<NfSocket> open();
  // The kernel works within the call. The error is that of the first message it refused: SYSTEM with errno.
  Result<void> transact(NfBatch batch, const char* what);
  int fd() const noexcept { return fd_.get(); }

 private:
  explicit NfSocket(net::Fd fd) : fd_(std::move(fd)) {}
  // Takes the answers that wait. The count of messages that were accepted, or the first error.
  Result<uint32_t> take_answers(const char* what);

  net::Fd fd_;
};

}  // namespace smartvpn::forward
