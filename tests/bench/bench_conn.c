/* What a connection costs, both ends in one thread over loopback: bulk one way, small messages
 * there and back in batches of one turn, and opening. One table, best of three rounds, in processor
 * time of the thread, kernel included, which other load on the machine changes least. The overhead
 * on the wire says how many records a batch took (29 bytes each, AES-128-GCM). */
#include "core/base/check.h"
#include "core/crypto/x509_mint.h"
#include "core/io/clock.h"
#include "core/io/conn.h"
#include "core/io/sock.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS        3u
#define BULK_BYTES    (256u * 1024 * 1024)
#define MESSAGE_BYTES 128u
#define MESSAGES      100000u
#define OPENINGS      50u
#define CERT_LIFE_S   86400

struct end {
    struct bench *bench;
    struct conn *conn;
    uint64_t received;
};

struct bench {
    struct loop *loop;
    struct loop_io listener;
    int listen_fd;
    struct target target;
    struct tls_profile *profile; /* NULL: plain */
    struct identity *identity;
    struct trust *trust;
    struct end client, server;
    bool bulk;
    unsigned batch, opened;
    uint64_t sent, started_us;
};

static const char bytes[TLS_RECORD_PLAIN_MAX];

static void check(enum err err)
{
    if (err == ERR_OK) return;
    fprintf(stderr, "bench_conn: %s\n", err_text(err));
    CHECK(err == ERR_OK);
}

static uint64_t cpu_us(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void send_batch(struct bench *b)
{
    for (unsigned i = 0; i < b->batch; i++)
        check(conn_write(b->client.conn, span_of(bytes, MESSAGE_BYTES)));
    b->sent += b->batch;
}

static void on_open(struct conn *c, void *owner)
{
    struct end *e = owner;
    struct bench *b = e->bench;
    if (++b->opened < 2) return;
    b->started_us = cpu_us();
    if (b->bulk)
        conn_mark(b->client.conn);
    else if (b->batch > 0)
        send_batch(b);
    else
        loop_stop(b->loop);
    (void)c;
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct end *e = owner;
    struct bench *b = e->bench;
    e->received += data.len;
    if (b->bulk) {
        if (e->received == BULK_BYTES) loop_stop(b->loop);
    } else if (e == &b->server) {
        check(conn_write(c, data));
    } else if (e->received == b->sent * MESSAGE_BYTES) {
        if (b->sent >= MESSAGES)
            loop_stop(b->loop);
        else
            send_batch(b);
    }
    return data.len;
}

static void on_flush(struct conn *c, void *owner)
{
    struct end *e = owner;
    struct bench *b = e->bench;
    for (size_t room; b->sent < BULK_BYTES && (room = conn_room(c)) > 0;) {
        size_t len = room < sizeof(bytes) ? room : sizeof(bytes);
        if (len > BULK_BYTES - b->sent) len = (size_t)(BULK_BYTES - b->sent);
        check(conn_write(c, span_of(bytes, len)));
        b->sent += len;
    }
}

static void on_eof(struct conn *c, void *owner)
{
    (void)c;
    (void)owner;
    check(ERR_EOF);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    (void)c;
    (void)owner;
    check(err);
}

static const struct conn_events events = {.on_open = on_open,
                                          .on_data = on_data,
                                          .on_eof = on_eof,
                                          .on_error = on_error,
                                          .on_flush = on_flush};

static struct conn_options options(struct bench *b, struct end *e)
{
    return (struct conn_options){
        .loop = b->loop, .events = &events, .owner = e, .phase = LOOP_FLUSH_LINK};
}

static struct tls_engine *engine(struct bench *b, bool server)
{
    struct tls_engine *e = NULL;
    int64_t now_s = clock_wall_s();
    if (b->profile == NULL) return NULL;
    const struct tls_server_options s = {.profile = b->profile,
                                         .self = b->identity,
                                         .trust = b->trust,
                                         .alpn = "h2",
                                         .now_s = now_s};
    const struct tls_client_options c = {.profile = b->profile,
                                         .self = b->identity,
                                         .trust = b->trust,
                                         .expect = identity_spiffe(b->identity),
                                         .sni = "bench.bench",
                                         .alpn = "h2",
                                         .now_s = now_s};
    check(server ? tls_engine_server(&s, &e) : tls_engine_client(&c, &e));
    return e;
}

static void on_accept(struct loop_io *io, bool readable, bool writable)
{
    struct bench *b = CONTAINER_OF(io, struct bench, listener);
    struct sock_accepted accepted;
    size_t count;
    (void)readable;
    (void)writable;
    if (sock_accept(b->listen_fd, &accepted, 1, &count) != ERR_OK) return;
    struct conn_options o = options(b, &b->server);
    check(conn_accept(&o, accepted.fd, engine(b, true), span_of(NULL, 0), &b->server.conn));
}

/* One pair of connections from its opening to loop_stop; microseconds since both were open. */
static uint64_t run(struct bench *b)
{
    struct conn_options o = options(b, &b->client);
    b->opened = 0;
    b->sent = 0;
    b->client = (struct end){.bench = b};
    b->server = (struct end){.bench = b};
    check(conn_connect(&o, &b->target, engine(b, false), &b->client.conn));
    loop_run(b->loop);
    return cpu_us() - b->started_us;
}

static void end_run(struct bench *b)
{
    conn_close(b->client.conn, true);
    conn_close(b->server.conn, true);
}

static void set_up(struct bench *b)
{
    const struct addr at = {.ip = {127, 0, 0, 1}, .family = ADDR_IP4};
    check(loop_new(&b->loop));
    check(sock_listen(&at, 0, &b->listen_fd));
    b->target.addr = sock_local(b->listen_fd);
    loop_io_init(&b->listener, b->listen_fd, on_accept);
    loop_io_set(b->loop, &b->listener, true, false);
}

static void tear_down(struct bench *b)
{
    loop_io_set(b->loop, &b->listener, false, false);
    close(b->listen_fd);
    loop_free(b->loop);
}

static void set_up_tls(struct bench *b)
{
    uint8_t ca_secret[P256_SECRET_BYTES], ca_public[P256_PUBLIC_BYTES];
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct x509_der ca, leaf;
    struct spiffe_id id;
    const int64_t now_s = clock_wall_s();
    check(name_spiffe_parse(SPAN_LIT("spiffe://bench/service/bench"), &id));
    x509_mint_key(ca_secret, ca_public);
    x509_mint_key(secret, public_key);
    check(x509_mint_ca(&id.mesh, ca_secret, now_s - 60, now_s + CERT_LIFE_S, &ca));
    const struct x509_leaf_request request = {.ca_der = span_of(ca.data, ca.len),
                                              .ca_secret = ca_secret,
                                              .id = id,
                                              .public_key = public_key,
                                              .not_before_s = now_s - 60,
                                              .not_after_s = now_s + CERT_LIFE_S};
    check(x509_mint_leaf(&request, &leaf));
    check(identity_new(span_of(leaf.data, leaf.len), secret, &b->identity));
    check(identity_trust_new(&request.ca_der, 1, &id.mesh, &b->trust));
    check(tls_engine_profile_new(&b->profile));
}

static void bench_bulk(struct bench *b, const char *kind)
{
    uint64_t best_us = UINT64_MAX, wire = 0;
    b->bulk = true;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t us = run(b);
        if (us < best_us) best_us = us;
        wire = conn_sent_total(b->client.conn);
        end_run(b);
    }
    b->bulk = false;
    printf("%-6s bulk, one way              %8.0f MB/s   %6.3f %% overhead\n", kind,
           (double)BULK_BYTES / (double)best_us, 100.0 * ((double)wire / (double)BULK_BYTES - 1.0));
}

