#include "tests/sim/fault.h"

#include "tests/sim/world.h"

#include <math.h>
#include <stdlib.h>

#define WORDS_MAX   8u
#define SECONDS_MAX 1e7
#define NUMBER_MAX  1e9
#define US_IN_A_S   1e6

const char *fault_word(enum fault_kind kind)
{
    static const char *const word[FAULT_KINDS] = {
#define FAULT_WORD(name, text, needs) text,
        FAULT_LIST(FAULT_WORD)
#undef FAULT_WORD
    };
    return word[kind];
}

unsigned fault_needs(enum fault_kind kind)
{
    static const unsigned need[FAULT_KINDS] = {
#define FAULT_NEED(name, text, needs) needs,
        FAULT_LIST(FAULT_NEED)
#undef FAULT_NEED
    };
    return need[kind];
}

void fault_write(const struct fault *f, struct strbuf *out)
{
    unsigned needs = fault_needs(f->kind);
    strbuf_fmt(out, "%.3f %s", (double)f->at_us / US_IN_A_S, fault_word(f->kind));
    if (needs & FAULT_NODES) strbuf_fmt(out, " %u", f->first);
    if ((needs & FAULT_NODES) && f->last != f->first) strbuf_fmt(out, "-%u", f->last);
    if (needs & FAULT_LASTS) strbuf_fmt(out, " for %.3f", (double)f->for_us / US_IN_A_S);
    if (needs & FAULT_NUMBER) strbuf_fmt(out, " with %.9g", f->number);
    strbuf_char(out, '\n');
}

static bool number(struct span s, double min, double max, double *out)
{
    char text[32];
    char *end;
    if (s.len == 0 || !span_to_cstr(s, text, sizeof(text))) return false;
    double v = strtod(text, &end);
    if (*end != '\0' || !isfinite(v) || v < min || v > max) return false;
    *out = v;
    return true;
}

static bool seconds(struct span s, uint64_t *out_us)
{
    double v;
    if (!number(s, 0, SECONDS_MAX, &v)) return false;
    *out_us = (uint64_t)llround(v * 1000.0) * 1000;
    return true;
}

static bool nodes(struct span s, struct fault *out)
{
    struct span last;
    struct span first = span_cut(s, '-', &last);
    uint64_t a, b;
    if (!span_u64(first, &a) || a >= WORLD_NODES_MAX) return false;
    b = a;
    if (last.p != NULL && (!span_u64(last, &b) || b < a || b >= WORLD_NODES_MAX)) return false;
    out->first = (uint32_t)a;
    out->last = (uint32_t)b;
    return true;
}

static bool kind_of(struct span s, enum fault_kind *out)
{
    for (unsigned i = 0; i < FAULT_KINDS; i++) {
        if (!span_eq_str(s, fault_word((enum fault_kind)i))) continue;
        *out = (enum fault_kind)i;
        return true;
    }
    return false;
}

/* The words of a line; 0: too many. */
static size_t split(struct span line, struct span word[WORDS_MAX])
{
    size_t n = 0;
    line = span_trim(line);
    while (line.len > 0) {
        struct span rest;
        if (n == WORDS_MAX) return 0;
        word[n++] = span_cut(line, ' ', &rest);
        line = span_trim(rest);
    }
    return n;
}

enum err fault_read(struct span line, struct fault *out)
{
    struct span word[WORDS_MAX];
    struct fault f = {0};
    size_t n = split(line, word), at = 2;
    if (n < 2 || !seconds(word[0], &f.at_us) || !kind_of(word[1], &f.kind)) return ERR_INVALID;
    unsigned needs = fault_needs(f.kind);
    if (needs & FAULT_NODES) {
        if (at >= n || !nodes(word[at++], &f)) return ERR_INVALID;
    }
    if (needs & FAULT_LASTS) {
        if (at + 1 >= n || !span_eq_str(word[at], "for") || !seconds(word[at + 1], &f.for_us))
            return ERR_INVALID;
        at += 2;
    }
    if (needs & FAULT_NUMBER) {
        if (at + 1 >= n || !span_eq_str(word[at], "with") ||
            !number(word[at + 1], -NUMBER_MAX, NUMBER_MAX, &f.number))
            return ERR_INVALID;
        at += 2;
    }
    if (at != n) return ERR_INVALID;
    *out = f;
    return ERR_OK;
}
