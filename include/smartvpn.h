/* smartvpn.h - a VPN server, or its dialling end, inside your own process.
 *
 * This header is the whole interface and its manual. It is C99, needs nothing but two standard headers,
 * and reads the same in C, C++, SWIG and cgo. A complete server that needs no privilege:
 *
 * example:
 *   #include <smartvpn.h>
 *   #include <stdio.h>
 *
 *   int main(void) {
 *     char key[SMARTVPN_KEY_SIZE], json[512];
 *     smartvpn_config *config = NULL;
 *     smartvpn_server *server = NULL;
 *     smartvpn_events *events = NULL;
 *     smartvpn_event *event = NULL;
 *     smartvpn_error *err = NULL;
 *
 *     smartvpn_key_generate(key, sizeof key, NULL, NULL);
 *     snprintf(json, sizeof json,
 *              "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
 *              " \"keys\": {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]},"
 *              " \"forwarding\": {\"mode\": \"testing\"}}", key);
 *     if (smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err) < 0 ||
 *         smartvpn_server_create(config, &server, &err) < 0 ||
 *         smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 1024, &events, &err) < 0 ||
 *         smartvpn_server_start(server, &err) < 0)
 *       return fprintf(stderr, "%s: %s\n", smartvpn_error_path(err), smartvpn_error_text(err)), 1;
 *     while (smartvpn_events_next(events, 5000, &event, NULL) == SMARTVPN_OK) {
 *       puts(smartvpn_event_json(event));
 *       smartvpn_event_free(event);
 *     }
 *     return smartvpn_server_free(server) != SMARTVPN_OK;
 *   }
 * end of example
 *
 * Build it with:  cc server.c $(pkg-config --cflags --libs smartvpn)
 *
 * Four words: a CLIENT is an entry in the server's registry; a SESSION is a live connection of a client to the
 * server; a TUNNEL is the dialling end, in the client's program; a RELAY hands TCP connections on to other servers, with
 * the clients' real addresses.
 *
 * Contents
 *    1 Rules that hold everywhere     6 Server           11 Packets
 *    2 Library                        7 Callbacks        12 Tunnel
 *    3 Errors                         8 Events           13 Keys and QR codes
 *    4 Statuses                       9 Registry         14 Authorize
 *    5 Configuration                 10 Sessions and statistics                  15 Relay
 */
#ifndef SMARTVPN_H
#define SMARTVPN_H

#include <stddef.h>
#include <stdint.h>

#define SMARTVPN_VERSION_STRING "0.1.0"
/* Grows when functions are added; what exists is never renumbered, re-typed or removed. */
#define SMARTVPN_ABI_VERSION 1

#if defined(__GNUC__) && !defined(SWIG)
#define SMARTVPN_API __attribute__((visibility("default")))
#else
#define SMARTVPN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ============================================================================================================
 * 1  Rules that hold everywhere
 *
 * Threads     Every function may be called from any thread, unless its text says otherwise. Each is marked
 *               [immediate]  answers from memory; a short internal lock is the most it waits for;
 *               [command]    waits for the server's own thread, which itself never waits for you, DNS or disk;
 *               [waiting]    has a timeout: milliseconds, -1 for ever, 0 do not wait. SMARTVPN_TIMEOUT means that
 *                            nothing was done, and SMARTVPN_AGAIN is the same answer to a timeout of 0.
 *             The library runs on threads of its own (named svpn-*, all signals blocked). There is no mode without
 *             them; a host with a loop of its own waits on the descriptors of sections 8 and 11.
 *
 * Handles     smartvpn_config, _server, _events and so on are handles, not addresses: never look inside. A handle
 *             that was freed, is of another kind, or never was one answers SMARTVPN_BAD_HANDLE and nothing else
 *             happens, so freeing twice is harmless. NULL is a bad handle too, but freeing NULL is SMARTVPN_OK.
 *             Freeing makes the handle dead for new calls, wakes calls that wait in it with SMARTVPN_CLOSED, lets
 *             running ones end, then destroys. Errors, events, credentials and snapshots are self-contained: they
 *             outlive the server they came from.
 *
 * Out         `smartvpn_X **out` and other results are written on success only; a handle then belongs to you.
 *
 * Errors      A function that can fail returns a status; below zero it has failed, and did nothing but what its text
 *             says. If you pass `err`, a failure leaves an error object there that you free (section 3). `*err` is
 *             ignored on entry and NULL after success; `err` may be NULL.
 *
 * Text in     Names, paths and addresses are UTF-8 ended by a NUL. JSON comes as `(json, json_len)` without one;
 *             SMARTVPN_NUL_TERMINATED as the length says that it has one. Inputs are copied. An address is text:
 *             "192.0.2.7:443", "[2001:db8::7]:443".
 *
 * Text out    `(buf, cap, needed)`: the text and its NUL go to `buf`. `*needed` (if not NULL) is always the size
 *             with the NUL. Too small a `cap`: SMARTVPN_BUFFER_TOO_SMALL, nothing is written; so a first call with
 *             (NULL, 0, &needed) measures. What is measured may have grown by the second call: loop.
 *             A `const char *` result is borrowed: it lives until the handle it was read from is freed.
 *
 * Structs     Set `struct_size` to sizeof the struct, and zero the rest. A smaller size than the first release's is
 *             SMARTVPN_INVALID. A larger one (you are newer than the library) is accepted as long as what we do not
 *             know is zero, else SMARTVPN_UNSUPPORTED. Structs that we fill get what both sides know, and zeroes
 *             in the rest. In arrays the stride, which you pass, stands for `struct_size`.
 *
 * Numbers     Times are milliseconds since 1970-01-01 UTC; ids are below 2^53, so JSON keeps them.
 *
 * Memory      What the library allocates, it frees. There is no custom allocator, because those of libuv and OpenSSL
 *             are one a process; every queue and buffer of ours has a bound of its own.
 *
 * Good guest  No signal handler, no SIGPIPE, nothing printed, no environment variable read, no exit or abort, no
 *             effect at load time; every descriptor is close-on-exec and above 2. Several servers may live in one
 *             process, and exit() with servers running is fine. dlclose does not unload the library. (libuv keeps one
 *             pipe a process, for ever; libssl reads OPENSSL_CONF at its first use in a process, which is not ours to
 *             forbid, but what it says there changes nothing in us.)
 *
 * Fork        In a forked child the library's descriptors are closed, every handle of the parent's answers
 *             SMARTVPN_FORKED, freeing one only forgets it, and new servers may be created. To daemonize, fork first.
 * ============================================================================================================ */

typedef int32_t smartvpn_status; /* section 4 */

typedef struct smartvpn_error smartvpn_error;
typedef struct smartvpn_config smartvpn_config;
typedef struct smartvpn_server smartvpn_server;
typedef struct smartvpn_events smartvpn_events;
typedef struct smartvpn_event smartvpn_event;
typedef struct smartvpn_credentials smartvpn_credentials;
typedef struct smartvpn_transaction smartvpn_transaction;
typedef struct smartvpn_changes smartvpn_changes;
typedef struct smartvpn_request smartvpn_request;
typedef struct smartvpn_stats smartvpn_stats;
typedef struct smartvpn_tunnel smartvpn_tunnel;
typedef struct smartvpn_relay smartvpn_relay;

