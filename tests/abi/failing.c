/* One test that passes and one that fails, on purpose: whoever runs this must see a failure, in both frameworks. */
#include "support.h"

static void passes(void** state) {
  (void)state;
  assert_int_equal(1, 1);
}

static void fails_deliberately(void** state) {
  (void)state;
  assert_int_equal(1, 2);
}

int main(void) {
  const struct CMUnitTest failing[] = {
      cmocka_unit_test(passes),
      cmocka_unit_test(fails_deliberately),
  };
  return cmocka_run_group_tests(failing, NULL, NULL);
}
