#include "core/crypto/tls_engine.h"

#include "core/base/check.h"
#include "core/crypto/tls_alert.h"
#include "core/crypto/tls_profile.h"
#include "core/crypto/tls_stream.h"
#include "core/crypto/tls_verify.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define ENGINE_MAGIC       0x715e4914u
#define ALERT_RECORD_BYTES 7u
#define SNI_MAX            255u

/* What only the handshake needs: BearSSL's engine with all it points to. */
struct handshake {
    union {
        br_ssl_client_context client;
        br_ssl_server_context server;
    } ctx;
    struct identity *self;     /* referenced */
    struct tls_cert *cert;     /* referenced; instead of `self` */
    struct trust *trust;       /* referenced */
    struct tls_verify *verify; /* owned */
    br_ec_private_key key;
    br_x509_certificate chain[TLS_CERT_CHAIN_MAX];
    const char *alpn_list[2]; /* by preference */
    size_t bytes;             /* that came so far */
    size_t record_left;       /* of the record under way, which began with `header` */
    uint8_t header[TLS_RECORD_HEADER_BYTES];
    size_t header_len;

    /* Last, and not cleared at the start: pages are touched when records come. */
    uint8_t in[BR_SSL_BUFSIZE_INPUT];
    uint8_t out[BR_SSL_BUFSIZE_OUTPUT];
};

struct tls_engine {
    unsigned magic;
    bool anonymous, local;
    bool ready, failed;
    struct handshake *hs;       /* owned, until ready; kept when it failed */
    br_ssl_engine_context *eng; /* in `hs`: the first member of either context */
    struct tls_stream stream;   /* when ready */
    struct held *held;          /* borrowed; NULL: nobody counts */
    enum err error;
    enum x509_fault fault;
    int detail;
    uint8_t alert[ALERT_RECORD_BYTES];
    size_t alert_len, alert_sent;
    const char *alpn;
    bool has_peer;
    struct x509_leaf peer;
    uint8_t *pinned; /* owned */
    size_t pinned_len;
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

static void fail(struct tls_engine *e, enum err error)
{
    if (e->failed) return;
    e->failed = true;
    e->error = error;
    e->detail = e->hs != NULL ? br_ssl_engine_last_error(e->eng) : e->stream.detail;
}

/* BearSSL gives up on a certificate without a word; the peer is owed the alert (T01, T02). It goes
 * in clear: certificates are judged before our side switches to encryption. */
static void fail_certificate(struct tls_engine *e, enum x509_fault fault)
{
    if (e->failed) return;
    fail(e, tls_alert_error(fault));
    e->fault = fault;
    const uint8_t record[ALERT_RECORD_BYTES] = {
        TLS_ALERT, BR_TLS12 >> 8, BR_TLS12 & 0xff, 0, 2, ALERT_FATAL, (uint8_t)tls_alert_of(fault)};
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
        fail(e, tls_alert_refuses_us(br_error) ? ERR_AUTH : ERR_PROTOCOL);
    }
}

static void fail_stream(struct tls_engine *e, enum err err)
{
    bool refused = err == ERR_RESET && tls_alert_refuses_us(e->stream.detail);
    fail(e, refused ? ERR_AUTH : err == ERR_NOMEM ? err : ERR_PROTOCOL);
}

static void handshake_free(struct handshake *hs)
{
    if (hs == NULL) return;
    tls_verify_free(hs->verify);
    identity_unref(hs->self);
    tls_cert_unref(hs->cert);
    identity_trust_unref(hs->trust);
    sodium_memzero(hs, sizeof(*hs));
    free(hs);
}

/* The handshake is done and all of it has left: from here on the records are ours. */
static void become_ready(struct tls_engine *e)
{
    struct handshake *hs = e->hs;
    const struct x509_leaf *peer = hs->verify != NULL ? tls_verify_peer(hs->verify) : NULL;
    size_t len;
    e->alpn = br_ssl_engine_get_selected_protocol(e->eng);
    /* BR_OPT_FAIL_ON_ALPN_MISMATCH lets a peer without ALPN through (T15). */
    bool no_alpn = !e->local && e->alpn == NULL;
    bool in_record = hs->header_len > 0 || br_ssl_engine_sendrec_buf(e->eng, &len) != NULL;
    if (no_alpn || in_record) {
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
        e->pinned = tls_verify_take_ca(hs->verify, &e->pinned_len);
    }
    tls_stream_init(&e->stream, e->eng, e->held);
    if (e->held != NULL) e->held->bytes -= sizeof(*hs);
    handshake_free(hs);
    e->hs = NULL;
    e->eng = NULL;
    e->ready = true;
}

