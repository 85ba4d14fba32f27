// Texts of a request's head as they come from llhttp, in pieces: kept as far as somebody asks for them, in storage of
// a fixed size.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace smartvpn::relay {

constexpr char http_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// RFC 9110 section 5.6.2; llhttp takes names that are none.
constexpr bool is_http_token_char(char c) noexcept {
  const char l = http_lower(c);
  return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// The beginning of a text that comes in pieces; what does not fit is dropped and leaves a mark. There is room for
// every authority that can be one, with a scheme in front and a path's first byte behind.
class HttpKeptText {
 public:
  void add(std::string_view piece) noexcept {
    const size_t size = std::min(piece.size(), text_.size() - size_);
    std::copy_n(piece.begin(), size, text_.begin() + size_);
    size_ = static_cast<uint16_t>(size_ + size);
    if (size < piece.size()) cut_ = true;
  }
  std::string_view view() const noexcept { return {text_.data(), size_}; }
  bool is_whole() const noexcept { return !cut_; }

 private:
  std::array<char, 320> text_{};
  uint16_t size_ = 0;
  bool cut_ = false;
};

// Is a field's name, which comes in pieces, "Host" in any case?
class HttpFieldName {
 public:
  // False: no name has such a byte.
  bool add(std::string_view piece) noexcept {
    for (char c : piece) {
      if (!is_http_token_char(c)) return false;
      if (matched_ < kHost.size() && http_lower(c) == kHost[matched_]) {
        ++matched_;
      } else {
        other_ = true;
      }
    }
    return true;
  }
  bool empty() const noexcept { return matched_ == 0 && !other_; }
  bool is_host() const noexcept { return matched_ == kHost.size() && !other_; }

 private:
  static constexpr std::string_view kHost = "host";
  size_t matched_ = 0;
  bool other_ = false;
};

}  // namespace smartvpn::relay
