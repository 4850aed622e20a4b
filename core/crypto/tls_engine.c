#include "core/crypto/tls_engine.h"

#include "core/base/check.h"
#include "core/crypto/tls_profile.h"
#include "core/crypto/tls_verify.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define ENGINE_MAGIC        0x715e4914u
#define RECORD_HEADER_BYTES 5u
#define ALERT_RECORD_BYTES  7u
#define ALERT_RECORD_TYPE   21u
#define ALERT_FATAL         2u
#define SNI_MAX             255u

/* Alerts of RFC 5246 7.2.2 that we send or understand. */
enum alert {
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_UNSUPPORTED_CERTIFICATE = 43,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_CERTIFICATE_UNKNOWN = 46,
    ALERT_UNKNOWN_CA = 48,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECRYPT_ERROR = 51
};

/* Where the incoming byte stream stands, told from record headers alone. */
struct record_track {
    uint8_t header[RECORD_HEADER_BYTES];
    size_t header_len;
    size_t body_left;
    size_t handshake_bytes; /* before ready */
    unsigned barren;        /* records since the last plaintext, after ready */
};

struct tls_engine {
    unsigned magic;
    bool server, anonymous;
    union {
        br_ssl_client_context client;
        br_ssl_server_context server;
    } ctx;
    br_ssl_engine_context *eng; /* the first member of either */
    struct identity *self;      /* referenced */
    struct tls_cert *cert;      /* referenced; instead of `self` */
    struct trust *trust;        /* referenced */
    struct tls_verify *verify;  /* owned, until ready */
    br_ec_private_key key;
    br_x509_certificate chain[TLS_CERT_CHAIN_MAX];
    const char *alpn_list[2]; /* by preference */

    struct record_track track;
    bool ready, closing, failed;
    enum err error;
    enum x509_fault fault;
    int detail;
    uint8_t alert[ALERT_RECORD_BYTES];
    size_t alert_len, alert_sent;
    bool has_peer;
    struct x509_leaf peer;
    uint8_t *pinned; /* owned */
    size_t pinned_len;

    /* Last, and not cleared at the start: pages are touched when records come. */
    uint8_t in[BR_SSL_BUFSIZE_INPUT];
    uint8_t out[BR_SSL_BUFSIZE_OUTPUT];
};

enum err tls_engine_profile_new(struct tls_profile **out)
{
    struct tls_profile *p = malloc(sizeof(*p));
    if (p == NULL) return ERR_NOMEM;
    tls_profile_init(p);
    *out = p;
    return ERR_OK;
}

void tls_engine_profile_free(struct tls_profile *p)
{
    free(p);
}

static enum alert alert_of(enum x509_fault f)
{
    switch (f) {
    case X509_NO_CERTIFICATE:
        return ALERT_HANDSHAKE_FAILURE;
    case X509_EXPIRED:
    case X509_NOT_YET_VALID:
        return ALERT_CERTIFICATE_EXPIRED;
    case X509_UNKNOWN_CA:
    case X509_PIN_MISMATCH:
        return ALERT_UNKNOWN_CA;
    case X509_BAD_SIGNATURE:
        return ALERT_DECRYPT_ERROR;
    case X509_OTHER_MESH:
    case X509_OTHER_IDENTITY:
        return ALERT_ACCESS_DENIED;
    case X509_IS_CA:
    case X509_NOT_CA:
    case X509_KEY_USAGE:
    case X509_EXTENDED_KEY_USAGE:
    case X509_UNKNOWN_CRITICAL:
    case X509_KEY_TYPE:
        return ALERT_UNSUPPORTED_CERTIFICATE;
    case X509_NO_URI_SAN:
    case X509_MANY_URI_SANS:
    case X509_BAD_SPIFFE_ID:
    case X509_MALFORMED:
    case X509_TOO_LARGE:
    case X509_CHAIN_TOO_LONG:
        return ALERT_BAD_CERTIFICATE;
    case X509_OK:
    case X509_OTHER:
    case X509_FAULT_COUNT:
        break;
    }
    return ALERT_CERTIFICATE_UNKNOWN;
}

