#include "cmd/verbs/policy_wait.h"

#include "cmd/manifest_draft.h"
#include "cmd/table.h"
#include "core/io/clock.h"

#include <stdlib.h>
#include <time.h>

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define NAMED_MAX       8u /* members named in a message */
#define REASON_WAIT_MS  2000u

void policy_wait_fini(struct policy_wait *w)
{
    arena_fini(&w->arena);
    free(w->node);
    *w = (struct policy_wait){.count = 0};
}

static struct policy_wait_node *node_of(struct policy_wait *w, struct span name)
{
    for (size_t i = 0; i < w->count; i++)
        if (span_eq_str(name, w->node[i].name)) return &w->node[i];
    if (w->count == w->cap) {
        size_t cap = w->cap > 0 ? 2 * w->cap : 64;
        struct policy_wait_node *grown = realloc(w->node, cap * sizeof *grown);
        if (grown == NULL) return NULL;
        w->node = grown;
        w->cap = cap;
    }
    const char *copy = arena_dup(&w->arena, name.p, name.len);
    if (copy == NULL) return NULL;
    w->node[w->count] = (struct policy_wait_node){.name = copy, .state = "", .reason = ""};
    return &w->node[w->count++];
}

/* Keeps `text` when it differs from what is there already. */
static void keep(struct policy_wait *w, const char **at, struct span text)
{
    if (*at != NULL && span_eq_str(text, *at)) return;
    const char *copy = arena_dup(&w->arena, text.p, text.len);
    *at = copy != NULL ? copy : "";
}

static bool refused(const struct policy_wait_node *n)
{
    return strcmp(n->state, "rejected") == 0 || strcmp(n->state, "rolled_back") == 0;
}

static bool silent(const struct policy_wait_node *n)
{
    return strcmp(n->state, "silent") == 0;
}

static void take_node(struct policy_wait *w, const struct json_value *v, uint64_t ms, bool print)
{
    char took[32];
    struct policy_wait_node *n = node_of(w, json_read_str(v, "node", SPAN_LIT("?")));
    if (n == NULL) return;
    n->live = true;
    struct span state = json_read_str(v, "state", SPAN_LIT(""));
    bool changed = !span_eq_str(state, n->state);
    keep(w, &n->state, state);
    keep(w, &n->reason, json_read_str(v, "reason", SPAN_LIT("")));
    n->applied = strcmp(n->state, "applied") == 0;
    if (!changed) return;
    if (n->applied) {
        n->ms = ms;
        if (print) printf("  %-20s ok %s\n", n->name, table_duration(ms * 1000, took, sizeof took));
    } else if (print && refused(n)) {
        printf("  %-20s %s: %s\n", n->name, n->state, n->reason);
    } else if (print && silent(n)) {
        printf("  %-20s says nothing: counts as failed\n", n->name);
    }
    if (print) fflush(stdout);
}

/* Whether it is over, with `w->end`. Where the agent has it in force, those who refused it or are
 * silent are no more than may be. */
static bool judge(struct policy_wait *w, const struct manifest_ref *ref)
{
    bool all = true, any = false, on = strcmp(w->own, "applied") == 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct policy_wait_node *n = &w->node[i];
        all &= !n->live || n->applied || (on && (refused(n) || silent(n)));
        any |= n->live;
    }
    w->end = POLICY_WAIT_ACTIVE;
    if (all && any) return true;
    w->end = POLICY_WAIT_LOST;
    if (w->head.gen >= ref->gen && !manifest_ref_eq(&w->head, ref)) return true;
    w->end = POLICY_WAIT_STOPPED;
    return strcmp(w->own, "rejected") == 0 || strcmp(w->own, "rolled_back") == 0 ||
           strcmp(w->own, "stopped") == 0 || strcmp(w->own, "reverted") == 0;
}

static enum verb_exit poll_once(const struct verb_ctx *ctx, const char *path, uint64_t ms,
                                bool print, struct policy_wait *w)
{
    struct client_answer a;
    enum verb_exit code = client_call(ctx, "GET", path, (struct span){0}, &a);
    const struct json_value *d = json_read_get(a.doc, "data"), *list = json_read_get(d, "nodes");
    for (size_t i = 0; i < w->count; i++)
        w->node[i].live = false;
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next)
        take_node(w, v, ms, print);
    if (code == EXIT_DONE && (manifest_draft_read(d, "head", &w->head, NULL) != ERR_OK ||
                              manifest_draft_read(d, "active", &w->active, NULL) != ERR_OK))
        code = verb_fail(EXIT_FAILED, "the agent's answer is of another version of parley");
    keep(w, &w->own, json_read_str(d, "state", SPAN_LIT("")));
    keep(w, &w->waits_for, json_read_str(d, "waits_for", SPAN_LIT("")));
    keep(w, &w->head_author, json_read_str(d, "head_author", SPAN_LIT("")));
    client_answer_fini(&a);
    return code;
}

/* That it stopped is known by a ballot, why only by the record of the one who refused: it may come
 * a moment later. */
static bool reason_is_due(const struct policy_wait *w, uint64_t stopped_ms)
{
    if (w->end != POLICY_WAIT_STOPPED || stopped_ms >= REASON_WAIT_MS) return false;
    for (size_t i = 0; i < w->count; i++)
        if (refused(&w->node[i]) && w->node[i].reason[0] != '\0') return false;
    return strcmp(w->own, "reverted") != 0;
}

