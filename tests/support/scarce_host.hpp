// A host program over the C ABI that takes a lack of memory for what it is: a call that answers NO_MEMORY is made
// again until it succeeds, and anything else that goes wrong fails the test. Its calls count as the library's own
// allocations (support/failing_memory.hpp), its checks do not.
#pragma once

#include <gtest/gtest.h>
#include <smartvpn.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "support/failing_memory.hpp"

namespace smartvpn::testing {

class ScarceHost {
 public:
  static constexpr auto kPatience = std::chrono::seconds(20);

  // Statuses that are as good as NO_MEMORY where a foreign library hides the reason.
  explicit ScarceHost(std::function<bool(smartvpn_status)> also_scarce) : also_scarce_(std::move(also_scarce)) {}

  // One call, whatever comes of it.
  template <class Fn>
  static auto once(Fn&& fn) {
    Guest guest;
    return fn();
  }
  bool scarce(smartvpn_status status) const { return status == SMARTVPN_NO_MEMORY || also_scarce_(status); }
  // Until it is OK. `fn(smartvpn_error **)` gives a status.
  template <class Fn>
  bool must(const char* what, Fn&& fn) const {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      smartvpn_error* error = nullptr;
      const smartvpn_status status = once([&] { return fn(&error); });
      const std::string text = std::string(smartvpn_status_name(status)) + " " + smartvpn_error_path(error) + " " +
                               smartvpn_error_text(error);
      EXPECT_EQ(error != nullptr, status < 0) << what;
      smartvpn_error_free(error);
      if (status >= 0) return true;
      if (!scarce(status) || std::chrono::steady_clock::now() > until) {
        ADD_FAILURE() << what << ": " << text;
        FailingMemory::explain();
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  // `fn(buf, cap, needed, error)`, as smartvpn.h says of texts out.
  template <class Fn>
  std::string text(const char* what, Fn&& fn) const {
    std::string out(65536, '\0');
    size_t needed = 0;
    if (!must(what, [&](smartvpn_error** error) {
          smartvpn_status status = fn(out.data(), out.size(), &needed, error);
          if (status != SMARTVPN_SECRET_NOT_KEPT) return status;
          smartvpn_error_free(std::exchange(*error, nullptr));
          return SMARTVPN_OK;
        }))
      return {};
    out.resize(needed - 1);
    return out;
  }
  // What can only be tried as a whole: true once `fn()` is, false after a long time.
  template <class Fn>
  static bool eventually(Fn&& fn) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!fn()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

 private:
  std::function<bool(smartvpn_status)> also_scarce_;
};

}  // namespace smartvpn::testing
