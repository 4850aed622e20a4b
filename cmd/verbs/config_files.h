/* Config files: whether the files that a host file names are there, for `config check`.
 *
 * Offline verbs; calls block. A reload refuses a listener without its certificate, and a program
 * that is not there fails every check: both are better said before. Whoever may not look into a
 * folder is told nothing about it.
 */
#ifndef CMD_VERBS_CONFIG_FILES_H
#define CMD_VERBS_CONFIG_FILES_H

#include "cmd/daemon/host_file.h"
#include "core/model/config.h"

/* `c` was loaded from `file`. ERR_INVALID: a reload would be refused, said in `diag`; the programs
 * of health checks are warnings. */
enum err config_files_check(const struct config *c, const struct host_file *file,
                            struct diag *diag) MUST_USE;

#endif
