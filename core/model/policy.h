/* Policy: who may call what. Plain data, compiled by proxy/filters/authz into its matching form.
 *
 * Control thread. A rule matches when every field that is present matches (AND), a field when any
 * of its items does (OR). Two layers say who may call a service: the host file of the host that
 * runs it, and the mesh policy, which is the same on every host. They are judged in this order
 * (interface.md 2.4), and the first rule that matches decides:
 *
 *   mesh deny -> host deny -> host allow -> mesh allow -> the host file's default
 *
 * Borrowed strings live in the arena of the config or mesh policy they were read from.
 */
#ifndef CORE_MODEL_POLICY_H
#define CORE_MODEL_POLICY_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/model/name.h"

enum policy_action { POLICY_ALLOW, POLICY_DENY };
enum policy_layer { POLICY_LAYER_HOST, POLICY_LAYER_MESH };
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
    enum policy_layer layer;
    struct policy_caller *from; /* arrays live in the config's arena; count 0 = any */
    size_t from_count;
    struct name *to; /* MESH: the services it is for; count 0 = every service */
    size_t to_count;
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

struct policy_mesh {    /* the rules of one generation, all texts together */
    struct arena arena; /* owned: all that the rules point to */
    struct policy_rule *rule;
    size_t rule_count;
};
void policy_mesh_free(struct policy_mesh *p);

/* Whether it looks at the method or path, which bytes do not have. */
bool policy_reads_requests(const struct policy_rule *rule);
/* Whether a mesh rule is for this service. */
bool policy_applies(const struct policy_rule *rule, const struct name *service);
/* Both layers in the order above, as one policy with the host's default. `mesh` may be NULL. Rules
 * are copied into `arena`; what they point to stays borrowed from both. ERR_NOMEM. */
enum err policy_merge(const struct policy *host, const struct policy_mesh *mesh,
                      const struct name *service, struct arena *arena, struct policy *out) MUST_USE;
/* Whether `a` matches all that `b` matches, so that behind it `b` never decides. */
bool policy_covers(const struct policy_rule *a, const struct policy_rule *b);
/* "host", "mesh": static. */
const char *policy_layer_word(enum policy_layer layer);

#endif
