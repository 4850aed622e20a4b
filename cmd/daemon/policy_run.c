#include "cmd/daemon/policy_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/daemon/compile.h"
#include "cmd/daemon/host_file.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/policy_trial.h"
#include "cmd/daemon/trial_child.h"
#include "core/wire/config_policy.h"
#include "core/wire/pack_manifest.h"

#define POLICY_RUN_MAGIC  0x706f6c31u
#define ANSWERS_MAX       8u /* a step asks for a judgement and an activation at most */
#define REASON_BYTES_MAX  256u
#define TRYING_BYTES_MAX  160u
#define TRYING_ADVICE     "delete it"
#define FIRST_ROOT_ADVICE "the others of the mesh have it"
#define TRIAL_BYTES_MAX   ((size_t)64 << 20)

struct answer {
    enum gossip_event_kind kind;
    struct manifest_ref ref;
    enum err err;
    char reason[REASON_BYTES_MAX];
};

struct policy_run {
    uint32_t magic;
    struct daemon *d;
    struct policy_mesh *rules; /* owned; NULL: none */
    struct manifest_ref active;
    struct answer answer[ANSWERS_MAX];
    unsigned answers, answered;
    struct policy_trial child; /* before it is judged here */
    struct loop_timer trial;   /* policy-trying is removed when it expires */
    struct manifest_ref tried; /* what policy-trying names; gen 0: nothing */
    unsigned tried_starts;
    bool started;
    struct manifest_ref said_head; /* as last logged */
    enum status_state said_state;
};

/* --- Texts to rules --- */

struct texts { /* of a generation; borrowed from gossip */
    struct config_text text[MANIFEST_TEXTS_MAX];
    char file[MANIFEST_TEXTS_MAX][NAME_BYTES_MAX + sizeof "mesh:.toml"];
    size_t count;
};

static enum err take_texts(const struct gossip *g, const struct manifest_ref *ref,
                           struct texts *out)
{
    struct gossip_policy_entry e;
    struct manifest m;
    enum err err = gossip_policy_get(g, MANIFEST_POLICY, ref, &e);
    if (err == ERR_OK) err = pack_manifest_decode(e.bytes, &m);
    if (err != ERR_OK) return err;
    out->count = m.text_count;
    for (uint32_t i = 0; i < m.text_count; i++) {
        struct span body = gossip_policy_text(g, &m.text[i].hash);
        if (body.p == NULL) return ERR_NOT_FOUND;
        (void)snprintf(out->file[i], sizeof out->file[i], "mesh:%s.toml", m.text[i].name.text);
        out->text[i] = (struct config_text){.file = out->file[i], .text = body};
    }
    return ERR_OK;
}

enum err policy_run_load(const struct gossip *g, const struct manifest_ref *ref, struct diag *diag,
                         struct policy_mesh **out)
{
    struct texts t;
    enum err err = take_texts(g, ref, &t);
    return err == ERR_OK ? config_policy_load(t.text, t.count, diag, out) : err;
}

/* --- Answers --- */

/* The first error with its place, or what `err` means. */
static void set_reason(struct answer *a, const struct diag *diag)
{
    struct strbuf sb;
    strbuf_init_fixed(&sb, a->reason, sizeof a->reason);
    if (a->err == ERR_OK) return;
    for (unsigned i = 0; i < diag->count; i++) {
        const struct diag_entry *e = &diag->entry[i];
        if (e->level != DIAG_ERROR) continue;
        if (e->file != NULL && e->line > 0) strbuf_fmt(&sb, "%s:%u: ", e->file, e->line);
        strbuf_str(&sb, e->message);
        return;
    }
    strbuf_str(&sb, err_text(a->err));
}

/* What was answered makes room first. Full is our own mistake: it means that steps ask for more
 * than mesh.c takes. */
static void answer(struct policy_run *p, enum gossip_event_kind kind,
                   const struct manifest_ref *ref, enum err err, const struct diag *diag)
{
    if (p->answers == ANSWERS_MAX) {
        p->answers -= p->answered;
        memmove(p->answer, p->answer + p->answered, p->answers * sizeof p->answer[0]);
        p->answered = 0;
    }
    CHECK(p->answers < ANSWERS_MAX);
    struct answer *a = &p->answer[p->answers++];
    *a = (struct answer){.kind = kind, .ref = *ref, .err = err};
    set_reason(a, diag);
}

