/* smartvpn.h for SWIG, in whatever language: what is renamed, what is left out, which arguments are results.
 * The language's own file, included at the end of the preparations, says how texts, buffers, results and errors look
 * there: typemaps for const char *, (const char *json, size_t json_len), smartvpn_X **out, uint64_t *value and so on, a
 * `raise_status` that throws, and RESULT_NOTHING, RESULT_BOOL and RESULT_INT. Written for SWIG 4.1 and later, in C. */
#if defined(SWIGPYTHON)
%module(package="smartvpn") _native
#else
%module smartvpn
#endif

%include <stdint.i>
%include <exception.i>

%{
#include <smartvpn.h>
#include <stdlib.h>
#include <string.h>

/* Where a call writes its text: into `small`, and when that was too small into memory of the size it asked for. `buf`
 * and `cap` point to the call's own arguments. What was written is wiped, as it may hold keys. */
typedef struct text_out {
  char **buf;
  size_t *cap;
  size_t needed;
  int binary; /* bytes without a NUL at their end */
  char small[1024];
} text_out;

static void text_out_begin(text_out *text, char **buf, size_t *cap) {
  text->buf = buf;
  text->cap = cap;
  *buf = text->small;
  *cap = sizeof text->small;
}

static void text_out_end(text_out *text) {
  if (!text->buf) return;
  explicit_bzero(*text->buf, text->needed < *text->cap ? text->needed : *text->cap);
  if (*text->buf != text->small) free(*text->buf);
  text->buf = NULL;
}

/* Whether to call again, with more room. The first try's error is dropped then. */
static int text_out_again(text_out *text, smartvpn_status *status, smartvpn_error **error) {
  char *larger;
  if (*status != SMARTVPN_BUFFER_TOO_SMALL || text->needed <= *text->cap) return 0;
  smartvpn_error_free(*error);
  *error = NULL;
  larger = malloc(text->needed);
  if (!larger) {
    *status = SMARTVPN_NO_MEMORY;
    return 0;
  }
  if (*text->buf != text->small) free(*text->buf); /* nothing is written by a call that finds too little room */
  *text->buf = larger;
  *text->cap = text->needed;
  return 1;
}

static size_t text_out_length(const text_out *text) {
  return text->binary ? text->needed : text->needed - 1;
}
%}

/* ---- what is not for other languages: a library's thread never enters an interpreter (events and requests are asked
 * for), errors are thrown and never seen as handles, and structs become what the language has for them. */
%ignore smartvpn_server_set_callbacks;
%ignore smartvpn_callbacks;
%ignore smartvpn_packet;
%ignore smartvpn_session_info;
%ignore smartvpn_error_status;
%ignore smartvpn_error_path;
%ignore smartvpn_error_system_errno;
%ignore smartvpn_error_text;
%ignore smartvpn_error_free;
%ignore SMARTVPN_NUL_TERMINATED;
%ignore SMARTVPN_KEY_SIZE;
/* Packets go by the batch, in the language's own buffers. */
%ignore smartvpn_packets_read;
%ignore smartvpn_packets_write;
%ignore smartvpn_tunnel_packets_read;
%ignore smartvpn_tunnel_packets_write;

/* ---- names: smartvpn_server_create becomes server_create, SMARTVPN_INVALID becomes INVALID. */
%rename("%(regex:/^(?:smartvpn|SMARTVPN)_(.*)$/\\1/)s") "";

