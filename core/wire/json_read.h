/* JSON reader (RFC 8259): text to a tree in an arena.
 *
 * Any thread. Strict: one value, no comments, no trailing commas, valid UTF-8, paired surrogates,
 * no key twice in an object, at most JSON_DEPTH_MAX deep. The arena's bound bounds the size of the
 * tree.
 *
 *   object --child--> value --next--> value ...   each with its `key`
 *   array  --child--> value --next--> value ...
 */
#ifndef CORE_WIRE_JSON_READ_H
#define CORE_WIRE_JSON_READ_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/wire/json.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
    enum json_kind kind;
    bool boolean;
    uint32_t count;           /* of children */
    struct span key;          /* when it is a member of an object: unescaped, a NUL behind it */
    struct span text;         /* STRING: unescaped, a NUL behind it; NUMBER: as written */
    struct json_value *child; /* first */
    struct json_value *next;
};

/* Reads all of `text`, borrowed as long as the tree is in use: numbers point into it. ERR_INVALID:
 * not JSON; ERR_TOO_LARGE: too deep; ERR_NOMEM: over the arena's bound. On failure `*offset` is
 * where it went wrong; NULL if not wanted. */
enum err json_read(struct span text, struct arena *arena, const struct json_value **out,
                   size_t *offset) MUST_USE;

/* The member `key` of an object; NULL when there is none, or `v` is NULL or no object. */
const struct json_value *json_read_get(const struct json_value *v, const char *key);
/* The text of a string member; `none` when there is no such string. */
struct span json_read_str(const struct json_value *v, const char *key, struct span none);
/* A number member without sign, fraction and exponent; `none` otherwise. */
uint64_t json_read_u64(const struct json_value *v, const char *key, uint64_t none);
bool json_read_bool(const struct json_value *v, const char *key, bool none);

#endif
