// The control socket as a stream: a running server, its control server, and one connection that sends any bytes in any
// pieces. Every line gets one line of JSON, in order, and the answers' ids and outcomes do not depend on the pieces.
// Input: a byte that seeds the pieces, the stream.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "control/control_server.hpp"
#include "control/unix_address.hpp"
#include "fuzz/require.hpp"
#include "support/temporary_folder.hpp"

namespace {

using smartvpn::fuzz::require;

using namespace smartvpn::cli;
using nlohmann::json;

constexpr const char* kConfig =
    R"({"listen":[{"transport":"websocket","address":"127.0.0.1","port":0}],"forwarding":{"mode":"testing"},)"
    R"("keys":{"noise_private_key":"oK0kKgfSFCAW3zlZb1j0KjrCwYYQNpVJvsPuMxYL6Ew="},)"
    R"("network":{"subnets":["10.8.0.0/29"]}})";

struct RunningServer {
  RunningServer() {
    smartvpn_config* config = nullptr;
    require(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, kConfig, SMARTVPN_NUL_TERMINATED, &config, nullptr) == 0);
    require(smartvpn_server_create(config, &handle, nullptr) == 0 && smartvpn_config_free(config) == 0);
    require(smartvpn_server_start(handle, nullptr) == 0);
  }
  ~RunningServer() { require(smartvpn_server_free(handle) == SMARTVPN_OK); }
  smartvpn_server* handle = nullptr;
};

void turn(ControlServer& server) {
  std::vector<pollfd> polls;
  server.add_polls(polls);
  require(::poll(polls.data(), polls.size(), 0) >= 0);
  server.on_polls(polls, std::chrono::steady_clock::now());
}

// Appends what is there to be read. False at the end of the stream.
bool read_some(int fd, std::string& out) {
  char chunk[16384];
  const ssize_t got = ::recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got > 0) out.append(chunk, static_cast<size_t>(got));
  return got != 0 && (got > 0 || errno == EAGAIN);
}

// Sends `stream` in pieces of up to 1 + `piece` bytes, reads meanwhile, and then until nothing is left to be answered.
std::string talk(const std::string& path, std::string_view stream, size_t piece) {
  RunningServer server;
  ControlSocket socket(path);
  ControlServer control(socket, {server.handle, [](bool) -> std::string {
                                   throw Failure{kExitRuntime, "", "no file"};
                                 }});
  UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un address = unix_address(path);
  require(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  std::string out;
  bool open = true;
  for (size_t at = 0; open && at < stream.size();) {
    const ssize_t sent = ::send(client.get(), stream.data() + at, std::min(piece, stream.size() - at), MSG_NOSIGNAL);
    if (sent > 0) at += static_cast<size_t>(sent);
    turn(control);
    open = read_some(client.get(), out) && (sent > 0 || errno == EAGAIN);
  }
  // One request is answered a turn, and an answer may take several reads.
  for (size_t idle = 0; open && idle < 4;) {
    const size_t before = out.size();
    turn(control);
    open = read_some(client.get(), out);
    const auto next = control.deadline();
    const bool waiting = next && *next <= std::chrono::steady_clock::now();
    idle = out.size() == before && !waiting ? idle + 1 : 0;
  }
  return out;
}

// Of each answer its id and whether it failed.
std::vector<std::string> outcomes(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    require(end != std::string_view::npos);
    const json answer = json::parse(text.substr(0, end), nullptr, false);
    require(answer.is_object() && answer.size() == 2 && answer.contains("id"));
    require(answer.contains("result") != answer.contains("error"));
    const bool failed = answer.contains("error");
    if (failed) require(answer["error"]["text"].is_string() && answer["error"]["status"] != "INTERNAL");
    out.push_back(answer["id"].dump() + (failed ? " " + answer["error"]["status"].dump() : ""));
    text.remove_prefix(end + 1);
  }
  return out;
}

size_t lines_of(std::string_view stream) {
  size_t lines = 0;
  for (size_t at = 0, end; (end = stream.find('\n', at)) != std::string_view::npos; at = end + 1) {
    std::string_view line = stream.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines += !line.empty();
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  static const smartvpn::testing::TemporaryFolder folder;
  const std::string path = folder / "control.sock";
  const std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto whole = outcomes(talk(path, stream, SIZE_MAX));
  require(whole.size() == lines_of(stream));
  require(outcomes(talk(path, stream, 1 + data[0] % 64)) == whole);
  return 0;
}
