#include "cmd/daemon/mesh_stream.h"

#include "cmd/daemon/identities.h"
#include "core/base/check.h"
#include "core/crypto/tls_engine.h"
#include "core/crypto/x509_mint.h"
#include "core/io/clock.h"
#include "core/io/conn.h"
#include "core/io/sock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define GIVE_UP_MS 30000u
#define STREAM     5u

/* One end: a daemon with no more than a stream needs, and what it heard. */
struct end {
    struct daemon d;
    struct config config;
    struct mesh_stream *ms;
    struct world *world;
    unsigned opened, messages, closed;
    uint32_t stream;
    bool inbound;
    char peer[64];
    enum err err;
    size_t last_len;
    char last[64];
    bool close_on_message;
    bool echo;
};

struct world {
    struct loop *loop;
    struct loop_timer guard;
    bool gave_up;
    uint8_t ca_secret[P256_SECRET_BYTES];
    struct x509_der ca;
    struct name mesh;
    struct tls_profile *profile;
    struct end client, server;
    int fd;
    struct loop_io io;
    struct addr addr;
    unsigned until; /* events after which the loop stops */
    bool elsewhere; /* accepted connections count as from another address */
    unsigned asked; /* certificate requests the server was given */
};

static void seen(struct end *e)
{
    if (e->world->until > 0 && --e->world->until == 0) loop_stop(e->world->loop);
}

static void on_opened(void *owner, uint32_t stream, bool inbound, const struct x509_leaf *peer)
{
    struct end *e = owner;
    e->opened++;
    e->stream = stream;
    e->inbound = inbound;
    (void)span_to_cstr(span_str(peer->id.name.text), e->peer, sizeof e->peer);
    seen(e);
}

static void on_message(void *owner, uint32_t stream, struct span message)
{
    struct end *e = owner;
    assert_int_equal(stream, e->stream);
    e->messages++;
    e->last_len = message.len;
    (void)span_to_cstr(message, e->last, sizeof e->last);
    if (e->echo) mesh_stream_send(e->ms, stream, message);
    if (e->close_on_message) mesh_stream_close(e->ms, stream);
    seen(e);
}

static void on_closed(void *owner, uint32_t stream, enum err err)
{
    struct end *e = owner;
    e->closed++;
    e->stream = stream;
    e->err = err;
    seen(e);
}

static const struct mesh_stream_events events = {
    .on_opened = on_opened, .on_message = on_message, .on_closed = on_closed};

static void guard_expired(struct loop_timer *t)
{
    struct world *w = CONTAINER_OF(t, struct world, guard);
    w->gave_up = true;
    loop_stop(w->loop);
}

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct world *w = CONTAINER_OF(io, struct world, io);
    struct sock_accepted in[64];
    size_t count = 0;
    (void)writable;
    if (!readable) return;
    assert_int_equal(sock_accept(w->fd, in, 64, &count), ERR_AGAIN);
    for (size_t i = 0; i < count; i++) {
        if (w->elsewhere) in[i].peer.ip[3] ^= 1;
        mesh_stream_accept(w->server.ms, in[i].fd, &in[i].peer, (struct span){0});
    }
}

static struct name name_of(const char *text)
{
    struct name n;
    assert_int_equal(name_set(&n, span_str(text)), ERR_OK);
    return n;
}

static void give_identity(struct end *e, const char *name, enum identity_kind kind)
{
    struct world *w = e->world;
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct x509_der leaf;
    struct identity *id = NULL;
    struct trust *trust = NULL;
    struct span ca = span_of(w->ca.data, w->ca.len);
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = {.ca_der = ca,
                                  .ca_secret = w->ca_secret,
                                  .id = {w->mesh, name_of(name), kind},
                                  .public_key = public_key,
                                  .not_before_s = clock_wall_s() - 60,
                                  .not_after_s = clock_wall_s() + 3600};
    assert_int_equal(x509_mint_leaf(&r, &leaf), ERR_OK);
    assert_int_equal(identity_new(span_of(leaf.data, leaf.len), secret, &id), ERR_OK);
    assert_int_equal(identities_put(e->d.identities, id), ERR_OK);
    assert_int_equal(identity_trust_new(&ca, 1, &w->mesh, &trust), ERR_OK);
    identities_set_trust(e->d.identities, trust);
}

