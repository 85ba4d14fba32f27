// Strangers as fast as one thread makes them. Each connects, says what its kind says, and holds on as long as it is
// let: the oldest are looked at again when there is no place for more, and only those that the server has ended make
// way. Sources: `one` (the address the kernel chooses), `many` (10,000 real addresses, 10.77.0.1 and up, which the
// namespace must accept as its own), `proxied` (10,000 addresses in PROXY headers).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <deque>

#include "crypto/x25519.hpp"
#include "net/tls_machine.hpp"
#include "noise/handshake.hpp"
#include "session/timing.hpp"
#include "siege/siege.hpp"
#include "transport/ws/frame_codec.hpp"

namespace smartvpn::siege {
namespace {

constexpr uint32_t kSources = 10000;
constexpr size_t kHeld = 8000;  // connections kept open by us, whatever the server has done with them
constexpr auto kPatience = std::chrono::seconds(12);  // beyond the server's own
constexpr size_t kChatterers = 1000;

struct Target {
  std::string kind;
  sockaddr_in server{};
  bool many = false, proxied = false;
  double seconds = 0;
  Bytes words;    // what a connection says at once
  Bytes chatter;  // and what it then says for ever; empty: nothing
};

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

Bytes upgrade() {
  return bytes_of(
      "GET /tunnel HTTP/1.1\r\nHost: vpn\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: smartvpn.v1\r\n\r\n");
}

Bytes framed(ws::Opcode opcode, ByteView payload) {
  const ws::MaskKey mask{1, 2, 3, 4};
  Bytes out;
  ws::append_frame(out, opcode, true, payload, &mask);
  return out;
}

// Right in all but its challenge, as one is that was recorded on another connection: the server pays for one X25519.
Bytes replayed_initiation(const std::string& server_key) {
  const char carrier = static_cast<char>(session::Carrier::websocket);
  const Bytes prologue = bytes_of("smartvpn/1" + std::string(1, carrier) + std::string(32, '\0'));
  noise::Initiator noise(system_rng(), crypto::generate_key_pair(system_rng()), *parse_public_key(server_key),
                         prologue);
  Bytes message = {1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0, 0};
  noise.mix_hash(message);
  return noise.write_message(Bytes{1}, message) ? message : Bytes();
}

Bytes client_hello() {
  net::TlsClientOptions options;
  options.any_certificate = true;
  auto machine = net::TlsMachine::create(*net::TlsContext::client(options));
  return Bytes(machine->pending().begin(), machine->pending().end());
}

// False for a kind there is not.
bool choose_words(Target& target, const std::string& key) {
  const std::string& kind = target.kind;
  if (kind == "silent") return true;
  if (kind == "http_half") return target.words = bytes_of("GET /tunnel HTTP/1.1\r\nHost: vpn\r\nUpgr"), true;
  if (kind == "tls") return target.words = client_hello(), true;
  if (kind == "proxy_half") return target.words = bytes_of("PROXY TCP4 198.51.1"), true;
  target.words = upgrade();
  if (kind == "garbage") append(target.words, framed(ws::Opcode::binary, Bytes(148, 0x5a)));
  if (kind == "replay") append(target.words, framed(ws::Opcode::binary, replayed_initiation(key)));
  if (kind == "chatter")
    for (int i = 0; i < 5000; ++i) append(target.chatter, framed(ws::Opcode::pong, {}));
  return kind == "upgrade" || kind == "garbage" || kind == "replay" || kind == "chatter";
}

// PROXY v2, from the n-th of 10,000 addresses.
Bytes proxy_header(uint32_t n) {
  Bytes out = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 12};
  const uint32_t source = 0x0a4e0001 + n;  // 10.78.0.1
  for (uint32_t word : {source, uint32_t{0xcb007101}})
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(word >> shift));
  out.insert(out.end(), {0x12, 0x34, 0x01, 0xbb});
  return out;
}

struct Stranger {
  int fd = -1;
  Clock::time_point since;
  bool spoke = false;
};

class Flood {
 public:
  explicit Flood(Target target) : target_(std::move(target)) {}

