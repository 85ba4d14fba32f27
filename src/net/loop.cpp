// The turn: poll -> I/O callbacks, timers and commands -> turn hook -> requested TurnEnds. All of the first
// kind run in libuv's poll phase, so the check phase sees everything that a turn produced.
#include "net/loop.hpp"

#include <sys/timerfd.h>

#include <cassert>

#include "base/descriptor.hpp"
#include "net/loop_impl.hpp"
#include "net/loop_start.hpp"

namespace smartvpn::net {
namespace {

// Of those who come too late in a turn. Not to watch somebody for the rest of it costs two system calls, so as many
// stay as fit beside sessions into what libuv asks the kernel for at once (1024).
constexpr size_t kStrangersWatched = 768;

// A TurnEnd that keeps requesting others cannot hold the loop: the rest waits for the next turn.
constexpr int kTurnRounds = 8;
constexpr int kCommandsPerTurn = 256;
constexpr Duration kTimerGrain = milliseconds(1);

timespec to_timespec(Time at) {
  auto ns = std::chrono::duration_cast<Duration>(at.time_since_epoch()).count();
  if (ns < 1) ns = 1;  // zero would disarm
  return {static_cast<time_t>(ns / 1000000000), static_cast<long>(ns % 1000000000)};
}

}  // namespace

void TurnList::push(TurnEnd& item) noexcept {
  item.next_ = nullptr;
  item.previous_ = last_;
  *last_ = &item;
  last_ = &item.next_;
}

void TurnList::unlink(TurnList& list, TurnEnd& item) noexcept {
  // An item of a round that is running is not in `list`, but then it is never its last either.
  if (list.last_ == &item.next_) list.last_ = item.previous_;
  *item.previous_ = item.next_;
  if (item.next_) item.next_->previous_ = item.previous_;
  item.next_ = nullptr;
  item.previous_ = nullptr;
}

template <class Run>
void TurnList::run_round(Run&& run) {
  TurnEnd* round = first_;
  if (!round) return;
  round->previous_ = &round;
  first_ = nullptr;
  last_ = &first_;
  while (TurnEnd* item = round) {
    unlink(*this, *item);
    run(*item);
  }
}

int Loop::Impl::open() noexcept {
  auto on_async = [](uv_async_t* h) { static_cast<Impl*>(h->loop->data)->run_commands(); };
  if (int error = start_loop(&uv, &async_, on_async); error != 0) return error;
  opened_ = true;
  uv.data = this;
  // These cannot fail on a fresh loop.
  uv_prepare_init(&uv, &prepare_);
  uv_check_init(&uv, &check_);
  uv_prepare_start(&prepare_, [](uv_prepare_t* h) { static_cast<Impl*>(h->loop->data)->end_turn(); });
  uv_check_start(&check_, [](uv_check_t* h) { static_cast<Impl*>(h->loop->data)->end_turn(); });
  timer_fd_ = Fd(above_standard(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)));
  if (!timer_fd_) return errno;
  if (int rc = uv_poll_init(&uv, &timer_poll_, timer_fd_.get()); rc != 0) return -rc;
  uv_poll_start(&timer_poll_, UV_READABLE,
                [](uv_poll_t* h, int, int) { static_cast<Impl*>(h->loop->data)->fire_timers(); });
  try {
    for (int fd : {uv.backend_fd, uv.async_io_watcher.fd, uv.signal_pipefd[0], uv.signal_pipefd[1], timer_fd_.get()})
      if (fd >= 0) descriptors.add(fd);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  return 0;
}

int Loop::Impl::open_for_many() noexcept {
  if (const int error = polls.open(); error != 0) return error;
  try {
    descriptors.add(polls.fd());
    polls.join(libuv_);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  polls.want(libuv_, uv_backend_fd(&uv), EPOLLIN);
  return 0;
}

// libuv is run where something has come for it, or where it has to tell the kernel or a closed handle something.
void Loop::Impl::turn() noexcept {
  if (!polls.is_open()) {
    uv_run(&uv, UV_RUN_ONCE);
    return;
  }
  end_turn();
  const int timeout = uv_backend_timeout(&uv);
  polls.wait(timeout);
  if (libuv_.ready || timeout == 0) uv_run(&uv, UV_RUN_NOWAIT);
  libuv_.ready = false;
  end_turn();
}

Loop::Impl::~Impl() {
  if (!opened_) return;
  auto close_once = [](uv_handle_t* handle, void*) {
    if (!uv_is_closing(handle)) uv_close(handle, nullptr);
  };
  uv_walk(&uv, close_once, nullptr);
  timer_fd_.reset();
  // Closing handles finish in the next turn; nothing may block here.
  for (int i = 0; i < 4 && uv_loop_close(&uv) == UV_EBUSY; ++i) uv_run(&uv, UV_RUN_NOWAIT);
}

void Loop::Impl::told(const char* what) noexcept {
  ++exceptions;
  if (!exception_hook) return;
  try {
    exception_hook(what);
  } catch (...) {
    ++exceptions;
  }
}

void Loop::Impl::run_commands() noexcept {
  for (int i = 0; i < kCommandsPerTurn; ++i) {
    if (stopped.load(std::memory_order_acquire)) {
      uv_stop(&uv);
      return;
    }
    auto command = commands.pop();
    if (!command) return;
    contain(*command);
  }
  uv_async_send(&async_);
}

void Loop::Impl::end_turn() noexcept {
  if (turn_hook) contain(turn_hook);
  for (int i = 0; i < kTurnRounds && !turn_ends.empty(); ++i)
    turn_ends.run_round([this](TurnEnd& item) { contain(item.callback_); });
  if (!turn_ends.empty()) uv_async_send(&async_);
  stale = true;
  strangers_took = Duration::zero();
  strangers_put_off = 0;
}

void Loop::Impl::put_timer(Timer& timer, Time at) noexcept {
  timers.put(timer, at);
  if (!firing_ && timers.next() < armed_) arm(timers.next());
}

void Loop::Impl::arm(Time at) noexcept {
  armed_ = at;
  itimerspec spec{};
  if (at != kNever) spec.it_value = to_timespec(at + kTimerGrain);
  timerfd_settime(timer_fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Loop::Impl::fire_timers() noexcept {
  // Timers that callbacks start for a time already past wait for the next turn, so I/O is never starved.
  Time limit = now();
  firing_ = true;
  for (size_t left = timers.size(); left > 0; --left) {
    Timer* due = timers.pop_due(limit);
    if (!due) break;
    contain([due] { TimerHeap::fire(*due); });
  }
  firing_ = false;
  arm(timers.next());  // setting it also makes the descriptor unreadable
}

Loop::Loop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Loop::~Loop() = default;

Result<std::unique_ptr<Loop>> Loop::create(size_t post_capacity) {
  auto impl = std::make_unique<Impl>(post_capacity);
  if (int error = impl->open(); error != 0) return system_error(error, "cannot create an event loop");
  return std::unique_ptr<Loop>(new Loop(std::move(impl)));
}

Result<std::unique_ptr<Loop>> Loop::create_for_many(size_t post_capacity) {
  auto loop = create(post_capacity);
  if (!loop) return loop;
  if (int error = (*loop)->impl_->open_for_many(); error != 0)
    return system_error(error, "cannot create an event loop");
  return loop;
}

void Loop::run() {
  if (!impl_->polls.is_open() && !stopped()) uv_run(&impl_->uv, UV_RUN_DEFAULT);
  while (!stopped()) run_turn();
}

void Loop::run_turn() {
  if (!stopped()) impl_->turn();
}

void Loop::stop() noexcept {
  impl_->stopped.store(true, std::memory_order_release);
  uv_async_send(&impl_->async_);
}

bool Loop::stopped() const noexcept { return impl_->stopped.load(std::memory_order_acquire); }

bool Loop::post(std::function<void()> command) {
  if (stopped() || !impl_->commands.push(std::move(command))) return false;
  uv_async_send(&impl_->async_);
  return true;
}

Time Loop::now() noexcept { return impl_->now(); }
bool Loop::strangers_have_time() const noexcept { return impl_->strangers_took < kStrangersTime; }
void Loop::charge_strangers(Duration taken) noexcept { impl_->strangers_took += taken; }
bool Loop::stranger_may_stay_watched() noexcept { return ++impl_->strangers_put_off <= kStrangersWatched; }
void Loop::set_turn_hook(std::function<void()> hook) { impl_->turn_hook = std::move(hook); }
void Loop::set_exception_hook(std::function<void(const char*)> hook) { impl_->exception_hook = std::move(hook); }
uint64_t Loop::contained_exceptions() const noexcept { return impl_->exceptions; }
ByteSpan Loop::read_buffer() noexcept { return impl_->read_buffer; }
ByteSpan Loop::scratch_buffer() noexcept { return impl_->scratch_buffer; }
DescriptorRegister& Loop::descriptors() noexcept { return impl_->descriptors; }
void Loop::abandon_after_fork() noexcept { impl_->descriptors.close_all(); }

TurnEnd::TurnEnd(Loop& loop, std::function<void()> callback) : loop_(loop), callback_(std::move(callback)) {}

TurnEnd::~TurnEnd() {
  if (requested()) TurnList::unlink(loop_.impl().turn_ends, *this);
}

void TurnEnd::request() noexcept {
  if (!requested()) loop_.impl().turn_ends.push(*this);
}

}  // namespace smartvpn::net
