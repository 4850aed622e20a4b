#include "tests/sim/script.h"

#include "core/base/check.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define HEADING   "parley-sim schedule 1"
#define CAP_FIRST 32u

static const char *const start_word[] = {"joined", "one", "storm"};

void script_init(struct script *s, const struct scenario_options *o)
{
    *s = (struct script){.options = *o};
}

void script_fini(struct script *s)
{
    free(s->fault);
    s->fault = NULL;
    s->count = s->cap = 0;
}

static uint64_t whole_ms(uint64_t us)
{
    return us - us % 1000;
}

void script_add(struct script *s, const struct fault *f)
{
    if (s->count == SCRIPT_FAULTS_MAX) return;
    if (s->count == s->cap) {
        s->cap = s->cap > 0 ? 2 * s->cap : CAP_FIRST;
        s->fault = realloc(s->fault, s->cap * sizeof(s->fault[0]));
        CHECK(s->fault != NULL);
    }
    size_t at = s->count++;
    for (; at > 0 && s->fault[at - 1].at_us > f->at_us; at--)
        s->fault[at] = s->fault[at - 1];
    s->fault[at] = *f;
    s->fault[at].at_us = whole_ms(f->at_us);
    s->fault[at].for_us = whole_ms(f->for_us);
}

uint64_t script_end_us(const struct script *s)
{
    uint64_t end = 0;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t over = s->fault[i].at_us + s->fault[i].for_us;
        if (over > end) end = over;
    }
    return end;
}

void script_write(const struct script *s, struct strbuf *out)
{
    const struct scenario_options *o = &s->options;
    strbuf_fmt(out, "%s\nscenario %s\nnodes %u\nseed %llu\n", HEADING, scenario_word(o->scenario),
               o->nodes, (unsigned long long)o->seed);
    strbuf_fmt(out, "loss %g\nwatch %.3f\nstart %s\n", o->loss, (double)o->for_ms / 1000,
               start_word[s->start]);
    if (o->real_crypto) strbuf_str(out, "crypto real\n");
    for (size_t i = 0; i < s->count; i++)
        fault_write(&s->fault[i], out);
}

static bool fraction(struct span s, double max, double *out)
{
    char text[32];
    char *end;
    if (s.len == 0 || !span_to_cstr(s, text, sizeof(text))) return false;
    double v = strtod(text, &end);
    if (*end != '\0' || !(v >= 0 && v <= max)) return false;
    *out = v;
    return true;
}

static bool read_start(struct span value, enum script_start *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(start_word); i++) {
        if (!span_eq_str(value, start_word[i])) continue;
        *out = (enum script_start)i;
        return true;
    }
    return false;
}

/* "key value"; false: not one of these, or wrong. */
static bool read_setting(struct span line, struct script *s)
{
    struct scenario_options *o = &s->options;
    struct span value;
    struct span key = span_cut(line, ' ', &value);
    char word[32];
    uint64_t v;
    double d;
    if (span_eq_str(key, "scenario"))
        return span_to_cstr(value, word, sizeof(word)) && scenario_parse(word, &o->scenario);
    if (span_eq_str(key, "start")) return read_start(value, &s->start);
    if (span_eq_str(key, "seed")) return span_u64(value, &o->seed);
    if (span_eq_str(key, "nodes")) {
        if (!span_u64(value, &v) || v < 2 || v > WORLD_NODES_MAX) return false;
        o->nodes = (uint32_t)v;
        return true;
    }
    if (span_eq_str(key, "loss")) return fraction(value, 0.9, &o->loss);
    if (span_eq_str(key, "watch")) {
        if (!fraction(value, 1e7, &d)) return false;
        o->for_ms = (uint64_t)(d * 1000 + 0.5);
        return true;
    }
    o->real_crypto = span_eq_str(key, "crypto") && span_eq_str(value, "real");
    return o->real_crypto;
}

enum err script_read(struct span text, struct script *out, unsigned *line)
{
    struct scenario_options blank = {.nodes = 2, .seed = 1, .algorithm = algorithm_parley()};
    script_init(out, &blank);
    for (*line = 1; text.len > 0; (*line)++) {
        struct span rest;
        struct fault f;
        struct span one = span_trim(span_cut(text, '\n', &rest));
        text = rest;
        if (*line == 1 && !span_eq_str(one, HEADING)) goto fail;
        if (*line == 1 || one.len == 0 || one.p[0] == '#') continue;
        bool is_fault = one.p[0] >= '0' && one.p[0] <= '9';
        if (is_fault && fault_read(one, &f) == ERR_OK)
            script_add(out, &f);
        else if (is_fault || !read_setting(one, out))
            goto fail;
    }
    if (*line > 1) return ERR_OK;
fail:
    script_fini(out);
    return ERR_INVALID;
}
