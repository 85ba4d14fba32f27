/* Loses sixteen bytes, so that one sees valgrind's ctests find such a thing. */
#include <stdlib.h>

static void* volatile kept;

int main(void) {
  kept = malloc(16);
  kept = NULL;
  return 0;
}
