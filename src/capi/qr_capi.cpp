// QR codes (smartvpn.h, section 13).
#include "base/secret.hpp"
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "export/qr.hpp"

using namespace smartvpn;
using namespace smartvpn::capi;

namespace {

Result<std::string> form_of(const exports::QrCode& code, smartvpn_qr_form form) {
  switch (form) {
    case SMARTVPN_QR_MATRIX:
      return code.matrix();
    case SMARTVPN_QR_TEXT:
      return code.text();
    case SMARTVPN_QR_PNG:
      return code.png();
    case SMARTVPN_QR_SVG:
      return code.svg();
    default:
      return make_error(Status::INVALID, "no such form of a QR code");
  }
}

// As put_text, but for bytes that no NUL ends.
Result<void> put_bytes(std::string_view bytes, char* buf, size_t cap, size_t* needed) {
  if (needed) *needed = bytes.size();
  if (!buf && cap != 0) return null_argument("buf");
  if (cap < bytes.size()) return make_error(Status::BUFFER_TOO_SMALL, status_text(SMARTVPN_BUFFER_TOO_SMALL));
  std::memcpy(buf, bytes.data(), bytes.size());
  return {};
}

}  // namespace

smartvpn_status smartvpn_qr_encode(const char* text, size_t text_len, smartvpn_qr_form form, char* buf, size_t cap,
                                   size_t* needed, smartvpn_error** err) {
  return barrier(err, [&]() -> Result<void> {
    if (!text) return null_argument("text");
    auto code = exports::QrCode::encode(text_len == SMARTVPN_NUL_TERMINATED ? std::string_view(text)
                                                                            : std::string_view(text, text_len));
    if (!code) return std::move(code).error();
    auto out = form_of(*code, form);
    if (!out) return std::move(out).error();
    Result<void> result =
        form == SMARTVPN_QR_PNG ? put_bytes(*out, buf, cap, needed) : put_text(*out, buf, cap, needed);
    wipe(*out);
    return result;
  });
}
