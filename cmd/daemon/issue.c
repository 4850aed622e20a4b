#include "cmd/daemon/issue.h"

#include "cmd/daemon/compile.h"
#include "cmd/daemon/enroll_decide.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/mesh_stream.h"
#include "cmd/daemon/store_identity.h"
#include "cmd/daemon/store_state.h"
#include "core/base/check.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISSUE_MAGIC  0x69737375u
#define WANTED_MAX   (CONFIG_SERVICES_MAX + CONFIG_UPSTREAMS_MAX + 1)
#define LOOK_MS_MAX  (3600u * 1000)
#define RETRY_MS_MIN 1000u
#define RETRY_MS_MAX 30000u

struct issue {
    uint32_t magic;
    struct daemon *daemon; /* borrowed */
    struct loop_timer timer;
    struct mesh_stream_call call;
    bool calling;
    uint64_t retry_ms;
    struct enroll_issue ask;                /* what the running request asks for */
    uint8_t (*secret)[P256_SECRET_BYTES];   /* owned, sodium_malloc: one an asked leaf */
    uint8_t admission[ADMISSION_BYTES_MAX]; /* ours, sent along */
    struct arena arena;
    struct issue_status status;
};

int64_t issue_renew_due_s(const struct issue *is, const struct identity *id)
{
    int64_t from = identity_not_before_s(id) + SIGNER_BACKDATE_S,
            life = identity_not_after_s(id) - from;
    struct span uri = span_str(identity_uri(id));
    /* 40..60 % of its life, fixed for this identity and certificate. */
    uint64_t mix = hash_bytes(&is->daemon->hash_key, uri.p, uri.len) ^ hash_mix((uint64_t)from);
    return from + life * (int64_t)(40 + mix % 21) / 100;
}

static void look_again(struct issue *is, uint64_t in_ms)
{
    struct loop *l = is->daemon->loop;
    loop_timer_set(l, &is->timer, loop_now_ms(l) + in_ms);
}

static void failed(struct issue *is, const char *why)
{
    struct daemon *d = is->daemon;
    is->status.failed_total++;
    is->status.waiting = true;
    snprintf(is->status.last_error, sizeof is->status.last_error, "%s", why);
    /* The first look at a start comes before the first member is heard of: no news. */
    if (is->retry_ms > RETRY_MS_MIN)
        log_limited(&d->log, LOG_LEVEL_WARN, hash_mix(4), "cert", "leaves=%zu not renewed: %s",
                    is->ask.count, why);
    uint64_t wait = is->retry_ms / 2 + rng_below(&d->rng, is->retry_ms);
    is->retry_ms = is->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : is->retry_ms * 2;
    look_again(is, wait);
}

/* A service gets a fresh key each time; the node keeps the one its admission certificate names. */
static void ask_for(struct issue *is, const struct spiffe_id *id)
{
    struct enroll_leaf *leaf = &is->ask.leaf[is->ask.count];
    uint8_t *secret = is->secret[is->ask.count];
    leaf->id = *id;
    if (id->kind == IDENTITY_NODE) {
        memcpy(secret, identity_secret(identities_node(is->daemon->identities)), P256_SECRET_BYTES);
        if (x509_mint_public(secret, leaf->public_key) != ERR_OK) return;
    } else {
        x509_mint_key(secret, leaf->public_key);
    }
    is->ask.count++;
}

/* Fills `ask` with what is due now; the soonest later time otherwise. */
static int64_t collect(struct issue *is, int64_t now_s)
{
    struct daemon *d = is->daemon;
    struct spiffe_id *wanted = calloc(WANTED_MAX, sizeof *wanted);
    int64_t soonest = now_s + LOOK_MS_MAX / 1000;
    is->ask.count = 0;
    if (!wanted) return soonest;
    size_t count = identities_wanted(d->config, wanted, WANTED_MAX - 1);
    /* The node's comes first: without it there is no connection to ask on. */
    wanted[count] = *identity_spiffe(identities_node(d->identities));
    for (size_t i = count + 1; i-- > 0 && is->ask.count < ENROLL_LEAVES_MAX;) {
        if (i < count && wanted[i].kind == IDENTITY_NODE) continue;
        const struct identity *held = identities_get(d->identities, &wanted[i]);
        int64_t due = held ? issue_renew_due_s(is, held) : now_s;
        if (due <= now_s)
            ask_for(is, &wanted[i]);
        else if (due < soonest)
            soonest = due;
    }
    free(wanted);
    return soonest;
}