/* BearSSL fails by an alert of its own only when that has left; a handshake that ends so has ended
 * now. In clear, an alert record is exactly this long. */
static void adopt_alert(struct tls_engine *e)
{
    size_t len;
    const unsigned char *record = br_ssl_engine_sendrec_buf(e->eng, &len);
    if (record == NULL || len != ALERT_RECORD_BYTES) return;
    if (record[0] != TLS_ALERT || record[5] != ALERT_FATAL) return;
    memcpy(e->alert, record, ALERT_RECORD_BYTES);
    e->alert_len = ALERT_RECORD_BYTES;
    fail(e, ERR_PROTOCOL);
    e->detail = BR_ERR_SEND_FATAL_ALERT + record[6];
}

/* Draws the consequences of whatever BearSSL did last. */
static void settle(struct tls_engine *e)
{
    if (e->failed) return;
    if (e->hs->verify != NULL && tls_verify_fault(e->hs->verify) != X509_OK) {
        fail_certificate(e, tls_verify_fault(e->hs->verify));
        return;
    }
    adopt_alert(e);
    /* A close_notify in the middle of a handshake ends it. */
    if (e->eng->shutdown_recv != 0) fail(e, ERR_PROTOCOL);
    if (e->failed) return;
    unsigned state = br_ssl_engine_current_state(e->eng);
    if ((state & BR_SSL_CLOSED) != 0) {
        int br_error = br_ssl_engine_last_error(e->eng);
        if (br_error != BR_ERR_OK)
            fail_bearssl(e, br_error);
        else
            fail(e, ERR_PROTOCOL);
    } else if ((state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) != 0) {
        become_ready(e);
    }
}

static enum err engine_new(const struct tls_profile *profile, const char *alpn,
                           const char *alpn_else, struct tls_engine **out)
{
    CHECK(strlen(alpn) <= TLS_ALPN_BYTES_MAX);
    struct tls_engine *e = calloc(1, sizeof(*e));
    struct handshake *hs = malloc(sizeof(*hs));
    if (e == NULL || hs == NULL) {
        free(e);
        free(hs);
        return ERR_NOMEM;
    }
    memset(hs, 0, offsetof(struct handshake, in));
    e->magic = ENGINE_MAGIC;
    e->hs = hs;
    hs->alpn_list[0] = alpn;
    hs->alpn_list[1] = alpn_else;
    e->eng = &hs->ctx.client.eng;
    static_assert(offsetof(br_ssl_client_context, eng) == offsetof(br_ssl_server_context, eng),
                  "the engine is the first member of both contexts");
    tls_profile_apply(profile, e->eng);
    br_ssl_engine_set_protocol_names(e->eng, hs->alpn_list, alpn_else != NULL ? 2 : 1);
    br_ssl_engine_set_buffers_bidi(e->eng, hs->in, sizeof(hs->in), hs->out, sizeof(hs->out));
    *out = e;
    return ERR_OK;
}

static void take_identity(struct tls_engine *e, struct identity *self, struct span ca_der)
{
    struct span leaf = identity_leaf(self);
    e->hs->self = identity_ref(self);
    e->hs->key =
        (br_ec_private_key){BR_EC_secp256r1, bear_bytes(identity_secret(self)), P256_SECRET_BYTES};
    e->hs->chain[0] = (br_x509_certificate){bear_bytes(leaf.p), leaf.len};
    e->hs->chain[1] = (br_x509_certificate){bear_bytes(ca_der.p), ca_der.len};
}