static enum err error_of(enum x509_fault f)
{
    switch (alert_of(f)) {
    case ALERT_CERTIFICATE_EXPIRED:
        return f == X509_EXPIRED ? ERR_EXPIRED : ERR_NOT_YET_VALID;
    case ALERT_UNKNOWN_CA:
        return ERR_UNTRUSTED;
    case ALERT_ACCESS_DENIED:
        return ERR_MISMATCH;
    case ALERT_HANDSHAKE_FAILURE:
    case ALERT_BAD_CERTIFICATE:
    case ALERT_UNSUPPORTED_CERTIFICATE:
    case ALERT_CERTIFICATE_UNKNOWN:
    case ALERT_DECRYPT_ERROR:
        break;
    }
    return ERR_AUTH;
}

/* A fatal alert that says "your certificate": 40 to 46 and 48 to 51 without the codes between. */
static bool refuses_certificate(int br_error)
{
    int alert = br_error - BR_ERR_RECV_FATAL_ALERT;
    return (alert >= ALERT_HANDSHAKE_FAILURE && alert <= ALERT_CERTIFICATE_UNKNOWN) ||
           alert == ALERT_UNKNOWN_CA || alert == ALERT_ACCESS_DENIED ||
           alert == ALERT_DECRYPT_ERROR;
}

static void fail(struct tls_engine *e, enum err error)
{
    if (e->failed) return;
    e->failed = true;
    e->error = error;
    e->detail = br_ssl_engine_last_error(e->eng);
}

/* BearSSL gives up on a certificate without a word; the peer is owed the alert (T01, T02). It goes
 * in clear: certificates are judged before our side switches to encryption. */
static void fail_certificate(struct tls_engine *e, enum x509_fault fault)
{
    if (e->failed) return;
    fail(e, error_of(fault));
    e->fault = fault;
    const uint8_t record[ALERT_RECORD_BYTES] = {
        ALERT_RECORD_TYPE, BR_TLS12 >> 8,           BR_TLS12 & 0xff, 0, 2,
        ALERT_FATAL,       (uint8_t)alert_of(fault)};
    memcpy(e->alert, record, sizeof(record));
    e->alert_len = sizeof(record);
}

static void fail_bearssl(struct tls_engine *e, int br_error)
{
    if (br_error == BR_ERR_NO_CLIENT_AUTH) {
        fail_certificate(e, X509_NO_CERTIFICATE);
    } else if (br_error == BR_ERR_BAD_SIGNATURE) {
        fail_certificate(e, X509_BAD_SIGNATURE);
    } else {
        fail(e, refuses_certificate(br_error) ? ERR_AUTH : ERR_PROTOCOL);
    }
}

static void become_ready(struct tls_engine *e)
{
    const char *alpn = br_ssl_engine_get_selected_protocol(e->eng);
    const struct x509_leaf *peer = e->verify != NULL ? tls_verify_peer(e->verify) : NULL;
    /* BR_OPT_FAIL_ON_ALPN_MISMATCH lets a peer without ALPN through (T15). */
    if (e->cert == NULL && alpn == NULL) {
        fail(e, ERR_PROTOCOL);
        return;
    }
    if (peer == NULL && !e->anonymous) {
        fail_certificate(e, X509_NO_CERTIFICATE);
        e->alert_len = 0; /* both sides encrypt by now */
        return;
    }
    if (peer != NULL) {
        e->peer = *peer;
        e->has_peer = true;
        e->pinned = tls_verify_take_ca(e->verify, &e->pinned_len);
    }
    /* Without renegotiation BearSSL never looks at the chain again. */
    br_ssl_engine_set_x509(e->eng, NULL);
    tls_verify_free(e->verify);
    e->verify = NULL;
    e->ready = true;
}

/* BearSSL fails by an alert of its own only when that has left; a handshake that ends so has ended
 * now. In clear, an alert record is exactly this long. */
static void adopt_alert(struct tls_engine *e)
{
    size_t len;
    const unsigned char *record = br_ssl_engine_sendrec_buf(e->eng, &len);
    if (record == NULL || len != ALERT_RECORD_BYTES) return;
    if (record[0] != ALERT_RECORD_TYPE || record[5] != ALERT_FATAL) return;
    memcpy(e->alert, record, ALERT_RECORD_BYTES);
    e->alert_len = ALERT_RECORD_BYTES;
    fail(e, ERR_PROTOCOL);
    e->detail = BR_ERR_SEND_FATAL_ALERT + record[6];
}

