/* TLS engine: one end of a TLS 1.2 connection without I/O. BearSSL's engine does
 * the handshake, tls_stream the records of the open connection.
 *
 *      socket  -> feed ->  [ engine ]  -> in/read  -> plaintext
 *      socket <- out/sent <- [ engine ] <- write   <- plaintext
 *
 * One thread. Suites: ECDHE-ECDSA with AES-128-GCM (AES-NI, PCLMUL when the CPU has them) or
 * ChaCha20-Poly1305; X25519 by libsodium first, then P-256. No renegotiation, no tickets, no
 * resumption. The peer's chain is checked by br_x509_minimal against the trust anchors at `now_s`,
 * then by crypto/x509_check; only then does tls_engine_ready say yes. Never tolerates a missing
 * client certificate unless `anonymous_clients` (parley-join/1 only, chosen from the peeked hello).
 * BearSSL's traps (performance.md 9) are handled here and nowhere else.
 */
#ifndef CORE_CRYPTO_TLS_ENGINE_H
#define CORE_CRYPTO_TLS_ENGINE_H

#include "core/base/held.h"
#include "core/crypto/identity.h"
#include "core/crypto/tls_cert.h"
#include "core/crypto/tls_record.h"
#include "core/crypto/x509_check.h"

#define TLS_CHAIN_MAX      3u
#define TLS_CA_PIN_BYTES   16u
#define TLS_ALPN_BYTES_MAX 31u
/* Ciphertext a peer may send before the handshake is done: our longest flight is 3 KiB. */
#define TLS_HANDSHAKE_BYTES_MAX 65536u

struct tls_profile; /* immutable: cached implementations (CPUID exits cost 15 us each). Made once,
                       shared by threads. */
enum err tls_engine_profile_new(struct tls_profile **out) MUST_USE;
void tls_engine_profile_free(struct tls_profile *p);

struct tls_engine; /* 42 KB until it is ready, then 1 and what waits in it */

struct tls_client_options {
    const struct tls_profile *profile;
    struct identity *self;          /* reference taken; NULL: no client certificate (join) */
    struct trust *trust;            /* reference taken; NULL with `ca_pin` */
    const struct spiffe_id *expect; /* copied; NULL with `expect_any_node` */
    bool expect_any_node;           /* accept any node identity of the mesh (sync to a seed) */
    const uint8_t *ca_pin; /* join: first 16 bytes of SHA-256 of the CA certificate the server must
                              send last */
    const char *sni;
    const char *alpn;      /* the protocol offered; the server must choose it */
    const char *alpn_else; /* or this one; NULL: no other */
    int64_t now_s;
};
struct tls_server_options {
    const struct tls_profile *profile;
    struct identity *self; /* reference taken */
    struct trust *trust;   /* reference taken */
    struct span
        ca_der; /* sent behind the leaf when not empty (join); borrowed for the engine's life */
    bool anonymous_clients;
    const char *alpn;
    const char *alpn_else; /* taken from a client that offers no `alpn`; NULL: none */
    int64_t now_s;
};

/* Both: ERR_NOMEM; ERR_EXPIRED: no trust anchor is valid at now_s; ERR_INVALID: `sni` is over 255
 * bytes. `alpn` and `alpn_else` are constants. */
enum err tls_engine_client(const struct tls_client_options *o, struct tls_engine **out) MUST_USE;
enum err tls_engine_server(const struct tls_server_options *o, struct tls_engine **out) MUST_USE;
/* For clients that are not of the mesh and show no certificate: with `cert` (reference taken), ALPN
 * h2, http/1.1, or none offered. ERR_NOMEM. */
enum err tls_engine_local(const struct tls_profile *profile, struct tls_cert *cert,
                          struct tls_engine **out) MUST_USE;
void tls_engine_free(struct tls_engine *e); /* wiped; NULL is fine */
/* What it holds is counted in `held`, which outlives it. Once, at its beginning. Parts of records
 * and sealed ones wait there, and end it with ERR_NOMEM when there is no room for them. */
