#include "cmd/daemon/enroll_client.h"

#include "core/base/check.h"
#include "core/io/clock.h"
#include "core/io/conn.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct attempt {
    const struct enroll_client_options *options;
    struct enroll_client_result *result;
    const struct addr *seed;
    struct loop *loop;
    struct conn *conn;
    struct loop_timer limit;
    uint64_t started_us;
    enum err err; /* ERR_AGAIN until it ended */
    bool asked;
    uint8_t pin_ca[X509_DER_MAX]; /* the CA certificate that matched the pin */
    size_t pin_ca_len;
};

static void finish(struct attempt *at, enum err err)
{
    if (at->err != ERR_AGAIN) return;
    at->err = err;
    loop_timer_clear(at->loop, &at->limit);
    if (at->conn) conn_close(at->conn, err != ERR_OK);
    at->conn = NULL;
    loop_stop(at->loop);
}

static void on_open(struct conn *c, void *owner)
{
    struct attempt *at = owner;
    struct enroll_client_result *r = at->result;
    const struct enroll_client_options *o = at->options;
    uint8_t frame[4 + 1024], key[TOKEN_KEY_BYTES];
    struct enroll_request q = {.token_id = o->token->id, .node = o->node, .wall_s = clock_wall_s()};
    size_t len;
    struct span ca = tls_engine_pinned_ca(conn_engine(c));
    r->connect_us = clock_mono_us() - at->started_us;
    r->addr = o->addr.family == ADDR_NONE ? conn_local(c) : o->addr;
    r->addr.port = o->port;
    r->seed = *at->seed;
    q.addr = r->addr;
    if (ca.len == 0 || ca.len > sizeof at->pin_ca) {
        finish(at, ERR_UNTRUSTED);
        return;
    }
    memcpy(at->pin_ca, ca.p, ca.len);
    at->pin_ca_len = ca.len;
    memcpy(q.sign_public, sign_key_public(r->sign_key), sizeof q.sign_public);
    enum err err = x509_mint_public(r->secret, q.public_key);
    token_key(o->token->secret, key);
    if (err == ERR_OK)
        err = enroll_message_request(&q, &(struct enroll_proofs){r->secret, r->sign_key, key},
                                     frame + 4, sizeof frame - 4, &len);
    sodium_memzero(key, sizeof key);
    if (err == ERR_OK) {
        for (unsigned i = 0; i < 4; i++)
            frame[i] = (uint8_t)(len >> (24 - 8 * i));
        err = conn_write(c, span_of(frame, len + 4));
        at->asked = true;
    }
    if (err != ERR_OK) finish(at, err);
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct attempt *at = owner;
    struct enroll_client_result *r = at->result;
    (void)c;
    if (data.len > ENROLL_FRAME_MAX - r->frame_len) {
        finish(at, ERR_PROTOCOL);
        return data.len;
    }
    memcpy(r->frame + r->frame_len, data.p, data.len);
    r->frame_len += data.len;
    if (r->frame_len < 4) return data.len;
    size_t want = (size_t)r->frame[0] << 24 | (size_t)r->frame[1] << 16 | (size_t)r->frame[2] << 8 |
                  r->frame[3];
    if (r->frame_len - 4 < want) return data.len;
    bool whole = r->frame_len - 4 == want;
    finish(at, whole ? enroll_message_reply_read(span_of(r->frame + 4, want), &r->reply)
                     : ERR_PROTOCOL);
    return data.len;
}

static void on_eof(struct conn *c, void *owner)
{
    (void)c;
    finish(owner, ERR_PROTOCOL);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    (void)c;
    finish(owner, err);
}

static void on_limit(struct loop_timer *t)
{
    finish(CONTAINER_OF(t, struct attempt, limit), ERR_TIMEOUT);
}

static const struct conn_events events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_error = on_error};

/* One seed, on a loop of its own. */
static enum err try_seed(struct attempt *at, const struct tls_profile *profile)
{
    struct tls_engine *engine;
    const struct enroll_client_options *o = at->options;
    struct tls_client_options tls = {.profile = profile,
                                     .expect_any_node = true,
                                     .ca_pin = o->token->ca_pin,
                                     .sni = "join.parley",
                                     .alpn = ENROLL_ALPN,
                                     .now_s = clock_wall_s()};
    struct target to = {.addr = *at->seed};
    enum err err = loop_new(&at->loop);
    if (err != ERR_OK) return err;
    err = tls_engine_client(&tls, &engine);
    if (err != ERR_OK) goto out;
    uint64_t deadline = clock_mono_ms() + o->timeout_ms;
    struct conn_options co = {.loop = at->loop,
                              .events = &events,
                              .owner = at,
                              .phase = LOOP_FLUSH_PLAIN,
                              .open_deadline_ms = deadline};
    at->err = ERR_AGAIN;
    at->limit.on_expire = on_limit;
    at->started_us = clock_mono_us();
    err = conn_connect(&co, &to, engine, &at->conn);
    if (err != ERR_OK) goto out;
    loop_timer_set(at->loop, &at->limit, deadline);
    loop_run(at->loop);
    err = at->err;
out:
    loop_free(at->loop);
    return err;
}

