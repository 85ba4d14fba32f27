/* native.c - see native.h. */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

svpn_texts* svpn_texts_new(void) { return calloc(1, sizeof(svpn_texts)); }

void svpn_texts_free(svpn_texts* texts) {
  if (texts) free(texts->data);
  free(texts);
}

static int append(svpn_texts* into, const char* text, uint64_t tag) {
  const size_t length = text ? strlen(text) : 0;
  if (!text) return 0;
  if (length > into->capacity - into->length) {
    const size_t capacity = (into->length + length) * 2 + 4096;
    char* data = realloc(into->data, capacity);
    if (!data) return 0;
    into->data = data;
    into->capacity = capacity;
  }
  memcpy(into->data + into->length, text, length);
  into->length += length;
  into->ends[into->count] = into->length;
  into->tags[into->count++] = tag;
  return 1;
}

smartvpn_status svpn_events_take(smartvpn_events* events, svpn_texts* into) {
  smartvpn_event* event = NULL;
  smartvpn_status status = SMARTVPN_OK;
  into->length = into->count = 0;
  while (into->count < SVPN_BATCH && (status = smartvpn_events_next(events, 0, &event, NULL)) == SMARTVPN_OK) {
    const int taken = append(into, smartvpn_event_json(event), (uint64_t)smartvpn_event_type(event));
    smartvpn_event_free(event);
    if (!taken) {
      status = SMARTVPN_NO_MEMORY;
      break;
    }
    /* An interrupt is taken before events: what comes behind this one stays for the next call. */
  }
  return into->count ? SMARTVPN_OK : status;
}

smartvpn_status svpn_requests_take(smartvpn_server* server, svpn_texts* into) {
  smartvpn_request* request = NULL;
  smartvpn_status status;
  into->length = into->count = 0;
  status = smartvpn_authorize_next(server, 0, &request, NULL);
  if (status != SMARTVPN_OK) return status;
  if (!append(into, smartvpn_request_json(request), smartvpn_request_token(request))) status = SMARTVPN_NO_MEMORY;
  smartvpn_request_free(request);
  return status;
}

/* Between asking for the number and duplicating it another thread may free the handle, and the number may then be
 * somebody else's. If the handle still names it afterwards, it was open all the time. */
#define SVPN_DUP(name, type, descriptor)                    \
  int32_t name(type* handle) {                              \
    const int32_t fd = descriptor(handle);                  \
    int32_t copy, again;                                    \
    if (fd < 0) return fd;                                  \
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);                   \
    if (copy < 0 && errno != EBADF) return SMARTVPN_SYSTEM; \
    again = descriptor(handle);                             \
    if (copy >= 0 && again == fd) return copy;              \
    if (copy >= 0) close(copy);                             \
    return again < 0 ? again : SMARTVPN_CLOSED;             \
  }

SVPN_DUP(svpn_dup_events, smartvpn_events, smartvpn_events_fd)
SVPN_DUP(svpn_dup_authorize, smartvpn_server, smartvpn_authorize_fd)
SVPN_DUP(svpn_dup_packets, smartvpn_server, smartvpn_packets_fd)
SVPN_DUP(svpn_dup_tunnel_packets, smartvpn_tunnel, smartvpn_tunnel_packets_fd)
