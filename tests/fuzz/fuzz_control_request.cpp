// A line of the control protocol: any bytes give a request or a sentence, and whatever is echoed makes
// one valid line of JSON.
#include <cstdint>

#include "control/control_request.hpp"
#include "fuzz/require.hpp"

namespace {

using smartvpn::fuzz::require;

void require_one_line(const std::string& line) {
  require(!line.empty() && line.find('\n') == line.size() - 1);
  require(nlohmann::json::parse(line, nullptr, false).is_object());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace smartvpn::cli;
  std::string_view line(reinterpret_cast<const char*>(data), size);
  ControlRequest request;
  std::string wrong = read_control_request(line, request);
  require(wrong.empty() ? request.params.is_object() : !wrong.empty());
  require_one_line(control_error(request.id, "INVALID", line, wrong));
  require_one_line(control_result(request.id, request.params.dump()));
  return 0;
}
