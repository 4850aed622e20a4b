#include "cmd/daemon/enroll.h"

#include "cmd/daemon/enroll_decide.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/issue.h"
#include "cmd/daemon/issue_quota.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/mesh_stream.h"
#include "cmd/daemon/store_state.h"
#include "core/base/check.h"
#include "core/io/conn.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENROLL_MAGIC     0x656e726fu
#define CALLERS          64u   /* slots of the limiter, by address */
#define BURST            5u    /* attempts at once from one address */
#define REFILL_MS        1000u /* then one a second */
#define LEAVES_BYTES_MAX (ENROLL_LEAVES_MAX * (X509_DER_MAX + 32u))

struct caller { /* token bucket of one address; a slot is taken over by whoever hashes to it */
    struct addr addr;
    uint64_t at_ms;
    uint32_t left;
};

struct enroll_conn {
    struct list node;
    struct enroll *enroll;
    struct conn *conn;
    struct loop_timer limit;
    struct addr from;
    uint8_t *frame; /* owned, ENROLL_FRAME_MAX */
    size_t len;
    bool answered;
};

struct enroll {
    uint32_t magic;
    struct daemon *daemon;   /* borrowed */
    struct signer *signer;   /* NULL on most hosts */
    struct token_book *book; /* NULL without a signer */
    struct issue *renewals;  /* owned */
    struct enroll_recent recent;
    struct list conns;
    unsigned conn_count;
    struct caller caller[CALLERS];
    struct issue_quota quota;
    struct arena arena; /* for one issue answer */
    uint64_t create_ms; /* minute bucket of token_create */
    uint32_t created;
    struct enroll_counters counters;
};

static struct enroll_world world_of(struct enroll *e)
{
    const struct daemon *d = e->daemon;
    const struct store_mesh *m = mesh_info(d->mesh);
    return (struct enroll_world){.signer = e->signer,
                                 .book = e->book,
                                 .recent = &e->recent,
                                 .gossip = mesh_gossip(d->mesh),
                                 .ring = mesh_ring(d->mesh),
                                 .mesh = m->name,
                                 .mesh_id = m->id,
                                 .addr = d->config->node.addr,
                                 .now_s = loop_wall_s(d->loop)};
}

static void conn_end(struct enroll_conn *ec, bool abort)
{
    struct enroll *e = ec->enroll;
    loop_timer_clear(e->daemon->loop, &ec->limit);
    list_remove(&ec->node);
    e->conn_count--;
    if (ec->conn) conn_close(ec->conn, abort);
    sodium_memzero(ec->frame, ENROLL_FRAME_MAX);
    free(ec->frame);
    free(ec);
}

static bool allow_attempt(struct enroll *e, const struct addr *from)
{
    uint64_t now = loop_now_ms(e->daemon->loop);
    struct caller *c =
        &e->caller[hash_bytes(&e->daemon->hash_key, from->ip, sizeof from->ip) % CALLERS];
    if (!addr_same_ip(&c->addr, from))
        *c = (struct caller){.addr = *from, .at_ms = now, .left = BURST};
    uint64_t refill = (now - c->at_ms) / REFILL_MS;
    if (refill > 0) {
        c->left = refill + c->left > BURST ? BURST : c->left + (uint32_t)refill;
        c->at_ms = now;
    }
    if (c->left == 0) return false;
    c->left--;
    return true;
}

/* One frame out, then our half of the connection ends; the peer's close, or the limit, ends the
 * rest. */
static void answer(struct enroll_conn *ec, const struct enroll_reply *reply)
{
    uint8_t *out = malloc(ENROLL_FRAME_MAX);
    size_t len = 0;
    ec->answered = true;
    enum err err =
        out ? enroll_message_reply(reply, out + 4, ENROLL_FRAME_MAX - 4, &len) : ERR_NOMEM;
    if (err == ERR_OK) {
        for (unsigned i = 0; i < 4; i++)
            out[i] = (uint8_t)(len >> (24 - 8 * i));
        err = conn_write(ec->conn, span_of(out, len + 4));
    }
    if (out) sodium_memzero(out, ENROLL_FRAME_MAX);
    free(out);
    if (err == ERR_OK)
        conn_shutdown(ec->conn);
    else
        conn_end(ec, true);
}

