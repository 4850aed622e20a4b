/* Diagnostics: what is wrong in an operator's input, where, and how to mend it.
 *
 * Control thread and offline verbs. A `struct diag` collects up to DIAG_ENTRIES_MAX findings, so
 * that all errors of a file show at once; later ones are only counted. Lines and columns start at
 * 1; 0 means not known. Columns count characters (code points), as editors do. Owns its texts
 * (bounded heap).
 *
 *   parley.toml:8:1: error: unknown key "retires" in [upstream.api]; did you mean "retry"?
 *       8 | retires = { on = ["connect"], tries = 3 }
 *         | ^~~~~~~
 */
#ifndef CORE_BASE_DIAG_H
#define CORE_BASE_DIAG_H

#include "core/base/err.h"
#include "core/base/limits.h"
#include "core/base/strbuf.h"

enum diag_level { DIAG_ERROR, DIAG_WARNING };

struct diag_entry {
    enum diag_level level;
    char *file;       /* owned, may be NULL */
    char *message;    /* owned */
    char *source;     /* owned: the source line without its newline, may be NULL */
    const char *code; /* of the kind of finding ("L07"), static; NULL: none */
    unsigned line;
    unsigned column;
    unsigned width; /* characters to underline, at least 1 when column is known */
};

struct diag {
    struct diag_entry entry[DIAG_ENTRIES_MAX];
    unsigned count;    /* entries kept */
    unsigned errors;   /* all seen */
    unsigned warnings; /* all seen */
};

struct diag_at { /* a place; zero = unknown */
    const char *file;
    struct span source; /* the line */
    unsigned line, column, width;
    const char *code; /* static; printed as "warning[L07]: " */
};

void diag_init(struct diag *d);
void diag_fini(struct diag *d);
/* `at` may be NULL. Texts are copied. Control bytes in them are escaped. `d` may be NULL: nothing
 * happens. */
void diag_add(struct diag *d, enum diag_level level, const struct diag_at *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
#define diag_error(d, at, ...)   diag_add((d), DIAG_ERROR, (at), __VA_ARGS__)
#define diag_warning(d, at, ...) diag_add((d), DIAG_WARNING, (at), __VA_ARGS__)
/* Every entry as in the picture above, then "N errors, M warnings" when there is more than one. */
void diag_print(const struct diag *d, struct strbuf *out);

/* The closest of `n` candidates to `word`: Damerau distance at most 3 and under half the word, or
 * the only one that starts with it. NULL: none. */
const char *diag_did_you_mean(struct span word, const char *const *candidates, size_t n);

#endif
