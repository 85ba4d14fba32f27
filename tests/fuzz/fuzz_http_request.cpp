// The metrics page's request: the verdict does not depend on how the bytes were cut, and views stay
// inside the input.
#include <cstdint>

#include "fuzz/require.hpp"
#include "metrics/http_request.hpp"

namespace {

using smartvpn::cli::HttpRequest;
using smartvpn::fuzz::require;
using State = HttpRequest::State;

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  HttpRequest whole = smartvpn::cli::read_http_request(input);
  require(inside(whole.method, input) && inside(whole.path, input) && whole.size <= input.size());
  require(whole.state != State::complete || !whole.method.empty());
  require(whole.path.empty() || whole.path[0] == '/');
  require(whole.state != State::incomplete || size < smartvpn::cli::kMaxHttpHead);
  // What is decided of a part stays decided; before its last byte a head is incomplete.
  for (size_t cut = 0; cut < size && cut < 300; ++cut) {
    HttpRequest part = smartvpn::cli::read_http_request(input.substr(0, cut));
    if (whole.state == State::complete || whole.state == State::bad)
      require(cut < whole.size ? part.state == State::incomplete : part.state == whole.state);
  }
  return 0;
}
