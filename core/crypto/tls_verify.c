#include "core/crypto/tls_verify.h"

#include "core/base/check.h"
#include "core/crypto/x509_parse.h"
#include "core/crypto/x509_time.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

struct certificate {
    uint8_t *p; /* owned */
    size_t len; /* announced */
    size_t got;
};

struct tls_verify {
    const br_x509_class *vtable; /* first: BearSSL sees this as its context */
    struct tls_verify_options o;
    struct spiffe_id expect;
    bool pinned;
    uint8_t pin[TLS_CA_PIN_BYTES];
    unsigned count;          /* certificates begun */
    struct certificate leaf; /* the first */
    struct certificate last; /* the latest behind it; kept for a pin only */
    br_x509_trust_anchor anchor[TRUST_ANCHORS_MAX];
    struct span anchor_key_id[TRUST_ANCHORS_MAX];
    size_t anchors;
    br_x509_trust_anchor candidate[TRUST_ANCHORS_MAX];
    br_x509_minimal_context minimal;
    enum x509_fault fault;
    bool verified;
    struct x509_leaf peer;
};

static struct tls_verify *of(const br_x509_class **ctx)
{
    return CONTAINER_OF(ctx, struct tls_verify, vtable);
}

static void certificate_drop(struct certificate *c)
{
    free(c->p);
    *c = (struct certificate){NULL, 0, 0};
}

static struct span certificate_view(const struct certificate *c)
{
    return span_of(c->p, c->got);
}

static bool certificate_begin(struct certificate *c, size_t len)
{
    certificate_drop(c);
    c->p = malloc(len);
    if (c->p == NULL) return false;
    c->len = len;
    return true;
}

static void add_anchor(struct tls_verify *v, struct span subject, struct span key,
                       struct span key_id)
{
    br_x509_trust_anchor *a = &v->anchor[v->anchors];
    a->dn.data = bear_bytes(subject.p);
    a->dn.len = subject.len;
    a->flags = BR_X509_TA_CA;
    a->pkey.key_type = BR_KEYTYPE_EC;
    a->pkey.key.ec = (br_ec_public_key){BR_EC_secp256r1, bear_bytes(key.p), key.len};
    v->anchor_key_id[v->anchors++] = key_id;
}

static void start_chain(const br_x509_class **ctx, const char *server_name)
{
    struct tls_verify *v = of(ctx);
    /* The name a link is for is checked as a SPIFFE ID, never as a DNS name. */
    (void)server_name;
    v->count = 0;
    v->verified = false;
}

static void start_cert(const br_x509_class **ctx, uint32_t length)
{
    struct tls_verify *v = of(ctx);
    if (v->fault != X509_OK) return;
    if (v->count == TLS_CHAIN_MAX) {
        v->fault = X509_CHAIN_TOO_LONG;
    } else if (length > TLS_VERIFY_CERT_BYTES_MAX) {
        v->fault = X509_TOO_LARGE;
    } else if (length == 0) {
        v->fault = X509_MALFORMED;
    } else if (v->count == 0 || v->pinned) {
        if (!certificate_begin(v->count == 0 ? &v->leaf : &v->last, length)) v->fault = X509_OTHER;
    }
    v->count++;
}

static void append(const br_x509_class **ctx, const unsigned char *buf, size_t len)
{
    struct tls_verify *v = of(ctx);
    if (v->fault != X509_OK) return;
    if (v->count > 1 && !v->pinned) return;
    struct certificate *c = v->count == 1 ? &v->leaf : &v->last;
    CHECK(len <= c->len - c->got);
    memcpy(c->p + c->got, buf, len);
    c->got += len;
}

static void end_cert(const br_x509_class **ctx)
{
    /* BearSSL has delivered as many bytes as it announced, or has failed before. */
    (void)ctx;
}

