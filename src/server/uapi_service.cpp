// See uapi_service.hpp.
#include "server/uapi_service.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <list>
#include <new>

#include "net/timer.hpp"
#include "net/unix_listener.hpp"

namespace smartvpn::server {
namespace {

constexpr const char* kUapiKey = "/wireguard/uapi_socket";
constexpr const char* kUapiFolder = "/var/run/wireguard";  // where `wg` looks

}  // namespace

std::string uapi_socket_path(const std::string& socket) {
  return socket.starts_with('/') ? socket : std::string(kUapiFolder) + "/" + socket + ".sock";
}

// The listener and those who have connected; all of it on the loop's thread once that runs.
class UapiService::Socket {
 public:
  Socket(net::Loop& loop, UapiBackend backend, const UapiLimits& limits)
      : loop_(loop), backend_(std::move(backend)), limits_(limits), reaper_(loop, [this] { reap(); }) {}

  Result<void> listen(const std::string& path) {
    auto listener = net::UnixListener::listen(
        loop_, path, [this](std::unique_ptr<net::TcpStream> stream) { accept(std::move(stream)); }, kUapiKey);
    if (!listener) return std::move(listener).error();
    listener_ = std::move(*listener);
    return {};
  }

 private:
  class Client final : public net::TcpStream::Handler {
   public:
    Client(Socket& socket, std::unique_ptr<net::TcpStream> stream);
    ~Client() override {
      wipe(answer_);
      wipe(unread_);
    }
    void on_stream_bytes(ByteSpan bytes) override;
    void on_stream_writable() override { go_on(); }
    void on_stream_end(int error) override;
    bool over() const noexcept { return over_; }
    void put_off_deadline(Duration by) noexcept {
      if (deadline_.running()) deadline_.start_at(deadline_.deadline() + by);
    }

   private:
    void go_on();
    void read(std::string_view bytes);
    void serve();
    bool write();
    void end() noexcept;
    // From the present time: the turn's may be of before a long request.
    void give_time(Duration limit) noexcept { deadline_.start_at(monotonic_now() + limit); }
    Socket& socket_;
    std::unique_ptr<net::TcpStream> stream_;
    net::Timer deadline_;
    wireguard::UapiParser parser_;
    std::string answer_, unread_;  // unread_: what came behind a request whose answer is not written yet
    size_t written_ = 0;
    bool ended_ = false;  // nothing more will come
    bool over_ = false;
  };

  void accept(std::unique_ptr<net::TcpStream> stream) {
    clients_.emplace_back(*this, std::move(stream));
    listener_->pause(clients_.size() >= limits_.clients);
  }
  // Not in a callback of theirs.
  void reap() {
    clients_.remove_if([](const Client& client) { return client.over(); });
    listener_->pause(false);
  }
  void put_off_deadlines(Duration by) noexcept {
    for (Client& client : clients_) client.put_off_deadline(by);
  }
  void answer(wireguard::UapiParser& parser, std::string& out) noexcept;
  int perform(wireguard::UapiParser& parser, std::string& out, bool& set);

