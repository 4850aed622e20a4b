#include "tests/tidy/rule.h"

#include <stdarg.h>

#define RULE_NAME(code, text) [code] = #code,
#define RULE_TEXT(code, text) [code] = text,

static const char *const names[RULE_COUNT] = {RULE_LIST(RULE_NAME)};
static const char *const facts[RULE_COUNT] = {RULE_LIST(RULE_TEXT)};

const char *rule_name(enum rule rule)
{
    return names[rule];
}

const char *rule_fact(enum rule rule)
{
    return facts[rule];
}

void rule_broken(struct rule_report *report, enum rule rule, const char *path, size_t line,
                 const char *fmt, ...)
{
    unsigned n = report->count[rule]++;
    if (n >= RULE_FINDINGS_SHOWN) return;
    char *text = report->text[rule][n];
    int len = line > 0 ? snprintf(text, RULE_FINDING_BYTES, "%s:%zu: ", path, line)
                       : snprintf(text, RULE_FINDING_BYTES, "%s: ", path);
    if (len < 0 || (size_t)len >= RULE_FINDING_BYTES) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + len, RULE_FINDING_BYTES - (size_t)len, fmt, ap);
    va_end(ap);
}

unsigned rule_print(const struct rule_report *report, FILE *out)
{
    unsigned broken = 0;
    for (unsigned rule = 0; rule < RULE_COUNT; rule++) {
        unsigned count = report->count[rule];
        fprintf(out, "%sok %u - %s\n", count > 0 ? "not " : "", rule + 1, facts[rule]);
        for (unsigned i = 0; i < count && i < RULE_FINDINGS_SHOWN; i++)
            fprintf(out, "# %s\n", report->text[rule][i]);
        if (count > RULE_FINDINGS_SHOWN)
            fprintf(out, "# and %u more\n", count - RULE_FINDINGS_SHOWN);
        broken += count > 0;
    }
    return broken;
}
