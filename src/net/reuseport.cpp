// See reuseport.hpp. The program sees the payload of UDP from its first byte on. A load beyond the payload's end ends
// it with 0, the first socket: such a datagram is no message of WireGuard's, whoever drops it.
#include "net/reuseport.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

namespace smartvpn::net {
namespace {

constexpr uint32_t kResponse = 2, kCookie = 3, kData = 4;           // first byte of a message
constexpr uint32_t kReceiverOfResponse = 8, kReceiverOfOthers = 4;  // offset of the little-endian index
constexpr uint32_t kByHash = UINT32_MAX;                            // no member's number

constexpr sock_filter load_byte(uint32_t at) { return {BPF_LD | BPF_B | BPF_ABS, 0, 0, at}; }
constexpr sock_filter if_equal(uint32_t value, uint8_t skip_if, uint8_t skip_else) {
  return {BPF_JMP | BPF_JEQ | BPF_K, skip_if, skip_else, value};
}

}  // namespace

Result<void> steer_by_receiver(int fd, unsigned shards) {
  if (shards == 0 || shards > kMaxSteered)
    return make_error(Status::INVALID, "cannot steer between " + std::to_string(shards) + " sockets");
  std::array<sock_filter, 10> program{
      load_byte(0),
      if_equal(kResponse, 3, 0),
      if_equal(kCookie, 4, 0),
      if_equal(kData, 3, 0),
      sock_filter{BPF_RET | BPF_K, 0, 0, kByHash},
      load_byte(kReceiverOfResponse),
      sock_filter{BPF_JMP | BPF_JA, 0, 0, 1},
      load_byte(kReceiverOfOthers),
      sock_filter{BPF_ALU | BPF_MOD | BPF_K, 0, 0, shards},
      sock_filter{BPF_RET | BPF_A, 0, 0, 0},
  };
  const sock_fprog attach{static_cast<uint16_t>(program.size()), program.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attach, sizeof attach) != 0)
    return system_error(errno, "cannot steer between the sockets of a port");
  return {};
}

}  // namespace smartvpn::net