/* ---- results. `_global_` variables are shared by the typemaps of one function. */
%typemap(out) smartvpn_status (smartvpn_error *_global_error = NULL) %{
  if ($1 < 0) {
    raise_status($1, _global_error);
    SWIG_fail;
  }
  RESULT_NOTHING($result);
%}
/* Done, though without the private key: the second result says so. */
%typemap(out) smartvpn_status smartvpn_client_export (smartvpn_error *_global_error = NULL) %{
  if ($1 < 0 && $1 != SMARTVPN_SECRET_NOT_KEPT) {
    raise_status($1, _global_error);
    SWIG_fail;
  }
  smartvpn_error_free(_global_error);
  RESULT_BOOL($result, $1 != SMARTVPN_SECRET_NOT_KEPT);
%}
/* OK or PENDING. */
%typemap(out) smartvpn_status smartvpn_server_stop (smartvpn_error *_global_error = NULL) %{
  if ($1 < 0) {
    raise_status($1, _global_error);
    SWIG_fail;
  }
  RESULT_INT($result, $1);
%}
/* A number, or a status below zero. */
%define %smartvpn_number(FUNCTION)
%typemap(out) int32_t FUNCTION %{
  if ($1 < 0) {
    raise_status($1, NULL);
    SWIG_fail;
  }
  RESULT_INT($result, $1);
%}
%enddef
%smartvpn_number(smartvpn_server_state)
%smartvpn_number(smartvpn_tunnel_state)
%smartvpn_number(smartvpn_relay_state)
%smartvpn_number(smartvpn_events_fd)
%smartvpn_number(smartvpn_packets_fd)
%smartvpn_number(smartvpn_tunnel_packets_fd)
%smartvpn_number(smartvpn_authorize_fd)
%smartvpn_number(smartvpn_event_type)

%typemap(in, numinputs=0) smartvpn_error **err (smartvpn_error *_global_error = NULL) "$1 = &_global_error;"

%typemap(in, numinputs=0) (char *buf, size_t cap, size_t *needed) (text_out _global_text = TEXT_OUT_EMPTY)
  "text_out_begin(&_global_text, &$1, &$2); $3 = &_global_text.needed;"
%typemap(freearg) (char *buf, size_t cap, size_t *needed) "text_out_end(&_global_text);"
%{
#define TEXT_OUT_EMPTY {0}
%}
%typemap(check) smartvpn_qr_form form "_global_text.binary = $1 == SMARTVPN_QR_PNG;"

/* Every function with (buf, cap, needed): what was measured may have grown. */
%define %smartvpn_text(FUNCTION)
%exception FUNCTION {
  do {
    $action
  } while (text_out_again(&_global_text, &result, &_global_error));
}
%enddef
%smartvpn_text(smartvpn_config_to_json)
%smartvpn_text(smartvpn_server_endpoints)
%smartvpn_text(smartvpn_server_endpoint)
%smartvpn_text(smartvpn_client_get)
%smartvpn_text(smartvpn_client_list)
%smartvpn_text(smartvpn_client_query)
%smartvpn_text(smartvpn_client_export)
%smartvpn_text(smartvpn_client_stats)
%smartvpn_text(smartvpn_session_list)
%smartvpn_text(smartvpn_session_get)
%smartvpn_text(smartvpn_stats_json)
%smartvpn_text(smartvpn_stats_prometheus)
%smartvpn_text(smartvpn_tunnel_info)
%smartvpn_text(smartvpn_relay_endpoints)
%smartvpn_text(smartvpn_relay_connections)
%smartvpn_text(smartvpn_key_generate)
%smartvpn_text(smartvpn_key_public)
%smartvpn_text(smartvpn_qr_encode)