bool policy_run_answer(struct policy_run *p, struct gossip_event *out)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    if (p->answered == p->answers) {
        p->answered = p->answers = 0;
        return false;
    }
    const struct answer *a = &p->answer[p->answered++];
    *out = (struct gossip_event){
        .kind = a->kind, .ref = a->ref, .err = a->err, .data = span_str(a->reason)};
    return true;
}

/* --- The generation on trial --- */

static bool crashed(const struct policy_run *p, const struct manifest_ref *ref)
{
    return ref->gen > 0 && manifest_ref_eq(ref, &p->tried) &&
           p->tried_starts >= POLICY_TRIAL_STARTS_MAX;
}

/* Starts that found it are counted over, also when gossip puts it in force again in between. */
static void trying_write(struct policy_run *p, const struct manifest_ref *ref, unsigned starts)
{
    if (starts == 0 && manifest_ref_eq(ref, &p->tried)) starts = p->tried_starts;
    p->tried = *ref;
    p->tried_starts = starts;
    char text[TRYING_BYTES_MAX], hash[MANIFEST_HASH_TEXT_MAX];
    struct diag diag;
    diag_init(&diag);
    int n = snprintf(text, sizeof text, "%llu %s %u", (unsigned long long)ref->gen,
                     manifest_hash_text(&ref->hash, hash), starts);
    enum err err =
        store_write_checked(&p->d->store, STORE_POLICY_TRYING, span_of(text, (size_t)n), &diag);
    /* Without it a crash is not laid to the policy; a full disk must not keep the policy out. */
    if (err != ERR_OK)
        log_limited(&p->d->log, LOG_LEVEL_WARN, POLICY_RUN_MAGIC + 1, "store",
                    "a crash would not be noticed: %s",
                    diag.count > 0 ? diag.entry[0].message : err_text(err));
    diag_fini(&diag);
    /* One that crashes stays named: gossip must not try it again after the next start either. */
    if (!crashed(p, ref))
        loop_timer_set(p->d->loop, &p->trial, loop_now_ms(p->d->loop) + POLICY_TRIAL_MS);
}

static void trying_remove(struct policy_run *p)
{
    loop_timer_clear(p->d->loop, &p->trial);
    p->tried = (struct manifest_ref){.gen = 0};
    p->tried_starts = 0;
    if (store_remove(&p->d->store, STORE_POLICY_TRYING, NULL) != ERR_OK)
        log_limited(&p->d->log, LOG_LEVEL_WARN, POLICY_RUN_MAGIC + 2, "store",
                    "policy-trying was not removed");
}

static void trial_over(struct loop_timer *t)
{
    trying_remove(CONTAINER_OF(t, struct policy_run, trial));
}

static bool trying_parse(struct span text, struct manifest_ref *ref, unsigned *starts)
{
    struct span hash, count;
    uint64_t n = 0;
    struct span gen = span_cut(text, ' ', &hash);
    hash = span_cut(hash, ' ', &count);
    if (!span_u64(gen, &ref->gen) || !span_u64(count, &n) || n > POLICY_TRIAL_STARTS_MAX ||
        !span_hex(hash, ref->hash.byte, sizeof ref->hash.byte))
        return false;
    *starts = (unsigned)n;
    return true;
}

/* Whether a start finds a generation on trial; `*starts` before this one. */
static bool trying_read(struct policy_run *p, struct manifest_ref *ref, unsigned *starts)
{
    struct strbuf sb;
    struct diag diag;
    diag_init(&diag);
    strbuf_init(&sb, TRYING_BYTES_MAX + 128);
    enum err err = store_read_checked(&p->d->store, STORE_POLICY_TRYING, TRYING_ADVICE, &diag, &sb);
    bool found = err == ERR_OK && trying_parse(strbuf_view(&sb), ref, starts);
    if (!found && err != ERR_NOT_FOUND)
        log_warn(&p->d->log, "store", "%s", diag.count > 0 ? diag.entry[0].message : err_text(err));
    strbuf_fini(&sb);
    diag_fini(&diag);
    return found;
}

/* --- What gossip asks for --- */

static enum err not_deadly(const struct policy_run *p, const struct manifest_ref *ref,
                           struct diag *diag)
{
    if (!crashed(p, ref)) return ERR_OK;
    diag_error(diag, NULL, "crashed: the process ended %u times soon after it was put in force",
               POLICY_TRIAL_STARTS_MAX);
    return ERR_CANCELLED;
}

