// One value that one thread waits for and another gives. What std::promise is for, but for one thing: given up without
// a value it needs no memory to say so, where a promise takes some in its destructor and ends the process when there
// is none. For `server/` and `tunnel/`, never on the packet path.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.hpp"

namespace smartvpn {

// The asker's end. Its giver is made first, handed over, and gives at most once, or goes without.
template <class T>
class Answer {
 public:
  class Giver;
  Answer() : state_(std::make_shared<State>()) {}

  Giver giver() const { return Giver(state_); }
  // Waits. Nothing when the giver has gone without giving.
  std::optional<T> wait() {
    State& state = *state_;
    MutexLock lock(state.mutex);
    state.settled.wait(lock, [&state]() REQUIRES(state.mutex) { return state.over; });
    return std::move(state.value);
  }

 private:
  struct State {
    Mutex mutex;
    CondVar settled;
    std::optional<T> value GUARDED_BY(mutex);
    bool over GUARDED_BY(mutex) = false;
  };
  std::shared_ptr<State> state_;
};

// The other end. Copies are one giver: the last one that goes gives up.
template <class T>
class Answer<T>::Giver {
 public:
  explicit Giver(std::shared_ptr<State> state) : end_(std::make_shared<End>(std::move(state))) {}
  void give(T&& value) noexcept { end_->settle(&value); }

 private:
  struct End {
    explicit End(std::shared_ptr<State> s) noexcept : state(std::move(s)) {}
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    ~End() { settle(nullptr); }
    void settle(T* given) noexcept {
      MutexLock lock(state->mutex);
      if (state->over) return;
      if (given) state->value.emplace(std::move(*given));
      state->over = true;
      state->settled.notify_all();
    }
    std::shared_ptr<State> state;
  };
  std::shared_ptr<End> end_;
};

}  // namespace smartvpn
