#include "tests/tidy/include.h"

#include "core/base/check.h"

#define SEES_MAX 8u

/* A file under `from` may include what starts with one of `sees`. The first match of a path holds.
 */
static const struct {
    const char *from;
    const char *sees[SEES_MAX];
} directions[] = {
    {"core/base/", {"core/base/"}},
    {"core/model/", {"core/base/", "core/model/"}},
    {"core/wire/", {"core/base/", "core/model/", "core/wire/"}},
    {"core/crypto/", {"core/base/", "core/model/", "core/wire/", "core/crypto/"}},
    {"core/io/", {"core/"}},
    {"gossip/",
     {"core/base/", "core/model/", "core/wire/pack", "core/crypto/seal", "core/crypto/sign",
      "gossip/"}},
    {"proxy/", {"core/", "proxy/"}},
    {"cmd/", {"core/", "gossip/", "proxy/", "cmd/"}},
    {"tests/", {"core/", "gossip/", "proxy/", "cmd/", "tests/"}},
};

/* <header> may be included by files whose path starts with one of `wrappers`. */
static const struct {
    const char *header;
    const char *wrappers[SEES_MAX];
} libraries[] = {
    {"sodium", {"core/base/hash.c", "core/crypto/", "core/io/", "cmd/", "tests/"}},
    {"bearssl", {"core/crypto/", "core/io/conn_tls", "tests/"}},
    {"msgpack", {"core/wire/pack", "tests/"}},
    {"ev.h", {"core/io/loop"}},
    {"nghttp2", {"core/wire/h2", "tests/"}},
    {"ares", {"core/io/resolver"}},
    {"llhttp", {"core/wire/h1"}},
    {"cmocka", {"tests/"}},
};

static bool starts_with_any(struct span path, const char *const *prefixes)
{
    for (size_t i = 0; i < SEES_MAX && prefixes[i] != NULL; i++)
        if (span_starts(path, span_str(prefixes[i]))) return true;
    return false;
}

static void check_own(const struct source *s, size_t line, struct span path,
                      struct rule_report *report)
{
    for (size_t i = 0; i < ARRAY_LEN(directions); i++) {
        if (!span_starts(span_str(s->path), span_str(directions[i].from))) continue;
        if (!starts_with_any(path, directions[i].sees))
            rule_broken(report, RULE_INCLUDE_DIRECTION, s->path, line, "includes %.*s",
                        SPAN_ARG(path));
        return;
    }
    rule_broken(report, RULE_INCLUDE_DIRECTION, s->path, line, "a folder the law does not know");
}

static void check_library(const struct source *s, size_t line, struct span header,
                          struct rule_report *report)
{
    for (size_t i = 0; i < ARRAY_LEN(libraries); i++) {
        if (!span_starts(header, span_str(libraries[i].header))) continue;
        if (!starts_with_any(span_str(s->path), libraries[i].wrappers))
            rule_broken(report, RULE_INCLUDE_WRAPPER, s->path, line, "includes <%.*s>",
                        SPAN_ARG(header));
    }
}

/* "#include" with any blanks; what follows it, or an empty span. */
static struct span include_target(struct span line)
{
    line = span_trim(line);
    if (!span_starts(line, SPAN_LIT("#"))) return span_of(NULL, 0);
    line = span_trim(span_skip(line, 1));
    if (!span_starts(line, SPAN_LIT("include"))) return span_of(NULL, 0);
    return span_trim(span_skip(line, 7));
}

/* The name behind a directive of line `i`, `*open` its first delimiter; empty: no include. */
static struct span included(const struct source *s, size_t i, char *open)
{
    struct span rest;
    /* The code tells a directive from a comment; the text still has the name. */
    if (!span_starts(span_trim(s->code_line[i]), SPAN_LIT("#"))) return span_of(NULL, 0);
    struct span target = include_target(s->line[i]);
    if (target.len < 2) return span_of(NULL, 0);
    *open = target.p[0];
    return span_cut(span_skip(target, 1), *open == '<' ? '>' : '"', &rest);
}

void include_check(const struct source *s, struct rule_report *report)
{
    for (size_t i = 0; i < s->line_count; i++) {
        char open = '\0';
        struct span name = included(s, i, &open);
        if (open == '"') check_own(s, i + 1, name, report);
        if (open == '<') check_library(s, i + 1, name, report);
    }
}