static void judge(struct policy_run *p, const struct manifest_ref *ref)
{
    struct diag diag;
    struct policy_mesh *rules = NULL;
    diag_init(&diag);
    enum err err = not_deadly(p, ref, &diag);
    if (err == ERR_OK) err = policy_run_load(mesh_gossip(p->d->mesh), ref, &diag, &rules);
    if (err == ERR_OK && p->started) err = compile_try(p->d->compile, rules, &diag);
    answer(p, GOSSIP_POLICY_VERDICT, ref, err, &diag);
    policy_mesh_free(rules);
    diag_fini(&diag);
}

/* --- Trials --- */

static void trial_ended(struct policy_trial *t, const char *died)
{
    struct policy_run *p = CONTAINER_OF(t, struct policy_run, child);
    struct diag diag;
    if (died == NULL) {
        judge(p, &t->ref);
    } else {
        diag_init(&diag);
        diag_error(&diag, NULL, "%s", died);
        answer(p, GOSSIP_POLICY_VERDICT, &t->ref, ERR_CANCELLED, &diag);
        log_error(&p->d->log, "policy", "generation=%llu is refused: %s",
                  (unsigned long long)t->ref.gen, died);
        diag_fini(&diag);
    }
    mesh_answer(p->d->mesh);
}

/* The host file that runs is the last good one. Without it the texts alone are tried. */
static enum err start_trial(struct policy_run *p, const struct manifest_ref *ref)
{
    struct host_file host = {.count = 0};
    struct strbuf input;
    struct texts t;
    struct diag diag;
    enum err err = take_texts(mesh_gossip(p->d->mesh), ref, &t);
    if (err != ERR_OK) return err;
    diag_init(&diag);
    bool found = host_file_read_last_good(&p->d->store, &diag, &host) == ERR_OK;
    diag_fini(&diag);
    strbuf_init(&input, TRIAL_BYTES_MAX);
    err = trial_child_write(host.text, host.count, t.text, t.count, &input);
    if (found) host_file_fini(&host);
    p->child.ref = *ref;
    if (err == ERR_OK)
        err = policy_trial_start(&p->child, p->d->options.program, strbuf_view(&input));
    strbuf_fini(&input);
    return err;
}

/* A host that has no room for a child judges all the same: one that cannot must not stop all. */
static void validate(struct policy_run *p, const struct manifest_ref *ref)
{
    enum err err = ERR_UNSUPPORTED;
    policy_trial_stop(&p->child);
    if (p->d->options.program != NULL && !crashed(p, ref)) {
        err = start_trial(p, ref);
        if (err != ERR_OK)
            log_limited(&p->d->log, LOG_LEVEL_WARN, POLICY_RUN_MAGIC + 5, "policy",
                        "generation=%llu is judged without a trial: %s",
                        (unsigned long long)ref->gen, err_text(err));
    }
    if (err != ERR_OK) judge(p, ref);
}

/* Takes `rules` in any case. */
static enum err put_in_force(struct policy_run *p, struct policy_mesh *rules, struct diag *diag)
{
    struct policy_mesh *old = p->rules;
    p->rules = rules;
    enum err err = p->started ? compile_now(p->d->compile, p->d->config, diag) : ERR_OK;
    if (err != ERR_OK) p->rules = old;
    policy_mesh_free(err == ERR_OK ? old : rules);
    return err;
}

static void activate(struct policy_run *p, const struct manifest_ref *ref)
{
    struct diag diag;
    struct policy_mesh *rules = NULL;
    char hash[MANIFEST_HASH_SHORT_MAX];
    diag_init(&diag);
    bool same = manifest_ref_eq(ref, &p->active);
    enum err err = not_deadly(p, ref, &diag);
    if (err == ERR_OK && !same && ref->gen > 0)
        err = policy_run_load(mesh_gossip(p->d->mesh), ref, &diag, &rules);
    if (err == ERR_OK && !same) {
        if (ref->gen > 0 && p->started) trying_write(p, ref, 0);
        err = put_in_force(p, rules, &diag);
    }
    if (err == ERR_OK && !same) {
        p->active = *ref;
        log_info(&p->d->log, "policy", "active generation=%llu hash=%s rules=%zu snapshot=%llu",
                 (unsigned long long)ref->gen, manifest_hash_short(&ref->hash, hash),
                 p->rules != NULL ? p->rules->rule_count : 0,
                 (unsigned long long)(p->started ? compile_generation(p->d->compile) : 0));
    }
    answer(p, GOSSIP_POLICY_APPLIED, ref, err, &diag);
    if (err != ERR_OK)
        log_error(&p->d->log, "policy", "generation=%llu is not put in force: %s",
                  (unsigned long long)ref->gen, p->answer[p->answers - 1].reason);
    diag_fini(&diag);
}

