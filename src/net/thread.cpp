// See thread.hpp.
#include "net/thread.hpp"

#include <pthread.h>

#include <atomic>
#include <csignal>

#include "base/thread_spares.hpp"

namespace smartvpn::net {

struct Thread::Impl {
  pthread_t id{};
  std::string name;
  std::function<void()> body;
  bool joinable = false;
  std::atomic<pthread_t> inside{};  // written by the thread itself, so it always knows itself

  static void* main(void* argument) noexcept;
};

void* Thread::Impl::main(void* argument) noexcept {
  auto* self = static_cast<Impl*>(argument);
  self->inside.store(pthread_self());
  pthread_setname_np(pthread_self(), self->name.c_str());
  ThreadSpares spares;
  try {
    self->body();
  } catch (...) {
    // The contract forbids it; ending one thread is better than ending the host.
    return nullptr;
  }
  return nullptr;
}

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

}  // namespace

Thread::Thread(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Thread>> Thread::start(const std::string& name, std::function<void()> body, size_t stack_size) {
  auto impl = std::make_unique<Impl>();
  impl->name = name.substr(0, 15);
  impl->body = std::move(body);
  // Complete before it runs: nothing may fail once there is a thread that uses it.
  std::unique_ptr<Thread> thread(new Thread(std::move(impl)));
  Impl* self = thread->impl_.get();
  pthread_attr_t attributes;
  if (int rc = pthread_attr_init(&attributes); rc != 0) return system_error(rc, "cannot start a thread");
  pthread_attr_setstacksize(&attributes, stack_size);
  int rc;
  {
    BlockedSignals blocked;
    rc = pthread_create(&self->id, &attributes, &Impl::main, self);
  }
  pthread_attr_destroy(&attributes);
  if (rc != 0) return system_error(rc, "cannot start a thread");
  self->joinable = true;
  return thread;
}

Thread::~Thread() { join(); }

void Thread::join() noexcept {
  if (!impl_->joinable) return;
  impl_->joinable = false;
  pthread_join(impl_->id, nullptr);
}

bool Thread::is_current() const noexcept { return impl_->inside.load() == pthread_self(); }

void Thread::abandon_after_fork() noexcept { impl_->joinable = false; }

}  // namespace smartvpn::net