#define SMARTVPN_NUL_TERMINATED ((size_t)-1)

/* ============================================================================================================
 * 2  Library
 * ============================================================================================================ */

/* [immediate] The version of the library that runs, such as "0.1.0"; static. Of the header: SMARTVPN_VERSION_STRING. */
SMARTVPN_API const char *smartvpn_version(void);

/* [immediate] SMARTVPN_ABI_VERSION of the library that runs. */
SMARTVPN_API uint32_t smartvpn_abi_version(void);

/* [immediate] Whether this build has a feature: 1 yes; 0 it is known, but not in this build; SMARTVPN_NOT_FOUND for a
 * name this version has never heard of. So compare with 1. What is absent also answers SMARTVPN_UNSUPPORTED where it
 * is used; neither this header nor the exported symbols change with build switches.
 * Names: tls websocket quic wireguard tunnel tun host testing nat bridge relay proxy_protocol authorize reconfigure
 *        rotate patch transactions export qr memory_store sqlite_store masquerade
 *        vector_aead (AVX2 and AVX-512 for encryption, where the processor has them) */
SMARTVPN_API int32_t smartvpn_has(const char *feature);

/* [immediate] "INVALID", and "UNKNOWN" for a number that is not in section 4; static. */
SMARTVPN_API const char *smartvpn_status_name(smartvpn_status status);

/* [immediate] A few English words about a status; static. */
SMARTVPN_API const char *smartvpn_status_text(smartvpn_status status);

/* ============================================================================================================
 * 3  Errors
 *
 * An error object says what a status cannot: which key of the configuration, which system error, one sentence. Never
 * a secret. When memory is out you get a static one, which is freed like any other.
 * ============================================================================================================ */

/* [immediate] The status of an error; SMARTVPN_BAD_HANDLE if `err` is none. */
SMARTVPN_API smartvpn_status smartvpn_error_status(const smartvpn_error *err);

/* [immediate] JSON Pointer of the configuration key at fault, such as "/listen/0/port"; "" if it is about none.
 * Borrowed; never NULL, whatever is passed. */
SMARTVPN_API const char *smartvpn_error_path(const smartvpn_error *err);

/* [immediate] The errno of the system call that was refused; 0 if it is about none. */
SMARTVPN_API int32_t smartvpn_error_system_errno(const smartvpn_error *err);

/* [immediate] One sentence for a person. Borrowed; never NULL, whatever is passed. */
SMARTVPN_API const char *smartvpn_error_text(const smartvpn_error *err);

/* [immediate] */
SMARTVPN_API smartvpn_status smartvpn_error_free(smartvpn_error *err);

/* ============================================================================================================
 * 4  Statuses
 * ============================================================================================================ */

#define SMARTVPN_OK 0
#define SMARTVPN_PENDING 1            /* accepted, completes later */
#define SMARTVPN_INVALID (-1)         /* invalid argument or configuration */
#define SMARTVPN_UNSUPPORTED (-2)     /* exists, but not in this build or version */
#define SMARTVPN_BAD_HANDLE (-3)      /* not a live handle of this kind */
#define SMARTVPN_BAD_STATE (-4)       /* not now: see the function's text */
#define SMARTVPN_NOT_FOUND (-5)       /* no such client, session, key or index */
#define SMARTVPN_EXISTS (-6)          /* an id, key or address is taken */
#define SMARTVPN_CONFLICT (-7)        /* changed by somebody else meanwhile */
#define SMARTVPN_TIMEOUT (-8)         /* the time was up, nothing was done */
#define SMARTVPN_AGAIN (-9)           /* nothing there now */
#define SMARTVPN_CLOSED (-10)         /* ended: nothing will come any more */
#define SMARTVPN_INTERRUPTED (-11)    /* woken by smartvpn_events_interrupt */
#define SMARTVPN_FORKED (-12)         /* the handle belongs to the parent process */
#define SMARTVPN_NO_MEMORY (-13)
#define SMARTVPN_LIMIT (-14)          /* a limit is reached */
#define SMARTVPN_BUFFER_TOO_SMALL (-15)
#define SMARTVPN_SECRET_NOT_KEPT (-16) /* done, but the registry does not keep private keys */
#define SMARTVPN_SYSTEM (-17)         /* the operating system refused: see the error's errno */
#define SMARTVPN_REFUSED (-18)        /* the other side refused */
#define SMARTVPN_INTERNAL (-19)       /* our fault; please report it */

/* ============================================================================================================
 * 5  Configuration
 *
 * A configuration is one JSON object; docs/CONFIGURATION.md lists every key with its type, range and default. Build it
 * from JSON, or key by key, or both. An unknown key, a wrong type or a value out of range is refused at once, with the
 * path and, for a misspelt key, the nearest one that exists. What needs the whole picture (missing keys, keys that
 * contradict each other) is refused by validate and create. A configuration is copied by create, so it may be freed,
 * or changed and used again, right after.
 * ============================================================================================================ */

typedef int32_t smartvpn_config_kind;
#define SMARTVPN_CONFIG_SERVER 0
#define SMARTVPN_CONFIG_TUNNEL 1
#define SMARTVPN_CONFIG_RELAY 2

/* [immediate] An empty configuration. INVALID for an unknown kind. */
SMARTVPN_API smartvpn_status smartvpn_config_new(smartvpn_config_kind kind, smartvpn_config **out,
                                                 smartvpn_error **err);

/* [immediate] INVALID or UNSUPPORTED with the path. */
SMARTVPN_API smartvpn_status smartvpn_config_from_json(smartvpn_config_kind kind, const char *json, size_t json_len,
                                                       smartvpn_config **out, smartvpn_error **err);

/* [immediate] Sets the key at a JSON Pointer (RFC 6901) to a JSON value: ("/listen/0/port", "8443"), ("/network/mtu",
 * "1380"), ("/listen/-", "{...}") to append. Objects on the way are made; the value `null` removes. On failure the
 * configuration is as before. */
SMARTVPN_API smartvpn_status smartvpn_config_set(smartvpn_config *config, const char *pointer, const char *json,
                                                 size_t json_len, smartvpn_error **err);

/* [immediate] Everything that create would check but for what it has to compile or to read: address lists and
 * certificate files. Touches nothing outside. */
SMARTVPN_API smartvpn_status smartvpn_config_validate(const smartvpn_config *config, smartvpn_error **err);

/* [immediate] The configuration as JSON. Secrets are left out unless `with_secrets` is 1; wipe `buf` then. */
SMARTVPN_API smartvpn_status smartvpn_config_to_json(const smartvpn_config *config, int32_t with_secrets, char *buf,
                                                     size_t cap, size_t *needed, smartvpn_error **err);

/* [immediate] Wipes the secrets. */
SMARTVPN_API smartvpn_status smartvpn_config_free(smartvpn_config *config);

/* ============================================================================================================
 * 6  Server
 *
 * created -> running -> draining -> stopped, and never back: for another run create another server. A start that fails
 * leaves nothing behind, and the server stopped.
 * ============================================================================================================ */

#define SMARTVPN_SERVER_CREATED 0
#define SMARTVPN_SERVER_RUNNING 1
#define SMARTVPN_SERVER_DRAINING 2
#define SMARTVPN_SERVER_STOPPED 3