/* The last certificate sent must be the CA whose hash the token carries; then it is the anchor. */
static enum x509_fault accept_pinned(struct tls_verify *v)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    struct x509_leaf ca;
    struct x509_cert parts;
    struct name mesh;
    struct span der = certificate_view(&v->last);
    if (der.len == 0) return X509_PIN_MISMATCH;
    crypto_hash_sha256(hash, (const unsigned char *)der.p, der.len);
    if (sodium_memcmp(hash, v->pin, TLS_CA_PIN_BYTES) != 0) return X509_PIN_MISMATCH;
    enum x509_fault fault = x509_check_ca(der, &mesh, &ca);
    if (fault != X509_OK) return fault;
    if (v->o.now_s > ca.not_after_s) return X509_EXPIRED;
    fault = x509_parse_cert(der, &parts);
    if (fault != X509_OK) return fault;
    v->expect.mesh = mesh;
    v->anchors = 0;
    add_anchor(v, parts.subject, parts.public_key, parts.subject_key_id);
    return X509_OK;
}

/* The anchors that can have signed the leaf, so that a stranger's leaf costs no signature check:
 * those its authority key id names, all when it names none. */
static size_t find_candidates(struct tls_verify *v, struct span authority)
{
    size_t count = 0;
    for (size_t i = 0; i < v->anchors; i++)
        if (authority.len == 0 || span_eq(authority, v->anchor_key_id[i]))
            v->candidate[count++] = v->anchor[i];
    return count;
}

static enum x509_fault fault_of(const struct tls_verify *v, unsigned status, bool named)
{
    switch (status) {
    case BR_ERR_X509_EXPIRED:
        return v->o.now_s < v->peer.not_before_s ? X509_NOT_YET_VALID : X509_EXPIRED;
    case BR_ERR_X509_NOT_TRUSTED:
        /* It names one of our keys, which did not sign it. */
        return named ? X509_BAD_SIGNATURE : X509_UNKNOWN_CA;
    case BR_ERR_X509_CRITICAL_EXTENSION:
        return X509_UNKNOWN_CRITICAL;
    case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
        return X509_KEY_USAGE;
    case BR_ERR_X509_WRONG_KEY_TYPE:
    case BR_ERR_X509_UNSUPPORTED:
    case BR_ERR_X509_LIMIT_EXCEEDED:
        return X509_KEY_TYPE;
    default:
        return X509_MALFORMED;
    }
}

static enum x509_fault check_signature(struct tls_verify *v)
{
    br_x509_minimal_context *m = &v->minimal;
    struct span der = certificate_view(&v->leaf);
    struct x509_cert parts;
    uint32_t days, seconds;
    enum x509_fault fault = x509_parse_cert(der, &parts);
    if (fault != X509_OK) return fault;
    size_t count = find_candidates(v, parts.authority_key_id);
    if (count == 0) return X509_UNKNOWN_CA;
    if (x509_time_days(v->o.now_s, &days, &seconds) != ERR_OK) return X509_EXPIRED;

