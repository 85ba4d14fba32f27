// The metrics' socket: an address as text to a listening descriptor, and back.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "c_api.hpp"
#include "metrics/metrics_server.hpp"

namespace smartvpn::cli {
namespace {

constexpr int kScrapeBacklog = 64;

struct HostPort {
  std::string host, port;
};

[[noreturn]] void no_address(const std::string& text) {
  throw Failure{kExitUsage, "", "--metrics " + text + ": is no PORT, ADDRESS:PORT or [ADDRESS]:PORT"};
}

bool is_port(const std::string& text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size();
}

HostPort split(const std::string& text) {
  size_t colon = text.rfind(':');
  HostPort parts{"127.0.0.1", text};
  if (colon != std::string::npos) parts = {text.substr(0, colon), text.substr(colon + 1)};
  bool bracketed = parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']';
  if (bracketed) parts.host = parts.host.substr(1, parts.host.size() - 2);
  bool colons = parts.host.find(':') != std::string::npos;
  if (!is_port(parts.port) || parts.host.empty() || colons != bracketed) no_address(text);
  return parts;
}

}  // namespace

UniqueFd listen_for_metrics(const std::string& address) {
  HostPort parts = split(address);
  addrinfo hints{}, *raw = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &raw) != 0) no_address(address);
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(raw, ::freeaddrinfo);
  UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int one = 1;
  bool good = fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              ::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd.get(), kScrapeBacklog) == 0;
  if (!good) throw Failure{kExitRuntime, "", "--metrics " + address + ": " + std::strerror(errno)};
  return fd;
}

std::string bound_address(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  char host[INET6_ADDRSTRLEN] = "", port[8] = "";
  auto* address = reinterpret_cast<sockaddr*>(&bound);
  bool known = ::getsockname(fd, address, &size) == 0 &&
               ::getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0;
  if (!known) return "an unknown address";
  std::string text = host;
  return (bound.ss_family == AF_INET6 ? "[" + text + "]" : text) + ":" + port;
}

}  // namespace smartvpn::cli