/* Draws the consequences of whatever BearSSL did last. */
static void settle(struct tls_engine *e)
{
    if (e->failed) return;
    if (e->verify != NULL && tls_verify_fault(e->verify) != X509_OK) {
        fail_certificate(e, tls_verify_fault(e->verify));
        return;
    }
    if (!e->ready) adopt_alert(e);
    /* A close_notify in the middle of a handshake ends it. */
    if (!e->ready && e->eng->shutdown_recv != 0) fail(e, ERR_PROTOCOL);
    if (e->failed) return;
    unsigned state = br_ssl_engine_current_state(e->eng);
    if ((state & BR_SSL_CLOSED) != 0) {
        int br_error = br_ssl_engine_last_error(e->eng);
        if (br_error != BR_ERR_OK)
            fail_bearssl(e, br_error);
        else if (!e->ready)
            fail(e, ERR_PROTOCOL);
    } else if (!e->ready && (state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) != 0) {
        become_ready(e);
    }
}

static enum err engine_new(const struct tls_profile *profile, const char *alpn,
                           const char *alpn_else, struct tls_engine **out)
{
    CHECK(strlen(alpn) <= TLS_ALPN_BYTES_MAX);
    struct tls_engine *e = malloc(sizeof(*e));
    if (e == NULL) return ERR_NOMEM;
    memset(e, 0, offsetof(struct tls_engine, in));
    e->magic = ENGINE_MAGIC;
    e->alpn_list[0] = alpn;
    e->alpn_list[1] = alpn_else;
    e->eng = &e->ctx.client.eng;
    static_assert(offsetof(br_ssl_client_context, eng) == offsetof(br_ssl_server_context, eng),
                  "the engine is the first member of both contexts");
    tls_profile_apply(profile, e->eng);
    br_ssl_engine_set_protocol_names(e->eng, e->alpn_list, alpn_else != NULL ? 2 : 1);
    br_ssl_engine_set_buffers_bidi(e->eng, e->in, sizeof(e->in), e->out, sizeof(e->out));
    *out = e;
    return ERR_OK;
}

static void take_identity(struct tls_engine *e, struct identity *self, struct span ca_der)
{
    struct span leaf = identity_leaf(self);
    e->self = identity_ref(self);
    e->key =
        (br_ec_private_key){BR_EC_secp256r1, bear_bytes(identity_secret(self)), P256_SECRET_BYTES};
    e->chain[0] = (br_x509_certificate){bear_bytes(leaf.p), leaf.len};
    e->chain[1] = (br_x509_certificate){bear_bytes(ca_der.p), ca_der.len};
}

static enum err attach_verify(struct tls_engine *e, const struct tls_verify_options *o)
{
    size_t anchors;
    enum err err = tls_verify_new(o, &e->verify);
    if (err != ERR_OK) return err;
    tls_verify_anchors(e->verify, &anchors);
    /* A server that names no anchor would ask for no certificate at all. */
    if (anchors == 0 && o->pin == NULL) return ERR_EXPIRED;
    br_ssl_engine_set_x509(e->eng, tls_verify_class(e->verify));
    return ERR_OK;
}

enum err tls_engine_client(const struct tls_client_options *o, struct tls_engine **out)
{
    struct tls_engine *e;
    if (o->sni != NULL && strlen(o->sni) > SNI_MAX) return ERR_INVALID;
    CHECK((o->trust != NULL) != (o->ca_pin != NULL));
    CHECK(o->expect != NULL || o->expect_any_node || o->ca_pin != NULL);
    enum err err = engine_new(o->profile, o->alpn, o->alpn_else, &e);
    if (err != ERR_OK) return err;
    if (o->trust != NULL) e->trust = identity_trust_ref(o->trust);
    struct tls_verify_options verify = {.profile = o->profile,
                                        .trust = e->trust,
                                        .pin = o->ca_pin,
                                        .peer_role = X509_SERVER,
                                        .match =
                                            o->expect != NULL ? TLS_VERIFY_EXACT : TLS_VERIFY_NODE,
                                        .expect = o->expect,
                                        .now_s = o->now_s};
    err = attach_verify(e, &verify);
    if (err != ERR_OK) goto fail;
    if (o->self != NULL) {
        take_identity(e, o->self, span_of(NULL, 0));
        br_ssl_client_set_single_ec(&e->ctx.client, e->chain, 1, &e->key, BR_KEYTYPE_SIGN,
                                    BR_KEYTYPE_EC, o->profile->ec, o->profile->sign);
    }
    if (br_ssl_client_reset(&e->ctx.client, o->sni, 0) != 1) {
        err = ERR_INTERNAL;
        goto fail;
    }
    *out = e;
    return ERR_OK;

fail:
    tls_engine_free(e);
    return err;
}

