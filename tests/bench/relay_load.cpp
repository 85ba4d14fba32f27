// Load for a TCP proxy on loopback, and the server behind it: prints what got through. Threads that wait, one a
// connection, so that nothing in here is cleverer than in the others' measure.
//   relay_load serve PORT                        answers each byte with itself, or "S": with bytes without end
//   relay_load rate PORT THREADS SECONDS [tls]   new connections, each with one byte there and back
//   relay_load stream PORT SECONDS [tls]         bytes from the server, one connection
//   relay_load latency PORT COUNT                one byte there and back, one connection: p50 and p99 in microseconds
//   relay_load idle PORT COUNT                   opens so many, says "ready", and keeps them until standard input ends
// Servers skip a PROXY header (v1 or v2) in front.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

int dial(uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) return fd;
  ::close(fd);
  return -1;
}

// A connection, in TLS or not.
class Line {
 public:
  Line(uint16_t port, SSL_CTX* tls) : fd_(dial(port)) {
    if (fd_ < 0 || !tls) return;
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, fd_);
    SSL_set_tlsext_host_name(ssl_, "bench.test");
    if (SSL_connect(ssl_) != 1) close();
  }
  ~Line() { close(); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  bool open() const { return fd_ >= 0; }
  long send(const void* data, size_t size) {
    return ssl_ ? SSL_write(ssl_, data, static_cast<int>(size)) : ::send(fd_, data, size, MSG_NOSIGNAL);
  }
  long receive(void* data, size_t size) {
    return ssl_ ? SSL_read(ssl_, data, static_cast<int>(size)) : ::recv(fd_, data, size, 0);
  }

 private:
  void close() {
    if (ssl_) SSL_free(ssl_);
    if (fd_ >= 0) ::close(fd_);
    ssl_ = nullptr;
    fd_ = -1;
  }
  int fd_;
  SSL* ssl_ = nullptr;
};

// The application's bytes in what came first.
size_t behind_header(const unsigned char* data, size_t size) {
  if (size >= 16 && std::memcmp(data, "\r\n\r\n\0\r\nQUIT\n", 12) == 0)
    return 16 + (static_cast<size_t>(data[14]) << 8) + data[15];
  if (size < 6 || std::memcmp(data, "PROXY ", 6) != 0) return 0;
  const auto* end = static_cast<const unsigned char*>(std::memchr(data, '\n', size));
  return end ? static_cast<size_t>(end - data) + 1 : size;
}

void answer(int fd) {
  std::vector<unsigned char> buffer(1 << 17);
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  for (bool first = true;; first = false) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) break;
    const size_t skip =
        first ? std::min(behind_header(buffer.data(), static_cast<size_t>(n)), static_cast<size_t>(n)) : 0;
    if (skip < static_cast<size_t>(n) && buffer[skip] == 'S') {
      while (::send(fd, buffer.data(), buffer.size(), MSG_NOSIGNAL) > 0) {
      }
      break;
    }
    if (static_cast<size_t>(n) > skip)
      (void)!::send(fd, buffer.data() + skip, static_cast<size_t>(n) - skip, MSG_NOSIGNAL);
    first = first && skip == static_cast<size_t>(n);
  }
  ::close(fd);
}

int serve(uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || ::listen(fd, 4096) != 0) return 1;
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    const int client = ::accept(fd, nullptr, nullptr);
    if (client >= 0) std::thread(answer, client).detach();
  }
}

int rate(uint16_t port, int threads, double seconds, SSL_CTX* tls) {
  std::atomic<uint64_t> done{0}, failed{0};
  std::vector<std::thread> all;
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  for (int i = 0; i < threads; ++i)
    all.emplace_back([&] {
      while (Clock::now() < until) {
        Line line(port, tls);
        char byte = 'x';
        const bool ok = line.open() && line.send(&byte, 1) == 1 && line.receive(&byte, 1) == 1;
        ++(ok ? done : failed);
      }
    });
  for (auto& thread : all) thread.join();
  std::printf("%.1f per second, %llu failed\n", static_cast<double>(done) / seconds,
              static_cast<unsigned long long>(failed.load()));
  return done == 0;
}

int stream(uint16_t port, double seconds, SSL_CTX* tls) {
  Line line(port, tls);
  std::vector<char> buffer(1 << 18);
  if (!line.open() || line.send("S", 1) != 1) return 1;
  uint64_t bytes = 0;
  const auto begun = Clock::now();
  const auto until = begun + std::chrono::duration<double>(seconds);
  while (Clock::now() < until) {
    const long n = line.receive(buffer.data(), buffer.size());
    if (n <= 0) return 1;
    bytes += static_cast<uint64_t>(n);
  }
  const double took = std::chrono::duration<double>(Clock::now() - begun).count();
  std::printf("%.1f Mbit per second\n", static_cast<double>(bytes) * 8 / took / 1e6);
  return 0;
}

int latency(uint16_t port, size_t count) {
  Line line(port, nullptr);
  std::vector<double> took;
  char byte = 'x';
  for (size_t i = 0; i < count && line.open(); ++i) {
    const auto begun = Clock::now();
    if (line.send(&byte, 1) != 1 || line.receive(&byte, 1) != 1) return 1;
    took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
  }
  if (took.empty()) return 1;
  std::sort(took.begin(), took.end());
  std::printf("%.1f %.1f us\n", took[took.size() / 2], took[took.size() * 99 / 100]);
  return 0;
}

int idle(uint16_t port, size_t count) {
  std::vector<int> open;
  char byte = 'x';
  for (size_t i = 0; i < count; ++i) {
    const int fd = dial(port);
    if (fd < 0 || ::send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || ::recv(fd, &byte, 1, 0) != 1) return 1;
    open.push_back(fd);
  }
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const std::string what = argc > 2 ? argv[1] : "";
  const auto port = static_cast<uint16_t>(argc > 2 ? std::atoi(argv[2]) : 0);
  const bool with_tls = argc > 3 && std::strcmp(argv[argc - 1], "tls") == 0;
  SSL_CTX* tls = with_tls ? SSL_CTX_new(TLS_client_method()) : nullptr;
  if (tls) SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  if (what == "serve") return serve(port);
  if (what == "rate" && argc > 4) return rate(port, std::atoi(argv[3]), std::atof(argv[4]), tls);
  if (what == "stream" && argc > 3) return stream(port, std::atof(argv[3]), tls);
  if (what == "latency" && argc > 3) return latency(port, static_cast<size_t>(std::atol(argv[3])));
  if (what == "idle" && argc > 3) return idle(port, static_cast<size_t>(std::atol(argv[3])));
  std::fputs("see the head of relay_load.cpp\n", stderr);
  return 2;
}
