// Control messages beside a datagram, of any bytes: what is read of them is in range, and what we would say of the same
// things is read again as it was.
// Input: the control data as recvmsg(2) would give it.
#include "fuzz/require.hpp"
#include "net/udp_control.hpp"

using namespace smartvpn;
using namespace smartvpn::net;
using smartvpn::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Datagram in;
  read_control({data, size}, in);
  require(in.ecn < 4);
  OutDatagram out;
  out.from = in.to;
  out.to = {in.to ? in.to : inet::IpAddress::v4(0x7f000001), 1};
  out.interface = in.interface;
  out.ecn = in.ecn;
  out.segment_size = in.segment_size;
  alignas(cmsghdr) uint8_t control[kControlSize];
  const size_t written = write_control(out, out.to.ip, out.segment_size != 0, true, control);
  require(written <= kControlSize);
  Datagram again;
  read_control({control, written}, again);
  require(again.ecn == in.ecn);
  if (in.to.is_v6()) require(again.to == in.to);
  return 0;
}