/* [immediate] Validates the configuration (kind SMARTVPN_CONFIG_SERVER) and makes a server of it. Reads
 * certificate files; opens no socket and starts no thread yet. */
SMARTVPN_API smartvpn_status smartvpn_server_create(const smartvpn_config *config, smartvpn_server **out,
                                                    smartvpn_error **err);

/* [command] Opens the device, binds, starts the threads. When it returns OK clients can connect.
 * BAD_STATE unless created; SYSTEM (with errno and path) for what the system refuses. */
SMARTVPN_API smartvpn_status smartvpn_server_start(smartvpn_server *server, smartvpn_error **err);

/* [waiting] No new clients; live sessions may go on for up to `drain_ms` (0: not at all), and are then told that the
 * server stops; everything ends. A listening socket of yours (`fd`) is left alone at once, so that another server on it,
 * such as your program's next version, gets all that comes. From several threads: all wait for the same end. TIMEOUT, or
 * AGAIN for a timeout of 0: it goes on in the background. In one of the server's callbacks it never waits and answers
 * PENDING. Stopping a server that has stopped, or never ran, is OK. */
SMARTVPN_API smartvpn_status smartvpn_server_stop(smartvpn_server *server, int32_t drain_ms, int32_t timeout_ms,
                                                  smartvpn_error **err);

/* [waiting, without a timeout] Stops at once, without draining, if that is still to be done, and destroys. Events that
 * were queued can still be read from their subscriptions. BAD_STATE in one of the server's callbacks. */
SMARTVPN_API smartvpn_status smartvpn_server_free(smartvpn_server *server);

/* [immediate] SMARTVPN_SERVER_*, or a negative status. */
SMARTVPN_API int32_t smartvpn_server_state(const smartvpn_server *server);

/* [immediate] What the server listens on, with the ports the kernel gave for port 0, as a JSON array:
 * [{"listener": 0, "transport": "websocket", "address": "127.0.0.1:40123"}]. Empty unless running or draining. */
SMARTVPN_API smartvpn_status smartvpn_server_endpoints(const smartvpn_server *server, char *buf, size_t cap,
                                                       size_t *needed, smartvpn_error **err);

/* [immediate] The address of entry `index` of that array, such as "127.0.0.1:40123". NOT_FOUND after the last. */
SMARTVPN_API smartvpn_status smartvpn_server_endpoint(const smartvpn_server *server, size_t index, char *buf,
                                                      size_t cap, size_t *needed, smartvpn_error **err);

/* [command] Reads certificate and key files again. New connections use them, live ones keep theirs. On failure the old
 * ones stay in use. BAD_STATE unless running. */
SMARTVPN_API smartvpn_status smartvpn_server_reload_certificates(smartvpn_server *server, smartvpn_error **err);

#define SMARTVPN_RECONFIGURE_DRY_RUN 1u /* say what would happen, and change nothing */

/* [command] Compares `config` with what the server runs on, applies at once every changed key that can be, and says for
 * each what became of it. All or nothing: on failure (INVALID, UNSUPPORTED, SYSTEM with the path) the server runs on as
 * before. What needs a restart keeps its old value until then, and is told again the next time. Clients of the registry
 * are neither changed nor removed; missing ones are created. `out` may be NULL. BAD_STATE unless running. */
SMARTVPN_API smartvpn_status smartvpn_server_reconfigure(smartvpn_server *server, const smartvpn_config *config,
                                                         uint32_t flags, smartvpn_changes **out, smartvpn_error **err);

/* [immediate] [{"path": "/network/dns", "result": "applied"}, ...], in order of path; "[]" when nothing differed.
 * Results: "applied", "needs_listener_restart", "needs_server_restart". Borrowed; NULL for a bad handle. */
SMARTVPN_API const char *smartvpn_changes_json(const smartvpn_changes *changes);

/* [immediate] */
SMARTVPN_API smartvpn_status smartvpn_changes_free(smartvpn_changes *changes);

/* ============================================================================================================
 * 7  Callbacks
 *
 * For hosts that like to be called; everything here can be had by asking, too (section 8). Callbacks run one at a time,
 * on one thread of the library's that exists only if a callback is set, with no lock held: every function may be
 * called, but for the server's free. A slow callback delays only later callbacks; its queue holds `limits.event_queue`
 * events. A C++ exception that leaves a callback is caught, counted (`callback_exceptions` in the statistics) and logged;
 * an authorize request that it leaves open is denied in time. A callback ends by returning or throwing: never leave it by
 * longjmp or by ending its thread.
 * ============================================================================================================ */

/* `event` belongs to the library and is gone when the callback returns. Do not free it. */
typedef void (*smartvpn_event_fn)(void *user, const smartvpn_event *event);

/* `request` belongs to the library and is gone when the callback returns; its token (section 14) lives on. Answer in
 * the callback, or later from anywhere. */
typedef void (*smartvpn_authorize_fn)(void *user, const smartvpn_request *request);

typedef struct smartvpn_callbacks {
  size_t struct_size;
  void *user;                      /* handed to every callback, otherwise untouched */
  smartvpn_event_fn event;         /* every event of section 8, or NULL */
  smartvpn_authorize_fn authorize; /* every request of section 14, or NULL */
} smartvpn_callbacks;

/* [immediate] Before start only, else BAD_STATE. Setting again replaces. The struct is copied; `user` must live until
 * the server's free has returned. */
SMARTVPN_API smartvpn_status smartvpn_server_set_callbacks(smartvpn_server *server, const smartvpn_callbacks *callbacks,
                                                           smartvpn_error **err);

/* ============================================================================================================
 * 8  Events
 *
 * A subscription is a bounded queue of the events that its mask names. Several live side by side, and no reader,
 * however slow, holds the server up: what does not fit is counted, and a `lost` event stands in its place. Connections
 * accepted or rejected and logs have a lane of their own, so a flood of strangers never pushes out a session_down. An
 * event is a type and keys; skip types and keys that you do not know. Every event has `type` (text) and `time`
 * (number); then, as they apply:
 *
 *   listening             listener, transport, address
 *   connection_accepted   listener, transport, peer_addr, remote_addr, tlvs; of a relay also connection_id, client_id
 *   connection_rejected   the same, with reason, detail, count (so many since the last report)
 *   session_up            session_id, client_id, listener, transport, peer_addr, remote_addr, addresses, tlvs
 *   session_down          session_id, client_id, listener, transport, peer_addr, remote_addr, reason, detail,
 *                         duration_ms, bytes_in, bytes_out
 *   session_roamed        session_id, client_id, listener, transport, peer_addr, remote_addr: a WireGuard client goes
 *                         on from another address (at most once a second for each session)
 *   health_changed        session_id, client_id, health ("good", "fair", "poor", "dead"), rtt_us
 *   client_changed        client_id, change ("created", "updated", "enabled", "disabled", "removed", "rotated",
 *                         "rotation_seen": its first session on the new key, "rotation_committed",
 *                         "rotation_rolled_back", "rotation_expired": the old key is no longer taken), revision
 *   reconfigured          changes (an object: path to result, as smartvpn_changes_json says)
 *   connection_closed     of a relay: connection_id, listener, transport ("tcp", "udp"), peer_addr, remote_addr,
 *                         client_id, tlvs, host, route, target, reason, bytes_in, bytes_out, duration_ms
 *   target_changed        of a relay: route, target, health ("up", "down"), detail
 *   log                   level ("debug", "info", "warning", "error"), message
 *   lost                  count, lane
 *
 * `remote_addr` is the client's real address and absent if unknown; `peer_addr` the socket's, which may be a proxy. The
 * port is 0 where a proxy's HTTP header (`real_ip_header`) names none: "198.51.100.7:0", "[2001:db8::7]:0".
 * ============================================================================================================ */

