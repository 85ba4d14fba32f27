/* guest SCENARIO [ARGUMENT]: exit code 0 when the scenario went well, 77 when it cannot be played here. */
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static struct pair early;
static int started_early;

/* A host whose static initialisers start servers. */
__attribute__((constructor)) static void before_main(void) {
  const struct wishes wishes = {0};
  if (!getenv("GUEST_EARLY")) return;
  open_pair(&early, &wishes);
  started_early = 1;
}

static int constructed(const char* unused) {
  (void)unused;
  need(started_early && ping(early.tunnel));
  close_pair(&early);
  return 0;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*run)(const char*);
  } scenarios[] = {
      {"cycles", cycles},           {"stopping", stopping},     {"leaving", leaving},
      {"forking", forking},         {"handover", handover},     {"surroundings", surroundings},
      {"environment", environment}, {"neighbours", neighbours}, {"constructed", constructed},
  };
  const char *first = argc > 1 ? argv[1] : "", *second = argc > 2 ? argv[2] : NULL, *third = argc > 3 ? argv[3] : NULL;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (strcmp(first, "leave") == 0) return leave(second, third);
  if (strcmp(first, "take_over") == 0) return take_over(second, third);
  if (strcmp(first, "serve") == 0) return serve_in_environment(second, third);
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; ++i)
    if (strcmp(first, scenarios[i].name) == 0) return scenarios[i].run(second);
  fprintf(stderr, "guest: no scenario '%s'\n", first);
  return 2;
}
