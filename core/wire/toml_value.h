/* Values and keys of the TOML parser.
 *
 * Inside core/wire/toml*.c only. Each function starts with the cursor on the first byte and leaves
 * it behind the last; ERR_INVALID: said in the scan's diag; ERR_NOMEM, ERR_TOO_LARGE: fatal.
 */
#ifndef CORE_WIRE_TOML_VALUE_H
#define CORE_WIRE_TOML_VALUE_H

#include "core/wire/toml_table.h"

/* A key of one or more parts, at most TOML_DEPTH_MAX, with the blanks around its dots. */
enum err toml_key_read(struct toml_scan *s, struct toml_key **out) MUST_USE;
/* A string with its quotes; multi-line forms only where `multiline`. The text has `room` writable
 * bytes in front of it and a NUL behind. */
enum err toml_string_read(struct toml_scan *s, bool multiline, size_t room,
                          struct span *out) MUST_USE;
/* An integer or a float. */
enum err toml_number_read(struct toml_scan *s, struct toml_value *v) MUST_USE;
/* Whether a date or a time is next. */
bool toml_date_is_next(const struct toml_scan *s);
enum err toml_date_read(struct toml_scan *s, struct toml_value *v) MUST_USE;
/* Any value. `depth` levels are above it. */
enum err toml_value_read(struct toml_scan *s, size_t depth, struct toml_value *v) MUST_USE;
/* "key = value" into `table`. */
enum err toml_value_pair(struct toml_scan *s, struct toml_value *table, uint32_t section) MUST_USE;

#endif