  int run() {
    const auto begin = Clock::now();
    while (seconds_since(begin) < target_.seconds) {
      for (int i = 0; i < 64; ++i) step();
      if (!target_.chatter.empty()) chat();
    }
    const double elapsed = seconds_since(begin);
    for (const Stranger& one : held_) drop(one.fd);
    std::printf(
        "{\"kind\":\"%s\",\"tried\":%llu,\"connected\":%llu,\"ended_by_server\":%llu,\"bytes\":%llu,"
        "\"seconds\":%.2f,\"rate\":%.0f}\n",
        target_.kind.c_str(), tried_, connected_, ended_, bytes_, elapsed, static_cast<double>(connected_) / elapsed);
    return connected_ > 0 ? 0 : 1;
  }

 private:
  // One more, or a place for it.
  void step() {
    const size_t most = target_.chatter.empty() ? kHeld : kChatterers;
    if (held_.size() < most) return come();
    Stranger oldest = held_.front();
    held_.pop_front();
    speak(oldest);
    char byte;
    const ssize_t n = recv(oldest.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    // An answer (101, hello) that waits here says nothing about the end; the server's FIN is behind it.
    const bool open = n > 0 ? still_open(oldest.fd) : n < 0 && (errno == EAGAIN || errno == ENOTCONN);
    if (open && Clock::now() - oldest.since < kPatience) return held_.push_back(oldest);
    ended_ += !open;
    drop(oldest.fd);
  }

  static bool still_open(int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           (info.tcpi_state == TCP_ESTABLISHED || info.tcpi_state == TCP_SYN_SENT);
  }

  void come() {
    Stranger one{socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), Clock::now()};
    ++tried_;
    if (one.fd < 0) return;
    if (target_.many && !bind_source(one.fd)) return drop(one.fd);
    if (connect(one.fd, reinterpret_cast<const sockaddr*>(&target_.server), sizeof target_.server) != 0 &&
        errno != EINPROGRESS)
      return drop(one.fd);
    speak(one);  // in the same machine the connection stands by now
    held_.push_back(one);
  }

  bool bind_source(int fd) const {
    int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(0x0a4d0001 + static_cast<uint32_t>(tried_ % kSources));  // 10.77.0.1
    return bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0;
  }

  // What it has to say, once it is connected.
  void speak(Stranger& one) {
    if (one.spoke) return;
    Bytes words = target_.proxied ? proxy_header(static_cast<uint32_t>(connected_ % kSources)) : Bytes();
    append(words, target_.words);
    if (words.empty()) {
      one.spoke = still_established(one.fd);
    } else {
      const ssize_t n = send(one.fd, words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      one.spoke = n > 0 || (errno != EAGAIN && errno != ENOTCONN);
      bytes_ += n > 0 ? static_cast<unsigned long long>(n) : 0;
    }
    connected_ += one.spoke;
  }

  static bool still_established(int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state != TCP_SYN_SENT;
  }

  void chat() {
    for (const Stranger& one : held_) {
      const ssize_t n = send(one.fd, target_.chatter.data(), target_.chatter.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      bytes_ += n > 0 ? static_cast<unsigned long long>(n) : 0;
    }
  }

  // With a reset: thousands of ports in TIME_WAIT would soon be what is measured.
  static void drop(int fd) {
    linger at_once{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
  }

  const Target target_;
  std::deque<Stranger> held_;
  unsigned long long tried_ = 0, connected_ = 0, ended_ = 0, bytes_ = 0;
};

}  // namespace

int run_flood(const Words& words) {
  Target target;
  target.kind = words[0];
  target.server.sin_family = AF_INET;
  target.server.sin_port = htons(static_cast<uint16_t>(std::stoi(words[2])));
  target.many = words[3] == "many";
  target.proxied = words[3] == "proxied";
  target.seconds = std::stod(words[4]);
  if (inet_pton(AF_INET, words[1].c_str(), &target.server.sin_addr) != 1 ||
      !choose_words(target, words.size() > 5 ? words[5] : "")) {
    std::fprintf(stderr, "no such address, or no such kind of flood\n");
    return 2;
  }
  return Flood(std::move(target)).run();
}

}  // namespace smartvpn::siege
