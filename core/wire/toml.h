/* TOML 1.0.0 (toml.io/en/v1.0.0): text to a tree that knows where each key and value was written.
 *
 * Any thread. The tree lives in the caller's arena; the text must outlive it only for toml_diag_at.
 * Bounded: CONFIG_FILE_BYTES_MAX of text, TOML_DEPTH_MAX levels, TOML_KEYS_MAX values; linear in
 * the length of the text. Several errors are reported where a line can be skipped without guessing.
 *
 *   table --child--> value --next--> value ...   in the order of the text, each with its key
 *   array --child--> value --next--> value ...
 */
#ifndef CORE_WIRE_TOML_H
#define CORE_WIRE_TOML_H

#include "core/base/arena.h"
#include "core/base/diag.h"

enum toml_kind {
    TOML_STRING,
    TOML_INTEGER,
    TOML_FLOAT,
    TOML_BOOL,
    TOML_DATETIME, /* with an offset */
    TOML_DATETIME_LOCAL,
    TOML_DATE_LOCAL,
    TOML_TIME_LOCAL,
    TOML_ARRAY,
    TOML_TABLE
};

struct toml_place {
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in characters */
    uint32_t width;  /* characters on that line, at least 1 */
    uint32_t offset; /* bytes from the start of the text */
};

struct toml_date {
    uint16_t year;
    uint8_t month, day, hour, minute, second; /* second 60 is a leap second */
    uint32_t nanosecond;                      /* digits after the ninth are cut off */
    int16_t offset_minutes;                   /* east of UTC; TOML_DATETIME */
};

enum toml_origin { /* how a table came to be: what may still be added to it */
                   TOML_BY_HEADER,
                   TOML_BY_SUBHEADER, /* named only on the way to another header */
                   TOML_BY_DOTTED_KEY,
                   TOML_BY_VALUE /* inline; an array in brackets: complete where it stands */
};

struct toml_value {
    enum toml_kind kind;
    enum toml_origin origin;  /* TABLE, ARRAY; an array BY_HEADER is one of tables */
    struct span key;          /* in a table; unquoted */
    struct toml_place key_at; /* in a table */
    struct toml_place at;     /* the value; of a table: its header, key or brace */
    struct toml_value *next;  /* sibling */
    union {
        struct span text; /* STRING, valid UTF-8, a NUL behind it */
        int64_t integer;
        double number;
        bool boolean;
        struct toml_date date;
        struct {
            struct toml_value *child, *last;
            uint32_t count;
            uint32_t id, section; /* the parser's */
            uint16_t depth;
        } node; /* TABLE, ARRAY */
    } u;
};

struct toml_source {
    const char *file; /* shown in errors; borrowed */
    struct span text; /* borrowed */
};

/* Parses `src` into a tree in `arena`; the root is a table. ERR_INVALID: not TOML, said in `d` (may
 * be NULL); ERR_TOO_LARGE: over a bound; ERR_NOMEM. On failure what is in the arena is waste. */
enum err toml_parse(const struct toml_source *src, struct arena *arena, struct diag *d,
                    const struct toml_value **out) MUST_USE;

/* The member `key` of a table; NULL when there is none. */
const struct toml_value *toml_get(const struct toml_value *table, const char *key);
/* "a string", "an integer", ... static. */
const char *toml_kind_text(enum toml_kind kind);
/* The place in the form that diag_add wants, with its source line. */
struct diag_at toml_diag_at(const struct toml_source *src, const struct toml_place *at);

#endif