static void bench_messages(struct bench *b, const char *kind, unsigned batch)
{
    uint64_t best_us = UINT64_MAX, wire = 0;
    b->batch = batch;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t us = run(b);
        if (us < best_us) best_us = us;
        wire = conn_sent_total(b->client.conn);
        end_run(b);
    }
    printf("%-6s %3u x %u B and back a turn  %8.2f us/msg %6.2f B/msg overhead\n", kind, batch,
           MESSAGE_BYTES, (double)best_us / (double)b->sent,
           (double)wire / (double)b->sent - MESSAGE_BYTES);
    b->batch = 0;
}

static void bench_open(struct bench *b, const char *kind)
{
    uint64_t best_us = UINT64_MAX;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t before_us = cpu_us();
        for (unsigned n = 0; n < OPENINGS; n++) {
            run(b);
            end_run(b);
        }
        uint64_t us = cpu_us() - before_us;
        if (us < best_us) best_us = us;
    }
    printf("%-6s open, both ends            %8.0f us\n", kind, (double)best_us / OPENINGS);
}

static void bench_kind(struct bench *b, const char *kind)
{
    static const unsigned batches[] = {1, 8, 32, 100};
    bench_bulk(b, kind);
    for (size_t i = 0; i < ARRAY_LEN(batches); i++)
        bench_messages(b, kind, batches[i]);
    bench_open(b, kind);
}

int main(void)
{
    struct bench b = {.listen_fd = -1};
    set_up(&b);
    bench_kind(&b, "plain");
    set_up_tls(&b);
    bench_kind(&b, "TLS");
    tear_down(&b);
    tls_engine_profile_free(b.profile);
    identity_unref(b.identity);
    identity_trust_unref(b.trust);
    return 0;
}
