// See connection_facts.hpp.
#include "relay/connection_facts.hpp"

#include "proxyproto/tlv.hpp"

namespace smartvpn::relay {

std::vector<std::pair<std::string, std::string>> tlv_texts(const ConnectionFacts& facts) {
  std::vector<std::pair<std::string, std::string>> out;
  if (!facts.header) return out;
  for (auto& tlv : proxyproto::describe(facts.header->tlvs))
    out.emplace_back(std::move(tlv.name), std::move(tlv.value));
  return out;
}

}  // namespace smartvpn::relay