static void save(struct policy_run *p, struct span bytes)
{
    struct diag diag;
    diag_init(&diag);
    enum err err = store_write_checked(&p->d->store, STORE_POLICY, bytes, &diag);
    if (err != ERR_OK)
        log_limited(&p->d->log, LOG_LEVEL_ERROR, POLICY_RUN_MAGIC + 3, "store",
                    "mesh policy not saved: %s",
                    diag.count > 0 ? diag.entry[0].message : err_text(err));
    diag_fini(&diag);
}

static void log_head(struct policy_run *p, const struct manifest_ref *head)
{
    const struct gossip *g = mesh_gossip(p->d->mesh);
    struct gossip_policy_entry e;
    struct manifest m;
    char hash[MANIFEST_HASH_SHORT_MAX];
    if (gossip_policy_get(g, MANIFEST_POLICY, head, &e) != ERR_OK ||
        pack_manifest_decode(e.bytes, &m) != ERR_OK)
        return;
    log_info(&p->d->log, "policy", "head generation=%llu hash=%s by=%s message=\"%s\"",
             (unsigned long long)head->gen, manifest_hash_short(&head->hash, hash), m.author.text,
             m.message);
    size_t pos = 0;
    while (gossip_policy_next(g, MANIFEST_POLICY, &pos, &e))
        if (e.sibling && e.ref.gen == head->gen)
            log_warn(&p->d->log, "policy",
                     "conflict generation=%llu: %s was applied at the same time and lost",
                     (unsigned long long)e.ref.gen, manifest_hash_short(&e.ref.hash, hash));
}

/* Says what is new, once. */
static void changed(struct policy_run *p)
{
    const struct gossip *g = mesh_gossip(p->d->mesh);
    struct manifest_ref head = gossip_policy_head(g, MANIFEST_POLICY);
    struct status s;
    gossip_policy_status(g, &s);
    if (!manifest_ref_eq(&head, &p->said_head)) {
        log_head(p, &head);
        p->said_head = head;
    }
    if (s.state == p->said_state) return;
    p->said_state = s.state;
    bool bad = s.state == STATUS_REJECTED || s.state == STATUS_ROLLED_BACK ||
               s.state == STATUS_STOPPED || s.state == STATUS_REVERTED;
    log_event(&p->d->log, bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "policy",
              "generation=%llu state=%s%s%s", (unsigned long long)s.policy_gen,
              status_word(s.state), s.reason[0] ? " reason=" : "", s.reason);
}

static void refused(struct policy_run *p, const struct gossip_effect *fx)
{
    struct gossip_member who;
    bool known = gossip_member_get(mesh_gossip(p->d->mesh), &fx->node, &who) == ERR_OK;
    log_limited(&p->d->log, LOG_LEVEL_WARN, POLICY_RUN_MAGIC + 4, "policy",
                "refused from=%s why=%.*s", known ? who.name.text : "?", SPAN_ARG(fx->data));
}

bool policy_run_effect(struct policy_run *p, const struct gossip_effect *fx)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    switch ((int)fx->kind) {
    case GOSSIP_POLICY_VALIDATE:
        validate(p, &fx->ref);
        return true;
    case GOSSIP_POLICY_ACTIVATE:
        activate(p, &fx->ref);
        return true;
    case GOSSIP_POLICY_STORE:
        save(p, fx->data);
        return true;
    case GOSSIP_POLICY_CHANGED:
        changed(p);
        return true;
    case GOSSIP_POLICY_REFUSED:
        refused(p, fx);
        return true;
    default:
        return false;
    }
}

/* --- What members say --- */

