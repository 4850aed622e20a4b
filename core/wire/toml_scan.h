/* The cursor of the TOML parser: where it is, blanks, comments, line ends, and errors with a place.
 *
 * Inside core/wire/toml*.c only. One parse, one thread.
 */
#ifndef CORE_WIRE_TOML_SCAN_H
#define CORE_WIRE_TOML_SCAN_H

#include "core/base/map.h"
#include "core/wire/toml.h"

struct toml_scan {
    const struct toml_source *src; /* borrowed */
    struct arena *arena;           /* borrowed */
    struct diag *diag;             /* borrowed, may be NULL */
    struct map index;              /* owned: every key of every table (toml_table) */
    size_t at;                     /* the next byte */
    size_t line_start;
    uint32_t line;
    size_t mark; /* a byte of the line whose column is known, so that columns cost no second walk */
    uint32_t mark_column;
    uint32_t values;
    uint32_t tables;
    uint32_t sections;
    unsigned open; /* arrays and inline tables whose end has not come */
    unsigned errors;
    enum err fatal; /* a bound was hit: no recovery */
};

void toml_scan_init(struct toml_scan *s, const struct toml_source *src, struct arena *arena,
                    struct diag *d);
void toml_scan_fini(struct toml_scan *s);

/* The byte `ahead` of the cursor; -1 behind the end. */
int toml_scan_peek(const struct toml_scan *s, size_t ahead);
/* Takes `c` if it is next. */
bool toml_scan_take(struct toml_scan *s, char c);
void toml_scan_blanks(struct toml_scan *s);
/* Takes LF or CRLF; false when neither is next. */
bool toml_scan_newline(struct toml_scan *s);
/* Whether the cursor is before LF, CRLF or the end. */
bool toml_scan_at_line_end(const struct toml_scan *s);
/* Takes a comment if one is next. ERR_INVALID: a control character in it. */
enum err toml_scan_comment(struct toml_scan *s) MUST_USE;
/* Blanks, comments and line ends, as between the items of an array. */
enum err toml_scan_space(struct toml_scan *s) MUST_USE;
/* To the end of this line, whatever is on it. */
void toml_scan_skip_line(struct toml_scan *s);

/* The cursor's place, one character wide. */
struct toml_place toml_scan_place(struct toml_scan *s);
/* Widens a place that began on this line up to the cursor. */
void toml_scan_close(struct toml_scan *s, struct toml_place *at);

/* Reports an error at `at`; ERR_INVALID, or the bound that was hit. */
enum err toml_scan_fail(struct toml_scan *s, const struct toml_place *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same at the cursor; names the character that is there. */
enum err toml_scan_expected(struct toml_scan *s, const char *what);
/* As toml_scan_fail, and the parse ends with `err`. */
enum err toml_scan_fatal(struct toml_scan *s, const struct toml_place *at, enum err err,
                         const char *text);
/* The arena is full. */
enum err toml_scan_nomem(struct toml_scan *s);
/* Counts one more value. ERR_TOO_LARGE. */
enum err toml_scan_count(struct toml_scan *s, const struct toml_place *at) MUST_USE;

#endif
