/* Config loader: TOML text to a checked `struct config`, or every error at once (interface.md 3).
 *
 * Control thread and offline verbs. Reads no file itself: the caller gives the texts (io/file reads
 * them, cmd expands the include globs in sorted order). Unknown keys, wrong types, missing units,
 * duplicate services across files, bad names, weights or clashing listeners are errors with
 * file:line:column, the source line and a suggestion. Never half applied: on any error there is no
 * config.
 */
#ifndef CORE_WIRE_CONFIG_LOAD_H
#define CORE_WIRE_CONFIG_LOAD_H

#include "core/base/diag.h"
#include "core/model/config.h"

struct config_text {
    const char *file; /* shown in errors; borrowed during the call */
    struct span text; /* borrowed during the call */
};

/* `text[0]` is the main file. Loads, merges and checks. On ERR_OK `*out` is owned by the caller
 * (config_free). ERR_INVALID: see `d` (also ERR_TOO_LARGE, ERR_NOMEM). Warnings may be in `d` after
 * success. */
enum err config_load(const struct config_text *text, size_t count, struct diag *d,
                     struct config **out) MUST_USE;

/* The `include` patterns of a main file (default "conf.d" and star.toml), relative to its folder,
 * copied into `arena`. ERR_INVALID: not TOML, or include is not an array of strings (said in `d`).
 */
enum err config_load_includes(const struct config_text *main_text, struct arena *arena,
                              struct diag *d, struct span **patterns, size_t *count) MUST_USE;

/* "key = value   # origin" lines of every effective value. */
void config_load_show(const struct config *c, struct strbuf *out);

#endif
