/* Filters: one const struct of function pointers a feature (architecture.md 6).
 *
 * Worker thread, except compile (control thread, at snapshot build). The order of filters is
 * written once, in registry.c; chain.h runs them. What a filter needs to remember between its
 * calls lives in `state`, which the chain takes from the exchange's arena.
 */
#ifndef PROXY_FILTERS_FILTER_H
#define PROXY_FILTERS_FILTER_H

#include "core/base/arena.h"
#include "core/base/diag.h"
#include "core/model/policy.h"
#include "core/model/reason.h"
#include "proxy/http/message.h"

#define FILTERS_MAX 8u /* in one chain */

struct addr;
struct config_retry;

enum filter_direction { DIRECTION_OUTBOUND, DIRECTION_INBOUND };
enum filter_verdict { FILTER_NEXT, FILTER_REPLY, FILTER_RETRY, FILTER_ABORT };

/* What a filter sees of the exchange it works for. */
struct filter_ctx {
    enum filter_direction direction;
    const void *conf; /* what compile made, from the snapshot */
    void *state;      /* state_size bytes of the exchange's arena, zeroed */
    struct arena *arena;
    const struct addr *client; /* downstream address; NULL: none to tell (a unix socket) */
    uint64_t now_ms;
    enum reason reason;  /* set with FILTER_REPLY or FILTER_ABORT */
    const char *rule;    /* the rule that decided, for the log; "" */
    const char *verdict; /* allow, deny, audit; "" */
    const char *layer;   /* where the rule is from: mesh, host, default; "" */
};

/* What a chain is compiled from. */
struct filter_config {
    enum filter_direction direction;
    const struct policy *policy;      /* inbound; else NULL */
    const struct config_retry *retry; /* outbound; else NULL */
};

struct filter_session { /* an L4 session, judged once and again on each new snapshot */
    const struct spiffe_id *peer;
    const struct name *service;
};
struct filter_attempt {
    enum reason failure;      /* REASON_NONE: a response began */
    bool reached_application; /* bytes of the request may have been seen by it */
    bool response_begun;
    unsigned attempts; /* so far, this one included */
    bool replay_safe;
    bool forbidden;   /* who knows more says not to repeat it once it reached an application */
    bool try_expired; /* the attempt's own time limit passed, not that of the exchange */
    unsigned status;  /* of an answer that nobody has seen yet; 0: there is none */
};
struct filter_outcome {
    unsigned status;
    enum reason reason;
    uint64_t duration_us;
};

struct filter_ops { /* const, one a filter; NULL member = not interested */
    const char *name;
    size_t state_size;
    /* `*conf` into the snapshot's arena. */
    enum err (*compile)(const struct filter_config *, struct arena *, const void **conf,
                        struct diag *);
    enum filter_verdict (*session)(struct filter_ctx *, const struct filter_session *);
    enum filter_verdict (*request)(struct filter_ctx *, struct request *);
    enum filter_verdict (*response)(struct filter_ctx *, struct response *);
    enum filter_verdict (*attempt_end)(struct filter_ctx *, const struct filter_attempt *);
    void (*finish)(struct filter_ctx *, const struct filter_outcome *);
};

struct filter_slot { /* one filter of a route, with its compiled configuration */
    const struct filter_ops *ops;
    const void *conf;
};

#endif
