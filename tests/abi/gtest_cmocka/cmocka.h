/* The part of cmocka's interface that these tests use, on top of GoogleTest: the same C files are built once against
 * the real library and once against this one, so neither framework's habits become the tests'. */
#ifndef GTEST_CMOCKA_H
#define GTEST_CMOCKA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*CMUnitTestFunction)(void** state);
typedef int (*CMFixtureFunction)(void** state);

struct CMUnitTest {
  const char* name;
  CMUnitTestFunction test_func;
  CMFixtureFunction setup_func;
  CMFixtureFunction teardown_func;
  void* initial_state;
};

#define cmocka_unit_test(f) \
  { #f, f, NULL, NULL, NULL }
#define cmocka_unit_test_setup_teardown(f, setup, teardown) \
  { #f, f, setup, teardown, NULL }
#define cmocka_run_group_tests(tests, group_setup, group_teardown) \
  gtest_cmocka_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]), group_setup, group_teardown)

/* Registers the tests of a group with GoogleTest and runs everything. The number of failed tests. */
int gtest_cmocka_run(const char* group, const struct CMUnitTest* tests, size_t count, CMFixtureFunction group_setup,
                     CMFixtureFunction group_teardown);

/* Reports a failure at a place and leaves the running test. */
#ifdef __GNUC__
__attribute__((noreturn, format(printf, 3, 4)))
#endif
void gtest_cmocka_fail(const char *file, int line, const char *format, ...);

/* Reports the running test as skipped and leaves it. */
#ifdef __GNUC__
__attribute__((noreturn))
#endif
void gtest_cmocka_skip(const char *file, int line);

#define skip() gtest_cmocka_skip(__FILE__, __LINE__)

#define GTEST_CMOCKA_CHECK(condition, ...)                                \
  do {                                                                    \
    if (!(condition)) gtest_cmocka_fail(__FILE__, __LINE__, __VA_ARGS__); \
  } while (0)

#define fail_msg(...) gtest_cmocka_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(c) GTEST_CMOCKA_CHECK((c), "%s is false", #c)
#define assert_false(c) GTEST_CMOCKA_CHECK(!(c), "%s is true", #c)
#define assert_null(p) GTEST_CMOCKA_CHECK((p) == NULL, "%s is not NULL", #p)
#define assert_non_null(p) GTEST_CMOCKA_CHECK((p) != NULL, "%s is NULL", #p)
#define assert_ptr_equal(a, b) GTEST_CMOCKA_CHECK((const void*)(a) == (const void*)(b), "%s is not %s", #a, #b)

#define GTEST_CMOCKA_INT(a, op, b)                                                                         \
  do {                                                                                                     \
    const long long gtest_cmocka_a = (long long)(a), gtest_cmocka_b = (long long)(b);                      \
    GTEST_CMOCKA_CHECK(gtest_cmocka_a op gtest_cmocka_b, "%s is %lld, %s is %lld", #a, gtest_cmocka_a, #b, \
                       gtest_cmocka_b);                                                                    \
  } while (0)
#define assert_int_equal(a, b) GTEST_CMOCKA_INT(a, ==, b)
#define assert_int_not_equal(a, b) GTEST_CMOCKA_INT(a, !=, b)
#define assert_in_range(v, low, high)                                                                               \
  do {                                                                                                              \
    const unsigned long long gtest_cmocka_v = (unsigned long long)(v);                                              \
    const unsigned long long gtest_cmocka_low = (low), gtest_cmocka_high = (high);                                  \
    GTEST_CMOCKA_CHECK(gtest_cmocka_v >= gtest_cmocka_low && gtest_cmocka_v <= gtest_cmocka_high, "%s is %llu", #v, \
                       gtest_cmocka_v);                                                                             \
  } while (0)

#define GTEST_CMOCKA_TEXT(a, op, b)                                                                      \
  do {                                                                                                   \
    const char *const gtest_cmocka_a = (a), *const gtest_cmocka_b = (b);                                 \
    GTEST_CMOCKA_CHECK(gtest_cmocka_a&& gtest_cmocka_b&& strcmp(gtest_cmocka_a, gtest_cmocka_b) op 0,    \
                       "%s is \"%s\", %s is \"%s\"", #a, gtest_cmocka_a ? gtest_cmocka_a : "(null)", #b, \
                       gtest_cmocka_b ? gtest_cmocka_b : "(null)");                                      \
  } while (0)
#define assert_string_equal(a, b) GTEST_CMOCKA_TEXT(a, ==, b)
#define assert_string_not_equal(a, b) GTEST_CMOCKA_TEXT(a, !=, b)
#define assert_memory_equal(a, b, n) GTEST_CMOCKA_CHECK(memcmp((a), (b), (n)) == 0, "%s and %s differ", #a, #b)

#ifdef __cplusplus
}
#endif

#endif
