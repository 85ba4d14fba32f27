// See thread.hpp.
#include "net/thread.hpp"

#include <pthread.h>

#include <csignal>

namespace smartvpn::net {

struct Thread::Impl {
  pthread_t id{};
  std::string name;
  std::function<void()> body;
  bool joinable = false;
};

namespace {

// Blocks every signal in the starting thread while the new one is born with the same mask.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

void* thread_main(void* argument) noexcept {
  auto* body = static_cast<std::function<void()>*>(argument);
  try {
    (*body)();
  } catch (...) {
    // The contract forbids it; ending one thread is better than ending the host.
    return nullptr;
  }
  return nullptr;
}

}  // namespace

Thread::Thread(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Thread>> Thread::start(const std::string& name, std::function<void()> body, size_t stack_size) {
  auto impl = std::make_unique<Impl>();
  impl->name = name.substr(0, 15);
  impl->body = std::move(body);
  pthread_attr_t attributes;
  if (int rc = pthread_attr_init(&attributes); rc != 0) return system_error(rc, "cannot start a thread");
  pthread_attr_setstacksize(&attributes, stack_size);
  int rc;
  {
    BlockedSignals blocked;
    rc = pthread_create(&impl->id, &attributes, &thread_main, &impl->body);
  }
  pthread_attr_destroy(&attributes);
  if (rc != 0) return system_error(rc, "cannot start a thread");
  impl->joinable = true;
  pthread_setname_np(impl->id, impl->name.c_str());
  return std::unique_ptr<Thread>(new Thread(std::move(impl)));
}

Thread::~Thread() { join(); }

void Thread::join() noexcept {
  if (!impl_->joinable) return;
  impl_->joinable = false;
  pthread_join(impl_->id, nullptr);
}

bool Thread::is_current() const noexcept { return impl_->joinable && pthread_equal(impl_->id, pthread_self()); }

void Thread::abandon_after_fork() noexcept { impl_->joinable = false; }

}  // namespace smartvpn::net
