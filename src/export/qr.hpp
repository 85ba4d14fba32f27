// QR codes (ISO/IEC 18004) of texts that phones scan, in the forms a terminal, a file or a page wants.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace smartvpn::exports {

// An immutable code. It says what the text says, so it is wiped when it goes; the caller wipes the forms.
// Any thread; libqrencode guards its own tables.
class QrCode {
 public:
  static constexpr size_t kMaxTextSize = 2953;  // bytes: version 40, level L
  static constexpr size_t kBorder = 4;          // light modules on each side that a scanner may count on

  // In level M where the text fits, else L, in the smallest version. INVALID for an empty text, LIMIT for
  // one that fits no code, UNSUPPORTED in a build without libqrencode.
  static Result<QrCode> encode(std::string_view text);

  QrCode(QrCode&&) = default;
  QrCode& operator=(QrCode&&) = delete;
  ~QrCode();

  size_t width() const noexcept { return width_; }  // in modules, without the border: 21..177
  bool dark(size_t x, size_t y) const noexcept { return modules_[y * width_ + x] != 0; }

  // A line of 0 (light) and 1 (dark) for each row, without a border.
  std::string matrix() const;
  // Two rows a line in UTF-8 half blocks, drawn in the terminal's own colour where a module is light: right
  // for light text on a dark background. With the border.
  std::string text() const;
  // A page of its own, black on white, with the border; it scales without a loss.
  std::string svg() const;
  // One bit a pixel, `kPngScale` pixels a module, with the border. UNSUPPORTED as encode.
  Result<std::string> png() const;
  static constexpr size_t kPngScale = 8;

 private:
  QrCode(size_t width, std::vector<uint8_t> modules) : width_(width), modules_(std::move(modules)) {}
  // With the border around: light outside.
  bool dark_framed(size_t x, size_t y) const noexcept {
    return x >= kBorder && y >= kBorder && x < width_ + kBorder && y < width_ + kBorder &&
           dark(x - kBorder, y - kBorder);
  }
  size_t framed_width() const noexcept { return width_ + 2 * kBorder; }

  size_t width_;
  std::vector<uint8_t> modules_;  // 1: dark; row by row
};

}  // namespace smartvpn::exports