#define SMARTVPN_EVENT_LISTENING 0
#define SMARTVPN_EVENT_CONNECTION_ACCEPTED 1
#define SMARTVPN_EVENT_CONNECTION_REJECTED 2
#define SMARTVPN_EVENT_SESSION_UP 3
#define SMARTVPN_EVENT_SESSION_DOWN 4
#define SMARTVPN_EVENT_HEALTH_CHANGED 5
#define SMARTVPN_EVENT_CLIENT_CHANGED 6
#define SMARTVPN_EVENT_LOG 7
#define SMARTVPN_EVENT_LOST 8 /* delivered whatever the mask */
#define SMARTVPN_EVENT_RECONFIGURED 9
#define SMARTVPN_EVENT_SESSION_ROAMED 10
#define SMARTVPN_EVENT_CONNECTION_CLOSED 11
#define SMARTVPN_EVENT_TARGET_CHANGED 12

/* A subscription's mask: SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_SESSION_UP) | ..., or all, also those of later versions. */
#define SMARTVPN_EVENT_BIT(type) ((uint64_t)1 << (type))
#define SMARTVPN_EVENTS_ALL 0xffffffffffffffffull

/* [immediate] In any state, so also before start, to miss nothing. `capacity` events a lane, put into 2..1048576.
 * CLOSED when the server has stopped. */
SMARTVPN_API smartvpn_status smartvpn_events_open(smartvpn_server *server, uint64_t type_mask, size_t capacity,
                                                  smartvpn_events **out, smartvpn_error **err);

/* [waiting] The oldest event, which you free. INTERRUPTED after an interrupt; CLOSED when the server has stopped (or
 * the subscription was closed) and everything was read. Several threads may take from one subscription. */
SMARTVPN_API smartvpn_status smartvpn_events_next(smartvpn_events *events, int32_t timeout_ms, smartvpn_event **out,
                                                  smartvpn_error **err);

/* [immediate] A descriptor that is readable while next would not answer AGAIN, or a negative status. The same one for
 * the subscription's life. Only poll it; do not read or close it. Edge-triggered pollers take until AGAIN. */
SMARTVPN_API int32_t smartvpn_events_fd(const smartvpn_events *events);

/* [immediate] Makes one call of next, now waiting or the next to come, answer INTERRUPTED. */
SMARTVPN_API smartvpn_status smartvpn_events_interrupt(smartvpn_events *events, smartvpn_error **err);

/* [immediate] No more events come in; what is there can still be read. */
SMARTVPN_API smartvpn_status smartvpn_events_close(smartvpn_events *events, smartvpn_error **err);

/* [immediate] Ends the subscription; a next that waits in another thread answers CLOSED. */
SMARTVPN_API smartvpn_status smartvpn_events_free(smartvpn_events *events);

/* [immediate] SMARTVPN_EVENT_*, or a negative status. */
SMARTVPN_API int32_t smartvpn_event_type(const smartvpn_event *event);

/* [immediate] The text of a key; lists and objects as JSON text; "type" gives the type's name. NULL if the event has no
 * such key or it is a number. Borrowed. */
SMARTVPN_API const char *smartvpn_event_text(const smartvpn_event *event, const char *key);

/* [immediate] The number of a key. NOT_FOUND if the event has no such key or it is a text. */
SMARTVPN_API smartvpn_status smartvpn_event_u64(const smartvpn_event *event, const char *key, uint64_t *value);

/* [immediate] The whole event as one line of JSON; NULL only for a bad handle or when memory is out. Borrowed. */
SMARTVPN_API const char *smartvpn_event_json(const smartvpn_event *event);

/* [immediate] */
SMARTVPN_API smartvpn_status smartvpn_event_free(smartvpn_event *event);

/* ============================================================================================================
 * 9  Registry
 *
 * A client is named by an id of your choosing: 1 to 64 of A-Z a-z 0-9 . _ @ -. As JSON it looks like an entry of the
 * configuration's `clients` (docs/CONFIGURATION.md has every key with its range):
 *   {"id": "alice-laptop", "noise_public_key": "base64", "wireguard_public_key": "base64",
 *    "wireguard_preshared_key": "base64", "enabled": true, "description": "", "tags": [],
 *    "expires_at": "2030-01-01T00:00:00Z", "addresses": ["10.8.0.9"], "subnets": ["192.168.7.0/24"],
 *    "allow_overlap": false, "transports": ["websocket"], "max_sessions": 1, "session_policy": "drop-oldest",
 *    "priority": 100,
 *    "security": {"ip_allow_list": [], "ip_block_list": [], "destination_allow_list": [], "destination_block_list": [],
 *                 "rate_limit": {"from_client_bytes_per_second": 0, "from_client_burst_bytes": 0,
 *                                "to_client_bytes_per_second": 0, "to_client_burst_bytes": 0}}}
 * Only the id is required for create. What we give back has all the keys but secrets, `expires_at` (if it expires) in
 * milliseconds, `revision`, and while a rotation overlaps `rotation`: {"previous_noise_public_key",
 * "previous_wireguard_public_key", "until", "seen"}.
 *
 * A change is acknowledged when the store has it (registry.store "sqlite": when it is on disk), and acts on live
 * sessions before the call returns: a client that is disabled, removed, expired or narrowed is cut or narrowed. SYSTEM
 * when the store cannot write (a full or read-only disk): nothing has changed then and the server serves on. Before
 * start these functions answer BAD_STATE; put clients that should be there from the beginning into the configuration.
 *
 * The registry has a revision that grows by one with every change. Where a function takes `expected_revision`, a value
 * other than 0 makes it answer CONFLICT, and do nothing, if that is not the present revision: of the client for update,
 * of the registry for transactions.
 * ============================================================================================================ */

/* [command] Creates a client. Without `noise_public_key` a key pair is made, and so is one for WireGuard (with fixed
 * addresses, which WireGuard needs) if `keys.wireguard_private_key` is configured; this is the only time the private
 * keys are to be had. INVALID with a path inside the client's JSON; EXISTS for an id, key, address or subnet that is
 * taken. */
SMARTVPN_API smartvpn_status smartvpn_client_create(smartvpn_server *server, const char *json, size_t json_len,
                                                    smartvpn_credentials **out, smartvpn_error **err);

/* [immediate] The new client as JSON. Borrowed; NULL for a bad handle, as with the next five. */
SMARTVPN_API const char *smartvpn_credentials_client(const smartvpn_credentials *credentials);

/* [immediate] Its private key, base64; "" if you brought the public key. Borrowed. */
SMARTVPN_API const char *smartvpn_credentials_private_key(const smartvpn_credentials *credentials);

/* [immediate] A complete configuration (JSON, SMARTVPN_CONFIG_TUNNEL) with which the client reaches this server; the
 * private key in it is empty if you brought the public key. Borrowed. */
