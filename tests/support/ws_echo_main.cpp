// A WebSocket echo endpoint for third-party peers and the conformance driver: our upgrade and our
// message machine over plain blocking loopback sockets. Test code, so it may block and exit.
//
//   ws_echo server [options]                         prints its port, serves until stdin ends
//   ws_echo client ws://127.0.0.1:PORT/PATH [options] echoes until the end, prints how it ended
//
// Exit status of the client: 0 after any WebSocket end, 2 when the upgrade failed, 3 when the stream
// ended without a Close frame.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "transport/ws/message_machine.hpp"
#include "transport/ws/upgrade_client.hpp"
#include "transport/ws/upgrade_server.hpp"

namespace {

using namespace smartvpn;
using namespace smartvpn::ws;

struct Options {
  Limits limits{size_t{64} << 20, 1 << 20, 1 << 16, false};
  std::string path = "/echo";
  bool subprotocol = true;  // offered or chosen
  bool require_subprotocol = false;
  bool commands = false;  // text messages "!close CODE REASON" and "!ping PAYLOAD" are obeyed
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "ws_echo: %s\n", why.c_str());
  std::exit(1);
}

bool write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

ByteSpan read_some(int fd, Bytes& buffer) {
  const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
  return ByteSpan(buffer).first(n > 0 ? static_cast<size_t>(n) : 0);
}

class Echo final : public Handler {
 public:
  Echo(int fd, Machine::Role role, const Options& options)
      : fd_(fd), role_(role), options_(options), machine_(role, options.limits, system_rng()) {}

  // Runs the connection to its end; `first` is what came behind the upgrade. Gives the last event.
  std::string run(ByteSpan first) {
    Bytes buffer(65536);
    ByteSpan bytes = first;
    for (;;) {
      const Machine::State state = machine_.feed(bytes, *this);
      if (!flush()) return end_;
      if (state == Machine::State::closed || state == Machine::State::failed) break;
      bytes = read_some(fd_, buffer);
      if (bytes.empty()) return end_;
    }
    // Both ends have said goodbye: let the peer read ours before the socket goes.
    shutdown(fd_, SHUT_WR);
    while (!read_some(fd_, buffer).empty()) {
    }
    return end_;
  }

  void on_message(bool binary, ByteSpan message) override {
    if (!binary && options_.commands && obey(as_text(message))) return;
    send_message(binary, message);
  }
  void on_pong(ByteView payload) override {
    if (options_.commands) send_message(false, as_bytes("!pong " + std::string(as_text(payload))));
  }
  void on_close(const CloseEvent& event) override {
    end_ = "close " + std::to_string(event.code) + (event.by_peer ? " peer" : " us");
  }

 private:
  // What is pending goes first, so the peer sees answers in the order of its questions.
  void send_message(bool binary, ByteView message) {
    flush();
    Packet packet = binary ? pool_.copy_of(message) : Packet();
    if (packet) {
      if (machine_.frame_packet(packet)) write_all(fd_, packet.bytes());
      return;
    }
    Bytes out;
    MaskKey mask;
    system_rng().fill(mask);
    append_frame(out, binary ? Opcode::binary : Opcode::text, true, message,
                 role_ == Machine::Role::client ? &mask : nullptr);
    write_all(fd_, out);
  }
  bool obey(std::string_view text) {
    if (text.rfind("!ping ", 0) == 0) return machine_.ping(as_bytes(text.substr(6)));
    if (text.rfind("!close ", 0) != 0) return false;
    text.remove_prefix(7);
    const size_t blank = std::min(text.find(' '), text.size());
    machine_.close(static_cast<uint16_t>(std::atoi(std::string(text.substr(0, blank)).c_str())),
                   text.substr(std::min(blank + 1, text.size())));
    return true;
  }
  bool flush() {
    const bool sent = write_all(fd_, machine_.pending());
    machine_.consume(machine_.pending().size());
    return sent;
  }

  int fd_;
  Machine::Role role_;
  const Options& options_;
  Machine machine_;
  PacketPool pool_;
  std::string end_;
};

