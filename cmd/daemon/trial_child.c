#include "cmd/daemon/trial_child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/limits.h"
#include "core/base/poison.h"
#include "core/wire/config_policy.h"
#include "core/wire/pack.h"
#include "proxy/filters/chain.h"
#include "proxy/snapshot/build.h"

#define INPUT_BYTES_MAX   ((size_t)64 << 20)
#define MEMORY_BYTES_MAX  ((size_t)2 << 30)
#define TEXTS_MAX         (CONFIG_INCLUDES_MAX + 1u) /* of a host file: it and what it includes */
#define DEPTH_MAX         3u
#define VALUES_MAX        (6u * TEXTS_MAX)
#define HEADING_BYTES     16u /* of an array or a text */
#define JUDGED_MAX        20000u
#define PATH_BYTES_MAX    2048u
#define SCRATCH_BYTES_MAX (1024u * 1024)

/* --- The input --- */

static size_t room_for(const struct config_text *text, size_t count)
{
    size_t room = HEADING_BYTES;
    for (size_t i = 0; i < count; i++)
        room += strlen(text[i].file) + text[i].text.len + 2 * HEADING_BYTES;
    return room;
}

static void write_texts(struct pack_writer *w, const struct config_text *text, size_t count)
{
    pack_write_array(w, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        pack_write_array(w, 2);
        pack_write_str(w, span_str(text[i].file));
        pack_write_bin(w, text[i].text.p, text[i].text.len);
    }
}

enum err trial_child_write(const struct config_text *host, size_t host_count,
                           const struct config_text *mesh, size_t mesh_count, struct strbuf *out)
{
    struct pack_writer w;
    size_t room = HEADING_BYTES + room_for(host, host_count) + room_for(mesh, mesh_count);
    void *bytes = malloc(room);
    if (bytes == NULL) return ERR_NOMEM;
    pack_writer_init(&w, bytes, room);
    pack_write_array(&w, 2);
    write_texts(&w, host, host_count);
    write_texts(&w, mesh, mesh_count);
    strbuf_span(out, pack_writer_view(&w));
    free(bytes);
    return pack_writer_ok(&w) && strbuf_ok(out) ? ERR_OK : ERR_NOMEM;
}

struct texts {
    struct arena arena; /* owned: the names */
    struct config_text host[TEXTS_MAX], mesh[TEXTS_MAX];
    size_t host_count, mesh_count;
};

static size_t read_texts(struct pack_reader *r, struct arena *arena, struct config_text *out)
{
    uint32_t list, pair;
    uint32_t count = pack_read_array(r, 0, &list);
    if (count > TEXTS_MAX) pack_reader_fail(r, ERR_INVALID);
    for (uint32_t i = 0; i < count && pack_reader_err(r) == ERR_OK; i++) {
        (void)pack_read_array(r, 2, &pair);
        struct span file = pack_read_str(r);
        out[i] = (struct config_text){.file = arena_dup(arena, file.p, file.len),
                                      .text = pack_read_bin(r)};
        if (out[i].file == NULL) pack_reader_fail(r, ERR_NOMEM);
        pack_read_array_end(r, pair);
    }
    pack_read_array_end(r, list);
    return count;
}

static enum err read_input(struct span input, struct texts *t)
{
    struct pack_reader r;
    uint32_t outer;
    enum err err = pack_reader_init(&r, input, DEPTH_MAX, VALUES_MAX);
    if (err != ERR_OK) return err;
    (void)pack_read_array(&r, 2, &outer);
    t->host_count = read_texts(&r, &t->arena, t->host);
    t->mesh_count = read_texts(&r, &t->arena, t->mesh);
    pack_read_array_end(&r, outer);
    return pack_reader_err(&r);
}

/* --- Requests --- */

struct judging {
    struct arena scratch;
    const struct snapshot *snapshot;
    const struct snapshot_service *service;
    uint32_t count;
};

static struct spiffe_id caller_of(const struct judging *j, const struct policy_rule *rule)
{
    struct spiffe_id id = {.mesh = j->snapshot->mesh, .kind = IDENTITY_SERVICE};
    if (rule->from_count == 0 || rule->from[0].kind == CALLER_ANY_AUTHENTICATED) {
        id.name = j->service->name;
        return id;
    }
    if (rule->from[0].kind == CALLER_NODE) id.kind = IDENTITY_NODE;
    id.name = rule->from[0].name;
    return id;
}

static void judge_request(struct judging *j, const struct spiffe_id *peer, struct span method,
                          struct span target)
{
    char path[PATH_BYTES_MAX];
    struct headers headers = {.count = 0};
    struct request req = {.method = method, .peer = peer, .headers = &headers};
    struct chain c;
    if (j->count >= JUDGED_MAX) return;
    if (uri_canonical(target, false, path, sizeof path, &req.target) != ERR_OK) return;
    arena_reset(&j->scratch);
    chain_init(&c, j->service->filter, j->service->filter_count, DIRECTION_INBOUND, &j->scratch,
               NULL);
    (void)chain_request(&c, &req, 0);
    j->count++;
    chain_finish(&c, &(struct filter_outcome){.status = 200}, 0);
}

