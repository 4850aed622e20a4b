/* Verbs: the one table of what `parley` can be told to do, and the parser of its command line
 * (interface.md 2).
 *
 * Main thread of a command. The table generates help and did-you-mean; a verb is one file in
 * cmd/verbs. Flags: `--name value`,
 * `--name=value`, booleans without a value, a few one-letter forms; they may stand anywhere behind
 * the verb, those of every verb before it too; `--` ends them.
 */
#ifndef CMD_VERB_H
#define CMD_VERB_H

#include <stdio.h>

#include "core/base/err.h"
#include "core/base/span.h"

/* interface.md 2.1. A tool failure is never confused with a "no". */
enum verb_exit {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3,
    EXIT_NO_AGENT = 4,
    EXIT_NOT_PERMITTED = 5,
    EXIT_TIMED_OUT = 6,
    EXIT_NO = 10,
    EXIT_WARNINGS = 11
};

enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_DURATION, FLAG_COUNT };
struct verb_flag {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum flag_kind kind;
    const char *meta; /* "NAME", "10s"; NULL for booleans */
    const char *help;
};

#define VERB_FLAGS_MAX 16u
#define VERB_ARGS_MAX  16u

struct verb_ctx;
struct verb {
    const char *name;
    const char *noun; /* NULL: none */
    const char *args; /* "NODE", "[NAME]"; NULL: none */
    const char *summary;
    unsigned args_min, args_max;
    const struct verb_flag *flag; /* ends with name == NULL; may be NULL */
    enum verb_exit (*run)(struct verb_ctx *);
};

struct verb_ctx {
    const struct verb *verb;
    const char *arg[VERB_ARGS_MAX]; /* borrowed from argv */
    unsigned arg_count;
    struct verb_value {
        const struct verb_flag *flag;
        const char *text; /* as given; NULL for a boolean */
        uint64_t number;  /* DURATION: milliseconds; COUNT */
    } value[VERB_FLAGS_MAX];
    unsigned value_count;
    const char *root;   /* "" when not relocated */
    const char *socket; /* --socket as given, or NULL */
    uint64_t timeout_ms;
    bool json, quiet, colour, yes, wide;
};

/* The table, in the order `help` prints; ends with name == NULL. */
const struct verb *verb_table(void);
/* Parses argv[1..] and runs it. Everything wrong is said on stderr with the nearest right word. */
enum verb_exit verb_main(int argc, char **argv);
/* NULL: the flag was not given. */
const char *verb_text(const struct verb_ctx *ctx, const char *flag);
bool verb_has(const struct verb_ctx *ctx, const char *flag);
uint64_t verb_number(const struct verb_ctx *ctx, const char *flag, uint64_t fallback);
/* "250ms", "10s", "5m", "2h" to milliseconds; false: no such form, or over 10 years. */
bool verb_duration(const char *text, uint64_t *ms);
/* Help for one verb (`noun` NULL: all its nouns), or the overview when `name` is NULL; false: no
 * such verb. */
bool verb_help(FILE *out, const char *name, const char *noun);
/* "x parley: MESSAGE" on stderr; returns `code`. */
enum verb_exit verb_fail(enum verb_exit code, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