enum err tls_engine_server(const struct tls_server_options *o, struct tls_engine **out)
{
    struct tls_engine *e;
    size_t anchors;
    enum err err = engine_new(o->profile, o->alpn, o->alpn_else, &e);
    if (err != ERR_OK) return err;
    e->server = true;
    e->anonymous = o->anonymous_clients;
    e->trust = identity_trust_ref(o->trust);
    take_identity(e, o->self, o->ca_der);
    br_ssl_server_set_single_ec(&e->ctx.server, e->chain, o->ca_der.len > 0 ? 2 : 1, &e->key,
                                BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, o->profile->ec, o->profile->sign);
    if (!e->anonymous) {
        struct tls_verify_options verify = {.profile = o->profile,
                                            .trust = e->trust,
                                            .peer_role = X509_CLIENT,
                                            .match = TLS_VERIFY_MEMBER,
                                            .now_s = o->now_s};
        err = attach_verify(e, &verify);
        if (err != ERR_OK) goto fail;
        const br_x509_trust_anchor *names = tls_verify_anchors(e->verify, &anchors);
        br_ssl_server_set_trust_anchor_names_alt(&e->ctx.server, names, anchors);
    }
    if (br_ssl_server_reset(&e->ctx.server) != 1) {
        err = ERR_INTERNAL;
        goto fail;
    }
    *out = e;
    return ERR_OK;

fail:
    tls_engine_free(e);
    return err;
}

enum err tls_engine_local(const struct tls_profile *profile, struct tls_cert *cert,
                          struct tls_engine **out)
{
    struct tls_engine *e;
    size_t count = 0;
    enum err err = engine_new(profile, "h2", "http/1.1", &e);
    if (err != ERR_OK) return err;
    e->server = e->anonymous = true;
    e->cert = tls_cert_ref(cert);
    for (struct span der; (der = tls_cert_der(cert, count)).len > 0; count++)
        e->chain[count] = (br_x509_certificate){bear_bytes(der.p), der.len};
    e->key =
        (br_ec_private_key){BR_EC_secp256r1, bear_bytes(tls_cert_secret(cert)), P256_SECRET_BYTES};
    br_ssl_server_set_single_ec(&e->ctx.server, e->chain, count, &e->key, BR_KEYTYPE_SIGN,
                                BR_KEYTYPE_EC, profile->ec, profile->sign);
    if (br_ssl_server_reset(&e->ctx.server) != 1) {
        tls_engine_free(e);
        return ERR_INTERNAL;
    }
    *out = e;
    return ERR_OK;
}

const char *tls_engine_alpn(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready ? br_ssl_engine_get_selected_protocol(e->eng) : NULL;
}

void tls_engine_free(struct tls_engine *e)
{
    if (e == NULL) return;
    CHECK_OBJ(e, ENGINE_MAGIC);
    tls_verify_free(e->verify);
    identity_unref(e->self);
    tls_cert_unref(e->cert);
    identity_trust_unref(e->trust);
    free(e->pinned);
    sodium_memzero(e, sizeof(*e));
    e->magic = MAGIC_POISON;
    free(e);
}

/* Follows record boundaries in `n` bytes just given to BearSSL, none beyond one record's end. True
 * when they ended a record. */
static bool track_bytes(struct record_track *t, const uint8_t *p, size_t n)
{
    for (; n > 0 && t->header_len < RECORD_HEADER_BYTES; n--)
        t->header[t->header_len++] = *p++;
    if (t->header_len < RECORD_HEADER_BYTES) return false;
    if (n == 0 && t->body_left == 0)
        t->body_left = (size_t)t->header[3] << 8 | t->header[4];
    else
        t->body_left -= n;
    if (t->body_left > 0) return false;
    t->header_len = 0;
    return true;
}