/* ---- handles: typed, opaque, and never nothing, but that freeing nothing is fine. */
%define %smartvpn_handle(KIND)
%typemap(check) smartvpn_##KIND *, const smartvpn_##KIND * %{
  if (!$1) SWIG_exception(SWIG_TypeError, "in '$symname': a " #KIND " is needed, not nothing");
%}
%typemap(check) smartvpn_##KIND *KIND##_or_nothing ""
%typemap(in, numinputs=0) smartvpn_##KIND **out (smartvpn_##KIND *made = NULL) "$1 = &made;"
%ignore smartvpn_##KIND##_free;
%enddef
%define %smartvpn_free(KIND)
%rename(KIND##_free) smartvpn_##KIND##_free;
smartvpn_status smartvpn_##KIND##_free(smartvpn_##KIND *KIND##_or_nothing);
%enddef
%smartvpn_handle(config)
%smartvpn_handle(server)
%smartvpn_handle(events)
%smartvpn_handle(event)
%smartvpn_handle(credentials)
%smartvpn_handle(transaction)
%smartvpn_handle(changes)
%smartvpn_handle(request)
%smartvpn_handle(stats)
%smartvpn_handle(tunnel)
%smartvpn_handle(relay)

/* ---- what only reads memory does not let go of an interpreter's lock, where there is one. What ends the life of a
 * borrowed text is among it, so that no other thread can free the handle while its text is copied. */
%define %smartvpn_instant(FUNCTION)
%feature("nothread", "1") FUNCTION;
%enddef
%smartvpn_instant(smartvpn_version)
%smartvpn_instant(smartvpn_abi_version)
%smartvpn_instant(smartvpn_has)
%smartvpn_instant(smartvpn_status_name)
%smartvpn_instant(smartvpn_status_text)
%smartvpn_instant(smartvpn_server_state)
%smartvpn_instant(smartvpn_tunnel_state)
%smartvpn_instant(smartvpn_relay_state)
%smartvpn_instant(smartvpn_events_fd)
%smartvpn_instant(smartvpn_packets_fd)
%smartvpn_instant(smartvpn_tunnel_packets_fd)
%smartvpn_instant(smartvpn_authorize_fd)
%smartvpn_instant(smartvpn_event_type)
%smartvpn_instant(smartvpn_event_text)
%smartvpn_instant(smartvpn_event_u64)
%smartvpn_instant(smartvpn_event_json)
%smartvpn_instant(smartvpn_event_free)
%smartvpn_instant(smartvpn_request_token)
%smartvpn_instant(smartvpn_request_json)
%smartvpn_instant(smartvpn_request_free)
%smartvpn_instant(smartvpn_changes_json)
%smartvpn_instant(smartvpn_changes_free)
%smartvpn_instant(smartvpn_credentials_client)
%smartvpn_instant(smartvpn_credentials_private_key)
%smartvpn_instant(smartvpn_credentials_config)
%smartvpn_instant(smartvpn_credentials_wireguard_private_key)
%smartvpn_instant(smartvpn_credentials_wireguard_config)
%smartvpn_instant(smartvpn_credentials_free)
%smartvpn_instant(smartvpn_stats_u64)

/* ---- JSON, and a server, that may be left out. */
%ignore smartvpn_client_query;
%ignore smartvpn_client_rotate;
%ignore smartvpn_relay_set_server;

#if defined(SWIGPYTHON)
%include "python.i"
#elif defined(SWIGLUA)
%include "lua.i"
#else
#error "write typemaps for this language; lua.i is the shortest example"
#endif

%include <smartvpn.h>

%rename(client_query) smartvpn_client_query;
%rename(client_rotate) smartvpn_client_rotate;
smartvpn_status smartvpn_client_query(smartvpn_server *server, const char *json_or_nothing, size_t json_len, char *buf,
                                      size_t cap, size_t *needed, smartvpn_error **err);
smartvpn_status smartvpn_client_rotate(smartvpn_server *server, const char *id, const char *json_or_nothing,
                                       size_t json_len, smartvpn_credentials **out, smartvpn_error **err);
%rename(relay_set_server) smartvpn_relay_set_server;
smartvpn_status smartvpn_relay_set_server(smartvpn_relay *relay, smartvpn_server *server_or_nothing,
                                          smartvpn_error **err);

%smartvpn_free(config)
%smartvpn_free(server)
%smartvpn_free(events)
%smartvpn_free(event)
%smartvpn_free(credentials)
%smartvpn_free(transaction)
%smartvpn_free(changes)
%smartvpn_free(request)
%smartvpn_free(stats)
%smartvpn_free(tunnel)
%smartvpn_free(relay)