  net::Loop& loop_;
  const UapiBackend backend_;
  const UapiLimits limits_;
  net::TurnEnd reaper_;
  std::list<Client> clients_;
  std::unique_ptr<net::UnixListener> listener_;
};

UapiService::Socket::Client::Client(Socket& socket, std::unique_ptr<net::TcpStream> stream)
    : socket_(socket), stream_(std::move(stream)), deadline_(socket.loop_, [this] { end(); }) {
  give_time(socket_.limits_.silence);
  stream_->start(*this);
}

void UapiService::Socket::Client::on_stream_bytes(ByteSpan bytes) {
  read({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  wipe(bytes);  // there may be keys
}

void UapiService::Socket::Client::read(std::string_view bytes) {
  while (!bytes.empty() && !over_) {
    const bool begun = parser_.begun();
    bytes.remove_prefix(parser_.feed(bytes));
    if (parser_.state() == wireguard::UapiParser::State::lost) return end();
    if (parser_.state() == wireguard::UapiParser::State::more) {
      if (!begun) give_time(socket_.limits_.request);
      return;
    }
    serve();
    if (!over_ && !answer_.empty() && !bytes.empty()) {
      unread_.assign(bytes);
      return;
    }
  }
}

void UapiService::Socket::Client::serve() {
  const Time begun = monotonic_now();
  socket_.answer(parser_, answer_);
  socket_.put_off_deadlines(monotonic_now() - begun);  // nobody was read meanwhile
  if (answer_.empty()) return end();                   // not even memory for an errno
  give_time(socket_.limits_.request);
  if (!write()) stream_->read_stop();
}

// Whether all of it is gone.
bool UapiService::Socket::Client::write() {
  written_ += stream_->try_write(as_bytes(answer_).subspan(written_));
  if (written_ < answer_.size()) return false;
  wipe(answer_);
  answer_.clear();
  written_ = 0;
  give_time(socket_.limits_.silence);
  return true;
}

void UapiService::Socket::Client::go_on() {
  if (over_ || !write()) return;
  if (ended_) return end();
  stream_->read_start();
  std::string rest;
  rest.swap(unread_);
  read(rest);
  wipe(rest);
}

void UapiService::Socket::Client::on_stream_end(int error) {
  ended_ = true;
  if (error != 0 || answer_.empty()) end();
}

void UapiService::Socket::Client::end() noexcept {
  over_ = true;
  deadline_.stop();
  stream_->reset();
  socket_.reaper_.request();
}

// Empty: there was no memory for any.
void UapiService::Socket::answer(wireguard::UapiParser& parser, std::string& out) noexcept {
  int error = ENOMEM;
  bool set = true;
  try {
    error = perform(parser, out, set);
  } catch (const std::bad_alloc&) {
    error = ENOMEM;
  }
  try {
    if (error != 0) {
      wipe(out);
      out.clear();
    }
    wireguard::append_uapi_errno(out, error, set);
  } catch (const std::bad_alloc&) {
    wipe(out);
    out.clear();
  }
}

int UapiService::Socket::perform(wireguard::UapiParser& parser, std::string& out, bool& set) {
  wireguard::UapiRequest request;
  const int error = parser.take(request);
  set = request.set;
  if (error != 0) return error;
  return request.set ? backend_.set(request) : backend_.get(out);
}

UapiService::UapiService() = default;

UapiService::~UapiService() { stop(); }

Result<std::unique_ptr<UapiService>> UapiService::start(const std::string& socket, UapiBackend backend,
                                                        const UapiLimits& limits) {
  std::unique_ptr<UapiService> service(new UapiService());
  auto loop = net::Loop::create();
  if (!loop) return std::move(loop).error();
  service->loop_ = std::move(*loop);
  service->socket_ = std::make_unique<Socket>(*service->loop_, std::move(backend), limits);
  if (!socket.starts_with('/') && ::mkdir(kUapiFolder, 0755) != 0 && errno != EEXIST)
    return system_error(errno, std::string("cannot make ") + kUapiFolder, kUapiKey);
  if (auto listening = service->socket_->listen(uapi_socket_path(socket)); !listening) return listening.error();
  auto thread = net::Thread::start("svpn-uapi", [loop = service->loop_.get()] { loop->run(); });
  if (!thread) return std::move(thread).error();
  service->thread_ = std::move(*thread);
  return service;
}

void UapiService::stop() noexcept {
  if (loop_) loop_->stop();
  thread_.reset();  // joins
  socket_.reset();
  loop_.reset();
}

void UapiService::abandon_after_fork() noexcept {
  if (thread_) thread_->abandon_after_fork();
  if (loop_) loop_->abandon_after_fork();
  (void)socket_.release();  // leaked: the file is the parent's
  (void)loop_.release();
}

}  // namespace smartvpn::server
