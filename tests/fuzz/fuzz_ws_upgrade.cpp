// Both halves of the upgrade against any bytes: the outcome and the answer may not depend on how the
// bytes are cut, a success stops at the empty line, a refusal is a complete answer. Byte 0: which half
// and its options; byte 1: the size of the pieces; the rest: what the peer sends.
#undef NDEBUG
#include <cassert>

#include "support/ws_recorder.hpp"
#include "transport/ws/upgrade_client.hpp"
#include "transport/ws/upgrade_server.hpp"

namespace {

using namespace smartvpn;
using namespace smartvpn::ws;

// Feeds until an outcome; gives the bytes consumed.
template <class Half>
size_t drive(Half& half, ByteView in, size_t piece_size, typename Half::Outcome& outcome) {
  size_t total = 0;
  outcome = Half::Outcome::need_more;
  while (outcome == Half::Outcome::need_more && total < in.size()) {
    const ByteView rest = in.subspan(total);
    const Bytes piece(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(std::min(rest.size(), piece_size)));
    size_t n = 0;
    outcome = half.feed(piece, n);
    assert(n <= piece.size());
    assert(outcome != Half::Outcome::need_more || n == piece.size());
    total += n;
  }
  return total;
}

void try_server(uint8_t options, ByteView in, size_t piece_size) {
  UpgradeServerConfig config;
  config.path = "/tunnel";
  config.require_subprotocol = (options & 2) != 0;
  if (options & 4) config.allowed_origins = {"https://app.example"};
  config.head.max_fields = options & 8 ? 64 : 8;
  UpgradeServer whole(config), cut(config);
  UpgradeServer::Outcome a, b;
  const size_t used = drive(whole, in, SIZE_MAX, a), cut_used = drive(cut, in, piece_size, b);
  assert(a == b && whole.status() == cut.status());
  assert(std::ranges::equal(whole.response(), cut.response()));
  assert((a == UpgradeServer::Outcome::need_more) == whole.response().empty());
  assert((a == UpgradeServer::Outcome::upgraded) == (whole.status() == 101));
  if (a != UpgradeServer::Outcome::upgraded) return;
  assert(used == cut_used && used >= 4);
  assert(as_text(in.subspan(used - 4, 4)) == "\r\n\r\n");
  assert(as_text(in.first(used)).find("\r\n\r\n") == used - 4);
}

void try_client(uint8_t options, ByteView in, size_t piece_size) {
  UpgradeClientConfig config;
  config.host = "vpn.example";
  config.require_subprotocol = (options & 2) != 0;
  test::CountingRng same, again;
  Result<UpgradeClient> whole = UpgradeClient::create(config, same), cut = UpgradeClient::create(config, again);
  UpgradeClient::Outcome a, b;
  const size_t used = drive(*whole, in, SIZE_MAX, a), cut_used = drive(*cut, in, piece_size, b);
  assert(a == b && whole->status() == cut->status() && whole->error() == cut->error());
  assert((a == UpgradeClient::Outcome::failed) == !whole->error().empty());
  if (a != UpgradeClient::Outcome::upgraded) return;
  assert(used == cut_used && as_text(in.first(used)).find("\r\n\r\n") == used - 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const ByteView in(data + 2, size - 2);
  const size_t piece_size = 1 + data[1] % 64;
  if (data[0] & 1) {
    try_client(data[0], in, piece_size);
  } else {
    try_server(data[0], in, piece_size);
  }
  return 0;
}
