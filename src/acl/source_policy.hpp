// Where a client may come from: its block list, then its allow list (phase 2 of admission). The
// server-wide list of phase 1 is a policy with a block list alone.
#pragma once

#include <optional>

#include "acl/address_set.hpp"
#include "base/reason.hpp"

namespace smartvpn::acl {

// What a policy answers on a hit; phase 1 passes ip_block_list.
struct SourceReasons {
  Reason blocked = Reason::client_ip_block_list;
  Reason not_allowed = Reason::client_ip_not_allowed;
};

class SourcePolicy {
 public:
  SourcePolicy() = default;  // everybody may come

  static Result<SourcePolicy> compile(std::span<const std::string> block, std::string_view block_path,
                                      std::span<const std::string> allow, std::string_view allow_path,
                                      SourceReasons reasons = {});

  // Reason::none: may come. The block list wins; an allow list without entries allows everybody. No
  // address (an address-less PROXY header) is in no list, so any allow list refuses it.
  Reason judge(const std::optional<inet::IpAddress>& real) const noexcept;
  bool unrestricted() const noexcept { return block_.empty() && allow_.empty(); }

 private:
  AddressSet block_, allow_;
  SourceReasons reasons_;
};

}  // namespace smartvpn::acl
