#include "core/wire/config_balance.h"

#include "core/base/check.h"
#include "core/wire/config_tags.h"
#include "core/wire/headers.h"

#define APERTURE_MAX       10000u
#define SLOW_START_MS_MAX  3600000u
#define AFFINITY_BYTES_MAX 256u
#define PERCENT            100u

/* --- balance --- */

static const char *lower_copy(struct config_read *r, struct span s)
{
    char *copy = config_read_alloc(r, true, s.len + 1, 1);
    if (copy == NULL) return "";
    for (size_t i = 0; i < s.len; i++)
        copy[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
    return copy;
}

/* "header:x-user", "cookie:session", "source". False: none of these. */
static bool read_affinity(struct config_read *r, struct span text, struct config_affinity *out)
{
    struct span name, kind = span_cut(text, ':', &name);
    if (name.p == NULL) {
        *out = (struct config_affinity){.kind = AFFINITY_SOURCE, .name = ""};
        return span_eq_str(kind, "source");
    }
    if (name.len > AFFINITY_BYTES_MAX || !headers_token_valid(name)) return false;
    bool header = span_eq_str(kind, "header");
    if (!header && !span_eq_str(kind, "cookie")) return false;
    out->kind = header ? AFFINITY_HEADER : AFFINITY_COOKIE;
    out->name = header ? lower_copy(r, name) : config_read_copy(r, name);
    return true;
}

static void read_hashed(const struct config_read_table *t, const struct config_read_item *item,
                        struct config_upstream *u)
{
    struct span by, word = span_cut(item->v->u.text, ':', &by);
    u->balance = span_eq_str(word, "ring") ? BALANCE_RING : BALANCE_HASH;
    if (!read_affinity(t->read, by, &u->affinity))
        config_read_bad(t->read, item,
                        "balance \"%.*s\" must go by header:NAME, cookie:NAME or source, as in "
                        "\"hash:header:x-user\"",
                        SPAN_ARG(item->v->u.text));
    else if (u->protocol == PROTOCOL_TCP && u->affinity.kind != AFFINITY_SOURCE)
        config_read_bad(t->read, item,
                        "a tcp session has neither headers nor cookies: use "
                        "\"hash:source\"");
}

static void read_balance(const struct config_read_table *t, struct config_upstream *u)
{
    /* The last two stand for what read_hashed reads. */
    static const char *const known[] = {"least-loaded", "round-robin", "peak-ewma",
                                        "hash:header:NAME", "ring:header:NAME"};
    static const char *const later[] = {"random"};
    static const struct config_read_words words = {known, ARRAY_LEN(known), later,
                                                   ARRAY_LEN(later)};
    struct config_read_item item = config_read_find(t, "balance");
    struct span rest, word = {NULL, 0};
    if (item.v != NULL && item.v->kind == TOML_STRING) word = span_cut(item.v->u.text, ':', &rest);
    if (span_eq_str(word, "hash") || span_eq_str(word, "ring")) {
        config_read_note(t, "balance", &item, "");
        read_hashed(t, &item, u);
        return;
    }
    u->balance = (enum config_balance)config_read_word(t, "balance", &words, BALANCE_LEAST_LOADED);
    if (u->protocol == PROTOCOL_TCP && u->balance == BALANCE_PEAK_EWMA)
        config_read_bad(t->read, &item,
                        "a tcp session has no response whose latency counts: use \"least-loaded\"");
}

/* --- split --- */

static void read_share(const struct config_read_table *t, const struct config_read_item *item,
                       unsigned number, struct config_split *out)
{
    static const char *const known[] = {"to", "weight"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    static const struct config_read_range percent = {.least = 0, .most = PERCENT, .none = 0};
    const char *path = arena_fmt(&t->read->scratch, "split.%u", number);
    if (path == NULL) {
        t->read->nomem = true;
        return;
    }
    struct config_read_table sub = config_read_sub(t, item, path);
    config_read_keys(&sub, &keys);
    struct config_tags to = config_tags_read(&sub, "to");
    out->tag = to.tag;
    out->tag_count = to.count;
    config_read_integer(&sub, "weight", percent, &out->percent);
    if (config_read_find(&sub, "weight").v == NULL)
        config_read_bad(t->read, item,
                        "a part of split needs weight, its share in percent, as in weight = 5");
    if (to.count == 0)
        config_read_bad(t->read, item,
                        "a split needs tags to go by, as in { to = { version = \"2.0\" }, "
                        "weight = 5 }");
}

static void read_split(const struct config_read_table *t, struct config_upstream *u)
{
    struct config_read *r = t->read;
    struct config_read_item list = config_read_find(t, "split");
    uint32_t sum = 0;
    if (list.v == NULL || !config_read_is(r, &list, "split", TOML_ARRAY)) return;
    if (list.v->u.node.count > CONFIG_SPLITS_MAX) {
        config_read_bad(r, &list, "split has at most %u parts", CONFIG_SPLITS_MAX);
        return;
    }
    u->split = config_read_alloc(r, true, list.v->u.node.count, sizeof(*u->split));
    if (u->split == NULL) return;
    for (const struct toml_value *v = list.v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list.src, .v = v};
        if (!config_read_is(r, &item, "a part of split", TOML_TABLE)) continue;
        read_share(t, &item, u->split_count + 1, &u->split[u->split_count]);
        sum += u->split[u->split_count++].percent;
    }
    if (sum > PERCENT)
        config_read_bad(r, &list,
                        "split weights of upstream \"%s\" add up to %u%%, at most %u%%: lower one",
                        u->name.text, (unsigned)sum, PERCENT);
}

void config_balance_load(const struct config_read_table *t, struct config_upstream *out)
{
    static const struct config_read_range aperture = {
        .least = 0, .most = APERTURE_MAX, .none = CONFIG_APERTURE};
    static const struct config_read_range slow = {.least = 0, .most = SLOW_START_MS_MAX};
    static const struct config_read_range panic = {
        .least = 0, .most = PERCENT, .none = CONFIG_PANIC_PERCENT};
    read_balance(t, out);
    struct config_tags tags = config_tags_read(t, "tags");
    out->tag = tags.tag;
    out->tag_count = tags.count;
    read_split(t, out);
    config_read_integer(t, "aperture", aperture, &out->aperture);
    config_read_duration(t, "slow_start", slow, &out->slow_start_ms);
    config_read_percent(t, "panic", panic, &out->panic_percent);
}
