// The other end of the control socket: what the commands ask a running server with.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "unique_fd.hpp"

namespace smartvpn::cli {

using Json = nlohmann::ordered_json;  // in the server's order

class ControlClient {
 public:
  // Throws Failure if nobody answers there.
  explicit ControlClient(const std::string& socket);

  // Waits for the answer. Throws Failure with the server's path and text, or when it goes away.
  Json call(const std::string& method, const Json& params = Json::object());

 private:
  void send(std::string_view line);
  std::string receive_line();

  const std::string socket_;
  UniqueFd fd_;
  std::string rest_;  // of what came, behind the last line
};

}  // namespace smartvpn::cli
