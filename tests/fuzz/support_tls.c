#include "tests/fuzz/support_tls.h"

#include "core/base/check.h"
#include "core/crypto/x509_mint.h"

#include <sodium.h>

#define HOUR_S 3600

static uint64_t generator;

static const char *fixed_name(void)
{
    return "fixed";
}

/* SplitMix64: nothing here needs to be secret. */
static uint32_t fixed_random(void)
{
    uint64_t z = generator += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

static void fixed_buf(void *const buf, const size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)buf)[i] = (uint8_t)fixed_random();
}

static struct randombytes_implementation fixed = {
    .implementation_name = fixed_name, .random = fixed_random, .buf = fixed_buf};

void support_tls_restart(void)
{
    generator = 1;
}

void support_tls_init(struct support_tls *s)
{
    uint8_t ca_secret[P256_SECRET_BYTES], secret[P256_SECRET_BYTES];
    uint8_t public_key[P256_PUBLIC_BYTES];
    struct x509_der ca, leaf;
    struct name mesh;
    randombytes_set_implementation(&fixed);
    CHECK(sodium_init() >= 0);
    support_tls_restart();
    CHECK(name_set(&mesh, SPAN_LIT("demo")) == ERR_OK);
    x509_mint_key(ca_secret, public_key);
    CHECK(x509_mint_ca(&mesh, ca_secret, SUPPORT_TLS_NOW - HOUR_S, SUPPORT_TLS_NOW + 240 * HOUR_S,
                       &ca) == ERR_OK);
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = {.ca_der = span_of(ca.data, ca.len),
                                  .ca_secret = ca_secret,
                                  .public_key = public_key,
                                  .not_before_s = SUPPORT_TLS_NOW - HOUR_S,
                                  .not_after_s = SUPPORT_TLS_NOW + 24 * HOUR_S};
    CHECK(name_spiffe_parse(SPAN_LIT("spiffe://demo/node/n1"), &r.id) == ERR_OK);
    CHECK(x509_mint_leaf(&r, &leaf) == ERR_OK);
    CHECK(identity_new(span_of(leaf.data, leaf.len), secret, &s->self) == ERR_OK);
    CHECK(identity_trust_new(&r.ca_der, 1, &mesh, &s->trust) == ERR_OK);
    CHECK(tls_engine_profile_new(&s->profile) == ERR_OK);
    CHECK(sizeof(s->ca) >= ca.len);
    memcpy(s->ca, ca.data, ca.len);
    s->ca_len = ca.len;
}

static void check_state(struct tls_engine *e)
{
    bool closed = tls_engine_closed(e), ready = tls_engine_ready(e);
    CHECK(!ready || tls_engine_fault(e) == X509_OK);
    CHECK(ready || tls_engine_in(e).len == 0);
    if (closed && !ready) CHECK(tls_engine_error(e) != ERR_OK);
    if (tls_engine_fault(e) != X509_OK) CHECK(closed && tls_engine_error(e) != ERR_OK);
    if (!ready) CHECK(tls_engine_write(e, "x", 1) == 0);
}

/* How many bytes go in next: `step`, or with 0 one record, which is how an honest peer's flights
 * arrive. */
static size_t piece(const uint8_t *data, size_t size, size_t step)
{
    if (step == 0) step = size < 5 ? size : 5 + ((size_t)data[3] << 8 | data[4]);
    return step < size ? step : size;
}

void support_tls_exercise(struct tls_engine *e, const uint8_t *data, size_t size, size_t step)
{
    size_t used = 0;
    while (used < size) {
        size_t n = piece(data + used, size - used, step);
        size_t fed = tls_engine_feed(e, data + used, n);
        CHECK(fed <= n);
        struct span in = tls_engine_in(e);
        /* What keeps it from taking all goes away by what follows. */
        CHECK(fed == n || in.len > 0 || tls_engine_out(e).len > 0);
        tls_engine_read(e, in.len);
        for (struct span out = tls_engine_out(e); out.len > 0; out = tls_engine_out(e))
            tls_engine_sent(e, out.len);
        check_state(e);
        used += fed;
    }
    tls_engine_close(e);
    check_state(e);
    tls_engine_free(e);
}