SMARTVPN_API const char *smartvpn_credentials_config(const smartvpn_credentials *credentials);

/* [immediate] Its WireGuard private key, base64; "" if there is none or you brought the public key. Borrowed. */
SMARTVPN_API const char *smartvpn_credentials_wireguard_private_key(const smartvpn_credentials *credentials);

/* [immediate] A configuration for wg-quick and every WireGuard app; "" if the client has no WireGuard key. Borrowed. */
SMARTVPN_API const char *smartvpn_credentials_wireguard_config(const smartvpn_credentials *credentials);

/* [immediate] Wipes all of them. */
SMARTVPN_API smartvpn_status smartvpn_credentials_free(smartvpn_credentials *credentials);

/* [command] One client as JSON. NOT_FOUND. */
SMARTVPN_API smartvpn_status smartvpn_client_get(smartvpn_server *server, const char *id, char *buf, size_t cap,
                                                 size_t *needed, smartvpn_error **err);

/* [command] All clients as a JSON array, in order of id. */
SMARTVPN_API smartvpn_status smartvpn_client_list(smartvpn_server *server, char *buf, size_t cap, size_t *needed,
                                                  smartvpn_error **err);

/* [command] A page of clients, in order of id. The query, all keys optional: {"after": "id" (begin behind it),
 * "limit": 1..1000 (100), "id_prefix": "", "tag": "", "enabled": true, "online": true, "text": ""} where text looks
 * into id, description and tags, without regard to the case of A-Z. NULL or "{}" asks for the first page of all.
 * Answers {"clients": [...], "next": "id" (for `after`; absent on the last page), "matches": n, "revision": n}. */
SMARTVPN_API smartvpn_status smartvpn_client_query(smartvpn_server *server, const char *json, size_t json_len,
                                                   char *buf, size_t cap, size_t *needed, smartvpn_error **err);

/* [command] Changes the keys that `json` names and no others (JSON Merge Patch, RFC 7396: `null` brings the default
 * back, lists are replaced whole); `id` cannot change. INVALID, EXISTS as create; NOT_FOUND; CONFLICT (see above). A
 * new public key here ends the old key's sessions at once; rotate does it gently. */
SMARTVPN_API smartvpn_status smartvpn_client_update(smartvpn_server *server, const char *id, const char *json,
                                                    size_t json_len, uint64_t expected_revision, smartvpn_error **err);

/* [command] NOT_FOUND. Enabling an enabled client is OK. */
SMARTVPN_API smartvpn_status smartvpn_client_enable(smartvpn_server *server, const char *id, smartvpn_error **err);

/* [command] Its sessions end with reason client_disabled. */
SMARTVPN_API smartvpn_status smartvpn_client_disable(smartvpn_server *server, const char *id, smartvpn_error **err);

/* [command] Its sessions end with reason client_removed. */
SMARTVPN_API smartvpn_status smartvpn_client_remove(smartvpn_server *server, const char *id, smartvpn_error **err);

/* [command] Gives a client new keys. Options, all optional: {"overlap_seconds": 0..2592000 (86400),
 * "noise_public_key": "base64", "wireguard_public_key": "base64"}; keys that are not brought are made. For the overlap
 * the server takes the old keys too; the event client_changed says "rotation_seen" when the client first comes with the
 * new one. BAD_STATE while an earlier rotation overlaps. NULL or "{}" for the defaults. */
SMARTVPN_API smartvpn_status smartvpn_client_rotate(smartvpn_server *server, const char *id, const char *json,
                                                    size_t json_len, smartvpn_credentials **out, smartvpn_error **err);

/* [command] Ends the overlap now: the old keys are gone, sessions on them end. BAD_STATE if no rotation overlaps. */
SMARTVPN_API smartvpn_status smartvpn_client_rotate_commit(smartvpn_server *server, const char *id,
                                                           smartvpn_error **err);

/* [command] Back to the old keys: the new ones are gone, sessions on them end. BAD_STATE if no rotation overlaps. */
SMARTVPN_API smartvpn_status smartvpn_client_rotate_roll_back(smartvpn_server *server, const char *id,
                                                              smartvpn_error **err);

typedef int32_t smartvpn_export;
#define SMARTVPN_EXPORT_NATIVE 0    /* JSON, SMARTVPN_CONFIG_TUNNEL */
#define SMARTVPN_EXPORT_WIREGUARD 1 /* wg-quick's .conf */

/* [command] A client's configuration once more. Wipe `buf`. With `registry.keep_private_keys` it is complete; without,
 * the text is there with an empty private key and the status is SECRET_NOT_KEPT. NOT_FOUND; UNSUPPORTED for WireGuard
 * where client or server has no WireGuard key. */
SMARTVPN_API smartvpn_status smartvpn_client_export(smartvpn_server *server, const char *id, smartvpn_export format,
                                                    char *buf, size_t cap, size_t *needed, smartvpn_error **err);

/* [command] A client's traffic since the server started, over all its sessions, as JSON: client_id, sessions_now,
 * sessions_total, last_seen, counters, drops by reason. NOT_FOUND. */
SMARTVPN_API smartvpn_status smartvpn_client_stats(smartvpn_server *server, const char *id, char *buf, size_t cap,
                                                   size_t *needed, smartvpn_error **err);

/* [command] The registry's revision. */
SMARTVPN_API smartvpn_status smartvpn_registry_revision(smartvpn_server *server, uint64_t *revision,
                                                        smartvpn_error **err);

/* [immediate] Several changes as one: all happen, at one moment and with one acknowledgement of the store, or none.
 * Nothing happens before commit, so several transactions may be open side by side. At most 10000 changes. */
SMARTVPN_API smartvpn_status smartvpn_transaction_begin(smartvpn_server *server, smartvpn_transaction **out,
                                                        smartvpn_error **err);

/* [immediate] Each notes a change, after the earlier ones; what is wrong with it in itself is said here, what depends
 * on other clients at commit. LIMIT; BAD_STATE after commit. */
SMARTVPN_API smartvpn_status smartvpn_transaction_create(smartvpn_transaction *transaction, const char *json,
                                                         size_t json_len, smartvpn_error **err);
SMARTVPN_API smartvpn_status smartvpn_transaction_update(smartvpn_transaction *transaction, const char *id,
                                                         const char *json, size_t json_len, smartvpn_error **err);
SMARTVPN_API smartvpn_status smartvpn_transaction_remove(smartvpn_transaction *transaction, const char *id,
                                                         smartvpn_error **err);

/* [command] Makes the changes. The path of an error begins with the change's index: "/2/addresses/0". `revision` (if
 * not NULL) gets the registry's new one. After a failure the transaction may be committed again. BAD_HANDLE also when
 * its server was freed. */
SMARTVPN_API smartvpn_status smartvpn_transaction_commit(smartvpn_transaction *transaction, uint64_t expected_revision,
                                                         uint64_t *revision, smartvpn_error **err);

/* [immediate] After commit: the credentials that change `index` (0 is the first) made, once. NOT_FOUND if that was not
 * a create, or they were taken. BAD_STATE before commit. */
SMARTVPN_API smartvpn_status smartvpn_transaction_credentials(smartvpn_transaction *transaction, size_t index,
                                                              smartvpn_credentials **out, smartvpn_error **err);