static void on_frame(struct enroll_conn *ec, struct span frame)
{
    struct enroll *e = ec->enroll;
    struct enroll_world w = world_of(e);
    struct enroll_request q = {0};
    struct enroll_reply reply;
    struct enroll_scratch *scratch = malloc(sizeof *scratch);
    char from[ADDR_TEXT_MAX], id[TOKEN_ID_TEXT_MAX];
    if (!scratch) {
        conn_end(ec, true);
        return;
    }
    if (enroll_decide_join(&w, frame, &q, &reply, scratch)) {
        e->counters.joined_total++;
        log_info(&e->daemon->log, "join", "node=%s addr=%s token=%s", q.node.text,
                 addr_format(&ec->from, from), token_id_format(q.token_id, id));
    } else {
        e->counters.refused_total++;
        log_limited(&e->daemon->log, LOG_LEVEL_WARN, hash_mix(1), "join_refused",
                    "from=%s reason=%.*s", addr_format(&ec->from, from), SPAN_ARG(reply.word));
    }
    answer(ec, &reply);
    sodium_memzero(scratch, sizeof *scratch);
    free(scratch);
}

static void on_open(struct conn *c, void *owner)
{
    (void)c;
    (void)owner;
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct enroll_conn *ec = owner;
    (void)c;
    size_t room = ENROLL_FRAME_MAX - ec->len;
    if (ec->answered) return data.len;
    if (data.len > room) {
        conn_end(ec, true);
        return data.len;
    }
    memcpy(ec->frame + ec->len, data.p, data.len);
    ec->len += data.len;
    if (ec->len < 4) return data.len;
    size_t want = (size_t)ec->frame[0] << 24 | (size_t)ec->frame[1] << 16 |
                  (size_t)ec->frame[2] << 8 | ec->frame[3];
    if (want > ENROLL_FRAME_MAX - 4)
        conn_end(ec, true);
    else if (ec->len - 4 >= want)
        on_frame(ec, span_of(ec->frame + 4, want));
    return data.len;
}

static void on_eof(struct conn *c, void *owner)
{
    (void)c;
    conn_end(owner, false);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct enroll_conn *ec = owner;
    (void)c;
    if (!ec->answered)
        log_limited(&ec->enroll->daemon->log, LOG_LEVEL_INFO, hash_mix(2), "join_broken", "%s",
                    err_text(err));
    conn_end(ec, true);
}

static void on_limit(struct loop_timer *t)
{
    conn_end(CONTAINER_OF(t, struct enroll_conn, limit), true);
}

static const struct conn_events join_events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_error = on_error};

static enum err join_engine(const struct enroll *e, struct tls_engine **out)
{
    struct daemon *d = e->daemon;
    struct tls_server_options o = {.profile = d->profile,
                                   .self = identities_node(d->identities),
                                   .trust = identities_trust(d->identities),
                                   .ca_der = signer_ca_der(e->signer),
                                   .anonymous_clients = true,
                                   .alpn = ENROLL_ALPN,
                                   .now_s = loop_wall_s(d->loop)};
    return tls_engine_server(&o, out);
}

static void on_handoff(void *owner, int take_fd, const struct addr *from, struct span seen)
{
    struct enroll *e = owner;
    struct tls_engine *engine;
    struct enroll_conn *ec = NULL;
    CHECK_OBJ(e, ENROLL_MAGIC);
    if (!e->signer || e->conn_count == ENROLL_CONNECTIONS_MAX || !allow_attempt(e, from)) {
        e->counters.refused_total++;
        goto fail_fd;
    }
    ec = calloc(1, sizeof *ec);
    if (!ec || !(ec->frame = malloc(ENROLL_FRAME_MAX))) goto fail_fd;
    if (join_engine(e, &engine) != ERR_OK) goto fail_fd;
    ec->enroll = e;
    ec->from = *from;
    struct conn_options o = {.loop = e->daemon->loop,
                             .events = &join_events,
                             .owner = ec,
                             .phase = LOOP_FLUSH_PLAIN,
                             .open_deadline_ms = loop_now_ms(e->daemon->loop) + ENROLL_LIMIT_MS};
    /* conn_accept takes the descriptor and the engine, also when it fails. */
    if (conn_accept(&o, take_fd, engine, seen, &ec->conn) != ERR_OK) goto fail_conn;
    list_push_back(&e->conns, &ec->node);
    e->conn_count++;
    ec->limit.on_expire = on_limit;
    loop_timer_set(e->daemon->loop, &ec->limit, loop_now_ms(e->daemon->loop) + ENROLL_LIMIT_MS);
    return;
fail_fd:
    close(take_fd);
fail_conn:
    if (ec) free(ec->frame);
    free(ec);
}

