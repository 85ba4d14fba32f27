// The adapter's other half: each CMUnitTest becomes a GoogleTest of its own, with its fixtures. The C
// file's main() was renamed on its command line; the real one is here and lets GoogleTest see its flags.
#include <gtest/gtest.h>

#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <string>

#include "cmocka.h"

extern "C" int gtest_cmocka_main(void);

namespace {

std::jmp_buf* running = nullptr;  // where a failed assertion jumps to; only C frames lie between

// Runs `call` and says whether it came to its end.
template <class Fn>
bool reaches_end(Fn call) {
  std::jmp_buf here;
  running = &here;
  volatile bool reached = false;
  if (setjmp(here) == 0) {
    call();
    reached = true;
  }
  running = nullptr;
  return reached;
}

class Case : public testing::Test {
 public:
  explicit Case(const CMUnitTest& test) : test_(test), state_(test.initial_state) {}

  void TestBody() override {
    bool set_up = true;
    if (test_.setup_func) {
      int result = 0;
      set_up = reaches_end([&] { result = test_.setup_func(&state_); }) && result == 0;
      EXPECT_EQ(result, 0) << "setup failed";
    }
    if (set_up) reaches_end([&] { test_.test_func(&state_); });
    if (test_.teardown_func) {
      int result = 0;
      reaches_end([&] { result = test_.teardown_func(&state_); });
      EXPECT_EQ(result, 0) << "teardown failed";
    }
  }

 private:
  const CMUnitTest test_;
  void* state_;
};

}  // namespace

extern "C" void gtest_cmocka_fail(const char* file, int line, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  GTEST_MESSAGE_AT_(file, line, text, testing::TestPartResult::kFatalFailure);
  if (running) std::longjmp(*running, 1);
  std::abort();
}

extern "C" void gtest_cmocka_skip(const char* file, int line) {
  GTEST_MESSAGE_AT_(file, line, "not possible here", testing::TestPartResult::kSkip);
  if (running) std::longjmp(*running, 1);
  std::abort();
}

extern "C" int gtest_cmocka_run(const char* group, const CMUnitTest* tests, size_t count, CMFixtureFunction group_setup,
                                CMFixtureFunction group_teardown) {
  void* state = nullptr;
  for (size_t i = 0; i < count; ++i) {
    const CMUnitTest test = tests[i];
    testing::RegisterTest(group, test.name, nullptr, nullptr, __FILE__, __LINE__, [test] { return new Case(test); });
  }
  if (group_setup && group_setup(&state) != 0) return 1;
  int failed = RUN_ALL_TESTS();
  if (group_teardown && group_teardown(&state) != 0) return 1;
  return failed;
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return gtest_cmocka_main();
}