/* [immediate] Without commit, nothing happens. */
SMARTVPN_API smartvpn_status smartvpn_transaction_free(smartvpn_transaction *transaction);

/* ============================================================================================================
 * 10  Sessions and statistics
 *
 * "In" is from the client to the server. Inner: the packets inside the tunnel; outer: what the carrier took.
 * ============================================================================================================ */

typedef int32_t smartvpn_transport;
#define SMARTVPN_TRANSPORT_WEBSOCKET 0
#define SMARTVPN_TRANSPORT_QUIC 1
#define SMARTVPN_TRANSPORT_WIREGUARD 2

typedef int32_t smartvpn_health;
#define SMARTVPN_HEALTH_GOOD 0
#define SMARTVPN_HEALTH_FAIR 1
#define SMARTVPN_HEALTH_POOR 2
#define SMARTVPN_HEALTH_DEAD 3

typedef struct smartvpn_session_info {
  size_t struct_size;
  uint64_t id;
  int64_t since_ms;
  int64_t last_seen_ms;
  uint64_t inner_packets_in;
  uint64_t inner_bytes_in;
  uint64_t inner_packets_out;
  uint64_t inner_bytes_out;
  uint64_t outer_bytes_in;
  uint64_t outer_bytes_out;
  uint64_t packets_dropped; /* both ways; by reason in the JSON form */
  uint32_t rtt_us;          /* smoothed; 0 before the first sample, as the next two */
  uint32_t rtt_min_us;
  uint32_t jitter_us;
  uint32_t loss_ppm; /* 0xffffffff where the carrier cannot lose */
  uint32_t listener; /* index into the configuration's `listen` */
  smartvpn_transport transport;
  smartvpn_health health;
  uint32_t reserved; /* 0 */
} smartvpn_session_info;

/* [command] All live sessions as a JSON array, in order of id: id, client_id, listener, transport, remote_addr (real;
 * absent if unknown), peer_addr, addresses, since, last_seen, counters, drops by reason, rtt_us, health and so on. */
SMARTVPN_API smartvpn_status smartvpn_session_list(smartvpn_server *server, char *buf, size_t cap, size_t *needed,
                                                   smartvpn_error **err);

/* [command] One of them. NOT_FOUND for an id of a session that has ended; ids are not given out again. */
SMARTVPN_API smartvpn_status smartvpn_session_get(smartvpn_server *server, uint64_t session_id, char *buf, size_t cap,
                                                  size_t *needed, smartvpn_error **err);

/* [command] Its numbers as a struct. NOT_FOUND. */
SMARTVPN_API smartvpn_status smartvpn_session_get_info(smartvpn_server *server, uint64_t session_id,
                                                       smartvpn_session_info *info, smartvpn_error **err);

/* [command] Ends it with reason disconnected; the client may come back. NOT_FOUND. */
SMARTVPN_API smartvpn_status smartvpn_session_disconnect(smartvpn_server *server, uint64_t session_id,
                                                         smartvpn_error **err);

/* [command] A snapshot of all counters, all of one moment. */
SMARTVPN_API smartvpn_status smartvpn_server_stats(smartvpn_server *server, smartvpn_stats **out, smartvpn_error **err);

/* [immediate] One number of the snapshot's totals by its name in the JSON form: "sessions_now", "inner_bytes_in";
 * "drops.spoofed_source", "rejections.ip_block_list", "sessions_ended.replaced" for one reason, 0 if it never happened;
 * "drops" and "rejections" for all; "wireguard.bad_mac1" and the like with a WireGuard listener. NOT_FOUND for any other
 * name. */
SMARTVPN_API smartvpn_status smartvpn_stats_u64(const smartvpn_stats *stats, const char *name, uint64_t *value);

/* [immediate] All of it, by listener and transport too, as JSON; of a server also `aead`, what `performance.aead` has
 * come to on this machine: "openssl", "sodium", "avx2" or "avx512". */
SMARTVPN_API smartvpn_status smartvpn_stats_json(const smartvpn_stats *stats, char *buf, size_t cap, size_t *needed,
                                                 smartvpn_error **err);

/* [immediate] The same in the Prometheus text format 0.0.4. */
SMARTVPN_API smartvpn_status smartvpn_stats_prometheus(const smartvpn_stats *stats, char *buf, size_t cap,
                                                       size_t *needed, smartvpn_error **err);

/* [immediate] */
SMARTVPN_API smartvpn_status smartvpn_stats_free(smartvpn_stats *stats);

/* ============================================================================================================
 * 11  Packets
 *
 * With `forwarding.mode` "host" your program is what stands behind the tunnel: it reads the inner IP packets that
 * clients send (checked, their source address vouched for) and writes those that clients shall get. Packets lie in one
 * flat arena, and an array of smartvpn_packet says where. With any other mode these functions answer BAD_STATE.
 * ============================================================================================================ */

typedef struct smartvpn_packet {
  size_t struct_size;    /* in arrays neither read nor written: the stride counts */
  uint64_t offset;       /* of the first byte of its IP header in the arena */
  uint64_t session_id;   /* read: where it came from. Write: ignored, the destination address decides */
  uint32_t length;       /* bytes */
  uint32_t segment_size; /* 0: one packet. Else a TCP or UDP super-packet, to be cut into so many payload bytes */
  uint64_t flags;        /* 0 */
} smartvpn_packet;

/* [waiting] Waits for the first packet, takes up to `max` that fit `arena`, and sets `*count`, at least 1. Make the
 * arena 65535 bytes or more: BUFFER_TOO_SMALL if the next packet does not fit. CLOSED after stop once all is read. */
SMARTVPN_API smartvpn_status smartvpn_packets_read(smartvpn_server *server, uint8_t *arena, size_t arena_len,
                                                   smartvpn_packet *meta, size_t meta_stride, size_t max, size_t *count,
                                                   int32_t timeout_ms, smartvpn_error **err);

/* [immediate] Hands `count` packets over and sets `*taken` (if not NULL) to how many, from the first on, found room;
 * AGAIN if none did. INVALID, and none taken, if one lies outside the arena, is empty or is over 65535 bytes. */
SMARTVPN_API smartvpn_status smartvpn_packets_write(smartvpn_server *server, const uint8_t *arena, size_t arena_len,
                                                    const smartvpn_packet *meta, size_t meta_stride, size_t count,
                                                    size_t *taken, smartvpn_error **err);

/* [immediate] A descriptor that is readable while read would not answer AGAIN, or a negative status. Only poll it. */
SMARTVPN_API int32_t smartvpn_packets_fd(const smartvpn_server *server);

/* ============================================================================================================
 * 12  Tunnel
 *
 * The dialling end. It connects, and connects again when the connection is lost (`reconnect` in the configuration),
 * until it is stopped. created -> connecting -> connected -> waiting -> connecting ... -> stopped.
 * ============================================================================================================ */

#define SMARTVPN_TUNNEL_CREATED 0
#define SMARTVPN_TUNNEL_CONNECTING 1
#define SMARTVPN_TUNNEL_CONNECTED 2
#define SMARTVPN_TUNNEL_WAITING 3 /* for the moment of the next attempt */
#define SMARTVPN_TUNNEL_STOPPED 4

