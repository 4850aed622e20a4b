/* TLS stream: an open TLS 1.2 connection, after its handshake and without I/O: what is inside its
 * records, and what the few that carry no data mean (RFC 5246 7.2).
 *
 * One thread; part of tls_engine, which says what each call is for. Holds no buffer while nothing
 * waits: whole records are opened where the caller has read them and sealed where it has collected
 * them. What is left over is copied into memory of its own: the start of a record whose rest has
 * not come, plaintext that nobody takes yet, sealed records that the kernel did not.
 */
#ifndef CORE_CRYPTO_TLS_STREAM_H
#define CORE_CRYPTO_TLS_STREAM_H

#include "core/base/err.h"
#include "core/base/held.h"
#include "core/crypto/tls_record.h"

/* Records in a row without plaintext: empty ones, warnings, hellos (security.md T13, T16). */
#define TLS_BARREN_RECORDS_MAX 64u
/* Records of another handshake on one connection: each is answered, and the answers wait in memory
 * while the peer reads none (T13). */
#define TLS_HELLOS_MAX 64u

struct tls_stream {
    struct tls_record_keys keys;
    /* In. */
    struct span plain;                       /* not read yet */
    uint8_t header[TLS_RECORD_HEADER_BYTES]; /* of the record that is under way */
    uint8_t *part;             /* owned: a record that comes in parts, from its header */
    size_t part_cap, part_len; /* `part_len` counts the header's bytes too */
    unsigned whole;            /* records opened in place since `part` was needed */
    unsigned barren, hellos;
    /* Out: [ gone | sealed | open record ] in `out`. */
    uint8_t *out; /* lent, or owned when `out_owned`; NULL: none */
    size_t out_cap, out_gone, out_sealed, out_plain;
    bool out_owned;
    bool closing;      /* close_notify is queued: the peer's data is dropped */
    bool peer_closed;  /* it sent close_notify */
    struct held *held; /* borrowed: where its memory is counted; NULL: nowhere */
    int detail;        /* of the error returned: BearSSL's number for it */
};

/* Takes the engine's keys. */
void tls_stream_init(struct tls_stream *s, const br_ssl_engine_context *eng, struct held *held);
void tls_stream_fini(struct tls_stream *s); /* the caller wipes it */

/* As in tls_engine. ERR_PROTOCOL; ERR_NOMEM; ERR_RESET: the peer's fatal alert. Each is the end. */
enum err tls_stream_feed(struct tls_stream *s, const uint8_t *p, size_t len, size_t *used) MUST_USE;
enum err tls_stream_open(struct tls_stream *s, uint8_t *p, size_t len, size_t *used) MUST_USE;
enum err tls_stream_keep(struct tls_stream *s) MUST_USE;
void tls_stream_read(struct tls_stream *s, size_t len);

bool tls_stream_lend(struct tls_stream *s, uint8_t *buf, size_t cap);
enum err tls_stream_take_back(struct tls_stream *s) MUST_USE;
size_t tls_stream_room(const struct tls_stream *s);
size_t tls_stream_write(struct tls_stream *s, const void *p, size_t len);
void tls_stream_flush(struct tls_stream *s);
struct span tls_stream_out(const struct tls_stream *s);
void tls_stream_sent(struct tls_stream *s, size_t len);
enum err tls_stream_close(struct tls_stream *s) MUST_USE;

#endif
