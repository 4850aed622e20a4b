/* Compile-time bounds that more than one module keeps, in one place; a bound of one module is in
 * its header. Units are in the names.
 */
#ifndef CORE_BASE_LIMITS_H
#define CORE_BASE_LIMITS_H

/* Names (interface.md 3): meshes, nodes, services. */
#define NAME_BYTES_MAX 63u
/* SPIFFE-ID 2.4: a SPIFFE ID is at most 2048 bytes; ours, "spiffe://" mesh "/service/" name, at
 * most 144. */
#define SPIFFE_ID_BYTES_MAX 159u

/* Configuration. */
#define CONFIG_FILE_BYTES_MAX (8u * 1024 * 1024)
#define TOML_DEPTH_MAX        128u
#define TOML_KEYS_MAX         200000u
#define DIAG_ENTRIES_MAX      20u
#define CONFIG_SERVICES_MAX   256u
#define CONFIG_UPSTREAMS_MAX  1024u
#define CONFIG_RULES_MAX      1024u /* a service */
#define CONFIG_PEERS_MAX      32u
#define CONFIG_INCLUDES_MAX   256u /* files */
#define CONFIG_SNI_MAX        32u  /* names of a tls-passthrough upstream */

/* Mesh. */
#define MEMBERS_MAX           20000u
#define NODE_SERVICES_MAX     128u /* instances one node may announce (M12) */
#define NODE_TAGS_MAX         8u   /* a service */
#define RECORD_BODY_BYTES_MAX 65536u
#define DATAGRAM_BYTES_MAX    1200u

/* HTTP (security.md A, B, C). */
#define HEADER_BYTES_MAX      65536u /* a whole head, decoded */
#define HEADER_FIELDS_MAX     128u   /* fields in a head */
#define HEADER_LINE_BYTES_MAX 16384u /* one name + value */
#define TARGET_BYTES_MAX      8192u  /* the request target; over it: 414 */
#define INTERIM_RESPONSES_MAX 16u    /* 1xx before a final response (C06) */
#define CHUNK_EXT_BYTES_MAX   16384u /* chunk extensions of one message (A29) */
#define TRAILER_BYTES_MAX     8192u

/* Data plane. */
#define WORKERS_MAX          64u
#define WORKER_SESSIONS_MAX  65536u /* downstream connections a worker */
#define WORKER_EXCHANGES_MAX 65536u /* under way at once, a worker */
#define LINK_STREAMS_MAX     256u   /* concurrent streams we allow a peer on one mesh link */
/* Of a stream's body, unread: at first, and once its reader has kept up (link_window.h). The
 * connection's window is no less than all streams' first ones, and something to spare, so that they
 * do not wait for each other. */
#define LINK_STREAM_WINDOW_BYTES     (64u * 1024)
#define LINK_STREAM_WINDOW_BYTES_MAX (512u * 1024)
#define LINK_WINDOW_BYTES            (24u * 1024 * 1024)
#define BODY_HIGH_WATER_BYTES        (256u * 1024)
#define BODY_LOW_WATER_BYTES         (80u * 1024)
/* One a thread, shared by all its connections. Like the low water, a body of 64 KiB and what comes
 * with it: read and written by one call. */
#define READ_BUFFER_BYTES         (80u * 1024)
#define WRITE_BUFFER_BYTES        (66u * 1024) /* four TLS records, sealed and sent at once */
#define ACCEPT_BATCH_MAX          64u /* accepts a loop turn */
#define FD_RESERVE                64  /* descriptors that clients never get (O04) */
#define ACCESS_LOG_LINE_BYTES_MAX 8192u
#define ACCESS_LOG_RING_BYTES     (256u * 1024) /* a worker */
#define METRIC_SERIES_MAX         20000u

/* Admin. */
#define ADMIN_CLIENTS_MAX       64u
#define ADMIN_REQUEST_BYTES_MAX (1u * 1024 * 1024)

#endif
