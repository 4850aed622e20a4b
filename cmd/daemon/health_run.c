#include "cmd/daemon/health_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/daemon/health_judge.h"
#include "cmd/daemon/health_probe.h"
#include "core/base/list.h"

#define HEALTH_RUN_MAGIC 0x68726e31u

struct health_check {
    struct list node;
    struct health_run *run; /* borrowed */
    struct name service;
    struct health_plan *plan; /* owned */
    struct health_probe probe;
    struct loop_timer timer; /* the next probe, or the end of the running one */
    struct health_judge judge;
    struct health_run_status status;
};

struct health_run {
    uint32_t magic;
    struct health_run_options o;
    struct list check;
};

static void check_due(struct loop_timer *t);
static void probe_ended(struct health_probe *p, bool ok, const char *why);

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
    health_probe_fini(&c->probe);
    health_plan_free(c->plan);
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

static enum err check_new(struct health_run *h, const struct config_service *s,
                          struct health_check **out)
{
    struct health_check *c = calloc(1, sizeof *c);
    if (c == NULL) return ERR_NOMEM;
    c->run = h;
    c->service = s->name;
    c->timer.on_expire = check_due;
    c->probe.loop = h->o.loop;
    c->probe.on_end = probe_ended;
    enum err err = health_plan_new(s, &c->plan);
    if (err != ERR_OK) {
        free(c);
        return err;
    }
    *out = c;
    return ERR_OK;
}

static void check_start(struct health_check *c)
{
    struct loop *loop = c->run->o.loop;
    loop_timer_set(loop, &c->timer, loop_now_ms(loop));
}

/* Takes what `fresh` is to do; what the service was judged to be stays. */
static void check_adopt(struct health_check *c, struct health_check *fresh)
{
    struct health_plan *plan = c->plan;
    if (health_plan_same(plan, fresh->plan)) {
        plan->how.interval_ms = fresh->plan->how.interval_ms;
        plan->how.timeout_ms = fresh->plan->how.timeout_ms;
        plan->how.unhealthy_after = fresh->plan->how.unhealthy_after;
        plan->how.healthy_after = fresh->plan->how.healthy_after;
        return;
    }
    health_probe_fini(&c->probe); /* a program killed just now is not waited for */
    c->plan = fresh->plan;
    fresh->plan = plan;
    c->judge.in_row = 0;
    check_start(c);
}

static struct health_check *find_in(const struct list *list, const struct name *service)
{
    LIST_EACH(pos, tmp, list)
    {
        struct health_check *c = LIST_ENTRY(pos, struct health_check, node);
        if (name_eq(&c->service, service)) return c;
    }
    return NULL;
}

static void merge(struct health_run *h, struct list *fresh)
{
    LIST_EACH(pos, tmp, &h->check)
    {
        struct health_check *c = LIST_ENTRY(pos, struct health_check, node);
        struct health_check *next = find_in(fresh, &c->service);
        if (next == NULL) {
            check_free(c);
            continue;
        }
        check_adopt(c, next);
        check_free(next);
    }
    for (struct list *n; (n = list_first(fresh)) != NULL;) {
        list_remove(n);
        list_push_back(&h->check, n);
        check_start(LIST_ENTRY(n, struct health_check, node));
    }
}

enum err health_run_sync(struct health_run *h, const struct config *config)
{
    CHECK_OBJ(h, HEALTH_RUN_MAGIC);
    struct list fresh;
    enum err err = ERR_OK;
    list_init(&fresh);
    for (size_t i = 0; i < config->service_count && err == ERR_OK; i++) {
        struct health_check *c;
        if (config->service[i].health.kind == CONFIG_HEALTH_NONE) continue;
        err = check_new(h, &config->service[i], &c);
        if (err == ERR_OK) list_push_back(&fresh, &c->node);
    }
    if (err == ERR_OK) merge(h, &fresh);
    LIST_EACH(pos, tmp, &fresh)
    check_free(LIST_ENTRY(pos, struct health_check, node));
    return err;
}

static void probe_ended(struct health_probe *p, bool ok, const char *why)
{
    struct health_check *c = CONTAINER_OF(p, struct health_check, probe);
    struct health_run *h = c->run;
    struct health_run_status *st = &c->status;
    const struct config_health *how = &c->plan->how;
    uint64_t now_ms = loop_now_ms(h->o.loop);
    loop_timer_set(h->o.loop, &c->timer, health_judge_next_ms(how, now_ms, h->o.rng));
    bool changed = health_judge_result(&c->judge, how, ok, now_ms);
    st->checks_total++;
    if (!ok) st->failures_total++;
    st->in_row = c->judge.in_row;
    st->needed = c->judge.health == HEALTH_UP ? how->unhealthy_after : how->healthy_after;
    (void)snprintf(st->last_error, sizeof st->last_error, "%s", ok ? "" : why);
    if (!ok) (void)snprintf(st->last_failure, sizeof st->last_failure, "%s", why);
    if (!changed) return;
    st->health = c->judge.health;
    char local[ADDR_TEXT_MAX];
    log_event(h->o.log, ok ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "health",
              "service=%s local=%s now=%s%s%s", c->service.text,
              addr_target_format(&c->plan->local, local), ok ? "up" : "down",
              ok ? "" : " because=", ok ? "" : why);
    h->o.on_change(h->o.owner, &c->service, st->health);
}

static void check_due(struct loop_timer *t)
{
    struct health_check *c = CONTAINER_OF(t, struct health_check, timer);
    struct loop *loop = c->run->o.loop;
    if (c->probe.plan != NULL) {
        health_probe_stop(&c->probe);
        probe_ended(&c->probe, false, err_text(ERR_TIMEOUT));
        return;
    }
    loop_timer_set(loop, &c->timer, loop_now_ms(loop) + c->plan->how.timeout_ms);
    health_probe_start(&c->probe, c->plan);
}

enum service_health health_run_of(const struct health_run *h, const struct name *service)
{
    CHECK_OBJ(h, HEALTH_RUN_MAGIC);
    const struct health_check *c = find_in(&h->check, service);
    return c != NULL ? c->status.health : HEALTH_UNKNOWN;
}

enum err health_run_status(const struct health_run *h, const struct name *service,
                           struct health_run_status *out)
{
    CHECK_OBJ(h, HEALTH_RUN_MAGIC);
    const struct health_check *c = find_in(&h->check, service);
    if (c == NULL) return ERR_NOT_FOUND;
    *out = c->status;
    return ERR_OK;
}

const char *health_run_text(const struct health_run_status *st, char out[HEALTH_RUN_TEXT_BYTES])
{
    bool passed = st->last_error[0] == '\0', up = st->health == HEALTH_UP;
    out[0] = '\0';
    if (st->health == HEALTH_UNKNOWN || (up && passed)) return out;
    if (up)
        (void)snprintf(out, HEALTH_RUN_TEXT_BYTES, "%u of %u checks failed: %s", st->in_row,
                       st->needed, st->last_error);
    else if (!passed)
        (void)snprintf(out, HEALTH_RUN_TEXT_BYTES, "%s (%u check%s in a row)", st->last_error,
                       st->in_row, st->in_row == 1 ? "" : "s");
    else if (st->in_row < st->needed)
        (void)snprintf(out, HEALTH_RUN_TEXT_BYTES, "%u of %u checks passed since it was: %s",
                       st->in_row, st->needed, st->last_failure);
    else
        (void)snprintf(out, HEALTH_RUN_TEXT_BYTES,
                       "it passes again, but changed too often: held down for %u s after: %s",
                       HEALTH_JUDGE_HOLD_MS / 1000, st->last_failure);
    return out;
}
