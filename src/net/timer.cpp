// Timers and their heap; see timer.hpp.
#include "net/timer.hpp"

#include <algorithm>

#include "net/loop_impl.hpp"

namespace smartvpn::net {

Timer::Timer(Loop& loop, std::function<void()> callback) : loop_(loop), callback_(std::move(callback)) {
  loop_.impl().timers.announce();
}

Timer::~Timer() {
  stop();
  loop_.impl().timers.renounce();
}

void Timer::start_at(Time at) noexcept {
  if (at == kNever) return stop();
  loop_.impl().put_timer(*this, at);
}

void Timer::start_in(Duration delay) noexcept {
  Time now = loop_.now();
  start_at(delay >= kNever - now ? kNever : now + delay);
}

void Timer::stop() noexcept {
  if (running()) loop_.impl().take_timer(*this);
}

void TimerHeap::announce() {
  if (announced_ == heap_.capacity()) heap_.reserve(std::max<size_t>(16, 2 * announced_));
  ++announced_;
}

void TimerHeap::put(Timer& timer, Time at) {
  if (timer.running()) {
    bool earlier = at < timer.at_;
    timer.at_ = at;
    if (earlier) {
      sift_up(timer.index_);
    } else {
      sift_down(timer.index_);
    }
    return;
  }
  heap_.push_back(&timer);
  timer.at_ = at;
  timer.index_ = heap_.size() - 1;
  sift_up(timer.index_);
}

void TimerHeap::take(Timer& timer) noexcept {
  size_t index = timer.index_;
  Timer* last = heap_.back();
  heap_.pop_back();
  timer.index_ = Timer::kNone;
  if (last == &timer) return;
  place(index, last);
  sift_up(index);
  sift_down(last->index_);
}

Timer* TimerHeap::pop_due(Time now) noexcept {
  if (heap_.empty() || heap_.front()->at_ > now) return nullptr;
  Timer* first = heap_.front();
  take(*first);
  return first;
}

void TimerHeap::place(size_t index, Timer* timer) noexcept {
  heap_[index] = timer;
  timer->index_ = index;
}

void TimerHeap::sift_up(size_t index) noexcept {
  Timer* moving = heap_[index];
  while (index > 0) {
    size_t parent = (index - 1) / 2;
    if (heap_[parent]->at_ <= moving->at_) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, moving);
}

void TimerHeap::sift_down(size_t index) noexcept {
  Timer* moving = heap_[index];
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->at_ < heap_[child]->at_) ++child;
    if (moving->at_ <= heap_[child]->at_) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, moving);
}

}  // namespace smartvpn::net