void tls_engine_count(struct tls_engine *e, struct held *held);

/* Takes ciphertext, which is copied; the bytes consumed, fewer than `len` only while plaintext
 * waits to be read, or the handshake's answer to be sent. After a fault or the peer's close_notify
 * the rest is discarded, and counts as consumed. */
size_t tls_engine_feed(struct tls_engine *e, const void *p, size_t len);
/* As tls_engine_feed of one record, opened where it lies: what tls_engine_in has then lies in `p`,
 * until tls_engine_keep. 0: it is not whole, or something waits before it; feed takes it. */
size_t tls_engine_open(struct tls_engine *e, void *p, size_t len);
/* The caller needs its memory: plaintext that waits there is copied. ERR_NOMEM: it was not. */
enum err tls_engine_keep(struct tls_engine *e) MUST_USE;
/* Plaintext that waits to be read. */
struct span tls_engine_in(struct tls_engine *e);
void tls_engine_read(struct tls_engine *e, size_t len);
/* Records are made in memory that the caller lends, TLS_RECORD_BYTES_MAX for each that may wait,
 * and takes back; what was not sent by then is copied. False: nothing is lent, since something of
 * before waits in tls_engine_out, or it is not ready. ERR_NOMEM: the connection is lost. */
bool tls_engine_lend(struct tls_engine *e, void *buf, size_t cap);
enum err tls_engine_take_back(struct tls_engine *e) MUST_USE;
/* Bytes that tls_engine_write would take; 0 while nothing is lent. */
size_t tls_engine_room(const struct tls_engine *e);
/* Puts plaintext into records: bytes taken. Full ones are sealed. */
size_t tls_engine_write(struct tls_engine *e, const void *p, size_t len);
/* Seals the open record too. */
void tls_engine_flush(struct tls_engine *e);
/* Sealed records, or the handshake's, that wait to be sent, empty when none; borrowed until the
 * next call. */
struct span tls_engine_out(struct tls_engine *e);
void tls_engine_sent(struct tls_engine *e, size_t len);
/* Ready, and so much has gone over it that another should take its place (tls_record.h). */
bool tls_engine_worn(const struct tls_engine *e);
/* Queues close_notify, behind what was written. Plaintext not read yet is dropped. */
void tls_engine_close(struct tls_engine *e);

/* The protocol that ALPN chose, a constant; NULL: the client offered none, or before
 * ready. */
const char *tls_engine_alpn(const struct tls_engine *e);
/* Handshake complete, peer verified, ALPN agreed. */
bool tls_engine_ready(const struct tls_engine *e);
/* Ended: close_notify both ways, or a fault. After a fault tls_engine_out may still offer an alert,
 * worth one try. */
bool tls_engine_closed(const struct tls_engine *e);
/* The peer sent close_notify (a clean end, T17). */
bool tls_engine_peer_closed(const struct tls_engine *e);
/* Once ended: ERR_OK for a clean end; ERR_AUTH / ERR_EXPIRED / ERR_NOT_YET_VALID / ERR_UNTRUSTED /
 * ERR_MISMATCH with a certificate fault; ERR_AUTH without one when the peer's alert says that it
 * refused ours; ERR_PROTOCOL otherwise. */
enum err tls_engine_error(const struct tls_engine *e);
enum x509_fault tls_engine_fault(const struct tls_engine *e);
/* BearSSL's error number, for logs: 256 + n for a fatal alert n received, 512 + n for one sent. */
int tls_engine_detail(const struct tls_engine *e);
/* The verified peer; NULL for an anonymous client or before ready. */
const struct x509_leaf *tls_engine_peer(const struct tls_engine *e);
/* Join client: the CA certificate that matched the pin; empty otherwise. */
struct span tls_engine_pinned_ca(const struct tls_engine *e);

#endif
