#include "cmd/daemon/health_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/list.h"
#include "core/io/conn.h"
#include "core/wire/proxy_proto.h"

#define HEALTH_RUN_MAGIC  0x68726e31u
#define FLIPS_MAX         3u
#define FLIPS_WINDOW_MS   30000u
#define FLAP_HOLD_MS      10000u
#define STATUS_LINE_BYTES 13u /* "HTTP/1.1 200 " */

struct health_check {
    struct list node;
    struct health_run *run; /* borrowed */
    struct name service;
    struct target local;
    enum proxy_proto_version proxy_protocol;
    struct config_health how;
    char path[TARGET_BYTES_MAX + 1]; /* how.path, kept across configurations */
    struct conn *conn;               /* owned while a probe runs */
    struct loop_timer timer;         /* the next probe, or the end of the running one */
    char head[STATUS_LINE_BYTES];
    size_t head_len;
    uint64_t flip_ms[FLIPS_MAX]; /* the last changes */
    uint64_t hold_until_ms;
    bool kept; /* seen by the running sync */
    struct health_run_status status;
};

struct health_run {
    uint32_t magic;
    struct health_run_options o;
    struct list check;
};

static void check_due(struct loop_timer *t);

enum err health_run_new(const struct health_run_options *o, struct health_run **out)
{
    struct health_run *h = calloc(1, sizeof *h);
    if (h == NULL) return ERR_NOMEM;
    h->magic = HEALTH_RUN_MAGIC;
    h->o = *o;
    list_init(&h->check);
    *out = h;
    return ERR_OK;
}

static void check_free(struct health_check *c)
{
    loop_timer_clear(c->run->o.loop, &c->timer);
    if (c->conn != NULL) conn_close(c->conn, true);
    list_remove(&c->node);
    free(c);
}

void health_run_free(struct health_run *h)
{
    if (h == NULL) return;
    CHECK_OBJ(h, HEALTH_RUN_MAGIC);
    LIST_EACH(pos, tmp, &h->check)
    check_free(LIST_ENTRY(pos, struct health_check, node));
    h->magic = MAGIC_POISON;
    free(h);
}

static struct health_check *find(const struct health_run *h, const struct name *service)
{
    LIST_EACH(pos, tmp, &h->check)
    {
        struct health_check *c = LIST_ENTRY(pos, struct health_check, node);
        if (name_eq(&c->service, service)) return c;
    }
    return NULL;
}

static void check_configure(struct health_check *c, const struct config_service *s)
{
    c->local = s->local;
    c->proxy_protocol = s->proxy_protocol;
    c->how = s->health;
    c->path[0] = '\0';
    if (s->health.path != NULL) (void)snprintf(c->path, sizeof c->path, "%s", s->health.path);
    c->how.path = c->path;
}

static bool same_check(const struct health_check *c, const struct config_service *s)
{
    const char *path = s->health.path != NULL ? s->health.path : "";
    return c->how.kind == s->health.kind && c->proxy_protocol == s->proxy_protocol &&
           addr_target_eq(&c->local, &s->local) && strcmp(c->path, path) == 0;
}

enum err health_run_sync(struct health_run *h, const struct config *config)
{
    CHECK_OBJ(h, HEALTH_RUN_MAGIC);
    struct list fresh;
    list_init(&fresh);
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *s = &config->service[i];
        if (s->health.kind == CONFIG_HEALTH_NONE || find(h, &s->name) != NULL) continue;
        struct health_check *c = calloc(1, sizeof *c);
        if (c == NULL) goto fail;
        c->run = h;
        c->service = s->name;
        c->timer.on_expire = check_due;
        check_configure(c, s);
        list_push_back(&fresh, &c->node);
    }
    LIST_EACH(pos, tmp, &h->check)
    {
        struct health_check *c = LIST_ENTRY(pos, struct health_check, node);
        const struct config_service *s = config_service(config, span_str(c->service.text));
        if (s == NULL || s->health.kind == CONFIG_HEALTH_NONE) {
            check_free(c);
        } else if (same_check(c, s)) {
            check_configure(c, s); /* new intervals and thresholds, the same judgement */
        } else {
            if (c->conn != NULL) conn_close(c->conn, true);
            c->conn = NULL;
            check_configure(c, s);
            c->status.in_row = 0;
            loop_timer_set(h->o.loop, &c->timer, loop_now_ms(h->o.loop));
        }
    }
    while (!list_empty(&fresh)) {
        struct list *n = list_first(&fresh);
        list_remove(n);
        list_push_back(&h->check, n);
        struct health_check *c = LIST_ENTRY(n, struct health_check, node);
        loop_timer_set(h->o.loop, &c->timer, loop_now_ms(h->o.loop));
    }
    return ERR_OK;

