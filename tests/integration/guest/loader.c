/* loader LIBRARY: a host that loads the library a hundred times, uses it, and lets it go again, once with a server
 * running. It is never unloaded in truth (its threads could not return), and what stays does not grow. */
#include <dirent.h>
#include <dlfcn.h>
#include <smartvpn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define need(condition)                                  \
  do {                                                   \
    if (!(condition)) {                                  \
      fprintf(stderr, "%d: %s\n", __LINE__, #condition); \
      exit(1);                                           \
    }                                                    \
  } while (0)

/* By way of memory: ISO C knows no conversion between the two kinds of pointers. */
#define FUNCTION(library, name)                     \
  __typeof__(&name) name##_;                        \
  *(void**)(void*)&name##_ = dlsym(library, #name); \
  need(name##_)

static int count(const char* path) {
  DIR* folder = opendir(path);
  int entries = 0;
  need(folder);
  while (readdir(folder)) ++entries;
  closedir(folder);
  return entries;
}

static int mappings(void) {
  FILE* maps = fopen("/proc/self/maps", "r");
  int lines = 0, c;
  need(maps);
  while ((c = fgetc(maps)) != EOF) lines += c == '\n';
  fclose(maps);
  return lines;
}

static void use(const char* path, int leave_it_running) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  char key[SMARTVPN_KEY_SIZE], json[500];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  need(library);
  FUNCTION(library, smartvpn_key_generate);
  FUNCTION(library, smartvpn_config_from_json);
  FUNCTION(library, smartvpn_config_free);
  FUNCTION(library, smartvpn_server_create);
  FUNCTION(library, smartvpn_server_start);
  FUNCTION(library, smartvpn_server_free);
  need(smartvpn_key_generate_(key, sizeof key, NULL, NULL) == SMARTVPN_OK);
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}], \"keys\":"
           " {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]}, \"forwarding\":"
           " {\"mode\": \"testing\"}}",
           key);
  need(smartvpn_config_from_json_(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, NULL) == 0);
  need(smartvpn_server_create_(config, &server, NULL) == 0);
  need(smartvpn_server_start_(server, NULL) == 0);
  need(smartvpn_config_free_(config) == 0);
  if (!leave_it_running) need(smartvpn_server_free_(server) == 0);
  need(dlclose(library) == 0);
}

int main(int argc, char** argv) {
  need(argc == 2);
  alarm(120);
  for (int i = 0; i < 10; ++i) use(argv[1], 0);
  const int descriptors = count("/proc/self/fd"), maps = mappings();
  for (int i = 0; i < 100; ++i) use(argv[1], 0);
  need(count("/proc/self/fd") == descriptors);
  need(mappings() <= maps + 2); /* malloc's arenas come and go */
  use(argv[1], 1);
  usleep(300000);             /* its thread ticks on in code that is still there */
  const pid_t child = fork(); /* and so are the fork handlers */
  if (child == 0) exit(0);
  return 0;
}
