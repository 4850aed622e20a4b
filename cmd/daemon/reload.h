/* Reload: reads the host file and its includes, checks all, then applies all or nothing.
 *
 * Control thread. Order: read, config_load, identity of the node unchanged, listeners opened (a
 * busy port refuses the reload), snapshot compiled; only then does anything change. What was loaded
 * is copied to last-good.toml. Values that need a restart are kept as they run and listed; a
 * new node or mesh name is refused, for the identity on disk is of the old one.
 */
#ifndef CMD_DAEMON_RELOAD_H
#define CMD_DAEMON_RELOAD_H

#include "cmd/daemon/daemon.h"
#include "cmd/daemon/host_file.h"

#define RELOAD_TEXT_MAX (64u * 1024)
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

/* reload_run with its findings in the log, for SIGHUP. */
void reload_logged(struct daemon *d);
/* Every finding as a log line. */
void reload_log_diag(struct log *log, const struct diag *diag);

/* Reads and checks without applying: for start, and offline for `config check|show`. `last_good`
 * false: the host file; true: last-good.toml. On ERR_OK the config is the caller's, and so are the
 * texts in `file` (host_file_fini). Errors as host_file_read, and ERR_INVALID of config_load. */
enum err reload_read(const struct store *s, bool last_good, struct diag *diag,
                     struct host_file *file, struct config **out) MUST_USE;
/* Keeps the texts as last-good.toml; a failure is a log line. */
void reload_keep(struct daemon *d, const struct host_file *file);

#endif
