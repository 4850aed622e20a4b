/* TLS 1.2 record protection of an open connection (RFC 5246 6.2, RFC 5288, RFC 7905): seals and
 * opens records in place, in buffers of the caller's.
 *
 *   header 5 | nonce 8, AES-GCM only | content, 0 to 16384, encrypted | tag 16
 *
 * One thread. The keys and sequence numbers are taken over from BearSSL's engine when the handshake
 * is done, so that one buffer serves all connections of a thread: BearSSL's own keeps one for each
 * direction of each, 33 KiB, and copies every byte through it.
 */
#ifndef CORE_CRYPTO_TLS_RECORD_H
#define CORE_CRYPTO_TLS_RECORD_H

#include "core/base/span.h"
#include "core/crypto/bear.h"

#include <stdbool.h>

#define TLS_RECORD_PLAIN_MAX    16384u
#define TLS_RECORD_HEADER_BYTES 5u
#define TLS_RECORD_HEAD_MAX     13u /* the nonce included */
#define TLS_RECORD_TAG_BYTES    16u
#define TLS_RECORD_BYTES_MAX    (TLS_RECORD_HEAD_MAX + TLS_RECORD_PLAIN_MAX + TLS_RECORD_TAG_BYTES)

/* RFC 5246 6.2.1. */
enum tls_content { TLS_CHANGE_CIPHER_SPEC = 20, TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23 };

/* RFC 8446 5.5: AES-GCM is to protect no more than 2^24.5 full records under one key, and TLS 1.2
 * cannot change it. */
#define TLS_RECORD_WORN (UINT64_C(1) << 24)

/* Both directions of one connection. Secret: to be wiped. */
struct tls_record_keys {
    union {
        const br_sslrec_in_class *vtable;
        br_sslrec_gcm_context gcm;
        br_sslrec_chapol_context chapol;
    } in;
    union {
        const br_sslrec_out_class *vtable;
        br_sslrec_gcm_context gcm;
        br_sslrec_chapol_context chapol;
    } out;
    uint8_t head_bytes; /* of a record, before its content */
};

/* The engine's handshake is done and it is in the middle of no record; it is not to be used for
 * records any more. */
void tls_record_take_keys(struct tls_record_keys *k, const br_ssl_engine_context *eng);

/* So many records went either way that the connection should be replaced. */
bool tls_record_worn(const struct tls_record_keys *k);

/* The content, `len` <= TLS_RECORD_PLAIN_MAX bytes, lies at record + head_bytes; room for the tag
 * is behind it. The record's length. */
size_t tls_record_seal(struct tls_record_keys *k, enum tls_content type, uint8_t *record,
                       size_t len);
/* Of the whole record that begins with this header; 0: no record of this connection can. */
size_t tls_record_bytes(const struct tls_record_keys *k,
                        const uint8_t header[TLS_RECORD_HEADER_BYTES]);
/* Opens a whole record of tls_record_bytes; `content` points into it. False: it was not sealed by
 * the peer, or is not the next. */
bool tls_record_open(struct tls_record_keys *k, uint8_t *record, struct span *content);

#endif
