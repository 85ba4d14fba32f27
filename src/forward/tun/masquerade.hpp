// Internet access for clients: a table of our own in nf_tables, smartvpn_<device>, that masquerades what comes from
// the inner subnets and does not leave by the device. Nobody else's table is read or touched.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "forward/tun/nf_batch.hpp"
#include "inet/address.hpp"
#include "net/loop.hpp"

namespace smartvpn::forward {

struct MasqueradeOptions {
  std::string device;               // the tunnel's own
  std::string out_interface;        // only what leaves here; "": wherever it leaves
  std::vector<inet::Cidr> subnets;  // both families
};

// The kernel ties the table to us and removes it when the process dies, however that happens (5.12 and later); on an
// older one the next start on the same device removes what a crash has left. In the network namespace of the thread
// that made it.
class Masquerade {
 public:
  // Replaces, in one step, a table that a dead server has left. UNSUPPORTED without netfilter in the kernel; SYSTEM
  // with EPERM without CAP_NET_ADMIN or while another living process holds the table. The loop outlives it.
  static Result<std::unique_ptr<Masquerade>> create(net::Loop& loop, const MasqueradeOptions& options);
  ~Masquerade();  // removes the table
  Masquerade(const Masquerade&) = delete;
  Masquerade& operator=(const Masquerade&) = delete;

  const std::string& table() const noexcept { return table_; }

 private:
  Masquerade(net::Loop& loop, NfSocket socket, std::string table);

  net::Loop& loop_;
  NfSocket socket_;
  const std::string table_;
  uint32_t slot_;
};

}  // namespace smartvpn::forward