static enum err attach_verify(struct tls_engine *e, const struct tls_verify_options *o)
{
    size_t anchors;
    enum err err = tls_verify_new(o, &e->hs->verify);
    if (err != ERR_OK) return err;
    tls_verify_anchors(e->hs->verify, &anchors);
    /* A server that names no anchor would ask for no certificate at all. */
    if (anchors == 0 && o->pin == NULL) return ERR_EXPIRED;
    br_ssl_engine_set_x509(e->eng, tls_verify_class(e->hs->verify));
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
    if (o->trust != NULL) e->hs->trust = identity_trust_ref(o->trust);
    struct tls_verify_options verify = {.profile = o->profile,
                                        .trust = e->hs->trust,
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
        br_ssl_client_set_single_ec(&e->hs->ctx.client, e->hs->chain, 1, &e->hs->key,
                                    BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, o->profile->ec,
                                    o->profile->sign);
    }
    if (br_ssl_client_reset(&e->hs->ctx.client, o->sni, 0) != 1) {
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
    e->anonymous = o->anonymous_clients;
    e->hs->trust = identity_trust_ref(o->trust);
    take_identity(e, o->self, o->ca_der);
    br_ssl_server_set_single_ec(&e->hs->ctx.server, e->hs->chain, o->ca_der.len > 0 ? 2 : 1,
                                &e->hs->key, BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, o->profile->ec,
                                o->profile->sign);
    if (!e->anonymous) {
        struct tls_verify_options verify = {.profile = o->profile,
                                            .trust = e->hs->trust,
                                            .peer_role = X509_CLIENT,
                                            .match = TLS_VERIFY_MEMBER,
                                            .now_s = o->now_s};
        err = attach_verify(e, &verify);
        if (err != ERR_OK) goto fail;
        const br_x509_trust_anchor *names = tls_verify_anchors(e->hs->verify, &anchors);
        br_ssl_server_set_trust_anchor_names_alt(&e->hs->ctx.server, names, anchors);
    }
    if (br_ssl_server_reset(&e->hs->ctx.server) != 1) {
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
    e->local = e->anonymous = true;
    e->hs->cert = tls_cert_ref(cert);
    for (struct span der; (der = tls_cert_der(cert, count)).len > 0; count++)
        e->hs->chain[count] = (br_x509_certificate){bear_bytes(der.p), der.len};
    e->hs->key =
        (br_ec_private_key){BR_EC_secp256r1, bear_bytes(tls_cert_secret(cert)), P256_SECRET_BYTES};
    br_ssl_server_set_single_ec(&e->hs->ctx.server, e->hs->chain, count, &e->hs->key,
                                BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, profile->ec, profile->sign);
    if (br_ssl_server_reset(&e->hs->ctx.server) != 1) {
        tls_engine_free(e);
        return ERR_INTERNAL;
    }
    *out = e;
    return ERR_OK;
}

const char *tls_engine_alpn(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready ? e->alpn : NULL;
}

void tls_engine_count(struct tls_engine *e, struct held *held)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    CHECK(e->held == NULL && e->hs != NULL);
    e->held = held;
    held->bytes += sizeof(*e) + sizeof(*e->hs);
}

void tls_engine_free(struct tls_engine *e)
{
    if (e == NULL) return;
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (e->held != NULL) e->held->bytes -= sizeof(*e) + (e->hs != NULL ? sizeof(*e->hs) : 0);
    handshake_free(e->hs);
    tls_stream_fini(&e->stream);
    free(e->pinned);
    sodium_memzero(e, sizeof(*e));
    e->magic = MAGIC_POISON;
    free(e);
}

/* Follows record boundaries in `n` bytes just given to BearSSL, none beyond one record's end. */
static void track_bytes(struct handshake *hs, const uint8_t *p, size_t n)
{
    hs->bytes += n;
    for (; n > 0 && hs->header_len < TLS_RECORD_HEADER_BYTES; n--)
        hs->header[hs->header_len++] = *p++;
    if (hs->header_len < TLS_RECORD_HEADER_BYTES) return;
    if (n == 0 && hs->record_left == 0)
        hs->record_left = (size_t)hs->header[3] << 8 | hs->header[4];
    else
        hs->record_left -= n;
    if (hs->record_left == 0) hs->header_len = 0;
}

/* Until the handshake is done or has failed; bytes used. */
static size_t feed_handshake(struct tls_engine *e, const uint8_t *p, size_t len)
{
    size_t used = 0, room;
    while (used < len && e->hs != NULL && !e->failed) {
        /* It answers before it reads on, for the sake of those that send data right behind their
         * Finished (RFC 7918), which BearSSL would refuse. */
        if (e->hs->header_len == 0 && tls_engine_out(e).len > 0) break;
        unsigned char *buf = br_ssl_engine_recvrec_buf(e->eng, &room);
        if (buf == NULL) {
            fail(e, ERR_PROTOCOL);
            break;
        }
        size_t n = len - used < room ? len - used : room;
        memcpy(buf, p + used, n);
        track_bytes(e->hs, p + used, n);
        br_ssl_engine_recvrec_ack(e->eng, n);
        settle(e);
        used += n;
        /* T16: whoever sends without ever finishing is cut off. */
        if (e->hs != NULL && e->hs->bytes > TLS_HANDSHAKE_BYTES_MAX) fail(e, ERR_PROTOCOL);
    }
    return used;
}

static bool ended(const struct tls_engine *e)
{
    return e->failed || e->stream.peer_closed;
}

size_t tls_engine_feed(struct tls_engine *e, const void *p, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    size_t used = 0, n;
    if (e->hs != NULL) used = feed_handshake(e, p, len);
    if (e->ready && !ended(e)) {
        enum err err = tls_stream_feed(&e->stream, (const uint8_t *)p + used, len - used, &n);
        if (err != ERR_OK) fail_stream(e, err);
        used += n;
    }
    return ended(e) ? len : used;
}

size_t tls_engine_open(struct tls_engine *e, void *p, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    size_t used;
    if (!e->ready || ended(e)) return 0;
    enum err err = tls_stream_open(&e->stream, p, len, &used);
    if (err != ERR_OK) fail_stream(e, err);
    return ended(e) ? len : used;
}

enum err tls_engine_keep(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready ? tls_stream_keep(&e->stream) : ERR_OK;
}

struct span tls_engine_out(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    size_t len;
    if (e->failed) return span_of(e->alert + e->alert_sent, e->alert_len - e->alert_sent);
    if (e->ready) return tls_stream_out(&e->stream);
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
    } else if (e->ready) {
        tls_stream_sent(&e->stream, len);
    } else {
        br_ssl_engine_sendrec_ack(e->eng, len);
        settle(e);
    }
}

