// See control_server.hpp.
#include "control/control_server.hpp"

#include <sys/socket.h>

#include <exception>
#include <new>

#include "control/control_request.hpp"

namespace smartvpn::cli {
namespace {

// Bytes that wait for their readers, over all connections. Changes may go over it by their own short answers.
constexpr size_t kMaxAnswers = 64u << 20;
constexpr PeerLimits kLimits{.peers = 32,
                             .input_bytes = kMaxControlLine,
                             .request = std::chrono::seconds(10),
                             .answer = std::chrono::seconds(30),
                             .idle_allowed = true,
                             .evict_oldest = false};

void say(int fd, smartvpn_status status, const char* text) {
  std::string line = control_error("null", smartvpn_status_name(status), "", text);
  (void)!::send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);  // it fits a new socket's buffer
}

std::string error_line(const std::string& id, const Failure& failure) {
  smartvpn_status own = failure.exit_code == kExitUsage ? SMARTVPN_INVALID : SMARTVPN_SYSTEM;
  smartvpn_status status = failure.status == SMARTVPN_OK ? own : failure.status;
  return control_error(id, smartvpn_status_name(status), failure.path, failure.text);
}

}  // namespace

ControlServer::ControlServer(ControlSocket& socket, ControlContext context)
    : PeerServer(socket.take_listening(), kLimits), context_(std::move(context)) {}

bool ControlServer::admit(int fd) {
  ucred who{};
  socklen_t size = sizeof who;
  bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
  if (known && (who.uid == 0 || who.uid == ::geteuid())) return true;
  say(fd, SMARTVPN_REFUSED, "only root and the server's own user may control it");
  return false;
}

void ControlServer::refuse(int fd) { say(fd, SMARTVPN_LIMIT, "too many control connections are open"); }

bool ControlServer::take_request(Peer& peer, bool full, bool) {
  size_t end = peer.line_end();
  if (end == std::string::npos) {
    if (!full) return false;
    peer.take(peer.input().size());
    peer.send(control_error("null", "LIMIT", "", "the request is longer than a line may be"));
    peer.finish();
    return true;
  }
  std::string_view line(peer.input().data(), end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (!line.empty()) {
    SecretText text = answer(line);
    peer.send(std::move(text.text()));
  }
  peer.take(end + 1);
  return true;
}

SecretText ControlServer::answer(std::string_view line) const {
  ControlRequest request;
  std::string wrong = read_control_request(line, request);
  if (!wrong.empty()) return SecretText(control_error(request.id, "INVALID", "", wrong));
  try {
    const ControlMethod& method = find_control_method(request.method);
    const Params params(std::move(request.params));
    params.check_keys(method.params);
    // A change that nobody could be told of is not made: what it gives, such as keys, is given once.
    if (method.changes && output_size() > kMaxAnswers)
      return SecretText(control_error(request.id, "LIMIT", "", "too many answers wait for their readers"));
    SecretText result = method.run(context_, params);
    if (!method.changes && output_size() + result.text().size() > kMaxAnswers)
      return SecretText(control_error(request.id, "LIMIT", "", "the answer is too long"));
    return SecretText(control_result(request.id, result.text()));
  } catch (const Failure& failure) {
    return SecretText(error_line(request.id, failure));
  } catch (const std::bad_alloc&) {
    return SecretText(control_error(request.id, "NO_MEMORY", "", "memory is out"));
  } catch (const std::exception& error) {
    return SecretText(control_error(request.id, "INTERNAL", "", error.what()));
  }
}

const ControlMethod& find_control_method(std::string_view name) {
  for (auto methods : {client_methods(), server_methods()})
    for (const ControlMethod& known : methods)
      if (known.name == name) return known;
  throw Failure{kExitRuntime, "", "there is no such method", SMARTVPN_NOT_FOUND};
}

}  // namespace smartvpn::cli
