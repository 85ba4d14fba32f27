// A text that may be a key, such as PEM: wiped where it ends and where it is overwritten. Copies are as good as the
// original, because configurations are copied; only its type tells it from a std::string.
#pragma once

#include <string>
#include <utility>

#include "base/secret.hpp"

namespace smartvpn {

class SecretText {
 public:
  SecretText() = default;
  // NOLINTNEXTLINE(google-explicit-constructor)
  SecretText(std::string&& text) noexcept : text_(std::move(text)) { scrub(text); }
  SecretText(const SecretText&) = default;
  SecretText(SecretText&& other) noexcept : text_(std::move(other.text_)) { scrub(other.text_); }
  SecretText& operator=(SecretText other) noexcept {
    text_.swap(other.text_);
    return *this;  // `other` ends with what was here
  }
  ~SecretText() { scrub(text_); }

  const std::string& text() const noexcept { return text_; }

 private:
  // A short text that was moved from is only called empty.
  static void scrub(std::string& text) noexcept {
    text.resize(text.capacity());
    wipe(text);
  }

  std::string text_;
};

}  // namespace smartvpn
