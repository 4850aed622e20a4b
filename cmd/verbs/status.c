#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"
#include "core/io/clock.h"

static void print_head(const struct json_value *d)
{
    char up[32];
    struct span state = json_read_str(d, "state", SPAN_LIT("?"));
    const struct json_value *config = json_read_get(d, "config");
    bool fine = span_eq_str(state, "serving") && json_read_bool(config, "ok", false);
    printf("%s  %.*s  mesh %.*s  node %.*s  %.*s  parley %.*s  up %s\n", fine ? "ok" : "! ",
           SPAN_ARG(state), SPAN_ARG(json_read_str(d, "mesh", SPAN_LIT("-"))),
           SPAN_ARG(json_read_str(d, "node", SPAN_LIT("-"))),
           SPAN_ARG(json_read_str(d, "addr", SPAN_LIT("-"))),
           SPAN_ARG(json_read_str(d, "version", SPAN_LIT("-"))),
           table_duration(json_read_u64(d, "uptime_s", 0) * 1000000, up, sizeof up));
    if (json_read_bool(config, "last_good", false))
        puts("!   the host file is bad: running from the last good copy; see: parley config check");
    else if (!json_read_bool(config, "ok", true))
        printf("!   the last reload was refused, the old configuration runs: %.*s\n",
               SPAN_ARG(json_read_str(config, "refusal", SPAN_LIT("see parley config check"))));
}

static void print_members(const struct json_value *doc, const struct json_value *d)
{
    const struct json_value *view = json_read_get(doc, "view"), *m = json_read_get(d, "members");
    struct span hash = json_read_str(view, "hash", SPAN_LIT("-"));
    if (hash.len > 4) hash.len = 4;
    printf("members  ");
    for (const struct json_value *s = m ? m->child : NULL; s; s = s->next) {
        uint64_t n;
        if (span_u64(s->text, &n) && n > 0)
            printf("%llu %.*s  ", (unsigned long long)n, SPAN_ARG(s->key));
    }
    printf("view %.*s agreed by %llu/%llu%s\n", SPAN_ARG(hash),
           (unsigned long long)json_read_u64(view, "agreeing", 0),
           (unsigned long long)json_read_u64(view, "alive", 0),
           json_read_bool(d, "synced", true) ? "" : "  not yet in sync with the mesh");
}

static void print_policy(const struct json_value *d)
{
    const struct json_value *p = json_read_get(d, "policy");
    uint64_t active = json_read_u64(p, "generation", 0), head = json_read_u64(p, "head", 0);
    uint64_t stale = json_read_u64(p, "nodes_stale", 0);
    struct span reason = json_read_str(p, "reason", (struct span){0});
    if (head == 0) return;
    printf("policy   generation %llu in force, %llu rules", (unsigned long long)active,
           (unsigned long long)json_read_u64(p, "rules", 0));
    if (active != head)
        printf("; generation %llu is %.*s%s%.*s", (unsigned long long)head,
               SPAN_ARG(json_read_str(p, "state", SPAN_LIT("?"))), reason.len ? ": " : "",
               SPAN_ARG(reason));
    if (stale > 0) printf("; %llu live members do not have it", (unsigned long long)stale);
    putchar('\n');
}

static void print_rows(const struct json_value *d)
{
    const struct json_value *services = json_read_get(d, "services");
    const struct json_value *upstreams = json_read_get(d, "upstreams");
    for (const struct json_value *s = services ? services->child : NULL; s; s = s->next) {
        struct span error = json_read_str(s, "error", (struct span){0});
        printf("service  %.*s -> %.*s  %.*s  %.*s%s%.*s\n",
               SPAN_ARG(json_read_str(s, "name", SPAN_LIT("-"))),
               SPAN_ARG(json_read_str(s, "local", SPAN_LIT("-"))),
               SPAN_ARG(json_read_str(s, "protocol", SPAN_LIT("-"))),
               SPAN_ARG(json_read_str(s, "health", SPAN_LIT("-"))), error.len ? ": " : "",
               SPAN_ARG(error));
    }
    for (const struct json_value *u = upstreams ? upstreams->child : NULL; u; u = u->next) {
        uint64_t up = json_read_u64(u, "up", 0);
        uint64_t all = up + json_read_u64(u, "draining", 0) + json_read_u64(u, "down", 0) +
                       json_read_u64(u, "unreachable", 0);
        uint64_t ejected = json_read_u64(u, "ejected", 0);
        char tail[48] = "";
        if (ejected > 0)
            (void)snprintf(tail, sizeof tail, ", %llu ejected", (unsigned long long)ejected);
        printf("upstream %.*s <- %.*s  %.*s  %llu/%llu up%s%s\n",
               SPAN_ARG(json_read_str(u, "name", SPAN_LIT("-"))),
               SPAN_ARG(json_read_str(u, "listen", SPAN_LIT("-"))),
               SPAN_ARG(json_read_str(u, "protocol", SPAN_LIT("-"))), (unsigned long long)up,
               (unsigned long long)all, tail,
               json_read_bool(u, "identity", true) ? "" : "  (waits for its certificate)");
    }
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    const struct json_value *d = json_read_get(doc, "data");
    char due[32];
    (void)ctx;
    print_head(d);
    print_members(doc, d);
    print_policy(d);
    print_rows(d);
    uint64_t renew = json_read_u64(d, "cert_renew_due_s", 0), now = (uint64_t)clock_wall_s();
    printf("traffic  %llu connections, %llu in flight, %llu workers   cert renews in %s\n",
           (unsigned long long)json_read_u64(d, "sessions", 0),
           (unsigned long long)json_read_u64(d, "in_flight", 0),
           (unsigned long long)json_read_u64(d, "workers", 0),
           table_duration(renew > now ? (renew - now) * 1000000 : 0, due, sizeof due));
    return EXIT_DONE;
}

enum verb_exit status_run(struct verb_ctx *ctx)
{
    return client_show(ctx, "/v1/status", render);
}
