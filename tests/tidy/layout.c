#include "tests/tidy/layout.h"

#include "core/base/check.h"

#include <ctype.h>

#define FILE_LINES_MAX     600u
#define HEADER_LINES_MAX   200u
#define FUNCTION_LINES_MAX 70u
#define NESTING_MAX        4u
#define PARAMETERS_MAX     6u
#define COLUMNS_MAX        100u
#define BLOCK_BYTES_MIN    60u /* "what, thread, ownership" does not fit into less */

static void check_lines(const struct source *s, struct rule_report *report)
{
    size_t max = s->kind == SOURCE_HEADER ? HEADER_LINES_MAX : FILE_LINES_MAX;
    if (s->line_count > max)
        rule_broken(report, RULE_FILE_LINES, s->path, 0, "%zu lines", s->line_count);
    if (s->len > 0 && (s->text[s->len - 1] != '\n' || (s->len > 1 && s->text[s->len - 2] == '\n')))
        rule_broken(report, RULE_TRAILING, s->path, s->line_count, "end of the file");
}

static size_t columns(struct span line)
{
    size_t n = 0;
    for (size_t i = 0; i < line.len; i++)
        n += ((unsigned char)line.p[i] & 0xc0) != 0x80;
    return n;
}

static void check_line(const struct source *s, size_t i, struct rule_report *report)
{
    /* Put together here, so that this file does not hold what it looks for. */
    static const char *const notes[] = {"TO"
                                        "DO",
                                        "FIX"
                                        "ME",
                                        "X"
                                        "XX",
                                        "HA"
                                        "CK"};
    struct span line = s->line[i];
    if (columns(line) > COLUMNS_MAX)
        rule_broken(report, RULE_COLUMNS, s->path, i + 1, "%zu columns", columns(line));
    if (line.len > 0 && memchr(line.p, '\t', line.len) != NULL)
        rule_broken(report, RULE_TABS, s->path, i + 1, "a tab");
    if (line.len > 0 && isspace((unsigned char)line.p[line.len - 1]))
        rule_broken(report, RULE_TRAILING, s->path, i + 1, "a blank at the end");
    for (size_t j = 0; j < ARRAY_LEN(notes); j++)
        if (source_find(line, notes[j], 0) != SIZE_MAX)
            rule_broken(report, RULE_UNFINISHED, s->path, i + 1, "%s", notes[j]);
    struct span code = span_trim(s->code_line[i]);
    if (span_eq_str(code, "#if 0"))
        rule_broken(report, RULE_UNFINISHED, s->path, i + 1, "disabled code");
    if (source_find(code, "typedef", 0) != SIZE_MAX)
        rule_broken(report, RULE_TYPEDEF, s->path, i + 1, "typedef");
}

/* Parameters of the function whose body opens on line `body`: commas of its last group. */
static size_t parameters(const struct source *s, size_t body)
{
    size_t commas = 0, depth = 0;
    const char *end = s->code_line[body].p, *p = end;
    while (p > s->code && p[-1] != ';' && p[-1] != '}' && p[-1] != '#') {
        p--;
        if (*p == ')') depth++;
        if (*p == ',' && depth == 1) commas++;
        if (*p == '(' && --depth == 0) break;
    }
    return commas + 1;
}

struct function {
    size_t start; /* index of the line of its brace */
    size_t depth; /* braces open */
    size_t deepest;
};

/* A library's callbacks, which it sets the parameters of, are in files that name its things. */
static bool names_library(const struct source *s)
{
    return strstr(s->code, "br_") != NULL || strstr(s->code, "nghttp2_") != NULL ||
           strstr(s->code, "ares_") != NULL;
}

static void check_function(const struct source *s, const struct function *f, size_t end,
                           struct rule_report *report)
{
    size_t lines = end - f->start + 1;
    if (lines > FUNCTION_LINES_MAX)
        rule_broken(report, RULE_FUNCTION_LINES, s->path, f->start, "%zu lines", lines);
    if (f->deepest > NESTING_MAX + 1)
        rule_broken(report, RULE_NESTING, s->path, f->start, "%zu deep", f->deepest - 1);
    if (parameters(s, f->start) > PARAMETERS_MAX && !names_library(s))
        rule_broken(report, RULE_PARAMETERS, s->path, f->start, "%zu parameters",
                    parameters(s, f->start));
}

/* clang-format puts a function's braces, and only those, alone into the first column. */
static void check_functions(const struct source *s, struct rule_report *report)
{
    struct function f = {.depth = 0};
    for (size_t i = 0; i < s->line_count; i++) {
        struct span code = s->code_line[i];
        if (f.depth == 0 && (code.len == 0 || code.p[0] != '{')) continue;
        if (f.depth == 0) f = (struct function){.start = i};
        for (size_t j = 0; j < code.len; j++) {
            if (code.p[j] == '{' && ++f.depth > f.deepest) f.deepest = f.depth;
            if (code.p[j] == '}' && f.depth > 0) f.depth--;
        }
        if (f.depth == 0) check_function(s, &f, i, report);
    }
}

static void check_header_block(const struct source *s, struct rule_report *report)
{
    struct span text = span_of(s->text, s->len);
    const char *end = strstr(s->text, "*/");
    if (!span_starts(text, SPAN_LIT("/* ")) || end == NULL ||
        (size_t)(end - s->text) < BLOCK_BYTES_MIN) {
        rule_broken(report, RULE_HEADER_BLOCK, s->path, 1, "no block that says what it is");
        return;
    }
    size_t i = 0;
    while (i < s->line_count && span_trim(s->code_line[i]).len == 0)
        i++;
    if (i == s->line_count || !span_starts(s->code_line[i], SPAN_LIT("#ifndef ")))
        rule_broken(report, RULE_HEADER_BLOCK, s->path, i + 1, "no include guard");
}

void layout_check(const struct source *s, struct rule_report *report)
{
    check_lines(s, report);
    for (size_t i = 0; i < s->line_count; i++)
        check_line(s, i, report);
    if (s->kind != SOURCE_SCRIPT) check_functions(s, report);
    if (s->kind == SOURCE_HEADER) check_header_block(s, report);
}
