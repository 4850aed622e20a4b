#include "cmd/daemon/mesh.h"

#include <stdlib.h>
#include <unistd.h>

#include "cmd/daemon/compile.h"
#include "cmd/daemon/enroll.h"
#include "cmd/daemon/mesh_ask.h"
#include "cmd/daemon/mesh_boot.h"
#include "cmd/daemon/mesh_keys.h"
#include "cmd/daemon/mesh_peers.h"
#include "cmd/daemon/mesh_stream.h"
#include "cmd/daemon/own_record.h"
#include "cmd/daemon/policy_run.h"
#include "core/io/udp.h"
#include "core/wire/pack_record.h"
#include "proxy/net/worker.h"

#define MESH_MAGIC          0x6d736831u
#define MESH_SLICE_BYTES    2048u /* a datagram is at most 1400 */
#define MESH_BATCHES_A_TURN 4u
#define HINTS_A_SECOND      10u
#define EVIDENCE_A_TICK     16u
#define ANSWERS_A_STEP      16u

struct mesh {
    uint32_t magic;
    struct daemon *d;
    struct mesh_boot boot; /* owned */
    struct gossip *gossip; /* boot.gossip */
    struct gossip_effects fx;
    struct mesh_stream *streams; /* owned */
    struct mesh_peers *peers;    /* owned */
    int fd;
    struct loop_io io;
    struct loop_timer tick;
    struct node_record *scratch; /* owned */
    uint8_t *body; /* owned: our record as last announced, packed: RECORD_BODY_BYTES_MAX */
    size_t body_len;
    uint8_t *packing;        /* owned: the next one */
    uint64_t hint_window_ms; /* when the present second of hints began */
    unsigned hints;
    struct mesh_ask_table asks;
    uint8_t received[UDP_BATCH_MAX * MESH_SLICE_BYTES];
};

static void apply_effects(struct mesh *m);

/* One event through the machine, then what it asks for. */
static enum err step(struct mesh *m, struct gossip_event *e)
{
    struct loop *loop = m->d->loop;
    e->now_ms = loop_now_ms(loop);
    e->now_us = loop_now_us(loop);
    e->wall_ms = (int64_t)(loop_wall_us(loop) / 1000u);
    enum err err = gossip_step(m->gossip, e, &m->fx);
    apply_effects(m);
    /* What the driver has to say to the effects, and what follows from that. */
    struct gossip_event answer;
    for (unsigned i = 0; i < ANSWERS_A_STEP && policy_run_answer(m->d->policy, &answer); i++) {
        answer.now_ms = e->now_ms;
        answer.wall_ms = e->wall_ms;
        enum err said = gossip_step(m->gossip, &answer, &m->fx);
        apply_effects(m);
        if (said != ERR_OK) err = said;
    }
    uint64_t next = err == ERR_FULL ? e->now_ms : gossip_next_deadline_ms(m->gossip);
    loop_timer_set(loop, &m->tick, next);
    return err == ERR_FULL ? ERR_OK : err;
}

/* A step whose failure leaves nothing to do but say so: memory. */
static void step_logged(struct mesh *m, struct gossip_event *e)
{
    enum err err = step(m, e);
    if (err != ERR_OK)
        log_limited(&m->d->log, LOG_LEVEL_ERROR, MESH_MAGIC, "gossip", "a step failed: %s",
                    err_text(err));
}

static bool traffic_heard(const struct mesh *m, const struct addr *a, uint64_t since_ms)
{
    uint64_t now_ms = loop_now_ms(m->d->loop);
    for (unsigned i = 0; i < m->d->worker_count; i++)
        if (worker_heard_since(m->d->worker[i].worker, a, since_ms, now_ms)) return true;
    return false;
}

/* Before a probe's time is judged to be over: who answered our traffic since it was asked is there.
 */
static void tell_evidence(struct mesh *m)
{
    struct addr heard[EVIDENCE_A_TICK], a;
    struct gossip_event e = {.kind = GOSSIP_EVIDENCE, .addr = heard};
    uint64_t since_ms;
    for (size_t pos = 0;
         e.addr_count < EVIDENCE_A_TICK && gossip_asked_next(m->gossip, &pos, &a, &since_ms);)
        if (traffic_heard(m, &a, since_ms)) heard[e.addr_count++] = a;
    if (e.addr_count > 0) step_logged(m, &e);
}

