// The receiving side of the PROXY protocol: bytes as they come off a trusted proxy's connection, in
// any pieces, become one Header. Stands between accept and everything else on such a connection.
// Whether a header is expected at all comes from configuration and is never guessed (section 2).
#pragma once

#include "proxyproto/header.hpp"

namespace smartvpn::proxyproto {

enum class Mode : uint8_t { v1, v2, any };  // which versions are allowed

struct Limits {
  size_t v2_max = 4096;  // bytes of block after the 16 fixed ones; above 65535 means 65535
};

enum class ParseResult : uint8_t { done, need_more, malformed, refused };

class Parser {
 public:
  explicit Parser(Mode mode, Limits limits = {}) noexcept;

  // Takes the next bytes of the stream. `consumed` (0..in.size()) is how many belong to the header;
  // after `done` the rest of `in` is the application's. Every other result is final too but for
  // need_more, which consumes all of `in`. `malformed` comes with the first byte that cannot be right,
  // `refused` as soon as the length field exceeds the limit. A final result repeats, consuming nothing.
  // At most 107 bytes (v1) or 16 + v2_max (v2) are kept, none after the end. The deadline is the caller's.
  ParseResult feed(ByteView in, size_t& consumed);

  // Valid after `done`.
  const Header& header() const noexcept { return header_; }
  Header take_header() noexcept { return std::move(header_); }
  // What was wrong: a static text such as "v2: bad version"; "" before `malformed` or `refused`.
  const char* error() const noexcept { return error_; }
  bool started() const noexcept { return started_; }  // at least one byte came

 private:
  ParseResult choose_version(uint8_t first) noexcept;
  ParseResult step_v1(ByteView in, size_t& consumed);
  ParseResult step_v2(ByteView in, size_t& consumed);
  ParseResult finish_v2_fixed() noexcept;
  ParseResult fail(const char* error, ParseResult result = ParseResult::malformed) noexcept;

  Mode mode_;
  size_t v2_max_;
  ParseResult result_ = ParseResult::need_more;
  bool started_ = false;
  Bytes buffer_;
  Header header_;
  const char* error_ = "";
};

// A datagram that starts with a v2 header (section 2, rules of 2026/04/27): header and payload in
// one, so an incomplete header is malformed. v1 knows no datagrams. The payload begins at
// `header_size`. Stateless; an unparsable datagram is dropped alone. `error` may be null.
ParseResult parse_datagram(ByteView datagram, Header& header, size_t& header_size, Limits limits = {},
                           const char** error = nullptr);

}  // namespace smartvpn::proxyproto
