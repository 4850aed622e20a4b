/* Policy diff: what changes from one mesh policy to another, rule by rule (interface.md 2.3).
 *
 * Main thread of a command. Rules are matched by name. A change of order alone changes nothing that
 * is allowed, and is no row.
 *
 *   ~ rule.report-read  path  ["/reports/x"] -> ["/reports/x", "/export"]    shop.toml:21
 *   + rule.jobs-api     allow jobs -> api POST /orders                       shop.toml:27
 */
#ifndef CMD_VERBS_POLICY_DIFF_H
#define CMD_VERBS_POLICY_DIFF_H

#include "core/base/arena.h"
#include "core/model/policy.h"
#include "core/wire/json.h"

#include <stdio.h>

enum policy_change { POLICY_ADDED, POLICY_CHANGED, POLICY_REMOVED };
struct policy_diff_row {
    enum policy_change kind;
    const char *rule;
    const char *field; /* CHANGED: which; else NULL */
    const char *from;  /* CHANGED: as TOML writes it; REMOVED: the rule in one line; else NULL */
    const char *to;    /* CHANGED: as `from`; ADDED: the rule in one line; else NULL */
    const char *file;  /* where it stands now; of a removed one, where it stood */
    unsigned line;
};
struct policy_diff {
    struct arena arena; /* owned: the texts */
    struct policy_diff_row *row;
    size_t count;
};

/* Borrows names and files from both. ERR_NOMEM; end it with policy_diff_fini in any case. */
enum err policy_diff_make(const struct policy_mesh *old, const struct policy_mesh *next,
                          struct policy_diff *out) MUST_USE;
void policy_diff_fini(struct policy_diff *d);
void policy_diff_print(const struct policy_diff *d, FILE *out);
/* An array of { change, rule, field, from, to, file, line }. */
void policy_diff_json(const struct policy_diff *d, struct json *j);

#endif
