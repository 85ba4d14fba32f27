// Feeds a stream to the PROXY parser at once and in pieces of the fuzzer's choice: both must agree in
// everything. An accepted header must survive being described and written again.
// Input: one byte of mode and limit, one byte that seeds the piece sizes, the stream.
#include "fuzz/require.hpp"
#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"
#include "proxyproto/writer.hpp"

using namespace smartvpn;
using namespace smartvpn::proxyproto;

namespace {

using smartvpn::fuzz::require;

struct Outcome {
  ParseResult result = ParseResult::need_more;
  size_t consumed = 0;
  Header header;
  std::string error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(ByteView stream, Mode mode, Limits limits, uint32_t pieces) {
  Parser parser(mode, limits);
  Outcome out;
  size_t at = 0;
  while (at < stream.size() && out.result == ParseResult::need_more) {
    size_t size = stream.size() - at;
    if (pieces != 0) {
      pieces = pieces * 1664525 + 1013904223;
      size = std::min<size_t>(size, pieces >> 27);  // 0 to 31 bytes
    }
    size_t used = 0;
    out.result = parser.feed(stream.subspan(at, size), used);
    require(used <= size);
    require(out.result != ParseResult::need_more || used == size);
    out.consumed += used;
    at += size;
  }
  out.header = parser.header();
  out.error = parser.error();
  return out;
}

void check_accepted(const Outcome& got, Limits limits) {
  const Header& header = got.header;
  require(header.size == got.consumed);
  require(header.source.has_value() == header.destination.has_value());
  require(header.size <= (header.version == Version::v1 ? kV1MaxSize : kV2FixedSize + limits.v2_max));
  if (header.is_local()) require(!header.source && header.family == Family::unspec);
  if (header.source) require(header.source->ip && header.destination->ip);
  for (const auto& [name, value] : describe(header.tlvs))
    for (char c : name + value) require(c >= 0x20 && c < 0x7f);
  ssl(header), alpn(header), aws_vpc_endpoint(header), azure_link_id(header), gcp_psc_connection(header);

  auto again = write_v2(header, header.crc32c_verified);
  if (!again) return;  // a block of the largest size has no room for a checksum it did not have
  Outcome second = run(*again, Mode::v2, {65535}, 0);
  // A block without addresses is looked at wherever TLVs may begin. Written anew it may by chance hold, at one of the
  // other places, what looks like a wrong checksum; such a header is refused rather than believed.
  if (header.family == Family::unspec && second.error == "v2: CRC32C mismatch") return;
  require(second.result == ParseResult::done && second.header.source == header.source);
  require(second.header.destination == header.destination && second.header.command == header.command);
  require(second.header.crc32c_verified == header.crc32c_verified);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Mode mode = static_cast<Mode>(data[0] % 3);
  Limits limits{data[0] & 0x80 ? size_t{65535} : data[0] & 0x40 ? size_t{64} : size_t{4096}};
  ByteView stream(data + 2, size - 2);

  Outcome whole = run(stream, mode, limits, 0);
  require(whole == run(stream, mode, limits, data[1] * 2u + 1));
  require((whole.result == ParseResult::malformed || whole.result == ParseResult::refused) == !whole.error.empty());
  if (whole.result == ParseResult::done) check_accepted(whole, limits);

  Header header;
  size_t header_size = 0;
  ParseResult datagram = parse_datagram(stream, header, header_size, limits);
  require(datagram != ParseResult::need_more && header_size <= stream.size());
  if (mode == Mode::v2) require((datagram == ParseResult::done) == (whole.result == ParseResult::done));
  return 0;
}
