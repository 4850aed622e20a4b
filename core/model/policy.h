/* Policy: who may call what. Plain data, compiled by proxy/filters/authz into its matching form.
 *
 * Control thread. A rule matches when every field that is present matches (AND), a field when any
 * of its items does (OR). Deny rules are judged before allow rules; nothing matched means the
 * default (interface.md 2.4, 3). Borrowed strings live in the config's arena.
 */
#ifndef CORE_MODEL_POLICY_H
#define CORE_MODEL_POLICY_H

#include "core/model/name.h"

enum policy_action { POLICY_ALLOW, POLICY_DENY };
enum policy_default { POLICY_DEFAULT_DENY, POLICY_DEFAULT_ALLOW, POLICY_DEFAULT_AUDIT };

enum policy_caller_kind { CALLER_SERVICE, CALLER_NODE, CALLER_ANY_AUTHENTICATED };
struct policy_caller {
    enum policy_caller_kind kind;
    struct name name; /* empty for ANY_AUTHENTICATED */
};

/* "/jobs" matches exactly; "/jobs/" and a star every path below it (and not "/jobs"); "*" any run
 * of characters elsewhere is refused by the loader. Already in canonical form (wire/uri). */
struct policy_path {
    struct span text;
    bool prefix; /* text ends in '/', the star is cut off */
};

struct policy_rule {
    const char *name; /* for logs; "allow" short form: "allow" */
    enum policy_action action;
    struct policy_caller *from; /* arrays live in the config's arena; count 0 = any */
    size_t from_count;
    struct span *method;
    size_t method_count;
    struct policy_path *path;
    size_t path_count;
    const char *file; /* where it was written */
    unsigned line;
};

struct policy {
    enum policy_default fallback;
    const struct policy_rule *rule;
    size_t rule_count;
};

#endif
