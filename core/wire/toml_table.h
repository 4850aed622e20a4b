/* Tables of the TOML parser: finding and adding members, and the rules of what may be defined twice
 * (toml.io v1.0.0, "Table", "Inline Table", "Array of Tables", "Dotted keys").
 *
 * Inside core/wire/toml*.c only. One index for all tables makes every look-up one hash, whatever
 * the number of keys.
 *
 *   index key:  table id (4 bytes) | text of the key
 */
#ifndef CORE_WIRE_TOML_TABLE_H
#define CORE_WIRE_TOML_TABLE_H

#include "core/wire/toml_scan.h"

#define TOML_KEY_ROOM 4u

/* One part of a dotted key. */
struct toml_key {
    struct span text; /* TOML_KEY_ROOM writable bytes in front of it */
    struct toml_place at;
    struct toml_key *next;
};

/* Makes `v` a table. `depth` levels are above it. ERR_INVALID: too deep. */
enum err toml_table_init(struct toml_scan *s, struct toml_value *v, enum toml_origin origin,
                         const struct toml_place *at, size_t depth) MUST_USE;
/* The table that `[key]` or `[[key]]` opens, below `root`. ERR_INVALID: it may not be (said). */
enum err toml_table_header(struct toml_scan *s, struct toml_value *root, struct toml_key *key,
                           bool array, const struct toml_place *at,
                           struct toml_value **out) MUST_USE;
/* A new member for the dotted `key` below `table`, in `section`; the caller fills its value in.
 * ERR_INVALID: it exists, or a part on the way is no table that may be added to (said). */
enum err toml_table_member(struct toml_scan *s, struct toml_value *table, struct toml_key *key,
                           uint32_t section, struct toml_value **out) MUST_USE;
/* Appends `v` to a table or array. */
void toml_table_append(struct toml_value *node, struct toml_value *v);

#endif