fail:
    LIST_EACH(pos, tmp, &fresh)
    {
        list_remove(pos);
        free(LIST_ENTRY(pos, struct health_check, node));
    }
    return ERR_NOMEM;
}

/* A service that changes its mind too often is held down: each flip costs every node of the mesh a
 * record and a snapshot. */
static bool flapping(struct health_check *c, uint64_t now_ms)
{
    if (now_ms < c->hold_until_ms) return true;
    uint64_t oldest = c->flip_ms[0];
    if (oldest == 0 || now_ms - oldest > FLIPS_WINDOW_MS) return false;
    c->hold_until_ms = now_ms + FLAP_HOLD_MS;
    for (size_t i = 0; i < FLIPS_MAX; i++)
        c->flip_ms[i] = 0;
    return true;
}

/* Whether the judgement becomes `next`. */
static bool turns(struct health_check *c, enum service_health next, uint64_t now_ms)
{
    if (next == c->status.health) return false;
    if (c->status.health == HEALTH_UNKNOWN) return true;
    uint32_t needed = next == HEALTH_UP ? c->how.healthy_after : c->how.unhealthy_after;
    if (c->status.in_row < needed) return false;
    return next == HEALTH_DOWN || !flapping(c, now_ms);
}

static void judge(struct health_check *c, bool ok, const char *why)
{
    struct health_run *h = c->run;
    struct health_run_status *st = &c->status;
    uint64_t now_ms = loop_now_ms(h->o.loop);
    bool was_ok = st->last_error[0] == '\0';
    st->in_row = st->checks_total > 0 && was_ok == ok ? st->in_row + 1 : 1;
    st->checks_total++;
    if (!ok) st->failures_total++;
    (void)snprintf(st->last_error, sizeof st->last_error, "%s", ok ? "" : why);
    uint32_t interval = c->how.interval_ms;
    uint32_t jitter = interval / 5;
    uint64_t next = now_ms + interval - jitter / 2;
    if (jitter > 0) next += rng_below(h->o.rng, jitter);
    loop_timer_set(h->o.loop, &c->timer, next);
    enum service_health to = ok ? HEALTH_UP : HEALTH_DOWN;
    if (!turns(c, to, now_ms)) return;
    bool first = st->health == HEALTH_UNKNOWN;
    st->health = to;
    st->since_wall_s = loop_wall_s(h->o.loop);
    if (!first) {
        for (size_t i = 0; i + 1 < FLIPS_MAX; i++)
            c->flip_ms[i] = c->flip_ms[i + 1];
        c->flip_ms[FLIPS_MAX - 1] = now_ms;
    }
    char local[ADDR_TEXT_MAX];
    log_event(h->o.log, ok ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "health",
              "service=%s local=%s now=%s%s%s", c->service.text,
              addr_target_format(&c->local, local), ok ? "up" : "down",
              ok ? "" : " because=", ok ? "" : why);
    h->o.on_change(h->o.owner, &c->service, to);
}

static void probe_end(struct health_check *c, bool ok, const char *why)
{
    struct conn *conn = c->conn;
    c->conn = NULL;
    /* A reset of what passed would stand in the logs of many applications as an error. */
    if (conn != NULL && ok) conn_close_last(conn);
    if (conn != NULL && !ok) conn_close(conn, true);
    judge(c, ok, why);
}

