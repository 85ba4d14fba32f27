// Parses the identity TLV of a client. What is accepted must be of the documented form, survive being written again,
// and stand in the header that is made with it; a cut-off value must never be taken for more than it says.
// Input: the value of the TLV.
#include "fuzz/require.hpp"
#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"
#include "relay/identity_tlv.hpp"
#include "relay/proxy_out.hpp"

using namespace smartvpn;
using namespace smartvpn::relay;

namespace {

using smartvpn::fuzz::require;

// The parts of a type, found by walking over the value without judging it.
size_t count_parts(ByteView value, uint8_t wanted) {
  size_t count = 0;
  for (size_t at = 1; at < value.size(); at += 3u + load_be16(&value[at + 1])) {
    require(value.size() - at >= 3 && value.size() - at - 3 >= load_be16(&value[at + 1]));
    count += value[at] == wanted;
  }
  return count;
}

void check_identity(ByteView value, const ClientIdentity& identity) {
  require(value[0] == 1);
  require(count_parts(value, 1) == 1 && count_parts(value, 2) == 1 && count_parts(value, 3) <= 1);
  require(!identity.client_id.empty() && identity.client_id.size() <= 64);
  require(identity.client_id.find_first_of("\"'/\\: \n\t{}[]<>") == std::string::npos);
  for (char c : identity.client_id) require(c > 0x20 && c < 0x7f);
  require(identity.inner_address && !identity.inner_address.is_unspecified());
  require(count_parts(value, 3) == 1 || identity.session_id == 0);
}

// A header that passes on all that it may, of a proxy that sent the value as it is.
void check_header(ByteView value, const ClientIdentity* identity) {
  proxyproto::Header received;
  received.tlvs = {{kTlvIdentity, Bytes(value.begin(), value.end())}, {0xe1, {1, 2, 3}}};
  ProxyOutInput in;
  in.received = &received;
  in.identity = identity;
  in.forward_unknown_tlvs = true;
  const auto bytes = make_proxy_out(in);
  require(bytes.has_value());
  proxyproto::Parser parser(proxyproto::Mode::v2, {65535});
  size_t consumed = 0;
  require(parser.feed(*bytes, consumed) == proxyproto::ParseResult::done && consumed == bytes->size());
  const auto& tlvs = parser.header().tlvs;
  require(tlvs.size() == (identity ? 2u : 1u) && tlvs.back() == received.tlvs.back());
  if (identity) require(parse_identity_tlv(tlvs.front().value) == *identity);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 65535) return 0;
  const ByteView value(data, size);
  const auto identity = parse_identity_tlv(value);
  check_header(value, identity ? &*identity : nullptr);
  if (!identity) return 0;
  check_identity(value, *identity);
  require(parse_identity_tlv(make_identity_tlv(*identity).value) == identity);
  return 0;
}
