/* What TLS costs: a full handshake at each end, and records through a pair, in memory.
 *
 *   bench_tls
 *
 * CPU time of this thread, median of several rounds. Both ends run in one process; each call is
 * charged to the end it was made on.
 */
#include "core/base/check.h"
#include "core/crypto/tls_engine.h"
#include "core/crypto/tls_profile.h"
#include "core/crypto/x509_mint.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOW_S       INT64_C(1767225600)
#define HOUR_S      3600
#define ROUNDS      101u
#define BATCH_BYTES (1024u * 1024)
#define BATCHES     64u

struct ends {
    struct tls_profile *profile;
    struct trust *trust;
    struct identity *client, *server;
};

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t count)
{
    qsort(v, count, sizeof(*v), by_value);
    return v[count / 2];
}

static struct identity *make_identity(const struct x509_der *ca, const uint8_t *ca_secret,
                                      const char *uri)
{
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct identity *id;
    struct x509_der leaf;
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = {.ca_der = span_of(ca->data, ca->len),
                                  .ca_secret = ca_secret,
                                  .public_key = public_key,
                                  .not_before_s = NOW_S - HOUR_S,
                                  .not_after_s = NOW_S + 24 * HOUR_S};
    CHECK(name_spiffe_parse(span_str(uri), &r.id) == ERR_OK);
    CHECK(x509_mint_leaf(&r, &leaf) == ERR_OK);
    CHECK(identity_new(span_of(leaf.data, leaf.len), secret, &id) == ERR_OK);
    return id;
}

static void make_ends(struct ends *e)
{
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct x509_der ca;
    struct name mesh;
    CHECK(name_set(&mesh, SPAN_LIT("demo")) == ERR_OK);
    x509_mint_key(secret, public_key);
    CHECK(x509_mint_ca(&mesh, secret, NOW_S - HOUR_S, NOW_S + 240 * HOUR_S, &ca) == ERR_OK);
    struct span der = span_of(ca.data, ca.len);
    CHECK(identity_trust_new(&der, 1, &mesh, &e->trust) == ERR_OK);
    e->client = make_identity(&ca, secret, "spiffe://demo/service/web");
    e->server = make_identity(&ca, secret, "spiffe://demo/service/api");
    CHECK(tls_engine_profile_new(&e->profile) == ERR_OK);
}

static struct tls_engine *new_client(const struct ends *e)
{
    struct tls_engine *engine;
    struct tls_client_options o = {.profile = e->profile,
                                   .self = e->client,
                                   .trust = e->trust,
                                   .expect = identity_spiffe(e->server),
                                   .sni = "api.demo",
                                   .alpn = "h2",
                                   .now_s = NOW_S};
    CHECK(tls_engine_client(&o, &engine) == ERR_OK);
    return engine;
}

static struct tls_engine *new_server(const struct ends *e)
{
    struct tls_engine *engine;
    struct tls_server_options o = {
        .profile = e->profile, .self = e->server, .trust = e->trust, .alpn = "h2", .now_s = NOW_S};
    CHECK(tls_engine_server(&o, &engine) == ERR_OK);
    return engine;
}

/* Moves all that `from` has; each engine's time is added to its own sum. */
static size_t move(struct tls_engine *from, double *from_us, struct tls_engine *to, double *to_us)
{
    size_t moved = 0;
    for (;;) {
        double t0 = now_us();
        struct span out = tls_engine_out(from);
        if (out.len == 0) return moved;
        size_t used = tls_engine_feed(to, out.p, out.len);
        double t1 = now_us();
        tls_engine_sent(from, used);
        double t2 = now_us();
        *to_us += t1 - t0;
        *from_us += t2 - t1;
        moved += used;
        if (used < out.len) return moved;
    }
}

