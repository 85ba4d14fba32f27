// A QR code as a PNG file, through libpng's simplified interface: it catches its own errors, so no
// longjmp passes our frames. A map of two colours makes it write one bit a pixel.
#include "base/features.hpp"

#if SMARTVPN_WITH_QR
#include <png.h>
#endif

#include "base/secret.hpp"
#include "export/qr.hpp"

namespace smartvpn::exports {

Result<std::string> QrCode::png() const {
#if SMARTVPN_WITH_QR
  const size_t width = framed_width() * kPngScale;
  std::vector<uint8_t> pixels(width * width);
  for (size_t y = 0; y < width; ++y)
    for (size_t x = 0; x < width; ++x) pixels[y * width + x] = dark_framed(x / kPngScale, y / kPngScale);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = static_cast<png_uint_32>(width);
  image.format = PNG_FORMAT_RGB_COLORMAP;
  image.colormap_entries = 2;
  const png_byte colours[] = {0xff, 0xff, 0xff, 0, 0, 0};
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string out(size, '\0');
  const bool written = png_image_write_to_memory(&image, out.data(), &size, 0, pixels.data(), 0, colours) != 0;
  wipe(pixels);
  if (!written) {
    const std::string text = image.message;
    png_image_free(&image);
    wipe(out);
    return make_error(Status::SYSTEM, "libpng: " + text);
  }
  out.resize(size);
  return out;
#else
  return make_error(Status::UNSUPPORTED, "this build has no QR codes");
#endif
}

}  // namespace smartvpn::exports
