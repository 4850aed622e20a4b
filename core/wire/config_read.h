/* Typed reading of configuration tables: what a key must be, its default, and an error with a place
 * when it is something else.
 *
 * Inside core/wire/config*.c only. One load, one thread. A reader finds its key in a table that may
 * be written in parts in several files, checks it, and notes the effective value and its origin for
 * `config show --effective`. Errors are collected, so every reader goes on and gives the default.
 */
#ifndef CORE_WIRE_CONFIG_READ_H
#define CORE_WIRE_CONFIG_READ_H

#include "core/model/config.h"
#include "core/wire/toml.h"

struct config_read_note { /* an effective value, in a list until all are known */
    struct config_value value;
    struct config_read_note *next;
};

struct config_read_item { /* a value and where it is; v NULL: absent */
    const struct toml_source *src;
    const struct toml_value *v;
};

struct config_read_remark { /* a warning, kept back so that it never takes an error's place */
    const char *code;
    const char *text;
    struct config_read_item item;
    struct config_read_remark *next;
};

struct config_read_defaults { /* [defaults] */
    enum policy_default fallback;
    uint32_t connect_timeout_ms, request_timeout_ms, idle_timeout_ms;
    struct config_read_item connect_at, request_at, idle_at; /* where written */
};

struct config_read {       /* one load */
    struct config *config; /* owned; NULL while a mesh policy is read */
    struct arena *lasting; /* borrowed: what the result points to */
    struct arena scratch;  /* owned: the trees and whatever goes with them */
    struct diag *diag;     /* borrowed, may be NULL */
    unsigned errors;
    bool nomem;
    struct config_read_note *first, *last;
    size_t note_count;
    struct config_read_remark *remark, *last_remark;
    struct config_read_defaults defaults;
};

struct config_read_part { /* a table as one file writes it */
    const struct toml_source *src;
    const struct toml_value *table;
};

struct config_read_table {
    struct config_read *read;
    const char *path; /* "upstream.api", for messages and effective values */
    struct config_read_part *part;
    size_t part_count;
};

struct config_read_words { /* what a key, or a word of an enumeration, may be */
    const char *const *known;
    size_t known_count;
    const char *const *later; /* of the design, but not of this version */
    size_t later_count;
};

struct config_read_range {
    uint32_t least, most;
    uint32_t none;                /* when the key is absent */
    struct config_read_item from; /* where `none` was written; v NULL: it is built in */
};

struct config_read_sizes {
    uint64_t least, most;
    uint64_t none; /* when the key is absent */
};

/* Memory of the load (`lasting`: of the config); NULL sets r->nomem. */
void *config_read_alloc(struct config_read *r, bool lasting, size_t count, size_t size);
/* A copy in the config; "" when out of memory. */
const char *config_read_copy(struct config_read *r, struct span s);

void config_read_error(struct config_read *r, const struct toml_source *src,
                       const struct toml_place *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Kept until config_read_remarks. `code`: of the finding, "L07", static. */
void config_read_warning(struct config_read *r, const struct config_read_item *item,
                         const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Hands the warnings to the diag. */
void config_read_remarks(struct config_read *r);
/* An error at a value. */
#define config_read_bad(r, item, ...)                                                              \
    config_read_error((r), (item)->src, &(item)->v->at, __VA_ARGS__)

/* A table value as a table to read; `key` is appended to the path. */
struct config_read_table config_read_sub(const struct config_read_table *t,
                                         const struct config_read_item *item, const char *key);
struct config_read_item config_read_find(const struct config_read_table *t, const char *key);
/* Refuses keys that are not among `words`, and keys that two parts have. */
void config_read_keys(const struct config_read_table *t, const struct config_read_words *words);
/* Whether `item` is of `kind`; says so if not. `name` is the key as the message calls it. */
bool config_read_is(struct config_read *r, const struct config_read_item *item, const char *name,
                    enum toml_kind kind);
/* As a table's member: false when absent or of another kind. */
bool config_read_member(const struct config_read_table *t, const char *key, enum toml_kind kind,
                        struct config_read_item *out);

/* "500ms", "2s", "1m", "1h" to milliseconds. */
void config_read_duration(const struct config_read_table *t, const char *key,
                          struct config_read_range range, uint32_t *ms);
void config_read_integer(const struct config_read_table *t, const char *key,
                         struct config_read_range range, uint32_t *out);
/* "64KiB", "512B", "2MiB", "1GiB" to bytes. */
void config_read_bytes(const struct config_read_table *t, const char *key,
                       struct config_read_sizes range, uint64_t *out);
/* "20%": a whole number of percent. */
void config_read_percent(const struct config_read_table *t, const char *key,
                         struct config_read_range range, uint32_t *out);
void config_read_bool(const struct config_read_table *t, const char *key, bool none, bool *out);
/* The index of the word in words->known; `none` when the key is absent. */
unsigned config_read_word(const struct config_read_table *t, const char *key,
                          const struct config_read_words *words, unsigned none);
/* The protocol of a service or upstream; "tls-passthrough" is TCP, and said in `*tls`. False: it is
 * a guess, for neither the key nor connect = true is there. */
bool config_read_protocol(const struct config_read_table *t, enum service_protocol *out, bool *tls);
/* `connect` of a service or upstream of this protocol, false when absent: may CONNECT pass? An
 * error where the protocol is neither http nor h2. */
bool config_read_connect(const struct config_read_table *t, enum service_protocol protocol);
/* One word of a list; false when it is not known (said). */
bool config_read_index(struct config_read *r, const struct config_read_item *item,
                       const struct config_read_words *words, const char *name, unsigned *out);
/* A mesh, node, service or zone name. False: absent or not one (said). */
bool config_read_name(const struct config_read_table *t, const char *key, struct name *out);
/* IP and port. False: absent or not one (said). */
bool config_read_listen(const struct config_read_table *t, const char *key, struct addr *out);

/* Notes an effective value: as `item` writes it, or the built-in `none` when it is absent. */
void config_read_note(const struct config_read_table *t, const char *key,
                      const struct config_read_item *item, const char *none);

#endif