static enum verb_exit say_stopped(const struct policy_wait *w, const struct manifest_ref *ref)
{
    unsigned said = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!refused(&w->node[i]) || said++ >= NAMED_MAX) continue;
        verb_fail(EXIT_FAILED, "%s %s generation %llu: %s", w->node[i].name, w->node[i].state,
                  (unsigned long long)ref->gen, w->node[i].reason);
    }
    if (w->active.gen == 0)
        return verb_fail(EXIT_FAILED, "generation %llu is not in force, and no policy is",
                         (unsigned long long)ref->gen);
    return verb_fail(EXIT_FAILED, "generation %llu is not in force; generation %llu is%s%s",
                     (unsigned long long)ref->gen, (unsigned long long)w->active.gen,
                     w->waits_for[0] ? ": " : "", w->waits_for);
}

static enum verb_exit say_late(const struct policy_wait *w, const struct manifest_ref *ref)
{
    char names[512];
    struct strbuf sb;
    unsigned said = 0, more = 0;
    strbuf_init_fixed(&sb, names, sizeof names);
    for (size_t i = 0; i < w->count; i++) {
        if (!w->node[i].live || w->node[i].applied) continue;
        if (said == NAMED_MAX) {
            more++;
            continue;
        }
        strbuf_fmt(&sb, "%s%s (%s)", said++ > 0 ? ", " : "", w->node[i].name, w->node[i].state);
    }
    if (more > 0) strbuf_fmt(&sb, " and %u more", more);
    return verb_fail(EXIT_TIMED_OUT,
                     "generation %llu is not in force yet on %s%s%s; it goes on: "
                     "parley members",
                     (unsigned long long)ref->gen, names,
                     w->waits_for[0] ? "; the rollout waits: " : "", w->waits_for);
}

/* Nobody is left out without a word. */
static void say_without(const struct policy_wait *w, const struct manifest_ref *ref)
{
    unsigned said = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct policy_wait_node *n = &w->node[i];
        if (!n->live || n->applied || said++ >= NAMED_MAX) continue;
        fprintf(stderr, "warning: %s has not generation %llu: it %s%s%s\n", n->name,
                (unsigned long long)ref->gen, silent(n) ? "says nothing" : n->state,
                n->reason[0] ? ": " : "", n->reason);
    }
    if (said > NAMED_MAX) fprintf(stderr, "warning: nor have %u more\n", said - NAMED_MAX);
}

static enum verb_exit say(const struct policy_wait *w, const struct manifest_ref *ref)
{
    char ours[MANIFEST_HASH_SHORT_MAX], theirs[MANIFEST_HASH_SHORT_MAX];
    switch (w->end) {
    case POLICY_WAIT_ACTIVE:
        say_without(w, ref);
        return EXIT_DONE;
    case POLICY_WAIT_STOPPED:
        return say_stopped(w, ref);
    case POLICY_WAIT_LATE:
        return say_late(w, ref);
    case POLICY_WAIT_LOST:
        break;
    }
    manifest_hash_short(&ref->hash, ours);
    manifest_hash_short(&w->head.hash, theirs);
    if (w->head.gen > ref->gen)
        return verb_fail(EXIT_FAILED, "generation %llu was replaced by %llu (%s) of %s on the way",
                         (unsigned long long)ref->gen, (unsigned long long)w->head.gen, theirs,
                         w->head_author);
    return verb_fail(EXIT_FAILED,
                     "generation %llu (%s) lost against %s of %s, applied at the same time; it is "
                     "kept as a sibling: parley config history",
                     (unsigned long long)ref->gen, ours, theirs, w->head_author);
}

enum verb_exit policy_wait_run(const struct verb_ctx *ctx, const struct manifest_ref *ref,
                               bool print, struct policy_wait *w)
{
    static const struct timespec pause = {.tv_nsec = POLICY_WAIT_POLL_MS * 1000000L};
    char path[160], hash[MANIFEST_HASH_TEXT_MAX];
    uint64_t start_ms = clock_mono_ms(), stop_ms = 0; /* it ran until then */
    *w = (struct policy_wait){.own = "", .waits_for = "", .head_author = ""};
    arena_init(&w->arena, 16384, ARENA_BYTES_MAX);
    (void)snprintf(path, sizeof path, "/v1/policy/progress?gen=%llu&hash=%s",
                   (unsigned long long)ref->gen, manifest_hash_text(&ref->hash, hash));
    for (bool over = false; !over;) {
        uint64_t ms = clock_mono_ms() - start_ms;
        enum verb_exit code = poll_once(ctx, path, ms, print, w);
        if (code != EXIT_DONE) return code;
        over = judge(w, ref);
        if (!over || w->end != POLICY_WAIT_STOPPED) stop_ms = ms;
        if (over && reason_is_due(w, ms - stop_ms)) over = false;
        if (!over && ms >= ctx->timeout_ms) {
            w->end = POLICY_WAIT_LATE;
            over = true;
        }
        if (!over) (void)nanosleep(&pause, NULL);
    }
    return say(w, ref);
}
