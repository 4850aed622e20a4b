/* Reload: reads the host file and its includes, checks all, then applies all or nothing.
 *
 * Control thread. Order: read, config_load, identity of the node unchanged, listeners opened (a
 * busy port refuses the reload), snapshot compiled; only then does anything change. What was loaded
 * is copied to last-good.toml. Values that need a restart are kept as they run and listed.
 */
#ifndef CMD_DAEMON_RELOAD_H
#define CMD_DAEMON_RELOAD_H

#include "cmd/daemon/daemon.h"

#define RELOAD_CHANGES_MAX 64u
struct reload_summary {
    bool changed;        /* the text differs from the running one */
    uint64_t generation; /* of the snapshot that carries it */
    unsigned restart_count;
    struct strbuf applied; /* "+service.web", "-upstream.api", "~service.db": one a line */
    struct strbuf restart; /* "node.threads (parley.toml:9)": one a line */
};
void reload_summary_init(struct reload_summary *s);
void reload_summary_fini(struct reload_summary *s);

/* Re-reads and applies. `out` may be NULL. ERR_INVALID, ERR_IN_USE, ERR_NOT_FOUND, ERR_PERM,
 * ERR_TOO_LARGE, ERR_NOMEM: said in `diag`, the running configuration is unchanged. */
enum err reload_run(struct daemon *d, struct diag *diag, struct reload_summary *out) MUST_USE;

/* Reads and checks without applying: for start, and offline for `config check|show`. `last_good`
 * false: the host file; true: last-good.toml. On ERR_OK the config is the caller's, and `joined`
 * (may be NULL) has the text to keep as last good. */
enum err reload_read(const struct store *s, bool last_good, struct diag *diag,
                     struct strbuf *joined, struct config **out) MUST_USE;

#endif
