// Collects a header byte by byte and stops at the first one that cannot belong to it. The codecs know
// what the bytes mean; this file knows how many are wanted.
#include "proxyproto/parser.hpp"

#include <algorithm>

#include "proxyproto/v1_codec.hpp"
#include "proxyproto/v2_codec.hpp"

namespace smartvpn::proxyproto {

Parser::Parser(Mode mode, Limits limits) noexcept : mode_(mode), v2_max_(std::min(limits.v2_max, kV2MaxBlock)) {}

ParseResult Parser::feed(ByteView in, size_t& consumed) {
  consumed = 0;
  if (result_ != ParseResult::need_more || in.empty()) return result_;
  if (!started_) {
    started_ = true;
    if (choose_version(in[0]) != ParseResult::need_more) return result_;
  }
  result_ = header_.version == Version::v1 ? step_v1(in, consumed) : step_v2(in, consumed);
  if (result_ == ParseResult::done) header_.size = buffer_.size();
  if (result_ != ParseResult::need_more) Bytes().swap(buffer_);  // the connection outlives its header by hours
  return result_;
}

ParseResult Parser::choose_version(uint8_t first) noexcept {
  bool v1 = first == 'P' && mode_ != Mode::v2;
  bool v2 = first == kV2Signature[0] && mode_ != Mode::v1;
  header_.version = v1 ? Version::v1 : Version::v2;
  return result_ = v1 || v2 ? ParseResult::need_more : fail("no PROXY header of an allowed version");
}

// Byte by byte while it may turn out to be no line at all, then in stretches up to the next LF.
ParseResult Parser::step_v1(ByteView in, size_t& consumed) {
  buffer_.reserve(kV1MaxSize);
  while (consumed < in.size()) {
    ByteView piece = in.subspan(consumed).first(1);
    if (buffer_.size() >= kV1Beginning) {
      piece = in.subspan(consumed).first(std::min(kV1MaxSize - buffer_.size(), in.size() - consumed));
      auto line_end = std::find(piece.begin(), piece.end(), uint8_t{'\n'});
      if (line_end != piece.end()) piece = ByteView(piece.begin(), line_end + 1);
    }
    append(buffer_, piece);
    consumed += piece.size();
    std::string_view text = as_text(buffer_);
    if (text.size() <= kV1Beginning && !may_begin_v1(text)) return fail("v1: not a PROXY line");
    if (text.ends_with("\r\n")) {
      const char* error = decode_v1(text.substr(0, text.size() - 2), header_);
      return error ? fail(error) : ParseResult::done;
    }
    if (text.size() == kV1MaxSize) return fail("v1: no CRLF within 107 bytes");
  }
  return ParseResult::need_more;
}

ParseResult Parser::step_v2(ByteView in, size_t& consumed) {
  while (buffer_.size() < kV2FixedSize) {
    if (consumed == in.size()) return ParseResult::need_more;
    buffer_.push_back(in[consumed++]);
    if (const char* error = check_v2_byte(buffer_, buffer_.size() - 1)) return fail(error);
    if (buffer_.size() == kV2FixedSize && finish_v2_fixed() != ParseResult::need_more) return result_;
  }
  size_t missing = kV2FixedSize + load_be16(&buffer_[14]) - buffer_.size();
  ByteView piece = in.subspan(consumed).first(std::min(missing, in.size() - consumed));
  append(buffer_, piece);
  consumed += piece.size();
  if (piece.size() < missing) return ParseResult::need_more;
  const char* error = decode_v2(buffer_, header_);
  return error ? fail(error) : ParseResult::done;
}

// The length is known: too much is refused before the block is waited for.
ParseResult Parser::finish_v2_fixed() noexcept {
  if (const char* error = check_v2_length(buffer_)) return fail(error);
  if (load_be16(&buffer_[14]) > v2_max_) return fail("v2: block above the limit", ParseResult::refused);
  return ParseResult::need_more;
}

ParseResult Parser::fail(const char* error, ParseResult result) noexcept {
  header_ = Header();
  error_ = error;
  return result_ = result;
}

ParseResult parse_datagram(ByteView datagram, Header& header, size_t& header_size, Limits limits, const char** error) {
  Parser parser(Mode::v2, limits);
  ParseResult result = parser.feed(datagram, header_size);
  const char* text = parser.error();
  if (result == ParseResult::need_more) {
    result = ParseResult::malformed;
    text = "v2: header cut off by the end of the datagram";
  }
  header = result == ParseResult::done ? parser.take_header() : Header();
  if (result != ParseResult::done) header_size = 0;
  if (error) *error = text;
  return result;
}

}  // namespace smartvpn::proxyproto