/* [immediate] Validates the configuration (kind SMARTVPN_CONFIG_TUNNEL) and makes a tunnel of it. UNSUPPORTED in a
 * build without tunnels. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_create(const smartvpn_config *config, smartvpn_tunnel **out,
                                                    smartvpn_error **err);

/* [command] Starts connecting; does not wait for the other side. BAD_STATE unless created. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_start(smartvpn_tunnel *tunnel, smartvpn_error **err);

/* [waiting] Until connected. REFUSED, with the reason in the error's text, when the server has refused this client and
 * no further attempt will be made; CLOSED when the tunnel has stopped; BAD_STATE before start. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_wait_connected(smartvpn_tunnel *tunnel, int32_t timeout_ms,
                                                            smartvpn_error **err);

/* [waiting] Tells the server, undoes addresses and routes, ends. TIMEOUT, or AGAIN for a timeout of 0: it goes on in
 * the background. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_stop(smartvpn_tunnel *tunnel, int32_t timeout_ms, smartvpn_error **err);

/* [waiting, without a timeout] Stops if that is still to be done, and destroys. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_free(smartvpn_tunnel *tunnel);

/* [immediate] SMARTVPN_TUNNEL_*, or a negative status. */
SMARTVPN_API int32_t smartvpn_tunnel_state(const smartvpn_tunnel *tunnel);

/* [immediate] JSON: state, server (URL), server_addr, addresses, dns, routes, mtu, device, since, attempts,
 * last_reason, counters, drops by reason, rtt_us, health and so on; next_server_public_key once the server has
 * announced one, which the tunnel itself then takes too: write it into its configuration. Addresses are there once
 * connected. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_info(const smartvpn_tunnel *tunnel, char *buf, size_t cap, size_t *needed,
                                                  smartvpn_error **err);

/* [immediate] As smartvpn_events_open. A tunnel has the events session_up, session_down, health_changed, log, lost. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_events_open(smartvpn_tunnel *tunnel, uint64_t type_mask, size_t capacity,
                                                         smartvpn_events **out, smartvpn_error **err);

/* [command] As smartvpn_server_stats. "In" is from the server. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_stats(smartvpn_tunnel *tunnel, smartvpn_stats **out, smartvpn_error **err);

/* [waiting] As smartvpn_packets_read: the packets that the server sends. `session_id` is 0. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_packets_read(smartvpn_tunnel *tunnel, uint8_t *arena, size_t arena_len,
                                                          smartvpn_packet *meta, size_t meta_stride, size_t max,
                                                          size_t *count, int32_t timeout_ms, smartvpn_error **err);

/* [immediate] As smartvpn_packets_write. */
SMARTVPN_API smartvpn_status smartvpn_tunnel_packets_write(smartvpn_tunnel *tunnel, const uint8_t *arena,
                                                           size_t arena_len, const smartvpn_packet *meta,
                                                           size_t meta_stride, size_t count, size_t *taken,
                                                           smartvpn_error **err);

/* [immediate] As smartvpn_packets_fd. */
SMARTVPN_API int32_t smartvpn_tunnel_packets_fd(const smartvpn_tunnel *tunnel);

/* ============================================================================================================
 * 13  Keys and QR codes
 *
 * X25519 keys as text: 44 characters of base64, as `wg genkey` and `wg pubkey` print them.
 * ============================================================================================================ */

#define SMARTVPN_KEY_SIZE 45 /* room for one with its NUL */

/* [immediate] A new private key. Wipe `buf` when done with it. */
SMARTVPN_API smartvpn_status smartvpn_key_generate(char *buf, size_t cap, size_t *needed, smartvpn_error **err);

/* [immediate] The public key of a private key. INVALID if that is none. */
SMARTVPN_API smartvpn_status smartvpn_key_public(const char *private_key, char *buf, size_t cap, size_t *needed,
                                                 smartvpn_error **err);

typedef int32_t smartvpn_qr_form;
#define SMARTVPN_QR_MATRIX 0 /* lines of 0 and 1, one a module, without a border */
#define SMARTVPN_QR_TEXT 1   /* for a terminal, UTF-8 half blocks, light on dark, with its border */
#define SMARTVPN_QR_PNG 2    /* a PNG file: bytes without a NUL, of which `*needed` says how many */
#define SMARTVPN_QR_SVG 3    /* an SVG file */

/* [immediate] A text (such as a WireGuard configuration, which phones scan) as a QR code, error correction level M
 * where it fits, else L. LIMIT if it fits no QR code (2953 bytes); UNSUPPORTED in a build without libqrencode. */
SMARTVPN_API smartvpn_status smartvpn_qr_encode(const char *text, size_t text_len, smartvpn_qr_form form, char *buf,
                                                size_t cap, size_t *needed, smartvpn_error **err);

/* ============================================================================================================
 * 14  Authorize
 *
 * With `security.authorize` "required" your program has the last word on every session: once a client has proven its
 * key and passed every list and limit, a request waits for your answer, and no inner packet passes before it. Take
 * requests in a callback (section 7), or by asking here; each is handed out once. A request is named by its token. The
 * first answer wins. What is not answered in `security.authorize_timeout_ms` is denied (reason authorize_timeout), and
 * so is everything when the server stops. A client that tries again from the same address meanwhile joins its open
 * request, and an allow holds for `valid_ms` for the same client, address and transport without another question.
 * ============================================================================================================ */

/* [waiting] The oldest request that nobody has taken, which you free. BAD_STATE unless authorize is required; CLOSED
 * when the server has stopped. */
SMARTVPN_API smartvpn_status smartvpn_authorize_next(smartvpn_server *server, int32_t timeout_ms,
                                                     smartvpn_request **out, smartvpn_error **err);

/* [immediate] A descriptor that is readable while next would not answer AGAIN, or a negative status. Only poll it. */
SMARTVPN_API int32_t smartvpn_authorize_fd(const smartvpn_server *server);

/* [immediate] What an answer is addressed to; 0 for a bad handle. */
SMARTVPN_API uint64_t smartvpn_request_token(const smartvpn_request *request);

/* [immediate] One line of JSON: token, client_id, listener, transport, remote_addr (absent if unknown), peer_addr,
 * tlvs, deadline. Borrowed; NULL for a bad handle. */
SMARTVPN_API const char *smartvpn_request_json(const smartvpn_request *request);

/* [immediate] The open request then runs into its deadline unless its token is answered. */
SMARTVPN_API smartvpn_status smartvpn_request_free(smartvpn_request *request);

/* [command] Answers a request: {"allow": true} or {"allow": false}, and with an allow, as you like, limits for this
 * session: "valid_ms": 0..86400000 (0), "session_seconds": 1..31536000 (it then ends with reason authorize_expired),
 * "rate_limit" as in section 9 (the narrower of it and the client's holds). With a deny: "detail", a text for events.
 * NOT_FOUND for a token that was answered, is over, or never was. */
SMARTVPN_API smartvpn_status smartvpn_authorize_answer(smartvpn_server *server, uint64_t token, const char *json,
                                                       size_t json_len, smartvpn_error **err);

