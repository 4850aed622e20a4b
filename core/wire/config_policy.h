/* Mesh policy texts (TOML) to rules, or every error at once (interface.md 2.4).
 *
 * Any thread. The same tables and the same errors as [[service.X.rule]] of the host file, and `to`,
 * which names the services a rule is for:
 *
 *   [[rule]]
 *   name = "web-api"
 *   from = ["web"]
 *   to   = ["api"]      # left out: every service
 *
 * Findings that stop nothing are warnings: L07, a rule that opens all to all; L08, a rule that
 * another one always comes before.
 */
#ifndef CORE_WIRE_CONFIG_POLICY_H
#define CORE_WIRE_CONFIG_POLICY_H

#include "core/model/policy.h"
#include "core/wire/config_load.h"

#define CONFIG_POLICY_TEXT_BYTES_MAX (1u * 1024 * 1024) /* one text (gossip.md 3.6) */

/* Loads all texts as one policy; rule names are unique over them. On ERR_OK `*out` is owned by the
 * caller (policy_mesh_free). ERR_INVALID, ERR_TOO_LARGE: said in `d`; ERR_NOMEM. No text at all is
 * a policy without rules. */
enum err config_policy_load(const struct config_text *text, size_t count, struct diag *d,
                            struct policy_mesh **out) MUST_USE;

#endif