    br_x509_minimal_init(m, &br_sha256_vtable, v->candidate, count);
    br_x509_minimal_set_hash(m, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_ecdsa(m, v->o.profile->ec, v->o.profile->verify);
    br_x509_minimal_set_time(m, days, seconds);
    m->vtable->start_chain(&m->vtable, NULL);
    m->vtable->start_cert(&m->vtable, (uint32_t)der.len);
    m->vtable->append(&m->vtable, (const unsigned char *)der.p, der.len);
    m->vtable->end_cert(&m->vtable);
    unsigned status = m->vtable->end_chain(&m->vtable);
    return status == 0 ? X509_OK : fault_of(v, status, parts.authority_key_id.len > 0);
}

static enum x509_fault check_identity(const struct tls_verify *v)
{
    const struct name *mesh =
        v->o.trust != NULL ? identity_trust_mesh(v->o.trust) : &v->expect.mesh;
    if (!name_eq(&v->peer.id.mesh, mesh)) return X509_OTHER_MESH;
    switch (v->o.match) {
    case TLS_VERIFY_EXACT:
        return name_spiffe_eq(&v->peer.id, &v->expect) ? X509_OK : X509_OTHER_IDENTITY;
    case TLS_VERIFY_NODE:
        return v->peer.id.kind == IDENTITY_NODE ? X509_OK : X509_OTHER_IDENTITY;
    case TLS_VERIFY_MEMBER:
        return X509_OK;
    }
    return X509_OTHER_IDENTITY;
}

static enum x509_fault judge(struct tls_verify *v)
{
    enum x509_fault fault = X509_OK;
    if (v->fault != X509_OK) return v->fault;
    if (v->count == 0) return X509_NO_CERTIFICATE;
    if (v->pinned) fault = accept_pinned(v);
    if (fault != X509_OK) return fault;
    fault = x509_check_leaf(certificate_view(&v->leaf), NULL, v->o.peer_role, &v->peer);
    if (fault != X509_OK) return fault;
    fault = check_signature(v);
    if (fault != X509_OK) return fault;
    return check_identity(v);
}

static unsigned end_chain(const br_x509_class **ctx)
{
    struct tls_verify *v = of(ctx);
    v->fault = judge(v);
    v->verified = v->fault == X509_OK;
    certificate_drop(&v->leaf);
    if (!v->verified) certificate_drop(&v->last);
    /* The engine reads the fault; BearSSL only needs to know that there is one. */
    return v->verified ? 0 : BR_ERR_X509_NOT_TRUSTED;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    const struct tls_verify *v = (const struct tls_verify *)(const void *)ctx;
    if (!v->verified) return NULL;
    return v->minimal.vtable->get_pkey(&v->minimal.vtable, usages);
}

static const br_x509_class verify_class = {.context_size = sizeof(struct tls_verify),
                                           .start_chain = start_chain,
                                           .start_cert = start_cert,
                                           .append = append,
                                           .end_cert = end_cert,
                                           .end_chain = end_chain,
                                           .get_pkey = get_pkey};

enum err tls_verify_new(const struct tls_verify_options *o, struct tls_verify **out)
{
    static_assert(offsetof(struct tls_verify, vtable) == 0, "BearSSL's context is its vtable");
    struct tls_verify *v = calloc(1, sizeof(*v));
    if (v == NULL) return ERR_NOMEM;
    v->vtable = &verify_class;
    v->o = *o;
    v->fault = X509_OK;
    if (o->expect != NULL) v->expect = *o->expect;
    v->pinned = o->pin != NULL;
    if (v->pinned) memcpy(v->pin, o->pin, TLS_CA_PIN_BYTES);
    for (size_t i = 0; o->trust != NULL && i < identity_trust_count(o->trust); i++) {
        const struct identity_anchor *a = identity_trust_anchor(o->trust, i);
        /* BearSSL does not look at the dates of an anchor. */
        if (o->now_s <= a->not_after_s) add_anchor(v, a->subject, a->public_key, a->key_id);
    }
    *out = v;
    return ERR_OK;
}

void tls_verify_free(struct tls_verify *v)
{
    if (v == NULL) return;
    certificate_drop(&v->leaf);
    certificate_drop(&v->last);
    free(v);
}

const br_x509_class **tls_verify_class(struct tls_verify *v)
{
    return &v->vtable;
}

const br_x509_trust_anchor *tls_verify_anchors(const struct tls_verify *v, size_t *count)
{
    *count = v->anchors;
    return v->anchor;
}

enum x509_fault tls_verify_fault(const struct tls_verify *v)
{
    return v->fault;
}

const struct x509_leaf *tls_verify_peer(const struct tls_verify *v)
{
    return v->verified ? &v->peer : NULL;
}

uint8_t *tls_verify_take_ca(struct tls_verify *v, size_t *len)
{
    uint8_t *p = v->verified ? v->last.p : NULL;
    if (p == NULL) return NULL;
    *len = v->last.got;
    v->last = (struct certificate){NULL, 0, 0};
    return p;
}