static void on_open(struct conn *conn, void *owner)
{
    struct health_check *c = owner;
    if (c->how.kind == CONFIG_HEALTH_TCP) {
        probe_end(c, true, "");
        return;
    }
    static const struct addr nobody = {.family = ADDR_NONE};
    char host[ADDR_TEXT_MAX] = "localhost", line[PROXY_PROTO_EMIT_MAX];
    if (c->local.path[0] == '\0') (void)addr_format(&c->local.addr, host);
    struct strbuf sb;
    strbuf_init(&sb, TARGET_BYTES_MAX + 512u);
    if (c->proxy_protocol != PROXY_PROTO_NONE)
        strbuf_span(&sb,
                    span_of(line, proxy_proto_emit(c->proxy_protocol, &nobody, &nobody, line)));
    strbuf_fmt(&sb,
               "GET %s HTTP/1.1\r\nhost: %s\r\nuser-agent: parley-health/" PARLEY_VERSION
               "\r\nconnection: close\r\n\r\n",
               c->path, host);
    bool sent = strbuf_ok(&sb) && conn_write(conn, strbuf_view(&sb)) == ERR_OK;
    strbuf_fini(&sb);
    if (!sent) probe_end(c, false, err_text(ERR_NOMEM));
}

/* "HTTP/1.x NNN": 0 when it is not that. */
static unsigned status_of(const char head[STATUS_LINE_BYTES])
{
    if (memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ') return 0;
    unsigned status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9') return 0;
        status = status * 10 + (unsigned)(head[i] - '0');
    }
    return status;
}

static size_t on_data(struct conn *conn, void *owner, struct span data)
{
    (void)conn;
    struct health_check *c = owner;
    size_t take = sizeof c->head - c->head_len;
    if (take > data.len) take = data.len;
    memcpy(c->head + c->head_len, data.p, take);
    c->head_len += take;
    if (c->how.kind != CONFIG_HEALTH_HTTP || c->head_len < sizeof c->head) return data.len;
    unsigned status = status_of(c->head);
    char why[64];
    if (status == 0)
        (void)snprintf(why, sizeof why, "not an HTTP response");
    else
        (void)snprintf(why, sizeof why, "status %u", status);
    probe_end(c, status >= 200 && status < 400, why);
    return data.len;
}

static void on_eof(struct conn *conn, void *owner)
{
    (void)conn;
    probe_end(owner, false, "closed without a response");
}

static void on_error(struct conn *conn, void *owner, enum err err)
{
    (void)conn;
    probe_end(owner, false, err_text(err));
}

static const struct conn_events probe_events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_error = on_error};

static void check_due(struct loop_timer *t)
{
    struct health_check *c = CONTAINER_OF(t, struct health_check, timer);
    struct loop *loop = c->run->o.loop;
    if (c->conn != NULL) {
        probe_end(c, false, err_text(ERR_TIMEOUT));
        return;
    }
    c->head_len = 0;
    uint64_t deadline = loop_now_ms(loop) + c->how.timeout_ms;
    struct conn_options o = {.loop = loop,
                             .events = &probe_events,
                             .owner = c,
                             .phase = LOOP_FLUSH_PLAIN,
                             .open_deadline_ms = deadline};
    enum err err = conn_connect(&o, &c->local, NULL, &c->conn);
    if (err != ERR_OK) {
        c->conn = NULL;
        judge(c, false, err_text(err));
        return;
    }
    loop_timer_set(loop, &c->timer, deadline);
}

enum service_health health_run_of(const struct health_run *h, const struct name *service)
{
    CHECK_OBJ(h, HEALTH_RUN_MAGIC);
    const struct health_check *c = find(h, service);
    return c != NULL ? c->status.health : HEALTH_UNKNOWN;
}

enum err health_run_status(const struct health_run *h, const struct name *service,
                           struct health_run_status *out)
{
    CHECK_OBJ(h, HEALTH_RUN_MAGIC);
    const struct health_check *c = find(h, service);
    if (c == NULL) return ERR_NOT_FOUND;
    *out = c->status;
    return ERR_OK;
}
