// See resolver.hpp. Requests and answers cross in bounded queues; everything else belongs to one side.
#include "net/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <semaphore>
#include <thread>
#include <unordered_map>

#include "base/bounded_queue.hpp"
#include "net/sockaddr.hpp"
#include "net/thread.hpp"

namespace smartvpn::net {
namespace {

using Answer = Result<std::vector<inet::Endpoint>>;

constexpr std::chrono::milliseconds kMemoryPause(10);

Error lookup_error(int code, int system_errno, const std::string& host) {
  std::string text = "cannot resolve " + host;
  if (code == EAI_SYSTEM) return system_error(system_errno, std::move(text));
  text += ": ";
  text += gai_strerror(code);
  if (code == EAI_AGAIN) return make_error(Status::TIMEOUT, std::move(text));
  if (code == EAI_MEMORY) return make_error(Status::NO_MEMORY, std::move(text));
  return make_error(Status::NOT_FOUND, std::move(text));
}

Answer look_up(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (int code = getaddrinfo(host.c_str(), nullptr, &hints, &list); code != 0) return lookup_error(code, errno, host);
  std::vector<inet::Endpoint> out;
  for (addrinfo* item = list; item; item = item->ai_next) {
    inet::Endpoint endpoint = to_endpoint(item->ai_addr, item->ai_addrlen);
    endpoint.port = port;
    if (endpoint && std::find(out.begin(), out.end(), endpoint) == out.end()) out.push_back(endpoint);
  }
  freeaddrinfo(list);
  if (out.empty()) return lookup_error(EAI_NONAME, 0, host);
  return out;
}

}  // namespace

struct Resolver::Impl {
  struct Request {
    uint64_t id = 0;
    std::string host;
    uint16_t port = 0;
  };
  struct Reply {
    uint64_t id = 0;
    Answer answer;
  };

  void serve() {
    for (;;) {
      work.acquire();
      if (quit.load(std::memory_order_acquire)) return;
      auto request = requests.pop();
      if (!request) continue;
      Answer answer = Error{Status::NO_MEMORY, {}, 0, {}};
      try {
        answer = look_up(request->host, request->port);
      } catch (const std::bad_alloc&) {
        // The answer prepared above says so.
      }
      deliver_later(request->id, std::move(answer));
    }
  }

  // Somebody waits for it, so it is tried until there is memory.
  void deliver_later(uint64_t id, Answer answer) noexcept {
    Reply reply{id, std::move(answer)};
    while (!quit.load(std::memory_order_acquire)) {
      try {
        replies.push(std::move(reply));
        return wake->wake();
      } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(kMemoryPause);
      }
    }
  }

  // On the loop's thread. A callback may cancel, ask again, or destroy the resolver.
  void deliver() {
    std::weak_ptr<bool> watching = alive;
    while (auto reply = replies.pop()) {
      --in_flight;
      auto found = waiting.find(reply->id);
      if (found == waiting.end()) continue;
      Done done = std::move(found->second);
      waiting.erase(found);
      done(std::move(reply->answer));
      if (watching.expired()) return;
    }
  }

  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::unordered_map<uint64_t, Done> waiting;  // loop's thread
  uint64_t last_id = 0;                        // loop's thread
  size_t in_flight = 0;                        // loop's thread; cancelled ones too, until their reply is here
  BoundedQueue<Request> requests{kMaxWaiting};
  BoundedQueue<Reply> replies{kMaxWaiting};  // never refuses: in_flight is bounded
  std::counting_semaphore<> work{0};
  std::atomic<bool> quit{false};
  std::unique_ptr<Wake> wake;
  std::unique_ptr<Thread> thread;
};

Resolver::Resolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Resolver>> Resolver::create(Loop& loop) {
  auto impl = std::make_unique<Impl>();
  auto* self = impl.get();
  auto wake = Wake::create(loop, [self] { self->deliver(); });
  if (!wake) return wake.error();
  impl->wake = std::move(*wake);
  auto thread = Thread::start("svpn-resolver", [self] { self->serve(); });
  if (!thread) return thread.error();
  impl->thread = std::move(*thread);
  return std::unique_ptr<Resolver>(new Resolver(std::move(impl)));
}

Resolver::~Resolver() {
  impl_->quit.store(true, std::memory_order_release);
  impl_->work.release();
  if (impl_->thread) impl_->thread->join();
}

uint64_t Resolver::resolve(std::string host, uint16_t port, Done done) {
  if (impl_->in_flight >= kMaxWaiting) return 0;
  uint64_t id = ++impl_->last_id;
  impl_->waiting.emplace(id, std::move(done));
  try {
    if (auto ip = inet::IpAddress::parse(host)) {
      impl_->replies.push({id, std::vector<inet::Endpoint>{{*ip, port}}});
      impl_->wake->wake();
    } else {
      impl_->requests.push({id, std::move(host), port});
      impl_->work.release();
    }
  } catch (const std::bad_alloc&) {
    impl_->waiting.erase(id);
    throw;
  }
  ++impl_->in_flight;
  return id;
}

void Resolver::cancel(uint64_t id) noexcept { impl_->waiting.erase(id); }

void Resolver::abandon_after_fork() noexcept { impl_->thread->abandon_after_fork(); }

}  // namespace smartvpn::net
