/* A WireGuard client for programs in C: made of the configuration that a server gave it, and turned by the caller's own
 * thread while it waits in one of these functions. It stands for a phone, so it is no part of what is tested. */
#ifndef ABI_WIREGUARD_FAR_END_H
#define ABI_WIREGUARD_FAR_END_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct far_end far_end;

/* `conf` is wg-quick's; NULL if it is none. */
far_end* far_end_new(const char* conf);

/* One inner IP packet; begins a handshake where there is no session. */
void far_end_send(far_end* end, const uint8_t* packet, size_t length);

/* The length of the next inner packet, which goes to `buf`; 0 when none came in that time or it does not fit. */
size_t far_end_next(far_end* end, uint8_t* buf, size_t cap, int timeout_ms);

/* Its inner IPv4 address, in the order of the network. */
void far_end_address(const far_end* end, uint8_t out[4]);

void far_end_free(far_end* end);

#ifdef __cplusplus
}
#endif

#endif