/* The quota first: reading a request checks a signature for each leaf in it. */
static enum err decide_issue(struct enroll *e, const struct x509_leaf *peer, struct span request,
                             struct enroll_issue *q, struct enroll_issued *issued, bool *granted)
{
    struct enroll_world w = world_of(e);
    struct daemon *d = e->daemon;
    *granted = false;
    if (!issue_quota_take(&e->quota, &d->hash_key, peer->spki_sha256, request.len,
                          loop_now_ms(d->loop))) {
        *issued = (struct enroll_issued){.word = SPAN_LIT("busy"),
                                         .text = SPAN_LIT("too many certificates asked for")};
        return ERR_OK;
    }
    enum err err = enroll_message_issue_read(request, q);
    if (err != ERR_OK) return err;
    arena_reset(&e->arena);
    *granted = enroll_decide_issue(&w, peer, q, &e->arena, issued);
    return ERR_OK;
}

static enum err on_issue(void *owner, const struct x509_leaf *peer, const struct addr *from,
                         struct span request, struct strbuf *reply)
{
    struct enroll *e = owner;
    struct enroll_issue *q = calloc(1, sizeof *q);
    struct enroll_issued *issued = calloc(1, sizeof *issued);
    uint8_t *out = malloc(ENROLL_FRAME_MAX);
    size_t len = 0;
    bool granted = false;
    (void)from;
    enum err err =
        q && issued && out ? decide_issue(e, peer, request, q, issued, &granted) : ERR_NOMEM;
    if (err != ERR_OK) goto out;
    if (granted) {
        e->counters.issued_total += issued->count;
        log_info(&e->daemon->log, "issue", "node=%s leaves=%zu", peer->id.name.text, issued->count);
    } else {
        e->counters.issue_refused_total++;
        log_limited(&e->daemon->log, LOG_LEVEL_WARN, hash_mix(3), "issue_refused",
                    "node=%s reason=%.*s", peer->id.name.text, SPAN_ARG(issued->word));
    }
    err = enroll_message_issued(issued, out, ENROLL_FRAME_MAX, &len);
    if (err == ERR_OK) strbuf_add(reply, out, len);
out:
    free(out);
    free(issued);
    free(q);
    return err;
}

enum err enroll_new(struct daemon *d, struct diag *diag, struct enroll **out)
{
    struct enroll *e = calloc(1, sizeof *e);
    if (!e) return ERR_NOMEM;
    e->magic = ENROLL_MAGIC;
    e->daemon = d;
    list_init(&e->conns);
    arena_init(&e->arena, 16384, LEAVES_BYTES_MAX + 16384);
    enum err err = signer_new(&d->store, &mesh_info(d->mesh)->name, diag, &e->signer);
    if (err == ERR_OK) err = token_book_new(&d->store, diag, &e->book);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        enroll_free(e);
        return err;
    }
    err = issue_new(d, &e->renewals);
    if (err != ERR_OK) {
        enroll_free(e);
        return err;
    }
    struct mesh_stream_issue serve = {.on_request = on_issue, .owner = e};
    mesh_stream_serve_issue(mesh_streams(d->mesh), &serve);
    d->join = (struct daemon_join){.on_handoff = on_handoff, .owner = e};
    *out = e;
    return ERR_OK;
}

void enroll_free(struct enroll *e)
{
    if (!e) return;
    CHECK_OBJ(e, ENROLL_MAGIC);
    e->daemon->join = (struct daemon_join){0};
    issue_free(e->renewals);
    LIST_EACH(node, next, &e->conns) conn_end(LIST_ENTRY(node, struct enroll_conn, node), true);
    signer_free(e->signer);
    token_book_free(e->book);
    arena_fini(&e->arena);
    e->magic = MAGIC_POISON;
    free(e);
}

