/* The compiled form of a policy, made here and walked by authz.c.
 *
 * Control thread. All of it lives in the snapshot's arena and is never written after the compile.
 */
#ifndef PROXY_FILTERS_AUTHZ_COMPILE_H
#define PROXY_FILTERS_AUTHZ_COMPILE_H

#include "proxy/filters/filter.h"

/* The first 8 bytes of a text in one word, zeros behind a shorter one: most paths differ in it. */
struct authz_head {
    uint64_t bits;
    uint64_t mask; /* of the bytes that the text has */
};

struct authz_path {
    struct span text;
    struct span loose; /* deny rules: authz_compile_loose of it, parameters kept */
    struct authz_head head;
    bool prefix;
};

struct authz_rule {
    const char *name;
    const char *layer; /* static */
    enum policy_action action;
    const struct span *method;
    size_t method_count; /* 0: any */
    const struct authz_path *path;
    size_t path_count; /* 0: any */
};

struct authz_rules { /* indices into rule[], ascending */
    const uint32_t *idx;
    size_t count;
};

struct authz_caller {
    enum identity_kind kind;
    struct name name;
    struct authz_rules rules;
};

struct authz_conf {
    enum policy_default fallback;
    const struct authz_rule *rule; /* deny rules first, else in the policy's order */
    size_t rule_count;
    const struct authz_caller *caller; /* sorted by authz_compile_order */
    size_t caller_count;
    struct authz_rules anyone; /* rules that name no caller */
};

/* Copies what it needs. ERR_INVALID: a path that no canonical target can match; ERR_NOMEM. */
enum err authz_compile(const struct policy *policy, struct arena *arena,
                       const struct authz_conf **out, struct diag *d) MUST_USE;
/* Order of callers: kind, then name. */
int authz_compile_order(enum identity_kind kind, const char *name, const struct authz_caller *c);
struct authz_head authz_compile_head(struct span text);
/* The loosest common reading of a canonical path, into `out` of path.len bytes; its length: escapes
 * decoded, runs of '/' merged, and with `cut` everything from ';' to the end of its segment gone.
 */
size_t authz_compile_loose(struct span path, bool cut, char *out);

#endif