struct span tls_engine_in(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready && !e->failed ? e->stream.plain : span_of(NULL, 0);
}

void tls_engine_read(struct tls_engine *e, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (len == 0) return;
    CHECK(len <= tls_engine_in(e).len);
    tls_stream_read(&e->stream, len);
}

bool tls_engine_lend(struct tls_engine *e, void *buf, size_t cap)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready && !e->failed && tls_stream_lend(&e->stream, buf, cap);
}

enum err tls_engine_take_back(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (!e->ready) return ERR_OK;
    enum err err = tls_stream_take_back(&e->stream);
    if (err != ERR_OK) fail_stream(e, err);
    return err;
}

size_t tls_engine_room(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready && !ended(e) ? tls_stream_room(&e->stream) : 0;
}

size_t tls_engine_write(struct tls_engine *e, const void *p, size_t len)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return tls_engine_room(e) > 0 ? tls_stream_write(&e->stream, p, len) : 0;
}

void tls_engine_flush(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (e->ready && !e->failed) tls_stream_flush(&e->stream);
}

bool tls_engine_worn(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready && tls_record_worn(&e->stream.keys);
}

void tls_engine_close(struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (e->failed) return;
    if (e->ready) {
        enum err err = tls_stream_close(&e->stream);
        if (err != ERR_OK) fail_stream(e, err);
    } else {
        br_ssl_engine_close(e->eng);
        settle(e);
    }
}

bool tls_engine_ready(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->ready && !e->failed;
}

bool tls_engine_closed(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    if (e->failed) return true;
    return e->stream.closing && e->stream.peer_closed && tls_stream_out(&e->stream).len == 0;
}

bool tls_engine_peer_closed(const struct tls_engine *e)
{
    CHECK_OBJ(e, ENGINE_MAGIC);
    return e->stream.peer_closed;
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