static void member_changed(struct mesh *m, const struct gossip_effect *fx)
{
    struct gossip_member who;
    bool known = gossip_member_get(m->gossip, &fx->node, &who) == ERR_OK;
    if (known && who.self) return; /* our own part of the catalogue is built from our record */
    compile_request(m->d->compile);
    if (!known) return;
    /* Certificates may wait for somebody to sign them. */
    if (fx->new_state == MEMBER_ALIVE && m->d->enroll != NULL) enroll_kick(m->d->enroll);
    char text[ADDR_TEXT_MAX];
    if (fx->old_state == fx->new_state) { /* first seen, or moved */
        log_info(&m->d->log, "member", "node=%s addr=%s now=%s", who.name.text,
                 addr_format(&who.addr, text), gossip_state_word(fx->new_state));
        return;
    }
    bool bad = fx->new_state == MEMBER_UNREACHABLE || fx->new_state == MEMBER_DEAD;
    log_event(&m->d->log, bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "member",
              "node=%s addr=%s was=%s now=%s%s", who.name.text, addr_format(&who.addr, text),
              gossip_state_word(fx->old_state), gossip_state_word(fx->new_state),
              who.lossy ? " why=lossy" : "");
}

static void persist(struct mesh *m, struct span blob)
{
    struct diag diag;
    diag_init(&diag);
    enum err err = store_state_peers_save(&m->d->store, blob, &diag);
    if (err != ERR_OK)
        log_limited(&m->d->log, LOG_LEVEL_WARN, MESH_MAGIC + 1, "store", "peers not saved: %s",
                    diag.count > 0 ? diag.entry[0].message : err_text(err));
    diag_fini(&diag);
}

static void conflict(struct mesh *m, const struct gossip_effect *fx)
{
    struct gossip_member who;
    char text[ADDR_TEXT_MAX];
    bool other = gossip_member_get(m->gossip, &fx->node, &who) == ERR_OK && !who.self;
    if (other)
        log_limited(&m->d->log, LOG_LEVEL_ERROR, MESH_MAGIC + 2, "conflict",
                    "two hosts use the name or identity of %s, one is %s: give one of them a name "
                    "and identity of its own (parley join)",
                    who.name.text, addr_format(&who.addr, text));
    else
        log_limited(&m->d->log, LOG_LEVEL_ERROR, MESH_MAGIC + 2, "conflict",
                    "another host uses this node's name or identity: give one of them a name and "
                    "identity of its own (parley join)");
}

/* Datagrams of one step leave in batches; what the kernel will not take now is lost, as UDP may. */
static void send_datagrams(struct mesh *m)
{
    struct udp_datagram out[UDP_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i <= m->fx.count; i++) {
        bool last = i == m->fx.count;
        if (!last && m->fx.effect[i].kind == GOSSIP_SEND_DATAGRAM)
            out[n++] =
                (struct udp_datagram){.peer = m->fx.effect[i].to, .data = m->fx.effect[i].data};
        if (n == 0 || (!last && n < UDP_BATCH_MAX)) continue;
        size_t handled = 0;
        if (m->fd >= 0 && udp_send(m->fd, out, n, &handled, NULL) == ERR_AGAIN) return;
        n = 0;
    }
}

static void apply_effects(struct mesh *m)
{
    send_datagrams(m);
    for (size_t i = 0; i < m->fx.count; i++) {
        const struct gossip_effect *fx = &m->fx.effect[i];
        switch (fx->kind) {
        case GOSSIP_SEND_DATAGRAM:
            break;
        case GOSSIP_STREAM_OPEN:
            mesh_stream_open(m->streams, fx->stream, &fx->to, &fx->peer_name);
            break;
        case GOSSIP_STREAM_SEND:
            mesh_stream_send(m->streams, fx->stream, fx->data);
            break;
        case GOSSIP_STREAM_CLOSE:
            mesh_stream_close(m->streams, fx->stream);
            break;
        case GOSSIP_MEMBER_CHANGED:
            member_changed(m, fx);
            break;
        case GOSSIP_RECORD_CHANGED:
            if (name_node_id_cmp(&fx->node, &m->boot.id) != 0) compile_request(m->d->compile);
            break;
        case GOSSIP_PERSIST:
            persist(m, fx->data);
            break;
        case GOSSIP_CONFLICT:
            conflict(m, fx);
            break;
        case GOSSIP_PONG:
            mesh_ask_pong(&m->asks, fx);
            break;
        case GOSSIP_STATUS_CHANGED: /* nothing of it is in a snapshot */
            break;
        case GOSSIP_POLICY_VALIDATE:
        case GOSSIP_POLICY_ACTIVATE:
        case GOSSIP_POLICY_CHANGED:
        case GOSSIP_POLICY_STORE:
        case GOSSIP_POLICY_REFUSED:
            (void)policy_run_effect(m->d->policy, fx);
            break;
        case GOSSIP_KEY_STORE:
        case GOSSIP_KEY_USE:
        case GOSSIP_KEY_DROP:
            mesh_keys_apply(m->d, m->boot.ring, fx);
            break;
        }
    }
}