static size_t handshake(const struct ends *e, double *client_us, double *server_us,
                        struct tls_engine **client, struct tls_engine **server)
{
    size_t wire = 0, moved = 1;
    double t0 = now_us();
    *client = new_client(e);
    double t1 = now_us();
    *server = new_server(e);
    double t2 = now_us();
    *client_us = t1 - t0;
    *server_us = t2 - t1;
    while (moved > 0) {
        moved = move(*client, client_us, *server, server_us);
        moved += move(*server, server_us, *client, client_us);
        wire += moved;
    }
    CHECK(tls_engine_ready(*client) && tls_engine_ready(*server));
    return wire;
}

static void bench_handshake(const struct ends *e, const char *name)
{
    double client_us[ROUNDS], server_us[ROUNDS];
    size_t wire = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct tls_engine *client, *server;
        wire = handshake(e, &client_us[i], &server_us[i], &client, &server);
        tls_engine_free(client);
        tls_engine_free(server);
    }
    double c = median(client_us, ROUNDS), s = median(server_us, ROUNDS);
    printf("%-28s %10.0f %10.0f %12.0f %8zu\n", name, c, s, 1e6 / s, wire);
}

/* Seals records of `record` bytes into `wire` until BATCH_BYTES are used; how many. */
static size_t seal_batch(struct tls_engine *e, size_t record, uint8_t *wire, size_t *wire_len)
{
    static uint8_t data[TLS_RECORD_PLAIN_MAX];
    size_t count = 0;
    *wire_len = 0;
    while (*wire_len + TLS_RECORD_BYTES_MAX <= BATCH_BYTES) {
        CHECK(tls_engine_lend(e, wire + *wire_len, TLS_RECORD_BYTES_MAX));
        CHECK(tls_engine_write(e, data, record) == record);
        tls_engine_flush(e);
        size_t len = tls_engine_out(e).len;
        *wire_len += len;
        tls_engine_sent(e, len);
        CHECK(tls_engine_take_back(e) == ERR_OK);
        count++;
    }
    return count;
}

static void open_batch(struct tls_engine *e, uint8_t *wire, size_t wire_len)
{
    for (size_t used = 0; used < wire_len;) {
        used += tls_engine_open(e, wire + used, wire_len - used);
        tls_engine_read(e, tls_engine_in(e).len);
    }
}

/* From client to server, a batch at a time: reading the clock costs as much as a small record. */
static void bench_records(const struct ends *e, size_t record)
{
    static uint8_t wire[BATCH_BYTES];
    struct tls_engine *client, *server;
    double seal_us = 0, open_us = 0;
    size_t count = 0, wire_len;
    handshake(e, &seal_us, &open_us, &client, &server);
    seal_us = open_us = 0;
    for (unsigned i = 0; i < BATCHES; i++) {
        double t0 = now_us();
        count += seal_batch(client, record, wire, &wire_len);
        double t1 = now_us();
        open_batch(server, wire, wire_len);
        double t2 = now_us();
        seal_us += t1 - t0;
        open_us += t2 - t1;
    }
    double bytes = (double)count * (double)record;
    printf("%-28zu %10.2f %10.2f %12.2f %8.2f\n", record, seal_us / (double)count,
           open_us / (double)count, bytes / seal_us / 1e3, bytes / open_us / 1e3);
    tls_engine_free(client);
    tls_engine_free(server);
}

int main(void)
{
    static const size_t records[] = {64, 1024, 4096, TLS_RECORD_PLAIN_MAX};
    struct ends e;
    make_ends(&e);
    printf("full mutual handshake, median of %u\n", ROUNDS);
    printf("%-28s %10s %10s %12s %8s\n", "", "client us", "server us", "server /s", "bytes");
    bench_handshake(&e, "ECDHE-ECDSA");
    printf("\nrecords, %s\n%-28s %10s %10s %12s %8s\n",
           e.profile->aes_fast ? "AES-128-GCM" : "ChaCha20-Poly1305", "plaintext bytes", "seal us",
           "open us", "seal GB/s", "open");
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        bench_records(&e, records[i]);
    identity_unref(e.client);
    identity_unref(e.server);
    identity_trust_unref(e.trust);
    tls_engine_profile_free(e.profile);
    return 0;
}
