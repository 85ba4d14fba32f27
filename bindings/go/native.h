/* native.h - what the Go package does in C, so that one crossing from Go does the work of many: it takes events and
 * requests in batches as packed texts, duplicates the descriptors that Go's runtime waits on, and frees errors. */
#ifndef SMARTVPN_GO_NATIVE_H
#define SMARTVPN_GO_NATIVE_H

#include <smartvpn.h>
#include <stdint.h>

#define SVPN_BATCH 64

/* Texts one behind the other in `data`; number i ends before `ends[i]`. Lives in C memory. */
typedef struct svpn_texts {
  char* data;
  size_t length, capacity, count;
  size_t ends[SVPN_BATCH];
  uint64_t tags[SVPN_BATCH]; /* an event's type, a request's token */
} svpn_texts;

/* NULL when memory is out. */
svpn_texts* svpn_texts_new(void);
void svpn_texts_free(svpn_texts* texts);

/* Replaces what is in `into` by up to SVPN_BATCH events or requests, without waiting. SMARTVPN_OK when there is at
 * least one, else the status of the first attempt. Memory that runs out loses what was just taken: NO_MEMORY. */
smartvpn_status svpn_events_take(smartvpn_events* events, svpn_texts* into);
smartvpn_status svpn_requests_take(smartvpn_server* server, svpn_texts* into);

/* A close-on-exec duplicate of the descriptor that `descriptor(handle)` names, or a negative status; SMARTVPN_SYSTEM
 * leaves errno. Sure to be of that handle even while another thread frees it. */
int32_t svpn_dup_events(smartvpn_events* events);
int32_t svpn_dup_authorize(smartvpn_server* server);
int32_t svpn_dup_packets(smartvpn_server* server);
int32_t svpn_dup_tunnel_packets(smartvpn_tunnel* tunnel);

#endif
