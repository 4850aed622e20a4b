#include "core/wire/config_retry.h"

#include "core/base/check.h"

#include <stdio.h>

#define TRIES_MAX      5u
#define AFTER_MAX      1000u
#define TIMES_MAX      1000u
#define BACKOFF_MS_MAX 60000u
#define PERCENT        100u

#define SECOND UINT32_C(1000)
#define HOUR   (3600 * SECOND)

/* The table under `key`, or one without parts when it is absent. `off` is how to switch it off. */
static struct config_read_table sub_table(const struct config_read_table *t, const char *key,
                                          const char *off)
{
    struct config_read *r = t->read;
    struct config_read_item item = config_read_find(t, key);
    struct config_read_table sub = {.read = r,
                                    .path = arena_fmt(&r->scratch, "%s.%s", t->path, key)};
    if (sub.path == NULL) {
        r->nomem = true;
        sub.path = "";
    }
    if (item.v != NULL && item.v->kind == TOML_BOOL)
        config_read_bad(r, &item, "%s must be a table: to switch it off write %s = { %s }", key,
                        key, off);
    else if (item.v != NULL && config_read_is(r, &item, key, TOML_TABLE))
        sub = config_read_sub(t, &item, key);
    return sub;
}

/* --- retry --- */

/* "connect", "reset", "timeout", "5xx" and exact statuses, in this order. */
static const char *const conditions[] = {"connect", "reset", "timeout", "5xx", "429",
                                         "500",     "502",   "503",     "504"};
enum condition { ON_CONNECT, ON_RESET, ON_TIMEOUT, ON_5XX, ON_STATUS };

static void add_status(struct config_retry *retry, uint32_t status)
{
    for (uint32_t i = 0; i < retry->status_count; i++)
        if (retry->status[i] == status) return;
    if (retry->status_count < CONFIG_RETRY_STATUSES_MAX)
        retry->status[retry->status_count++] = status;
}

static void add_condition(struct config_upstream *u, unsigned index)
{
    uint64_t status;
    if (index == ON_CONNECT) u->retry.on_connect = true;
    if (index == ON_RESET) u->retry.on_reset = true;
    if (index == ON_TIMEOUT) u->retry.on_timeout = true;
    if (index == ON_5XX) u->retry.on_5xx = true;
    if (index >= ON_STATUS && span_u64(span_str(conditions[index]), &status))
        add_status(&u->retry, (uint32_t)status);
}

static void read_on(const struct config_read_table *t, struct config_upstream *u)
{
    static const struct config_read_words words = {conditions, ARRAY_LEN(conditions), NULL, 0};
    static const struct config_read_words tcp_words = {conditions, ON_RESET, NULL, 0};
    struct config_read *r = t->read;
    struct config_read_item list = config_read_find(t, "on");
    bool tcp = u->protocol == PROTOCOL_TCP;
    config_read_note(t, "on", &list, tcp ? "[\"connect\"]" : "[\"connect\", \"reset\"]");
    u->retry.on_connect = list.v == NULL;
    u->retry.on_reset = list.v == NULL && !tcp;
    if (list.v == NULL || !config_read_is(r, &list, "on", TOML_ARRAY)) return;
    for (const struct toml_value *v = list.v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list.src, .v = v};
        unsigned index;
        bool reset = v->kind == TOML_STRING && span_eq_str(v->u.text, "reset");
        if (tcp && reset)
            config_read_bad(r, &item,
                            "a tcp session that was reset cannot be replayed: on is "
                            "[\"connect\"] there");
        else if (config_read_index(r, &item, tcp ? &tcp_words : &words, "on", &index))
            add_condition(u, index);
    }
}

/* "10ms": the number of ms, or false. */
static bool parse_ms(struct span text, uint64_t *ms)
{
    if (text.len < 3 || !span_eq(span_skip(text, text.len - 2), SPAN_LIT("ms"))) return false;
    return span_u64(span_of(text.p, text.len - 2), ms);
}

/* "10ms..250ms" */
static void read_backoff(const struct config_read_table *t, struct config_retry *retry)
{
    struct config_read_item item = config_read_find(t, "backoff");
    char none[64];
    uint64_t least, most;
    snprintf(none, sizeof none, "\"%ums..%ums\"", CONFIG_BACKOFF_LEAST_MS, CONFIG_BACKOFF_MOST_MS);
    config_read_note(t, "backoff", &item, none);
    retry->backoff_least_ms = CONFIG_BACKOFF_LEAST_MS;
    retry->backoff_most_ms = CONFIG_BACKOFF_MOST_MS;
    if (item.v == NULL || !config_read_is(t->read, &item, "backoff", TOML_STRING)) return;
    struct span to, from = span_cut(item.v->u.text, '.', &to);
    bool right = to.p != NULL && to.len > 0 && to.p[0] == '.' && parse_ms(from, &least) &&
                 parse_ms(span_skip(to, 1), &most) && least <= most && most <= BACKOFF_MS_MAX;
    if (!right) {
        config_read_bad(t->read, &item,
                        "backoff must be from the first pause to the longest, of at most %ums, as "
                        "in \"10ms..250ms\"",
                        BACKOFF_MS_MAX);
        return;
    }
    retry->backoff_least_ms = (uint32_t)least;
    retry->backoff_most_ms = (uint32_t)most;
}

void config_retry_load(const struct config_read_table *t, struct config_upstream *out)
{
    static const char *const known[] = {"tries", "on", "budget", "idempotent_only", "backoff"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    static const struct config_read_range tries = {
        .least = 1, .most = TRIES_MAX, .none = CONFIG_TRIES};
    static const struct config_read_range budget = {
        .least = 0, .most = PERCENT, .none = CONFIG_BUDGET_PERCENT};
    struct config_read_table sub = sub_table(t, "retry", "tries = 1");
    bool idempotent_only;
    config_read_keys(&sub, &keys);
    config_read_integer(&sub, "tries", tries, &out->retry.tries);
    read_on(&sub, out);
    config_read_percent(&sub, "budget", budget, &out->retry.budget_percent);
    config_read_bool(&sub, "idempotent_only", true, &idempotent_only);
    out->retry.any_method = !idempotent_only;
    read_backoff(&sub, &out->retry);
}

/* --- eject --- */

void config_retry_eject(const struct config_read_table *t, struct config_upstream *out)
{
    static const char *const known[] = {"after", "for", "max", "rate", "latency"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    static const struct config_read_range after = {
        .least = 0, .most = AFTER_MAX, .none = CONFIG_EJECT_AFTER};
    static const struct config_read_range time = {
        .least = 100, .most = HOUR, .none = CONFIG_EJECT_FOR_MS};
    static const struct config_read_range max = {
        .least = 0, .most = PERCENT, .none = CONFIG_EJECT_MAX_PERCENT};
    static const struct config_read_range rate = {.least = 0, .most = PERCENT};
    static const struct config_read_range times = {.least = 0, .most = TIMES_MAX};
    struct config_read_table sub = sub_table(t, "eject", "after = 0");
    struct config_eject *eject = &out->eject;
    config_read_keys(&sub, &keys);
    config_read_integer(&sub, "after", after, &eject->after);
    config_read_duration(&sub, "for", time, &eject->for_ms);
    config_read_percent(&sub, "max", max, &eject->max_percent);
    config_read_percent(&sub, "rate", rate, &eject->rate_percent);
    config_read_integer(&sub, "latency", times, &eject->latency_times);
}
