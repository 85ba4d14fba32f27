/* A host program as we fear it. Every scenario is a function that returns 0, or ends the process by `need`. What is
 * shared: a server with a tunnel to it, traffic through both, children, and what a process holds. */
#ifndef GUEST_H
#define GUEST_H

#include <pthread.h>
#include <smartvpn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { kLongMs = 20000, kExitCode = 42, kSkip = 77, kFailed = 1 };

/* Says where and ends the process with kFailed, without exit handlers: others may still run. */
#define need(condition)                                        \
  do {                                                         \
    if (!(condition)) fail_at(__FILE__, __LINE__, #condition); \
  } while (0)
_Noreturn void fail_at(const char* file, int line, const char* what);
/* The same for a call that takes `&err`; says the error's words. */
#define need_ok(call)                                                     \
  do {                                                                    \
    smartvpn_error* err = NULL;                                           \
    if ((call) != SMARTVPN_OK) fail_with(__FILE__, __LINE__, #call, err); \
  } while (0)
_Noreturn void fail_with(const char* file, int line, const char* what, smartvpn_error* err);

/* `few` in the suite, `many` under siege. */
int rounds(int few, int many);
int under_sanitizer(void);

struct pair {
  smartvpn_server* server;
  smartvpn_tunnel* tunnel;
  pthread_t pump;
  atomic_int stopping;
  atomic_ulong echoed; /* pings answered */
};

struct wishes {
  const char* mode;     /* forwarding.mode of the server; NULL: testing, which answers pings */
  const char* tls;      /* folder with cert.pem and key.pem; NULL: without TLS */
  const char* listener; /* JSON of the listener instead of the default one */
  const char* extra;    /* further members of the server's configuration, each with a leading comma */
  const smartvpn_callbacks* callbacks;
};

/* Created; not started. */
smartvpn_server* make_server(const struct wishes* wishes);
/* A client of this id, whose tunnel is created. */
smartvpn_tunnel* make_tunnel(smartvpn_server* server, const char* id, const struct wishes* wishes);
void open_pair(struct pair* pair, const struct wishes* wishes);
/* An echo request for 10.8.0.1 from the tunnel's IPv4 address; 0 if it has none. */
int make_ping(smartvpn_tunnel* tunnel, uint8_t packet[84]);
/* One ping there and back, in mode testing; 0 when there is no answer any more. */
int ping(smartvpn_tunnel* tunnel);
void start_traffic(struct pair* pair);
/* Until so many more pings were answered. */
void await_traffic(struct pair* pair, unsigned long more);
void stop_traffic(struct pair* pair);
void close_pair(struct pair* pair);
int endpoint_port(smartvpn_server* server);

/* Runs this program again with these arguments (at most three, then NULL). */
pid_t spawn_self(const char* a, const char* b, const char* c);
/* The child's exit code; a signal, or more than 60 s, fails. */
int exit_code_of(pid_t child);
/* In a forked child: its exit code is what `body` returns. */
int in_child(int (*body)(void*), void* argument);

int count_folder(const char* path); /* -1 without it */
int open_descriptors(void);
int threads(void);
size_t heap_bytes(void);

/* The scenarios. */
int cycles(const char* mode);
int stopping(const char* what);
int leaving(const char* folder);
int forking(const char* unused);
int handover(const char* unused);
int surroundings(const char* what);
int environment(const char* folder);
int neighbours(const char* unused);
/* What children of theirs do. */
int leave(const char* how, const char* folder);
int take_over(const char* fd, const char* json_file);
int serve_in_environment(const char* what, const char* folder);

#endif
