/* Host file: parley.toml and what it includes, as texts; and their copy that was good last.
 *
 * Control thread and offline verbs. An include pattern is relative to the main file's folder; a
 * star may stand in its last part only, and then matches nothing or more, in sorted order. A file
 * without a star must be there.
 *
 * last-good.toml (a checked file, store.h) holds all texts, so that errors keep their places:
 *     "# parley-file LENGTH PATH\n" bytes "\n"    once a file
 */
#ifndef CMD_DAEMON_HOST_FILE_H
#define CMD_DAEMON_HOST_FILE_H

#include "cmd/daemon/store.h"
#include "core/wire/config_load.h"

#define HOST_FILE_TOTAL_BYTES_MAX (4u * CONFIG_FILE_BYTES_MAX)

struct host_file {
    struct arena arena;       /* owned: paths and texts */
    struct config_text *text; /* the main file first */
    size_t count;
};

/* ERR_NOT_FOUND (said too), ERR_PERM, ERR_IO, ERR_TOO_LARGE, ERR_INVALID: said in `d`. On ERR_OK
 * the caller ends it with host_file_fini. */
enum err host_file_read(const struct store *s, struct diag *d, struct host_file *out) MUST_USE;
/* From last-good.toml. ERR_NOT_FOUND: there is none, silently; ERR_CORRUPT: said in `d`. */
enum err host_file_read_last_good(const struct store *s, struct diag *d,
                                  struct host_file *out) MUST_USE;
enum err host_file_save_last_good(const struct store *s, const struct host_file *h,
                                  struct diag *d) MUST_USE;
void host_file_fini(struct host_file *h);

#endif