static void judge_session(struct judging *j, const struct spiffe_id *peer)
{
    struct filter_session s = {.peer = peer, .service = &j->service->name};
    struct chain c;
    arena_reset(&j->scratch);
    chain_init(&c, j->service->filter, j->service->filter_count, DIRECTION_INBOUND, &j->scratch,
               NULL);
    (void)chain_session(&c, &s, 0);
    chain_finish(&c, &(struct filter_outcome){.status = 0}, 0);
}

/* The path itself, and readings of it that servers are known to make. */
static void judge_rule(struct judging *j, const struct policy_rule *rule)
{
    static const char *const around[] = {"", "x", "%2e%2e/x", ";a=b/", "x/../%61?q=%00", "//"};
    const struct spiffe_id peer = caller_of(j, rule);
    struct span method = rule->method_count > 0 ? rule->method[0] : SPAN_LIT("GET");
    char target[PATH_BYTES_MAX];
    judge_session(j, &peer);
    for (size_t p = 0; p < rule->path_count || p == 0; p++) {
        struct span path = p < rule->path_count ? rule->path[p].text : SPAN_LIT("/");
        for (size_t a = 0; a < sizeof around / sizeof *around; a++) {
            int n = snprintf(target, sizeof target, "%.*s%s", SPAN_ARG(path), around[a]);
            if (n > 0 && (size_t)n < sizeof target)
                judge_request(j, &peer, method, span_of(target, (size_t)n));
        }
    }
}

static uint32_t judge_all(const struct snapshot *s, const struct policy_mesh *mesh)
{
    struct judging j = {.snapshot = s};
    arena_init(&j.scratch, 4096, SCRATCH_BYTES_MAX);
    for (size_t i = 0; i < s->service_count; i++) {
        j.service = &s->service[i];
        for (size_t r = 0; r < mesh->rule_count && j.count < JUDGED_MAX; r++)
            judge_rule(&j, &mesh->rule[r]);
    }
    arena_fini(&j.scratch);
    return j.count;
}

/* --- All of it --- */

static enum err judge_texts(const struct texts *t, uint32_t *judged)
{
    struct policy_mesh *mesh = NULL;
    struct config *config = NULL;
    struct snapshot *snapshot = NULL;
    struct diag diag;
    diag_init(&diag);
    enum err err = config_policy_load(t->mesh, t->mesh_count, &diag, &mesh);
    if (err == ERR_OK && t->host_count > 0)
        err = config_load(t->host, t->host_count, &diag, &config);
    if (err == ERR_OK && config != NULL) {
        const struct build_input in = {.generation = 1, .config = config, .mesh = mesh};
        err = build_snapshot(&in, &diag, &snapshot);
        if (err == ERR_OK) *judged = judge_all(snapshot, mesh);
    }
    snapshot_unref(snapshot);
    config_free(config);
    policy_mesh_free(mesh);
    diag_fini(&diag);
    return err == ERR_NOMEM ? ERR_NOMEM : ERR_OK;
}

enum err trial_child_judge(struct span input, uint32_t *judged)
{
    struct texts *t = calloc(1, sizeof *t);
    *judged = 0;
    if (t == NULL) return ERR_NOMEM;
    arena_init(&t->arena, 4096, SCRATCH_BYTES_MAX);
    enum err err = read_input(input, t);
    if (err == ERR_OK) err = judge_texts(t, judged);
    arena_fini(&t->arena);
    free(t);
    return err;
}

/* --- The process --- */

static void limit(int what, rlim_t to)
{
    struct rlimit now;
    if (getrlimit(what, &now) != 0) return;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < to) to = now.rlim_max;
    now.rlim_cur = now.rlim_max = to;
    (void)setrlimit(what, &now);
}

static void bound(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, TRIAL_CHILD_CPU_S);
#ifndef POISON_ACTIVE /* its shadow is larger than any bound */
    limit(RLIMIT_AS, MEMORY_BYTES_MAX);
#endif
    (void)alarm(TRIAL_CHILD_ALARM_S);
}

static enum err read_all(struct strbuf *out)
{
    char piece[65536];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_from_errno(errno);
        if (n == 0) return strbuf_ok(out) ? ERR_OK : ERR_NOMEM;
        strbuf_add(out, piece, (size_t)n);
    }
}

bool trial_child_asked(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], TRIAL_CHILD_WORD) == 0;
}

int trial_child_run(void)
{
    struct strbuf input;
    uint32_t judged;
    bound();
    strbuf_init(&input, INPUT_BYTES_MAX);
    enum err err = read_all(&input);
    if (err == ERR_OK) err = trial_child_judge(strbuf_view(&input), &judged);
    strbuf_fini(&input);
    return err == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