static void on_opened(void *owner, uint32_t stream, bool inbound, const struct x509_leaf *peer)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_OPENED,
                             .stream = stream,
                             .inbound = inbound,
                             .peer_name = peer->id.name};
    memcpy(e.peer_spki, peer->spki_sha256, sizeof e.peer_spki);
    step_logged(owner, &e);
}

static void on_message(void *owner, uint32_t stream, struct span message)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_DATA, .stream = stream, .data = message};
    step_logged(owner, &e);
}

static void on_closed(void *owner, uint32_t stream, enum err err)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_CLOSED, .stream = stream, .err = err};
    step_logged(owner, &e);
}

static const struct mesh_stream_events stream_events = {
    .on_opened = on_opened, .on_message = on_message, .on_closed = on_closed};

static void drain_socket(struct mesh *m)
{
    enum err err = ERR_OK;
    for (unsigned batch = 0; err == ERR_OK && batch < MESH_BATCHES_A_TURN; batch++) {
        struct udp_datagram in[UDP_BATCH_MAX];
        size_t count = 0;
        err = udp_recv(m->fd, m->received, sizeof m->received, in, &count);
        for (size_t i = 0; i < count; i++) {
            struct gossip_event e = {.kind = GOSSIP_DATAGRAM,
                                     .from = in[i].peer,
                                     .data = in[i].data,
                                     .more = i + 1 < count};
            step_logged(m, &e);
        }
    }
}

static void on_readable(struct loop_io *io, bool readable, bool writable)
{
    (void)writable;
    if (readable) drain_socket(CONTAINER_OF(io, struct mesh, io));
}

/* What waits on the socket is read first: when it is we who were late, the answer may lie there,
 * and to ask again, and others, would cost dozens of packets. */
static void tick_due(struct loop_timer *t)
{
    struct mesh *m = CONTAINER_OF(t, struct mesh, tick);
    struct gossip_event e = {.kind = GOSSIP_TICK};
    struct addr a;
    uint64_t since_ms;
    size_t pos = 0;
    if (m->fd >= 0 && gossip_asked_next(m->gossip, &pos, &a, &since_ms)) drain_socket(m);
    tell_evidence(m);
    step_logged(m, &e);
}

enum err mesh_new(struct daemon *d, struct diag *diag, struct mesh **out)
{
    struct mesh *m = calloc(1, sizeof *m);
    if (m == NULL) return ERR_NOMEM;
    m->magic = MESH_MAGIC;
    m->d = d;
    m->fd = -1;
    m->tick.on_expire = tick_due;
    enum err err = ERR_NOMEM;
    m->scratch = calloc(1, sizeof *m->scratch);
    m->body = calloc(1, RECORD_BODY_BYTES_MAX);
    m->packing = calloc(1, RECORD_BODY_BYTES_MAX);
    if (m->scratch == NULL || m->body == NULL || m->packing == NULL) goto fail;
    err = event_effects_init(&m->fx);
    if (err != ERR_OK) goto fail;
    err = mesh_stream_new(d, &stream_events, m, &m->streams);
    if (err != ERR_OK) goto fail;
    err = mesh_boot_load(d, diag, &m->boot);
    if (err != ERR_OK) goto fail;
    m->gossip = m->boot.gossip;
    err = mesh_peers_new(m, d, &m->peers);
    if (err != ERR_OK) goto fail;
    *out = m;
    return ERR_OK;

fail:
    mesh_free(m);
    return err;
}

void mesh_free(struct mesh *m)
{
    if (m == NULL) return;
    CHECK_OBJ(m, MESH_MAGIC);
    if (m->fd >= 0) {
        loop_io_set(m->d->loop, &m->io, false, false);
        (void)close(m->fd);
    }
    loop_timer_clear(m->d->loop, &m->tick);
    mesh_peers_free(m->peers);
    mesh_stream_free(m->streams);
    event_effects_fini(&m->fx);
    mesh_boot_fini(&m->boot);
    free(m->scratch);
    free(m->body);
    free(m->packing);
    m->magic = MAGIC_POISON;
    free(m);
}

enum err mesh_start(struct mesh *m, struct diag *diag)
{
    CHECK_OBJ(m, MESH_MAGIC);
    const struct addr *bind = &m->d->config->node.bind;
    enum err err = udp_bind(bind, &m->fd);
    if (err != ERR_OK) {
        char text[ADDR_TEXT_MAX];
        m->fd = -1;
        diag_error(diag, NULL, "cannot bind UDP %s (mesh port): %s", addr_format(bind, text),
                   err_text(err));
        return err;
    }
    loop_io_init(&m->io, m->fd, on_readable);
    loop_io_set(m->d->loop, &m->io, true, false);
    mesh_announce(m);
    mesh_contact_peers(m);
    return ERR_OK;
}