/* The grant is for us, by the CA we pinned and the issuer it names. */
static enum err check_grant(const struct attempt *at, struct diag *d)
{
    const struct enroll_client_result *r = at->result;
    const struct enroll_reply *a = &r->reply;
    struct x509_leaf leaf;
    struct sign_admission ad;
    uint8_t public_key[P256_PUBLIC_BYTES];
    if (!span_eq(a->ca[0], span_of(at->pin_ca, at->pin_ca_len))) {
        diag_error(d, NULL, "the answer names another CA than the token's");
        return ERR_UNTRUSTED;
    }
    enum err err = x509_mint_public(r->secret, public_key);
    if (err != ERR_OK) return err;
    if (x509_check_leaf(a->leaf, &a->mesh, X509_CLIENT, &leaf) != X509_OK ||
        leaf.id.kind != IDENTITY_NODE || !name_eq(&leaf.id.name, &at->options->node) ||
        memcmp(leaf.public_key, public_key, sizeof public_key) != 0) {
        diag_error(d, NULL, "the certificate in the answer is not for this node and key");
        return ERR_PROTOCOL;
    }
    err = sign_admission_open(a->admission, a->issuer_public, &a->mesh_id, clock_wall_s(), &ad);
    if (err == ERR_OK &&
        memcmp(ad.public_key, sign_key_public(r->sign_key), sizeof ad.public_key) != 0)
        err = ERR_MISMATCH;
    if (err != ERR_OK)
        diag_error(d, NULL, "the admission certificate in the answer: %s", err_text(err));
    return err;
}

static void say_failure(struct diag *d, const struct attempt *at, enum err err)
{
    char seed[ADDR_TEXT_MAX];
    const struct enroll_reply *a = &at->result->reply;
    addr_format(at->seed, seed);
    if (err == ERR_OK)
        diag_error(d, NULL, "%s refused: %.*s (%.*s)", seed, SPAN_ARG(a->text), SPAN_ARG(a->word));
    else if (err == ERR_UNTRUSTED || err == ERR_AUTH)
        diag_error(
            d, NULL,
            "%s is not of the mesh that made this token: its CA does not match the token's pin",
            seed);
    else if (at->asked)
        diag_error(d, NULL, "%s ended the connection without an answer (%s)", seed, err_text(err));
    else
        diag_error(d, NULL, "%s cannot be reached: %s; is port %u open for TCP and UDP?", seed,
                   err_text(err), at->seed->port);
}

enum err enroll_client_run(const struct enroll_client_options *o, struct diag *d,
                           struct enroll_client_result *out)
{
    struct tls_profile *profile;
    uint8_t public_key[P256_PUBLIC_BYTES];
    *out = (struct enroll_client_result){0};
    out->frame = malloc(ENROLL_FRAME_MAX);
    if (!out->frame) return ERR_NOMEM;
    x509_mint_key(out->secret, public_key);
    enum err err = sign_key_new(NULL, &out->sign_key);
    if (err != ERR_OK) return err;
    err = tls_engine_profile_new(&profile);
    if (err != ERR_OK) return err;
    err = ERR_UNREACHABLE;
    for (size_t i = 0; i < o->token->seed_count; i++) {
        struct attempt at = {.options = o, .result = out, .seed = &o->token->seed[i]};
        out->frame_len = 0;
        err = try_seed(&at, profile);
        if (err == ERR_OK && out->reply.word.len == 0) {
            err = check_grant(&at, d);
            break;
        }
        say_failure(d, &at, err);
        if (err == ERR_OK) {
            err = ERR_DENIED;
            break;
        }
    }
    tls_engine_profile_free(profile);
    return err;
}

void enroll_client_fini(struct enroll_client_result *r)
{
    if (r->frame) sodium_memzero(r->frame, ENROLL_FRAME_MAX);
    free(r->frame);
    sign_key_free(r->sign_key);
    sodium_memzero(r, sizeof *r);
}
