// See outputs.hpp.
#include "outputs.hpp"

#include <cstdio>

#include "c_api.hpp"

namespace smartvpn::cli {
namespace {

SecretText qr_code(const std::string& text, smartvpn_qr_form form) {
  SecretText code(std::string(4096, '\0'));
  size_t needed = 0;
  auto encode = [&](smartvpn_error** error) {
    smartvpn_status status =
        smartvpn_qr_encode(text.data(), text.size(), form, code.text().data(), code.text().size(), &needed, error);
    if (status != SMARTVPN_BUFFER_TOO_SMALL) return status;
    smartvpn_error_free(*error);
    code.text().resize(needed);
    return smartvpn_qr_encode(text.data(), text.size(), form, code.text().data(), code.text().size(), &needed, error);
  };
  call(encode);
  bool with_nul = form != SMARTVPN_QR_PNG;
  code.text().resize(with_nul && needed > 0 ? needed - 1 : needed);
  return code;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (text.empty() || text.back() != '\n') std::fputc('\n', stdout);
  // Now, while what it tells can still be taken back.
  if (std::fflush(stdout) != 0) throw Failure{kExitRuntime, "", "standard output could not be written"};
}

}  // namespace

Outputs::Outputs(const OutputOptions& options) : options_(options) {
  bool codes = options_.qr || !options_.png.empty() || !options_.svg.empty();
  if (codes && smartvpn_has("qr") != 1) throw Failure{kExitUsage, "", "this build makes no QR codes"};
  if (!options_.out.empty()) out_.emplace(options_.out, options_.force);
  if (!options_.png.empty()) png_.emplace(options_.png, options_.force);
  if (!options_.svg.empty()) svg_.emplace(options_.svg, options_.force);
}

void Outputs::write(const std::string& config, bool json) {
  if (png_) png_->commit(qr_code(config, SMARTVPN_QR_PNG).text());
  if (svg_) svg_->commit(qr_code(config, SMARTVPN_QR_SVG).text());
  if (out_) out_->commit(config.empty() || config.back() != '\n' ? config + "\n" : config);
  if (options_.qr) print(qr_code(config, SMARTVPN_QR_TEXT).text());
  if (!options_.qr && !options_.has_file() && !json) print(config);
}

std::string Outputs::files() const {
  std::string names;
  for (const auto& name : {options_.out, options_.png, options_.svg})
    if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace smartvpn::cli