/* ============================================================================================================
 * 15  Relay
 *
 * A layer-4 proxy that never loses the client's address. It takes TCP connections, and datagrams as flows; learns who
 * the client is (by the PROXY protocol, v1 and v2, from trusted proxies only); finds a route by port, name (SNI of a
 * ClientHello, Host of a request, neither touched), address and TLS version; connects to a target, tells it the client's
 * address if the route says so, and moves the bytes. Chains of any length keep the first address. created -> running ->
 * draining -> stopped, and never back.
 *
 * A UDP listener does the same for datagrams (WireGuard and the like), with a v2 header in front of each one, in and
 * out, and none in front of answers. A client's datagrams to one listener are a flow, which counts as a connection in
 * everything below until none has passed either way for `timeouts.udp_idle_ms`.
 *
 * example:
 *   #include <smartvpn.h>
 *   #include <stdio.h>
 *
 *   int main(void) {
 *     const char *json = "{\"listen\": [{\"address\": \"127.0.0.1\", \"port\": 0}],"
 *                        " \"routes\": [{\"action\": {\"targets\": [{\"host\": \"127.0.0.1\", \"port\": 22}],"
 *                        " \"send_proxy_protocol\": \"v2\"}}]}";
 *     char endpoints[256];
 *     smartvpn_config *config = NULL;
 *     smartvpn_relay *relay = NULL;
 *     smartvpn_error *err = NULL;
 *     if (smartvpn_config_from_json(SMARTVPN_CONFIG_RELAY, json, SMARTVPN_NUL_TERMINATED, &config, &err) < 0 ||
 *         smartvpn_relay_create(config, &relay, &err) < 0 || smartvpn_relay_start(relay, &err) < 0)
 *       return fprintf(stderr, "%s: %s\n", smartvpn_error_path(err), smartvpn_error_text(err)), 1;
 *     smartvpn_relay_endpoints(relay, endpoints, sizeof endpoints, NULL, NULL);
 *     puts(endpoints);
 *     smartvpn_config_free(config);
 *     return smartvpn_relay_free(relay) != SMARTVPN_OK;
 *   }
 * end of example
 * ============================================================================================================ */

#define SMARTVPN_RELAY_CREATED 0
#define SMARTVPN_RELAY_RUNNING 1
#define SMARTVPN_RELAY_DRAINING 2
#define SMARTVPN_RELAY_STOPPED 3

/* [immediate] Validates the configuration (kind SMARTVPN_CONFIG_RELAY) and makes a relay of it. UNSUPPORTED in a build
 * without it. */
SMARTVPN_API smartvpn_status smartvpn_relay_create(const smartvpn_config *config, smartvpn_relay **out,
                                                   smartvpn_error **err);

/* [command] Binds and starts the threads. BAD_STATE unless created; SYSTEM (with errno and path) for what the system
 * refuses, and then nothing is left behind. */
SMARTVPN_API smartvpn_status smartvpn_relay_start(smartvpn_relay *relay, smartvpn_error **err);

/* [waiting] No new connections; those that are there may go on for up to `drain_ms` (0: not at all). Everything else as
 * smartvpn_server_stop. */
SMARTVPN_API smartvpn_status smartvpn_relay_stop(smartvpn_relay *relay, int32_t drain_ms, int32_t timeout_ms,
                                                 smartvpn_error **err);

/* [waiting, without a timeout] Stops at once if that is still to be done, and destroys. */
SMARTVPN_API smartvpn_status smartvpn_relay_free(smartvpn_relay *relay);

/* [immediate] SMARTVPN_RELAY_*, or a negative status. */
SMARTVPN_API int32_t smartvpn_relay_state(const smartvpn_relay *relay);

/* [immediate] Where it listens, as a JSON array of objects with listener (index into `listen`), transport and address; the
 * port is the kernel's where the configuration said 0. Empty before start. */
SMARTVPN_API smartvpn_status smartvpn_relay_endpoints(const smartvpn_relay *relay, char *buf, size_t cap,
                                                      size_t *needed, smartvpn_error **err);

/* [command] As smartvpn_server_reconfigure. Listeners and routes may come, go and change: what is new is opened first,
 * and where one cannot be opened nothing changes. Connections that are there go on as they began, also those of routes
 * that are gone. The socket of a UDP listener that is gone stays for its flows, and takes no new ones. */
SMARTVPN_API smartvpn_status smartvpn_relay_reconfigure(smartvpn_relay *relay, const smartvpn_config *config,
                                                        uint32_t flags, smartvpn_changes **out, smartvpn_error **err);

/* [command] Reads certificate files again; connections keep what they began with. BAD_STATE unless running; where a file
 * cannot be read nothing changes. */
SMARTVPN_API smartvpn_status smartvpn_relay_reload_certificates(smartvpn_relay *relay, smartvpn_error **err);

/* [immediate] Where routes of type `vpn` lead: into this server, which takes the client's connection as it is, without
 * another socket, at its first WebSocket listener and with the real address that the relay knows. The relay then also
 * knows the server's clients that come through their tunnels, by their inner addresses: `client_id` in its events, and
 * TLV 0xE7 for targets that get headers of version 2 (`proxy_tlvs.identity`). NULL: nowhere, as at first; a connection on
 * such a route is then refused (target_unreachable), as it is once the server has stopped or was freed. */
SMARTVPN_API smartvpn_status smartvpn_relay_set_server(smartvpn_relay *relay, const smartvpn_server *server,
                                                       smartvpn_error **err);

/* [immediate] As smartvpn_events_open. A relay has the events listening, connection_accepted (once the client is known
 * and let in), connection_rejected, connection_closed, target_changed, reconfigured, lost. */
SMARTVPN_API smartvpn_status smartvpn_relay_events_open(smartvpn_relay *relay, uint64_t type_mask, size_t capacity,
                                                        smartvpn_events **out, smartvpn_error **err);

/* [command] As smartvpn_server_stats: connections_total, connections_open, connections_relayed, target_failures,
 * bytes_in, bytes_out, in all and by route; "rejections.no_route", "ended.closed_by_client" and so on by reason;
 * udp_flows_total, udp_flows_open, udp_datagrams_in, udp_datagrams_out (flows are among the connections);
 * "udp_drops.no_route" (malformed_header, untrusted, forged_header, local, limited, no_route, target_full, too_big,
 * unreachable, client_lost): datagrams that went no further, those of flows that were refused among them; in the
 * JSON form also rates over the last 1, 10 and 60 seconds, and the real addresses with the most bytes. "In" is from
 * clients. Connections are counted from accept, by route from when they reached a target. */
SMARTVPN_API smartvpn_status smartvpn_relay_stats(smartvpn_relay *relay, smartvpn_stats **out, smartvpn_error **err);

/* [command] All open connections as a JSON array, in order of id: id, listener, transport, peer_addr, remote_addr (real;
 * absent if unknown), vouched (a trusted proxy has said it), client_id, tlvs, host, route, stage ("header", "hello",
 * "handshake", "connecting", "relaying"), target, bytes_in, bytes_out, since. */
SMARTVPN_API smartvpn_status smartvpn_relay_connections(smartvpn_relay *relay, char *buf, size_t cap, size_t *needed,
                                                        smartvpn_error **err);

/* [command] Ends one, both ways with RST, with reason disconnected. NOT_FOUND. */
SMARTVPN_API smartvpn_status smartvpn_relay_disconnect(smartvpn_relay *relay, uint64_t connection_id,
                                                       smartvpn_error **err);

#ifdef __cplusplus
}
#endif

#endif /* SMARTVPN_H */