const char *policy_run_member_word(const struct policy_run *p, const struct gossip_member *m,
                                   uint64_t *gen)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    const struct gossip *g = mesh_gossip(p->d->mesh);
    struct manifest_ref head = gossip_policy_head(g, MANIFEST_POLICY);
    struct status s = {.policy_gen = 0};
    if (m->self)
        gossip_policy_status(g, &s);
    else if (gossip_policy_member_status(g, &m->id, &s) != ERR_OK)
        s = (struct status){.policy_gen = 0};
    *gen = s.policy_gen;
    if (head.gen == 0) return "-";
    bool newest =
        s.policy_gen == head.gen && memcmp(s.policy_hash, head.hash.byte, STATUS_HASH_BYTES) == 0;
    if (!newest) return "stale";
    return s.state == STATUS_APPLIED ? "ok" : status_word(s.state);
}

unsigned policy_run_stale(const struct policy_run *p)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    const struct gossip *g = mesh_gossip(p->d->mesh);
    struct gossip_member m;
    size_t pos = 0;
    unsigned stale = 0;
    if (gossip_policy_head(g, MANIFEST_POLICY).gen == 0) return 0;
    while (gossip_member_next(g, &pos, &m)) {
        uint64_t gen;
        if (m.state != MEMBER_ALIVE && m.state != MEMBER_SUSPECT && !m.self) continue;
        stale += strcmp(policy_run_member_word(p, &m, &gen), "ok") != 0;
    }
    return stale;
}

/* --- Start --- */

enum err policy_run_new(struct daemon *d, struct policy_run **out)
{
    struct policy_run *p = calloc(1, sizeof *p);
    if (p == NULL) return ERR_NOMEM;
    p->magic = POLICY_RUN_MAGIC;
    p->d = d;
    p->trial.on_expire = trial_over;
    p->child = (struct policy_trial){
        .loop = d->loop, .wait_ms = POLICY_TRIAL_WAIT_MS, .on_end = trial_ended};
    *out = p;
    return ERR_OK;
}

void policy_run_free(struct policy_run *p)
{
    if (p == NULL) return;
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    loop_timer_clear(p->d->loop, &p->trial);
    policy_trial_stop(&p->child);
    policy_mesh_free(p->rules);
    p->magic = MAGIC_POISON;
    free(p);
}

void policy_run_restore(struct policy_run *p)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    struct manifest_ref tried = {0}, active = gossip_policy_active(mesh_gossip(p->d->mesh));
    unsigned starts = 0;
    if (trying_read(p, &tried, &starts))
        trying_write(p, &tried, starts < POLICY_TRIAL_STARTS_MAX ? starts + 1 : starts);
    if (crashed(p, &tried))
        log_error(&p->d->log, "policy",
                  "generation %llu was put in force shortly before this process ended, twice: "
                  "starting without it",
                  (unsigned long long)tried.gen);
    if (active.gen == 0) return;
    activate(p, &active);
    if (!crashed(p, &active))
        p->answered = p->answers = 0; /* gossip knows: it stood in what it stored */
    else
        mesh_answer(p->d->mesh); /* gossip says what to run on instead */
}

void policy_run_started(struct policy_run *p)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    p->started = true;
}

void policy_run_first_root(struct policy_run *p)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    struct daemon *d = p->d;
    struct strbuf sb;
    struct diag diag;
    enum policy_refusal why = POLICY_ACCEPTED;
    if (gossip_policy_head(mesh_gossip(d->mesh), MANIFEST_ROOT).gen > 0) return;
    diag_init(&diag);
    strbuf_init(&sb, MANIFEST_BYTES_MAX + 128);
    enum err err = store_read_checked(&d->store, STORE_FIRST_ROOT, FIRST_ROOT_ADVICE, &diag, &sb);
    if (err == ERR_OK) err = mesh_intent(d->mesh, strbuf_view(&sb), NULL, 0, &why);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        log_error(&d->log, "policy", "the first operators are not taken over: %s",
                  diag.count > 0           ? diag.entry[0].message
                  : why != POLICY_ACCEPTED ? gossip_policy_refusal_word(why)
                                           : err_text(err));
    strbuf_fini(&sb);
    diag_fini(&diag);
}

const struct policy_mesh *policy_run_rules(const struct policy_run *p)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    return p->rules;
}

struct manifest_ref policy_run_active(const struct policy_run *p)
{
    CHECK_OBJ(p, POLICY_RUN_MAGIC);
    return p->active;
}
