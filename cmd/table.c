#include "cmd/table.h"

#include "core/base/strbuf.h"
#include "core/wire/json_read.h"

#include <stdarg.h>
#include <stdlib.h>

#define TABLE_CELLS_MAX 400000u
#define LIST_BYTES_MAX  256u

void table_init(struct table *t, const char *const *header, size_t columns)
{
    *t = (struct table){.columns = columns};
    arena_init(&t->arena, 16384, 64u * 1024 * 1024);
    for (size_t i = 0; i < columns; i++)
        table_cell(t, header[i]);
}

void table_fini(struct table *t)
{
    arena_fini(&t->arena);
    free(t->cell);
    *t = (struct table){0};
}

void table_cell(struct table *t, const char *text)
{
    if (t->cells == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        const char **grown = cap <= TABLE_CELLS_MAX ? realloc(t->cell, cap * sizeof *grown) : NULL;
        if (!grown) {
            t->failed = true;
            return;
        }
        t->cell = grown;
        t->cap = cap;
    }
    struct span s = span_str(text && text[0] ? text : "-");
    char *copy = arena_dup(&t->arena, s.p, s.len);
    if (!copy) {
        t->failed = true;
        return;
    }
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    t->cell[t->cells++] = copy;
}

void table_cellf(struct table *t, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    table_cell(t, text);
}

/* Code points: every byte that does not continue one (RFC 3629). */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void table_cell_list(struct table *t, const struct json_value *list)
{
    char text[LIST_BYTES_MAX];
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof text);
    for (const struct json_value *s = list ? list->child : NULL; s; s = s->next) {
        if (sb.len > 0) strbuf_char(&sb, ' ');
        strbuf_span(&sb, s->text);
    }
    table_cell(t, text);
}

void table_print(const struct table *t, FILE *out)
{
    size_t width[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->cells; i++) {
        size_t w = width_of(t->cell[i]);
        if (w > width[i % t->columns]) width[i % t->columns] = w;
    }
    for (size_t i = 0; i < t->cells; i++) {
        size_t col = i % t->columns;
        fputs(t->cell[i], out);
        if (col + 1 == t->columns) {
            fputc('\n', out);
            continue;
        }
        for (size_t pad = width_of(t->cell[i]); pad < width[col] + 2; pad++)
            fputc(' ', out);
    }
    if (t->failed) fputs("(cut: out of memory)\n", out);
}

const char *table_duration(uint64_t us, char *out, size_t cap)
{
    if (us < 10000)
        snprintf(out, cap, "%.1fms", (double)us / 1000);
    else if (us < 1000000)
        snprintf(out, cap, "%.0fms", (double)us / 1000);
    else if (us < UINT64_C(60000000))
        snprintf(out, cap, "%.1fs", (double)us / 1e6);
    else if (us < UINT64_C(7200000000))
        snprintf(out, cap, "%llum", (unsigned long long)(us / 60000000));
    else if (us < UINT64_C(172800000000))
        snprintf(out, cap, "%lluh", (unsigned long long)(us / 3600000000));
    else
        snprintf(out, cap, "%llud", (unsigned long long)(us / 86400000000));
    return out;
}