static enum err take_leaf(struct issue *is, size_t i, struct span der)
{
    struct daemon *d = is->daemon;
    const struct spiffe_id *id = &is->ask.leaf[i].id;
    struct identity *fresh;
    enum err err = identity_new(der, is->secret[i], &fresh);
    if (err != ERR_OK) return err;
    if (!name_spiffe_eq(identity_spiffe(fresh), id)) {
        identity_unref(fresh);
        return ERR_MISMATCH;
    }
    struct diag diag;
    diag_init(&diag);
    err = store_identity_save(&d->store, id->kind == IDENTITY_NODE ? NULL : &id->name,
                              is->secret[i], der, &diag);
    if (err != ERR_OK)
        log_warn(&d->log, "cert", "%s is in use but not stored: %s", identity_uri(fresh),
                 err_text(err));
    diag_fini(&diag);
    err = identities_put(d->identities, fresh);
    if (err != ERR_OK)
        identity_unref(fresh);
    else
        log_info(&d->log, "cert", "%s valid_s=%lld", identity_uri(fresh),
                 (long long)(identity_not_after_s(fresh) - loop_wall_s(d->loop)));
    return err;
}

/* Whether what was asked for is due again although it has just been signed. */
static bool still_due(const struct issue *is)
{
    struct daemon *d = is->daemon;
    for (size_t i = 0; i < is->ask.count; i++) {
        const struct identity *held = identities_get(d->identities, &is->ask.leaf[i].id);
        if (held && issue_renew_due_s(is, held) <= loop_wall_s(d->loop)) return true;
    }
    return false;
}

static void take_admission(struct issue *is, struct span cert)
{
    struct daemon *d = is->daemon;
    struct diag diag;
    diag_init(&diag);
    if (store_state_admission_save(&d->store, cert, &diag) != ERR_OK)
        log_warn(&d->log, "cert", "the admission certificate is not stored");
    if (mesh_admission(d->mesh, cert) != ERR_OK)
        log_warn(&d->log, "cert", "the signer's admission certificate is not ours");
    diag_fini(&diag);
}

static void take_answer(struct issue *is, const struct enroll_issued *a)
{
    struct daemon *d = is->daemon;
    size_t taken = 0;
    if (a->word.len > 0) {
        char why[96];
        snprintf(why, sizeof why, "%.*s: %.*s", SPAN_ARG(a->word), SPAN_ARG(a->text));
        failed(is, why);
        return;
    }
    for (size_t i = 0; i < is->ask.count && i < a->count; i++)
        if (a->leaf[i].len > 0 && take_leaf(is, i, a->leaf[i]) == ERR_OK) taken++;
    sodium_memzero(is->secret, sizeof *is->secret * ENROLL_LEAVES_MAX);
    if (a->admission.len > 0) take_admission(is, a->admission);
    if (taken > 0) {
        is->status.renewed_total += taken;
        compile_request(d->compile);
        mesh_announce(d->mesh);
    }
    if (taken < is->ask.count) {
        failed(is, "the signer refused an identity; does the token that admitted this node allow "
                   "its services?");
        return;
    }
    if (still_due(is)) {
        failed(is, "what was signed is due again: the signer's clock is hours behind ours, or the "
                   "CA ends");
        return;
    }
    is->status.waiting = false;
    is->status.last_error[0] = 0;
    is->retry_ms = RETRY_MS_MIN;
    look_again(is, 0);
}

static void sign_here(struct issue *is, const struct signer *signer)
{
    struct daemon *d = is->daemon;
    const struct store_mesh *m = mesh_info(d->mesh);
    struct enroll_world w = {
        .signer = signer, .mesh = m->name, .mesh_id = m->id, .now_s = loop_wall_s(d->loop)};
    struct enroll_issued *issued = calloc(1, sizeof *issued);
    struct x509_leaf self;
    if (!issued) {
        failed(is, err_text(ERR_NOMEM));
        return;
    }
    arena_reset(&is->arena);
    struct span own = identity_leaf(identities_node(d->identities));
    if (x509_check_leaf(own, NULL, X509_CLIENT, &self) == X509_OK &&
        enroll_decide_issue(&w, &self, &is->ask, &is->arena, issued))
        take_answer(is, issued);
    else
        failed(is, "this signer's own admission certificate is not valid");
    free(issued);
}