void mesh_announce(struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    size_t len = own_record_pack(m->d, m->scratch, m->packing);
    bool same = len == m->body_len && memcmp(m->packing, m->body, len) == 0;
    if (len == 0 || same) return;
    uint8_t *fresh = m->packing;
    m->packing = m->body;
    m->body = fresh;
    m->body_len = len;
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_of(m->body, len)};
    step_logged(m, &e);
}

void mesh_contact_peers(struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    mesh_peers_contact(m->peers);
}

void mesh_join(struct mesh *m, const struct addr *addr, size_t count)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_event e = {.kind = GOSSIP_JOIN, .addr = addr, .addr_count = count};
    step_logged(m, &e);
}

void mesh_hint(struct mesh *m, const struct addr *peer)
{
    CHECK_OBJ(m, MESH_MAGIC);
    uint64_t now_ms = loop_now_ms(m->d->loop);
    if (now_ms - m->hint_window_ms >= 1000u) {
        m->hint_window_ms = now_ms;
        m->hints = 0;
    }
    if (m->hints == HINTS_A_SECOND) return;
    m->hints++;
    struct gossip_event e = {.kind = GOSSIP_HINT, .addr = peer, .addr_count = 1};
    step_logged(m, &e);
}

enum err mesh_forget(struct mesh *m, const struct node_id *id)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_event e = {.kind = GOSSIP_REMOVE, .node = *id};
    enum err err = step(m, &e);
    if (err == ERR_OK) compile_request(m->d->compile);
    return err;
}

uint32_t mesh_ping(struct mesh *m, const struct mesh_ask_options *o)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_event e = mesh_ask_event(&m->asks, o);
    enum err err = step(m, &e);
    if (err != ERR_OK) mesh_ask_failed(&m->asks, e.token, err);
    return e.token;
}

bool mesh_ping_take(struct mesh *m, uint32_t token, struct mesh_ask *out)
{
    CHECK_OBJ(m, MESH_MAGIC);
    return mesh_ask_take(&m->asks, token, out);
}

void mesh_leave(struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_event e = {.kind = GOSSIP_LEAVE};
    step_logged(m, &e);
}

enum err mesh_admission(struct mesh *m, struct span cert)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_event e = {.kind = GOSSIP_ADMISSION, .data = cert};
    return step(m, &e);
}

enum err mesh_intent(struct mesh *m, struct span signed_bytes, const struct span *text,
                     size_t text_count, enum policy_refusal *why)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_event e = {
        .kind = GOSSIP_INTENT, .data = signed_bytes, .text = text, .text_count = text_count};
    enum err err = step(m, &e);
    *why = gossip_policy_intent_refusal(m->gossip);
    return err;
}

void mesh_answer(struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_event e = {.kind = GOSSIP_TICK};
    step_logged(m, &e);
}

const struct gossip *mesh_gossip(const struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    return m->gossip;
}

uint32_t mesh_reachable(const struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct gossip_member who;
    uint32_t n = 0;
    for (size_t pos = 0; gossip_member_next(m->gossip, &pos, &who);)
        n += who.self || who.state == MEMBER_ALIVE || who.state == MEMBER_SUSPECT;
    return n;
}

/* A member says of itself what it likes; what it may serve, its admission says. */
static void drop_ungranted(const struct mesh *m, const struct sign_admission *a,
                           struct node_record *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->service_count; i++) {
        if (!sign_admission_grants(a, &r->service[i].service)) {
            log_limited(&m->d->log, LOG_LEVEL_WARN, MESH_MAGIC + 3, "record",
                        "node=%s service=%s: its admission does not grant it", a->name.text,
                        r->service[i].service.text);
            continue;
        }
        if (kept != i) r->service[kept] = r->service[i];
        kept++;
    }
    r->service_count = (uint32_t)kept;
}

enum err mesh_record(const struct mesh *m, const struct node_id *id, struct node_record *out)
{
    CHECK_OBJ(m, MESH_MAGIC);
    struct sign_admission a;
    struct span body = gossip_member_body(m->gossip, id);
    if (body.len == 0) return ERR_NOT_FOUND;
    enum err err = sign_admission_read(gossip_member_admission(m->gossip, id), &a);
    if (err == ERR_OK) err = pack_record_decode(body, out);
    if (err == ERR_OK) drop_ungranted(m, &a, out);
    return err;
}

struct node_id mesh_own_id(const struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    return m->boot.id;
}

const struct store_mesh *mesh_info(const struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    return &m->boot.info;
}

enum err mesh_make_key(struct mesh *m, struct diag *diag, struct manifest_hash *hash)
{
    CHECK_OBJ(m, MESH_MAGIC);
    return mesh_keys_make(m->d, m->boot.ring, diag, hash);
}

const struct seal_ring *mesh_ring(const struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    return m->boot.ring;
}

struct mesh_stream *mesh_streams(const struct mesh *m)
{
    CHECK_OBJ(m, MESH_MAGIC);
    return m->streams;
}
