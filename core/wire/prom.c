#include "core/wire/prom.h"

#include "core/base/check.h"

#include <inttypes.h>

static const char *const type_word[] = {
    [PROM_COUNTER] = "counter",
    [PROM_GAUGE] = "gauge",
    [PROM_HISTOGRAM] = "histogram",
};

/* [a-zA-Z_][a-zA-Z0-9_]*, the part of the grammar we use. */
static bool name_good(const char *name)
{
    size_t i = 0;
    for (; name[i] != '\0'; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return i > 0;
}

void prom_init(struct prom *p, struct strbuf *out)
{
    *p = (struct prom){.out = out};
}

void prom_family(struct prom *p, const char *name, enum prom_type type, const char *help)
{
    CHECK(name_good(name) && strchr(help, '\n') == NULL && strchr(help, '\\') == NULL);
    p->family = name;
    p->type = type;
    strbuf_str(p->out, "# HELP ");
    strbuf_str(p->out, name);
    strbuf_char(p->out, ' ');
    strbuf_str(p->out, help);
    strbuf_str(p->out, "\n# TYPE ");
    strbuf_str(p->out, name);
    strbuf_char(p->out, ' ');
    strbuf_str(p->out, type_word[type]);
    strbuf_char(p->out, '\n');
}

static bool needs_escape(char c)
{
    return c == '\\' || c == '"' || c == '\n';
}

static void put_value(struct strbuf *out, struct span value)
{
    size_t from = 0;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        if (!needs_escape(c)) continue;
        strbuf_add(out, value.p + from, i - from);
        strbuf_char(out, '\\');
        strbuf_char(out, c == '\n' ? 'n' : c);
        from = i + 1;
    }
    if (from < value.len) strbuf_add(out, value.p + from, value.len - from);
}

static void put_label(struct strbuf *out, const char *name, struct span value, bool first)
{
    CHECK(name_good(name));
    strbuf_char(out, first ? '{' : ',');
    strbuf_str(out, name);
    strbuf_str(out, "=\"");
    put_value(out, value);
    strbuf_char(out, '"');
}

/* Name and labels, and a space. `le` NULL: none. */
static void put_head(const struct prom *p, const char *suffix, const struct prom_label *label,
                     size_t count, const char *le)
{
    CHECK(p->family != NULL);
    strbuf_str(p->out, p->family);
    strbuf_str(p->out, suffix);
    for (size_t i = 0; i < count; i++)
        put_label(p->out, label[i].name, label[i].value, i == 0);
    if (le != NULL) put_label(p->out, "le", span_str(le), count == 0);
    strbuf_str(p->out, count > 0 || le != NULL ? "} " : " ");
}

void prom_u64(struct prom *p, const struct prom_label *label, size_t count, uint64_t v)
{
    CHECK(p->type != PROM_HISTOGRAM);
    put_head(p, "", label, count, NULL);
    strbuf_u64(p->out, v);
    strbuf_char(p->out, '\n');
}

void prom_i64(struct prom *p, const struct prom_label *label, size_t count, int64_t v)
{
    CHECK(p->type == PROM_GAUGE);
    put_head(p, "", label, count, NULL);
    if (v < 0) strbuf_char(p->out, '-');
    strbuf_u64(p->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    strbuf_char(p->out, '\n');
}

#define SECONDS_BYTES 32u

/* 2500 to "0.0025": exact, without trailing zeros, so that the same bound is the same label. */
static const char *seconds(uint64_t us, char dst[SECONDS_BYTES])
{
    struct strbuf out;
    strbuf_init_fixed(&out, dst, SECONDS_BYTES);
    strbuf_fmt(&out, "%" PRIu64 ".%06u", us / 1000000, (unsigned)(us % 1000000));
    while (dst[out.len - 1] == '0')
        dst[--out.len] = '\0';
    if (dst[out.len - 1] == '.') dst[--out.len] = '\0';
    return dst;
}

void prom_histogram(struct prom *p, const struct prom_label *label, size_t count,
                    const struct prom_hist *h)
{
    char text[SECONDS_BYTES];
    uint64_t total = 0;
    CHECK(p->type == PROM_HISTOGRAM);
    for (size_t i = 0; i <= h->bounds; i++) {
        total += h->bucket[i];
        put_head(p, "_bucket", label, count,
                 i < h->bounds ? seconds(h->bound_us[i], text) : "+Inf");
        strbuf_u64(p->out, total);
        strbuf_char(p->out, '\n');
    }
    put_head(p, "_sum", label, count, NULL);
    strbuf_str(p->out, seconds(h->sum_us, text));
    strbuf_char(p->out, '\n');
    put_head(p, "_count", label, count, NULL);
    strbuf_u64(p->out, total);
    strbuf_char(p->out, '\n');
}
