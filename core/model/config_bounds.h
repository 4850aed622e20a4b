/* [limits] of the host configuration: of what comes in, over this host (security.md 4, resource
 * exhaustion).
 *
 * Any thread: plain data, a part of the configuration and of each snapshot. The most that may be
 * written for sizes of a head are the compile-time bounds of base/limits.h.
 */
#ifndef CORE_MODEL_CONFIG_BOUNDS_H
#define CORE_MODEL_CONFIG_BOUNDS_H

#include <stdint.h>

#define CONFIG_BOUNDS_CONNECTIONS             65536u
#define CONFIG_BOUNDS_CONNECTIONS_PER_CLIENT  4096u
#define CONFIG_BOUNDS_HANDSHAKES              256u
#define CONFIG_BOUNDS_REQUESTS                65536u
#define CONFIG_BOUNDS_REQUESTS_PER_CONNECTION 100000u
#define CONFIG_BOUNDS_STREAMS                 128u
#define CONFIG_BOUNDS_HEADER_TIMEOUT_MS       10000u
#define CONFIG_BOUNDS_KEEP_ALIVE_MS           60000u
#define CONFIG_BOUNDS_LINK_IDLE_MS            300000u
#define CONFIG_BOUNDS_MIN_RATE                240u
struct config_bounds {
    uint32_t connections;             /* downstream, in all */
    uint32_t connections_per_client;  /* from one address that is not this host's; 0: no limit */
    uint32_t handshakes;              /* of TLS under way, a kind and worker */
    uint32_t requests;                /* in flight, in all */
    uint32_t requests_per_connection; /* then it is closed; 0: no limit */
    uint32_t streams;                 /* open at once, of one local HTTP/2 client */
    uint32_t header_bytes, header_fields, url_bytes;
    uint32_t header_timeout_ms; /* for a whole head, from its first byte or the accept */
    uint32_t keep_alive_ms;     /* of a local client's connection without a request */
    uint32_t link_idle_ms;      /* of a peer's link without a stream */
    uint32_t min_rate;          /* bytes a second that a body makes at least; 0: no limit */
    uint64_t memory_bytes;      /* of the data plane; 0: by what the process may have */
};

#endif
