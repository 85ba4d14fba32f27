// The code itself through libqrencode, and its forms as text.
#include "export/qr.hpp"

#include "base/features.hpp"

#if SMARTVPN_WITH_QR
#include <qrencode.h>
#endif

#include <cerrno>
#include <memory>

#include "base/secret.hpp"

namespace smartvpn::exports {
namespace {

constexpr std::string_view kFullBlock = "\xe2\x96\x88", kUpperHalf = "\xe2\x96\x80", kLowerHalf = "\xe2\x96\x84";

#if SMARTVPN_WITH_QR
struct FreeCode {
  void operator()(QRcode* code) const noexcept {
    wipe(ByteSpan(code->data, static_cast<size_t>(code->width) * static_cast<size_t>(code->width)));
    QRcode_free(code);
  }
};
using CodePtr = std::unique_ptr<QRcode, FreeCode>;

CodePtr encode_bytes(std::string_view text, QRecLevel level) {
  return CodePtr(
      QRcode_encodeData(static_cast<int>(text.size()), reinterpret_cast<const unsigned char*>(text.data()), 0, level));
}
#endif

}  // namespace

Result<QrCode> QrCode::encode(std::string_view text) {
#if SMARTVPN_WITH_QR
  if (text.empty()) return make_error(Status::INVALID, "an empty text makes no QR code");
  if (text.size() <= kMaxTextSize) {
    CodePtr code = encode_bytes(text, QR_ECLEVEL_M);
    if (!code && errno == ERANGE) code = encode_bytes(text, QR_ECLEVEL_L);
    if (!code) return system_error(errno, "libqrencode");
    const auto width = static_cast<size_t>(code->width);
    std::vector<uint8_t> modules(code->data, code->data + width * width);
    for (uint8_t& module : modules) module &= 1;  // the other bits say what a module is for
    return QrCode(width, std::move(modules));
  }
  return make_error(Status::LIMIT, "a QR code holds at most " + std::to_string(kMaxTextSize) + " bytes, the text has " +
                                       std::to_string(text.size()));
#else
  (void)text;
  return make_error(Status::UNSUPPORTED, "this build has no QR codes");
#endif
}

QrCode::~QrCode() { wipe(modules_); }

std::string QrCode::matrix() const {
  std::string out;
  out.reserve(width_ * (width_ + 1));
  for (size_t y = 0; y < width_; ++y) {
    for (size_t x = 0; x < width_; ++x) out += dark(x, y) ? '1' : '0';
    out += '\n';
  }
  return out;
}

std::string QrCode::text() const {
  const size_t width = framed_width();
  std::string out;
  out.reserve((width * kFullBlock.size() + 1) * (width + 1) / 2);
  for (size_t y = 0; y < width; y += 2) {
    for (size_t x = 0; x < width; ++x) {
      const bool upper = !dark_framed(x, y), lower = y + 1 < width && !dark_framed(x, y + 1);
      out += upper && lower ? kFullBlock : upper ? kUpperHalf : lower ? kLowerHalf : std::string_view(" ");
    }
    out += '\n';
  }
  return out;
}

std::string QrCode::svg() const {
  const std::string width = std::to_string(framed_width());
  std::string out;
  out.reserve(512 + width_ * width_ * 10);  // runs of "M12 34h5v1h-5z", never moved once begun
  out +=
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" "
      "viewBox=\"0 0 " +
      width + " " + width + "\" shape-rendering=\"crispEdges\">\n<rect width=\"" + width + "\" height=\"" + width +
      "\" fill=\"#fff\"/>\n<path fill=\"#000\" d=\"";
  for (size_t y = 0; y < framed_width(); ++y) {
    for (size_t x = 0; x < framed_width(); ++x) {
      if (!dark_framed(x, y)) continue;
      const size_t from = x;
      while (dark_framed(x, y)) ++x;
      const std::string run = std::to_string(x - from);
      out.append("M").append(std::to_string(from)).append(" ").append(std::to_string(y));
      out.append("h").append(run).append("v1h-").append(run).append("z");
    }
  }
  return out += "\"/>\n</svg>\n";
}

}  // namespace smartvpn::exports