void serve(int fd, const Options& options) {
  UpgradeServerConfig config;
  config.path = options.path;
  if (!options.subprotocol) config.subprotocol.clear();
  config.require_subprotocol = options.require_subprotocol;
  UpgradeServer upgrade(config);
  Bytes buffer(65536);
  auto outcome = UpgradeServer::Outcome::need_more;
  ByteSpan bytes;
  while (outcome == UpgradeServer::Outcome::need_more) {
    bytes = read_some(fd, buffer);
    if (bytes.empty()) break;
    size_t consumed = 0;
    outcome = upgrade.feed(bytes, consumed);
    bytes = bytes.subspan(consumed);
  }
  write_all(fd, upgrade.response());
  if (outcome == UpgradeServer::Outcome::upgraded) {
    Echo(fd, Machine::Role::server, options).run(bytes);
  } else {
    shutdown(fd, SHUT_WR);
    while (!read_some(fd, buffer).empty()) {
    }
  }
  close(fd);
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

void no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int run_server(const Options& options) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof at;
  if (bind(listener, reinterpret_cast<sockaddr*>(&at), size) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) != 0)
    die("cannot listen");
  std::printf("%u\n", static_cast<unsigned>(ntohs(at.sin_port)));
  std::fflush(stdout);
  std::thread([] {
    while (std::getchar() != EOF) {
    }
    std::_Exit(0);
  }).detach();
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) die("cannot accept");
    no_delay(fd);
    std::thread([fd, &options] { serve(fd, options); }).detach();
  }
}

int run_client(const std::string& url, const Options& options) {
  constexpr std::string_view kPrefix = "ws://127.0.0.1:";
  if (url.rfind(kPrefix, 0) != 0) die("the URL begins with ws://127.0.0.1:PORT/");
  const size_t slash = std::min(url.find('/', kPrefix.size()), url.size());
  UpgradeClientConfig config;
  config.host = url.substr(5, slash - 5);
  config.path = slash == url.size() ? "/" : url.substr(slash);
  if (!options.subprotocol) config.subprotocols.clear();
  config.require_subprotocol = options.require_subprotocol;
  auto made = UpgradeClient::create(config, system_rng());
  if (!made) die(made.error().text);

  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in at = loopback(static_cast<uint16_t>(std::atoi(url.substr(kPrefix.size()).c_str())));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) die("cannot connect");
  no_delay(fd);
  write_all(fd, made->request());
  Bytes buffer(65536);
  auto outcome = UpgradeClient::Outcome::need_more;
  ByteSpan bytes;
  while (outcome == UpgradeClient::Outcome::need_more) {
    bytes = read_some(fd, buffer);
    if (bytes.empty()) break;
    size_t consumed = 0;
    outcome = made->feed(bytes, consumed);
    bytes = bytes.subspan(consumed);
  }
  if (outcome != UpgradeClient::Outcome::upgraded) {
    std::printf("failed %u %s\n", made->status(), made->error().c_str());
    return 2;
  }
  const std::string end = Echo(fd, Machine::Role::client, options).run(bytes);
  std::printf("%s\n", end.empty() ? "ended" : end.c_str());
  return end.empty() ? 3 : 0;
}

Options parse(int argc, char** argv, int first) {
  Options options;
  for (int i = first; i < argc; ++i) {
    const std::string flag = argv[i];
    auto number = [&] {
      if (++i == argc) die(flag + " needs a number");
      return static_cast<size_t>(std::strtoull(argv[i], nullptr, 10));
    };
    if (flag == "--max-message")
      options.limits.max_message = number();
    else if (flag == "--max-fragments")
      options.limits.max_fragments = number();
    else if (flag == "--binary-only")
      options.limits.binary_only = true;
    else if (flag == "--no-subprotocol")
      options.subprotocol = false;
    else if (flag == "--require-subprotocol")
      options.require_subprotocol = true;
    else if (flag == "--commands")
      options.commands = true;
    else
      die("unknown option " + flag);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "server") {
    const Options options = parse(argc, argv, 2);
    return run_server(options);
  }
  if (mode == "client" && argc > 2) {
    const Options options = parse(argc, argv, 3);
    return run_client(argv[2], options);
  }
  die("usage: ws_echo server [options] | client URL [options]");
}