static void end_open(struct world *w, struct end *e)
{
    e->world = w;
    e->config.node.mesh = w->mesh;
    e->d = (struct daemon){.loop = w->loop, .config = &e->config, .profile = w->profile};
    log_init(&e->d.log, -1, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    assert_int_equal(identities_new(&e->d.identities), ERR_OK);
    assert_int_equal(mesh_stream_new(&e->d, &events, e, &e->ms), ERR_OK);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    uint8_t public_key[P256_PUBLIC_BYTES];
    assert_non_null(w);
    w->guard.on_expire = guard_expired;
    w->mesh = name_of("shop");
    assert_int_equal(loop_new(&w->loop), ERR_OK);
    assert_int_equal(tls_engine_profile_new(&w->profile), ERR_OK);
    x509_mint_key(w->ca_secret, public_key);
    assert_int_equal(
        x509_mint_ca(&w->mesh, w->ca_secret, clock_wall_s() - 60, clock_wall_s() + 86400, &w->ca),
        ERR_OK);
    end_open(w, &w->client);
    end_open(w, &w->server);
    give_identity(&w->client, "h1", IDENTITY_NODE);
    give_identity(&w->server, "h2", IDENTITY_NODE);
    assert_int_equal(addr_parse(SPAN_LIT("127.0.0.33"), 1, &w->addr), ERR_OK);
    w->addr.port = 0;
    assert_int_equal(sock_listen(&w->addr, 0, &w->fd), ERR_OK);
    w->addr = sock_local(w->fd);
    loop_io_init(&w->io, w->fd, on_ready);
    loop_io_set(w->loop, &w->io, true, false);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    struct end *both[] = {&w->client, &w->server};
    for (size_t i = 0; i < 2; i++) {
        mesh_stream_free(both[i]->ms);
        identities_free(both[i]->d.identities);
    }
    loop_io_set(w->loop, &w->io, false, false);
    assert_int_equal(close(w->fd), 0);
    loop_free(w->loop);
    tls_engine_profile_free(w->profile);
    free(w);
    return 0;
}

static void run_events(struct world *w, unsigned count)
{
    w->until = count;
    loop_timer_set(w->loop, &w->guard, clock_mono_ms() + GIVE_UP_MS);
    loop_run(w->loop);
    loop_timer_clear(w->loop, &w->guard);
    assert_false(w->gave_up);
}

static void open_to(struct world *w, const char *name)
{
    struct name n = {.text = ""};
    if (name[0] != '\0') n = name_of(name);
    mesh_stream_open(w->client.ms, STREAM, &w->addr, &n);
}

static void test_stream_carries_messages_both_ways_between_named_nodes(void **state)
{
    struct world *w = *state;
    w->server.echo = true;
    open_to(w, "h2");
    mesh_stream_send(w->client.ms, STREAM, SPAN_LIT("early"));
    run_events(w, 4); /* two opens, the message, its echo */
    assert_string_equal(w->client.peer, "h2");
    assert_string_equal(w->server.peer, "h1");
    assert_false(w->client.inbound);
    assert_true(w->server.inbound);
    assert_int_equal(w->server.stream >> 31, 1);
    assert_string_equal(w->client.last, "early");
    mesh_stream_send(w->client.ms, STREAM, SPAN_LIT("again"));
    run_events(w, 2);
    assert_string_equal(w->client.last, "again");
}

static void test_messages_of_one_mebibyte_pass_and_larger_ones_end_the_stream(void **state)
{
    struct world *w = *state;
    char *big = calloc(1, MESH_STREAM_FRAME_MAX + 1);
    assert_non_null(big);
    open_to(w, "h2");
    run_events(w, 1);
    mesh_stream_send(w->client.ms, STREAM, span_of(big, MESH_STREAM_FRAME_MAX));
    run_events(w, w->server.opened == 0 ? 2 : 1);
    assert_int_equal(w->server.messages, 1);
    assert_int_equal(w->server.last_len, MESH_STREAM_FRAME_MAX);
    mesh_stream_send(w->client.ms, STREAM, span_of(big, MESH_STREAM_FRAME_MAX + 1));
    run_events(w, 2);
    assert_int_equal(w->client.err, ERR_TOO_LARGE);
    assert_int_equal(w->server.closed, 1);
    free(big);
}

static void test_empty_message_ends_the_stream(void **state)
{
    struct world *w = *state;
    open_to(w, "h2");
    run_events(w, 2);
    mesh_stream_send(w->client.ms, STREAM, (struct span){0});
    run_events(w, 2);
    assert_int_equal(w->client.err, ERR_INVALID);
    assert_int_equal(w->server.messages, 0);
    assert_int_equal(w->server.closed, 1);
}

static void test_close_ends_the_other_side_cleanly(void **state)
{
    struct world *w = *state;
    open_to(w, "h2");
    run_events(w, 2);
    mesh_stream_close(w->client.ms, STREAM);
    run_events(w, 1);
    assert_int_equal(w->server.closed, 1);
    assert_int_equal(w->server.err, ERR_OK);
    assert_int_equal(w->client.closed, 0);
}

static void test_stream_may_be_closed_in_its_own_callback(void **state)
{
    struct world *w = *state;
    w->server.close_on_message = true;
    open_to(w, "h2");
    mesh_stream_send(w->client.ms, STREAM, SPAN_LIT("one"));
    mesh_stream_send(w->client.ms, STREAM, SPAN_LIT("two"));
    run_events(w, 4); /* two opens, one message, the client's end */
    assert_int_equal(w->server.messages, 1);
    assert_int_equal(w->server.closed, 0);
    assert_int_equal(w->client.closed, 1);
}

static void test_nobody_listening_is_told_as_refused(void **state)
{
    struct world *w = *state;
    struct name h2 = name_of("h2");
    struct addr nobody = w->addr;
    nobody.port = 1;
    mesh_stream_open(w->client.ms, STREAM, &nobody, &h2);
    assert_int_equal(w->client.closed, 0); /* never within the call */
    run_events(w, 1);
    assert_int_equal(w->client.err, ERR_REFUSED);
    assert_int_equal(w->client.stream, STREAM);
}

static void test_another_node_than_the_expected_one_is_refused(void **state)
{
    struct world *w = *state;
    open_to(w, "h3");
    run_events(w, 1);
    assert_int_equal(w->client.err, ERR_MISMATCH);
    assert_int_equal(w->client.opened, 0);
    assert_int_equal(w->server.opened, 0);
}

static void test_any_node_of_the_mesh_will_do_when_the_name_is_unknown(void **state)
{
    struct world *w = *state;
    open_to(w, "");
    run_events(w, 2);
    assert_string_equal(w->client.peer, "h2");
}

/* A client that is no mesh_stream: it speaks as it likes. */
static void raw_open(struct conn *c, void *owner)
{
    (void)owner;
    assert_int_equal(conn_write(c, SPAN_LIT("G\0\0\0\1x")), ERR_OK);
}

static size_t raw_data(struct conn *c, void *owner, struct span data)
{
    (void)c;
    (void)owner;
    return data.len;
}

static void raw_eof(struct conn *c, void *owner)
{
    struct world *w = owner;
    conn_close(c, true);
    loop_stop(w->loop);
}

static void raw_error(struct conn *c, void *owner, enum err err)
{
    (void)err;
    raw_eof(c, owner);
}

static const struct conn_events raw_events = {
    .on_open = raw_open, .on_data = raw_data, .on_eof = raw_eof, .on_error = raw_error};

/* Runs until either side has ended the connection. */
static void raw_run(struct world *w, const struct conn_events *speak, struct identity *self)
{
    struct identities *ids = w->client.d.identities;
    struct tls_client_options tls = {.profile = w->profile,
                                     .self = self,
                                     .trust = identities_trust(ids),
                                     .expect_any_node = true,
                                     .alpn = MESH_STREAM_ALPN,
                                     .now_s = clock_wall_s()};
    struct conn_options o = {
        .loop = w->loop, .events = speak, .owner = w, .phase = LOOP_FLUSH_LINK};
    struct target to = {.addr = w->addr};
    struct tls_engine *engine = NULL;
    struct conn *c = NULL;
    assert_non_null(tls.self);
    assert_int_equal(tls_engine_client(&tls, &engine), ERR_OK);
    assert_int_equal(conn_connect(&o, &to, engine, &c), ERR_OK);
    run_events(w, 0);
}

static void test_a_services_leaf_has_no_business_here(void **state)
{
    struct world *w = *state;
    give_identity(&w->client, "web", IDENTITY_SERVICE);
    struct spiffe_id web = {w->mesh, name_of("web"), IDENTITY_SERVICE};
    raw_run(w, &raw_events, identities_get(w->client.d.identities, &web));
    assert_int_equal(w->server.opened, 0);
    assert_int_equal(w->server.messages, 0);
}

static void raw_bye(struct conn *c, void *owner)
{
    raw_open(c, owner);
    conn_shutdown(c);
}

static const struct conn_events bye_events = {
    .on_open = raw_bye, .on_data = raw_data, .on_eof = raw_eof, .on_error = raw_error};

struct asked {
    struct mesh_stream_call call;
    struct world *world;
    unsigned done;
    enum err err;
    char reply[64];
};

static void call_done(struct mesh_stream_call *call, enum err err, struct span reply)
{
    struct asked *a = CONTAINER_OF(call, struct asked, call);
    a->done++;
    a->err = err;
    (void)span_to_cstr(reply, a->reply, sizeof a->reply);
    loop_stop(a->world->loop);
}

static enum err answer_hello(void *owner, const struct x509_leaf *peer, const struct addr *from,
                             struct span request, struct strbuf *reply)
{
    (void)owner;
    assert_true(from->family == ADDR_IP4);
    if (!span_eq_str(request, "csr")) return ERR_DENIED;
    strbuf_fmt(reply, "signed for %s", peer->id.name.text);
    return ERR_OK;
}

static void ask(struct world *w, struct asked *a, struct span request)
{
    struct name h2 = name_of("h2");
    *a = (struct asked){.call.done = call_done, .world = w};
    assert_int_equal(mesh_stream_call_start(w->client.ms, &a->call, &w->addr, &h2, request),
                     ERR_OK);
    run_events(w, 0);
    assert_int_equal(a->done, 1);
}

static void test_certificate_request_gets_one_reply(void **state)
{
    struct world *w = *state;
    struct asked a;
    struct mesh_stream_issue serve = {.on_request = answer_hello};
    mesh_stream_serve_issue(w->server.ms, &serve);
    ask(w, &a, SPAN_LIT("csr"));
    assert_int_equal(a.err, ERR_OK);
    assert_string_equal(a.reply, "signed for h1");
    assert_int_equal(w->server.opened, 0); /* the gossip side hears nothing of it */
    assert_int_equal(w->client.closed, 0);
}

static void raw_ask_thrice(struct conn *c, void *owner)
{
    (void)owner;
    assert_int_equal(conn_write(c, SPAN_LIT("I\0\0\0\3csr\0\0\0\3csr\0\0\0\3csr")), ERR_OK);
}

static const struct conn_events thrice_events = {
    .on_open = raw_ask_thrice, .on_data = raw_data, .on_eof = raw_eof, .on_error = raw_error};

static enum err answer_counted(void *owner, const struct x509_leaf *peer, const struct addr *from,
                               struct span request, struct strbuf *reply)
{
    struct world *w = owner;
    w->asked++;
    return answer_hello(NULL, peer, from, request, reply);
}

/* Each answer costs signatures: what lies behind the first request is not looked at. */
static void test_one_connection_asks_for_certificates_once(void **state)
{
    struct world *w = *state;
    struct mesh_stream_issue serve = {.on_request = answer_counted, .owner = w};
    mesh_stream_serve_issue(w->server.ms, &serve);
    raw_run(w, &thrice_events, identities_node(w->client.d.identities));
    assert_int_equal(w->asked, 1);
}

static void test_refused_certificate_request_ends_without_a_reply(void **state)
{
    struct world *w = *state;
    struct asked a;
    ask(w, &a, SPAN_LIT("csr")); /* nobody signs there */
    assert_int_not_equal(a.err, ERR_OK);
    struct mesh_stream_issue serve = {.on_request = answer_hello};
    mesh_stream_serve_issue(w->server.ms, &serve);
    ask(w, &a, SPAN_LIT("other"));
    assert_int_not_equal(a.err, ERR_OK);
    assert_string_equal(a.reply, "");
}

static void test_cancelled_call_is_not_told(void **state)
{
    struct world *w = *state;
    struct name h2 = name_of("h2");
    struct asked a = {.call.done = call_done, .world = w};
    assert_int_equal(mesh_stream_call_start(w->client.ms, &a.call, &w->addr, &h2, SPAN_LIT("csr")),
                     ERR_OK);
    mesh_stream_call_cancel(&a.call);
    open_to(w, "h2");
    run_events(w, 2);
    assert_int_equal(a.done, 0);
}

/* M14: connections that never speak take a bounded number of places. */
static void test_inbound_streams_are_capped(void **state)
{
    struct world *w = *state;
    int fd[MESH_STREAM_INBOUND_MAX + 1];
    struct target to = {.addr = w->addr};
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        bool done = false;
        assert_int_equal(sock_connect(&to, &fd[i], &done), ERR_OK);
    }
    char byte;
    ssize_t n = -1;
    uint64_t give_up_ms = clock_mono_ms() + GIVE_UP_MS;
    while (n < 0 && clock_mono_ms() < give_up_ms) {
        loop_timer_set(w->loop, &w->guard, clock_mono_ms() + 5);
        loop_run(w->loop);
        n = read(fd[ARRAY_LEN(fd) - 1], &byte, 1);
    }
    assert_int_equal(n, 0); /* the last one was closed at once */
    assert_int_equal(read(fd[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        assert_int_equal(close(fd[i]), 0);
}

/* M14: who has proven nothing cannot keep everybody else out. */
static void test_one_address_cannot_fill_every_place_with_handshakes(void **state)
{
    struct world *w = *state;
    int fd[MESH_STREAM_INBOUND_MAX];
    struct target to = {.addr = w->addr};
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        bool done = false;
        assert_int_equal(sock_connect(&to, &fd[i], &done), ERR_OK);
    }
    char byte;
    ssize_t n = -1;
    uint64_t give_up_ms = clock_mono_ms() + GIVE_UP_MS;
    while (n < 0 && clock_mono_ms() < give_up_ms) {
        loop_timer_set(w->loop, &w->guard, clock_mono_ms() + 5);
        loop_run(w->loop);
        n = read(fd[ARRAY_LEN(fd) - 1], &byte, 1);
    }
    assert_int_equal(n, 0);
    w->gave_up = false;
    w->elsewhere = true;
    open_to(w, "h2");
    run_events(w, 2);
    assert_int_equal(w->server.opened, 1);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        assert_int_equal(close(fd[i]), 0);
}

/* M14: who has proven who it is has its share of the places, and no more. */
static void test_one_node_cannot_fill_every_place_with_streams(void **state)
{
    struct world *w = *state;
    struct name h2 = name_of("h2");
    for (uint32_t i = 0; i < MESH_STREAM_PEER_MAX; i++) {
        mesh_stream_open(w->client.ms, STREAM + i, &w->addr, &h2);
        run_events(w, 2);
    }
    assert_int_equal(w->server.opened, MESH_STREAM_PEER_MAX);
    mesh_stream_open(w->client.ms, STREAM + MESH_STREAM_PEER_MAX, &w->addr, &h2);
    run_events(w, 2); /* it opens there and ends again: who is served knows nothing of it */
    assert_int_equal(w->client.closed, 1);
    assert_int_equal(w->server.opened, MESH_STREAM_PEER_MAX);
    assert_int_equal(w->server.closed, 0);
    give_identity(&w->client, "h3", IDENTITY_NODE);
    struct spiffe_id h3 = {w->mesh, name_of("h3"), IDENTITY_NODE};
    raw_run(w, &bye_events, identities_get(w->client.d.identities, &h3));
    assert_int_equal(w->server.opened, MESH_STREAM_PEER_MAX + 1);
    assert_string_equal(w->server.peer, "h3");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_stream_carries_messages_both_ways_between_named_nodes),
        CASE(test_messages_of_one_mebibyte_pass_and_larger_ones_end_the_stream),
        CASE(test_empty_message_ends_the_stream),
        CASE(test_close_ends_the_other_side_cleanly),
        CASE(test_stream_may_be_closed_in_its_own_callback),
        CASE(test_nobody_listening_is_told_as_refused),
        CASE(test_another_node_than_the_expected_one_is_refused),
        CASE(test_any_node_of_the_mesh_will_do_when_the_name_is_unknown),
        CASE(test_a_services_leaf_has_no_business_here),
        CASE(test_certificate_request_gets_one_reply),
        CASE(test_one_connection_asks_for_certificates_once),
        CASE(test_refused_certificate_request_ends_without_a_reply),
        CASE(test_cancelled_call_is_not_told),
        CASE(test_inbound_streams_are_capped),
        CASE(test_one_address_cannot_fill_every_place_with_handshakes),
        CASE(test_one_node_cannot_fill_every_place_with_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
