#include "tests/unit/support_rogue.h"

#include "core/base/check.h"

static struct support_rogue *of(const br_x509_class **ctx)
{
    return CONTAINER_OF(ctx, struct support_rogue, believe);
}

static void start_chain(const br_x509_class **ctx, const char *server_name)
{
    (void)server_name;
    of(ctx)->certificates = 0;
}

static void start_cert(const br_x509_class **ctx, uint32_t length)
{
    (void)length;
    if (of(ctx)->certificates == 0) br_x509_decoder_init(&of(ctx)->decoder, NULL, NULL);
}

static void append(const br_x509_class **ctx, const unsigned char *buf, size_t len)
{
    if (of(ctx)->certificates == 0) br_x509_decoder_push(&of(ctx)->decoder, buf, len);
}

static void end_cert(const br_x509_class **ctx)
{
    of(ctx)->certificates++;
}

static unsigned end_chain(const br_x509_class **ctx)
{
    return of(ctx)->certificates > 0 ? 0 : BR_ERR_X509_EMPTY_CHAIN;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    struct support_rogue *r = of((const br_x509_class **)(uintptr_t)ctx);
    if (usages != NULL) *usages = BR_KEYTYPE_SIGN;
    return br_x509_decoder_get_pkey(&r->decoder);
}

static const br_x509_class believe_all = {
    sizeof(struct support_rogue), start_chain, start_cert, append, end_cert, end_chain, get_pkey};

static void prepare(struct support_rogue *r, const struct support_rogue_options *o)
{
    memset(r, 0, sizeof(*r));
    r->eng = &r->ctx.client.eng;
    r->believe = &believe_all;
    tls_profile_apply(o->profile, r->eng);
    br_ssl_engine_set_all_flags(r->eng, 0);
    br_ssl_engine_set_x509(r->eng, &r->believe);
    br_ssl_engine_set_buffers_bidi(r->eng, r->in, sizeof(r->in), r->out, sizeof(r->out));
    if (o->alpn != NULL) {
        r->alpn[0] = o->alpn;
        br_ssl_engine_set_protocol_names(r->eng, r->alpn, 1);
    }
    for (size_t i = 0; i < o->chain_len; i++)
        r->chain[i] = (br_x509_certificate){bear_bytes(o->chain[i].p), o->chain[i].len};
    r->chain_len = o->chain_len;
    if (o->secret != NULL)
        r->key = (br_ec_private_key){BR_EC_secp256r1, bear_bytes(o->secret), P256_SECRET_BYTES};
}

void support_rogue_client(struct support_rogue *r, const struct support_rogue_options *o)
{
    prepare(r, o);
    if (o->secret != NULL)
        br_ssl_client_set_single_ec(&r->ctx.client, r->chain, r->chain_len, &r->key,
                                    BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, o->profile->ec,
                                    o->profile->sign);
}

void support_rogue_server(struct support_rogue *r, const struct support_rogue_options *o)
{
    static const br_x500_name nobody = {NULL, 0};
    prepare(r, o);
    br_ssl_server_set_single_ec(&r->ctx.server, r->chain, r->chain_len, &r->key, BR_KEYTYPE_SIGN,
                                BR_KEYTYPE_EC, o->profile->ec, o->profile->sign);
    br_ssl_server_set_trust_anchor_names(&r->ctx.server, &nobody, 1);
}

void support_rogue_start(struct support_rogue *r, bool server)
{
    int ok = server ? br_ssl_server_reset(&r->ctx.server)
                    : br_ssl_client_reset(&r->ctx.client, "api.demo", 0);
    CHECK(ok == 1);
}

static bool give(struct support_rogue *r, struct tls_engine *e)
{
    size_t len;
    const unsigned char *buf = br_ssl_engine_sendrec_buf(r->eng, &len);
    if (buf == NULL) return false;
    size_t used = tls_engine_feed(e, buf, len);
    if (used == 0) return false;
    br_ssl_engine_sendrec_ack(r->eng, used);
    return true;
}

static bool receive(struct support_rogue *r, struct tls_engine *e)
{
    size_t len, room, n;
    struct span out = tls_engine_out(e);
    if (br_ssl_engine_recvapp_buf(r->eng, &len) != NULL) br_ssl_engine_recvapp_ack(r->eng, len);
    unsigned char *buf = br_ssl_engine_recvrec_buf(r->eng, &room);
    if (out.len == 0 || buf == NULL) return false;
    n = out.len < room ? out.len : room;
    memcpy(buf, out.p, n);
    br_ssl_engine_recvrec_ack(r->eng, n);
    tls_engine_sent(e, n);
    return true;
}

void support_rogue_shuttle(struct support_rogue *r, struct tls_engine *e)
{
    bool moved = true;
    while (moved) {
        moved = give(r, e);
        moved = receive(r, e) || moved;
    }
}

void support_rogue_record(struct support_rogue *r, struct tls_engine *e, unsigned type,
                          const void *p, size_t len)
{
    size_t room;
    unsigned char *buf = br_ssl_engine_sendapp_buf(r->eng, &room);
    CHECK(buf != NULL && len <= room);
    r->eng->record_type_out = (unsigned char)type;
    if (len > 0) {
        memcpy(buf, p, len);
        br_ssl_engine_sendapp_ack(r->eng, len);
    }
    br_ssl_engine_flush(r->eng, len == 0);
    while (give(r, e))
        continue;
    r->eng->record_type_out = SUPPORT_ROGUE_DATA;
}