const struct signer *enroll_signer(const struct enroll *e)
{
    return e->signer;
}

void enroll_kick(struct enroll *e)
{
    issue_kick(e->renewals);
}

struct issue *enroll_renewals(const struct enroll *e)
{
    return e->renewals;
}

/* The token names us first, then up to two other live signers. */
static void fill_seeds(const struct enroll *e, struct token *t)
{
    struct gossip_member m;
    size_t pos = 0;
    t->seed[t->seed_count++] = e->daemon->config->node.addr;
    while (t->seed_count < TOKEN_SEEDS_MAX &&
           gossip_member_next(mesh_gossip(e->daemon->mesh), &pos, &m))
        if (!m.self && m.state == MEMBER_ALIVE && (m.roles & ADMISSION_ROLE_SIGNER))
            t->seed[t->seed_count++] = m.addr;
}

static bool allow_create(struct enroll *e)
{
    uint64_t now = loop_now_ms(e->daemon->loop);
    if (now - e->create_ms >= 60000) {
        e->create_ms = now;
        e->created = 0;
    }
    return e->created++ < ENROLL_TOKENS_A_MINUTE;
}

enum err enroll_token_create(struct enroll *e, const struct enroll_token_spec *spec,
                             char text[TOKEN_TEXT_MAX], struct token_entry *entry)
{
    struct token t = {0};
    char id[TOKEN_ID_TEXT_MAX];
    if (!e->signer) return ERR_UNSUPPORTED;
    if (spec->ttl_s == 0 || spec->ttl_s > TOKEN_TTL_S_MAX || spec->uses == 0 ||
        spec->uses > TOKEN_USES_MAX || spec->service_count > ADMISSION_SERVICES_MAX)
        return ERR_RANGE;
    if (!allow_create(e)) return ERR_BUSY;
    int64_t now_s = loop_wall_s(e->daemon->loop);
    *entry = (struct token_entry){
        .uses_left = spec->uses, .roles = spec->roles, .service_count = spec->service_count};
    struct span glob = spec->glob.len > 0 ? spec->glob : SPAN_LIT("*");
    if (!span_to_cstr(glob, entry->glob, sizeof entry->glob)) return ERR_RANGE;
    memcpy(entry->service, spec->service, sizeof entry->service);
    randombytes_buf(&t.id, sizeof t.id);
    randombytes_buf(t.secret, sizeof t.secret);
    uint8_t digest[crypto_hash_sha256_BYTES];
    struct span ca = signer_ca_der(e->signer);
    crypto_hash_sha256(digest, (const uint8_t *)ca.p, ca.len);
    memcpy(t.ca_pin, digest, sizeof t.ca_pin);
    t.expires_s = (now_s + spec->ttl_s + 59) / 60 * 60;
    fill_seeds(e, &t);
    entry->id = t.id;
    entry->expires_s = t.expires_s;
    token_key(t.secret, entry->key);
    enum err err = token_format(&t, text);
    if (err == ERR_OK) err = token_book_add(e->book, entry, now_s);
    if (err == ERR_OK)
        log_info(&e->daemon->log, "token", "created=%s ttl_s=%u uses=%u node=%s",
                 token_id_format(t.id, id), spec->ttl_s, spec->uses, entry->glob);
    else
        sodium_memzero(text, TOKEN_TEXT_MAX);
    sodium_memzero(&t, sizeof t);
    return err;
}

const struct token_entry *enroll_token_at(const struct enroll *e, size_t i)
{
    return e->book ? token_book_at(e->book, i) : NULL;
}

enum err enroll_token_revoke(struct enroll *e, uint32_t id)
{
    char text[TOKEN_ID_TEXT_MAX];
    if (!e->book) return ERR_UNSUPPORTED;
    enum err err = token_book_revoke(e->book, id);
    if (err == ERR_OK) log_info(&e->daemon->log, "token", "revoked=%s", token_id_format(id, text));
    return err;
}

const struct enroll_counters *enroll_counters(const struct enroll *e)
{
    return &e->counters;
}
