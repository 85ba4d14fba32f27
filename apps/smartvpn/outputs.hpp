// Where a client's configuration goes: standard output, files, QR codes.
#pragma once

#include <optional>
#include <string>

#include "control/control_client.hpp"
#include "private_file.hpp"

namespace smartvpn::cli {

struct OutputOptions {
  std::string out, png, svg;  // files; "": none
  bool wireguard = false;     // the wg-quick configuration rather than smartvpn's own
  bool qr = false;            // as a QR code for the terminal
  bool force = false;         // files may be replaced
  bool has_file() const { return !out.empty() || !png.empty() || !svg.empty(); }
};

class Outputs {
 public:
  // Makes the files and asks the library for what is needed: what cannot be done fails before the
  // server is asked to make keys that are told once.
  explicit Outputs(const OutputOptions& options);

  // Writes the configuration to every place that was asked for, or prints it if none was (not with
  // `json`: the caller prints then). Throws Failure.
  void write(const std::string& config, bool json);
  // "a, b": the files that were written.
  std::string files() const;

 private:
  const OutputOptions options_;
  std::optional<PrivateFile> out_, png_, svg_;
};

}  // namespace smartvpn::cli