static void on_done(struct mesh_stream_call *call, enum err err, struct span reply)
{
    struct issue *is = CONTAINER_OF(call, struct issue, call);
    struct enroll_issued *issued = calloc(1, sizeof *issued);
    CHECK_OBJ(is, ISSUE_MAGIC);
    is->calling = false;
    if (err == ERR_OK) err = issued ? enroll_message_issued_read(reply, issued) : ERR_NOMEM;
    if (err == ERR_OK)
        take_answer(is, issued);
    else
        failed(is, err_text(err));
    free(issued);
}

/* A random live signer. */
static bool pick_signer(const struct issue *is, struct gossip_member *out)
{
    struct gossip_member m;
    size_t pos = 0;
    uint64_t seen = 0;
    while (gossip_member_next(mesh_gossip(is->daemon->mesh), &pos, &m)) {
        if (m.self || !(m.roles & ADMISSION_ROLE_SIGNER)) continue;
        if (m.state != MEMBER_ALIVE && m.state != MEMBER_SUSPECT) continue;
        if (rng_below(&is->daemon->rng, ++seen) == 0) *out = m;
    }
    return seen > 0;
}

static void ask_a_signer(struct issue *is)
{
    struct daemon *d = is->daemon;
    struct gossip_member signer;
    const uint8_t *secret[ENROLL_LEAVES_MAX];
    if (!pick_signer(is, &signer)) {
        failed(is, "no live member holds the CA key");
        return;
    }
    uint8_t *out = malloc(ENROLL_FRAME_MAX);
    size_t len;
    for (size_t i = 0; i < is->ask.count; i++)
        secret[i] = is->secret[i];
    enum err err =
        out ? enroll_message_issue(&is->ask, secret, out, ENROLL_FRAME_MAX, &len) : ERR_NOMEM;
    if (err == ERR_OK)
        err = mesh_stream_call_start(mesh_streams(d->mesh), &is->call, &signer.addr, &signer.name,
                                     span_of(out, len));
    free(out);
    if (err == ERR_OK)
        is->calling = true;
    else
        failed(is, err_text(err));
}

static void on_look(struct loop_timer *t)
{
    struct issue *is = CONTAINER_OF(t, struct issue, timer);
    struct daemon *d = is->daemon;
    CHECK_OBJ(is, ISSUE_MAGIC);
    if (is->calling) return;
    int64_t now_s = loop_wall_s(d->loop), soonest = collect(is, now_s);
    if (is->ask.count == 0) {
        look_again(is, (uint64_t)(soonest - now_s) * 1000);
        return;
    }
    size_t len;
    struct diag diag;
    diag_init(&diag);
    enum err err = store_state_admission(&d->store, &diag, is->admission, &len);
    diag_fini(&diag);
    is->ask.admission = span_of(is->admission, len);
    if (err != ERR_OK)
        failed(is, "the admission certificate cannot be read");
    else if (enroll_signer(d->enroll))
        sign_here(is, enroll_signer(d->enroll));
    else
        ask_a_signer(is);
}

enum err issue_new(struct daemon *d, struct issue **out)
{
    struct issue *is = calloc(1, sizeof *is);
    if (!is) return ERR_NOMEM;
    is->secret = sodium_allocarray(ENROLL_LEAVES_MAX, sizeof *is->secret);
    if (!is->secret) {
        free(is);
        return ERR_NOMEM;
    }
    is->magic = ISSUE_MAGIC;
    is->daemon = d;
    is->retry_ms = RETRY_MS_MIN;
    is->timer.on_expire = on_look;
    is->call.done = on_done;
    arena_init(&is->arena, 16384, ENROLL_LEAVES_MAX * (X509_DER_MAX + 64u) + 16384u);
    look_again(is, 0);
    *out = is;
    return ERR_OK;
}

void issue_free(struct issue *is)
{
    if (!is) return;
    CHECK_OBJ(is, ISSUE_MAGIC);
    loop_timer_clear(is->daemon->loop, &is->timer);
    if (is->calling) mesh_stream_call_cancel(&is->call);
    sodium_free(is->secret);
    arena_fini(&is->arena);
    is->magic = MAGIC_POISON;
    free(is);
}

void issue_kick(struct issue *is)
{
    if (!is->calling) look_again(is, 0);
}

void issue_status(const struct issue *is, struct issue_status *out)
{
    *out = is->status;
}