/* T16: whoever sends without ever finishing a handshake, or records that carry nothing, is cut
 * off. */
static void police(struct tls_engine *e, const uint8_t *p, size_t n)
{
    size_t waiting;
    bool ended = track_bytes(&e->track, p, n);
    if (!e->ready) {
        e->track.handshake_bytes += n;
        if (e->track.handshake_bytes > TLS_HANDSHAKE_BYTES_MAX) fail(e, ERR_PROTOCOL);
        return;
    }
    if (!ended || e->closing) return;
    br_ssl_engine_recvapp_buf(e->eng, &waiting);
    if (waiting > 0)
        e->track.barren = 0;
    else if (++e->track.barren > TLS_BARREN_RECORDS_MAX)
        fail(e, ERR_PROTOCOL);
}

size_t tls_engine_feed(struct tls_engine *e, const void *p, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    const uint8_t *bytes = p;
    size_t used = 0, room, waiting;
    while (used < len) {
        if (e->failed || tls_engine_peer_closed(e)) return len;
        unsigned char *buf = br_ssl_engine_recvrec_buf(e->eng, &room);
        if (buf == NULL) {
            if (br_ssl_engine_recvapp_buf(e->eng, &waiting) != NULL) break;
            /* It wants to answer before it reads on, which no honest peer makes it do: those wait
             * for the answer to a hello. */
            fail(e, ERR_PROTOCOL);
            continue;
        }
        size_t n = len - used < room ? len - used : room;
        memcpy(buf, bytes + used, n);
        br_ssl_engine_recvrec_ack(e->eng, n);
        settle(e);
        if (!e->failed) police(e, bytes + used, n);
        used += n;
    }
    return used;
}

struct span tls_engine_out(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    size_t len;
    if (e->failed) return span_of(e->alert + e->alert_sent, e->alert_len - e->alert_sent);
    const unsigned char *buf = br_ssl_engine_sendrec_buf(e->eng, &len);
    return span_of(buf, len);
}

void tls_engine_sent(struct tls_engine *e, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (len == 0) return;
    CHECK(len <= tls_engine_out(e).len);
    if (e->failed) {
        e->alert_sent += len;
        return;
    }
    br_ssl_engine_sendrec_ack(e->eng, len);
    settle(e);
}

struct span tls_engine_in(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    size_t len;
    if (!e->ready || e->failed) return span_of(NULL, 0);
    const unsigned char *buf = br_ssl_engine_recvapp_buf(e->eng, &len);
    return span_of(buf, len);
}

void tls_engine_read(struct tls_engine *e, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (len == 0) return;
    CHECK(len <= tls_engine_in(e).len);
    br_ssl_engine_recvapp_ack(e->eng, len);
}

size_t tls_engine_write(struct tls_engine *e, const void *p, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    size_t room;
    if (!e->ready || e->failed || e->closing || len == 0) return 0;
    unsigned char *buf = br_ssl_engine_sendapp_buf(e->eng, &room);
    if (buf == NULL) return 0;
    size_t n = len < room ? len : room;
    memcpy(buf, p, n);
    br_ssl_engine_sendapp_ack(e->eng, n);
    return n;
}

void tls_engine_flush(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (!e->failed) br_ssl_engine_flush(e->eng, 0);
}

void tls_engine_close(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (e->failed || e->closing) return;
    e->closing = true;
    br_ssl_engine_close(e->eng);
    settle(e);
}

bool tls_engine_ready(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready && !e->failed;
}

bool tls_engine_closed(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->failed || br_ssl_engine_current_state(e->eng) == BR_SSL_CLOSED;
}

bool tls_engine_peer_closed(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    /* BearSSL's own field: its API tells a close_notify only once ours has been sent too. */
    return e->ready && e->eng->shutdown_recv != 0;
}

enum err tls_engine_error(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->error;
}

enum x509_fault tls_engine_fault(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->fault;
}

int tls_engine_detail(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->detail;
}

const struct x509_leaf *tls_engine_peer(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->has_peer ? &e->peer : NULL;
}

struct span tls_engine_pinned_ca(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return span_of(e->pinned, e->pinned_len);
}
