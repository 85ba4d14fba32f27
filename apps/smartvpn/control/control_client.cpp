// See control_client.hpp.
#include "control/control_client.hpp"

#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "control/unix_address.hpp"

namespace smartvpn::cli {
namespace {

constexpr size_t kMaxAnswer = 128u << 20;
constexpr timeval kPatience{120, 0};  // a server's disk may be slow

[[noreturn]] void fail_call(const std::string& socket, const std::string& text) {
  throw Failure{kExitRuntime, socket, text};
}

smartvpn_status status_named(const std::string& name) {
  for (smartvpn_status status = SMARTVPN_OK; status >= SMARTVPN_INTERNAL; --status)
    if (name == smartvpn_status_name(status)) return status;
  return SMARTVPN_INTERNAL;
}

Failure failure_of(const Json& error) {
  smartvpn_status status = status_named(error.value("status", ""));
  return {exit_code_of(status), error.value("path", ""), error.value("text", "the server failed"), status};
}

}  // namespace

ControlClient::ControlClient(const std::string& socket) : socket_(socket) {
  sockaddr_un address = unix_address(socket_);
  fd_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (int side : {SO_RCVTIMEO, SO_SNDTIMEO}) ::setsockopt(fd_.get(), SOL_SOCKET, side, &kPatience, sizeof kPatience);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
  std::string text = std::strerror(errno);
  bool nobody = errno == ENOENT || errno == ECONNREFUSED;
  fail_call(socket_, nobody ? text + " (is a server running with --control?)" : text);
}

Json ControlClient::call(const std::string& method, const Json& params) {
  Json request = {{"id", 1}, {"method", method}, {"params", params}};
  SecretText line(request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  send(line.text());
  SecretText answer(receive_line());
  Json parsed = Json::parse(answer.text(), nullptr, false);
  if (!parsed.is_object()) fail_call(socket_, "what answers there does not speak the control protocol");
  if (parsed.contains("error") && parsed["error"].is_object()) throw failure_of(parsed["error"]);
  if (!parsed.contains("result")) fail_call(socket_, "what answers there does not speak the control protocol");
  return std::move(parsed["result"]);
}

// A server that refuses us has said why before it closed, so a failed write is not the last word.
void ControlClient::send(std::string_view line) {
  while (!line.empty()) {
    ssize_t done = ::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
    if (done < 0) fail_call(socket_, std::strerror(errno));
    line.remove_prefix(static_cast<size_t>(done));
  }
}

std::string ControlClient::receive_line() {
  std::string line = std::exchange(rest_, {});
  std::array<char, 65536> chunk;
  size_t end = line.find('\n');
  while (end == std::string::npos) {
    ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) fail_call(socket_, "the server does not answer");
    if (got <= 0) fail_call(socket_, "the server has closed the connection");
    size_t before = line.size();
    line.append(chunk.data(), static_cast<size_t>(got));
    if (line.size() > kMaxAnswer) fail_call(socket_, "the answer is too long");
    end = line.find('\n', before);
  }
  ::explicit_bzero(chunk.data(), chunk.size());
  rest_ = line.substr(end + 1);
  line.resize(end);
  return line;
}

}  // namespace smartvpn::cli
