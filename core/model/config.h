/* Host configuration: everything /etc/parley/parley.toml and its includes say, checked and with
 * defaults filled in.
 *
 * Control thread; immutable after config_load (wire/config_load.h). Everything it points to lives
 * in its own arena and goes with config_free. Times are milliseconds.
 */
#ifndef CORE_MODEL_CONFIG_H
#define CORE_MODEL_CONFIG_H

#include "core/base/arena.h"
#include "core/base/strbuf.h"
#include "core/model/config_bounds.h"
#include "core/model/config_health.h"
#include "core/model/policy.h"
#include "core/model/record.h"

#define CONFIG_PORT_DEFAULT        7400u
#define CONFIG_CONNECT_TIMEOUT_MS  500u
#define CONFIG_REQUEST_TIMEOUT_MS  15000u
#define CONFIG_IDLE_TIMEOUT_MS     60000u
#define CONFIG_TCP_IDLE_TIMEOUT_MS 3600000u
#define CONFIG_WEIGHT              100u
#define CONFIG_TRIES               3u
#define CONFIG_APERTURE            20u
#define CONFIG_PANIC_PERCENT       10u
#define CONFIG_SPLITS_MAX          8u
#define CONFIG_BUDGET_PERCENT      20u
#define CONFIG_BACKOFF_LEAST_MS    10u
#define CONFIG_BACKOFF_MOST_MS     250u
#define CONFIG_EJECT_AFTER         5u
#define CONFIG_EJECT_FOR_MS        10000u
#define CONFIG_EJECT_MAX_PERCENT   50u

struct config_limits { /* of what reaches the application; 0: none */
    uint32_t in_flight, queue, rps;
    uint32_t wait_ms; /* at most, in the queue */
};

struct config_service {
    struct name name;
    struct target local; /* where the application listens */
    enum service_protocol protocol;
    bool learn; /* `protocol` is a guess: what the application shows counts (daemon/learn.h) */
    struct config_health health;
    struct policy policy;
    struct config_limits limits;
    uint32_t weight;
    uint32_t connect_timeout_ms;             /* to the application */
    enum proxy_proto_version proxy_protocol; /* what it is told in front of a connection */
    bool connect;                            /* it is a proxy: CONNECT is passed on to it */
    uint32_t tag_count;
    struct service_tag *tag;
    const char *file;
    unsigned line;
};

enum config_balance {
    BALANCE_LEAST_LOADED,
    BALANCE_ROUND_ROBIN,
    BALANCE_PEAK_EWMA,
    BALANCE_HASH, /* a Maglev table */
    BALANCE_RING
};
enum config_affinity_kind { AFFINITY_NONE, AFFINITY_HEADER, AFFINITY_COOKIE, AFFINITY_SOURCE };
struct config_affinity { /* what HASH and RING go by */
    enum config_affinity_kind kind;
    const char *name; /* of the header (lower-case) or cookie */
};
struct config_split { /* a share of the requests for the endpoints that have all these tags */
    struct service_tag *tag;
    uint32_t tag_count;
    uint32_t percent;
};
#define CONFIG_RETRY_STATUSES_MAX 8u
struct config_retry {
    uint32_t tries;  /* attempts in all, 1..5 */
    bool on_connect; /* connect failure, refused stream: nothing reached the application */
    bool on_reset;   /* the endpoint died before its response began; once */
    bool on_timeout; /* `try_timeout` passed */
    bool on_5xx;     /* an answer of 500 to 599 */
    bool any_method; /* else only GET, HEAD and OPTIONS once an application may have seen it */
    uint32_t status[CONFIG_RETRY_STATUSES_MAX]; /* answers */
    uint32_t status_count;
    uint32_t budget_percent;
    uint32_t backoff_least_ms, backoff_most_ms;
};
struct config_eject { /* traffic/circuit.h, traffic/outlier.h */
    uint32_t after;   /* failures in a row; 0: never */
    uint32_t for_ms;
    uint32_t max_percent;   /* of the endpoints */
    uint32_t rate_percent;  /* 0: not by rate */
    uint32_t latency_times; /* 0: not by latency */
};

struct config_upstream {
    struct name name; /* the service it reaches */
    struct target listen;
    bool proxy_protocol;            /* a relay in front of us says who each connection is from */
    const char *tls_cert, *tls_key; /* PEM files: callers speak TLS; NULL: they do not */
    /* Not NULL: connections are the application's own TLS, told apart by their SNI, so that several
     * upstreams may share `listen`. Lower case; "*.x" is every name under x. */
    const char **sni;
    uint32_t sni_count;
    struct spiffe_id as; /* the identity local applications call with */
    enum service_protocol protocol;
    bool learn;                   /* `protocol` is a guess: what the endpoints announce counts */
    bool connect;                 /* callers may send CONNECT, which a proxy behind it takes */
    uint32_t tcp_idle_timeout_ms; /* of idle_timeout_ms, once that is tcp */
    enum config_balance balance;
    struct config_affinity affinity;
    struct service_tag *tag; /* only endpoints that have all of these */
    uint32_t tag_count;
    struct config_split *split;
    uint32_t split_count;
    uint32_t aperture;      /* endpoints this host spreads over, of each zone side; 0: all */
    uint32_t slow_start_ms; /* a new endpoint reaches its full weight after it; 0: at once */
    uint32_t panic_percent; /* fewer up than this: those that are down get requests too */
    struct config_retry retry;
    struct config_eject eject;
    uint32_t connect_timeout_ms;
    uint32_t try_timeout_ms; /* one attempt, until its response begins; 0: no limit of its own */
    uint32_t request_timeout_ms; /* whole exchange until the response begins; HTTP only */
    uint32_t idle_timeout_ms;    /* no byte either way */
    const char *file;
    unsigned line;
};

enum config_peer_kind { PEER_ADDR, PEER_NAME };
struct config_peer {
    enum config_peer_kind kind;
    struct addr addr; /* PEER_ADDR */
    const char *host; /* PEER_NAME, resolved by io/resolver */
    uint16_t port;    /* default: our own mesh port */
};

enum config_log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum config_log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum config_access_only { ACCESS_ALL, ACCESS_ERRORS, ACCESS_NONE };
struct config_log {
    enum config_log_format format;
    enum config_log_level level;
    enum config_access_only access_only;
    const char *access_to; /* "stdout" or a file path; file is reopened on reload */
    bool access_query;     /* keep the query string in `path` */
};

struct config_node {
    struct name name;
    struct name mesh;
    struct name zone;
    struct addr addr; /* what peers dial */
    struct addr bind; /* default: addr */
    uint32_t threads; /* 0 = one a core of the cpuset */
    size_t peer_count;
    struct config_peer *peer;
};

/* One effective value, for `config show --effective`. */
struct config_value {
    const char *key;   /* "upstream.api.retry.tries" */
    const char *value; /* as TOML would write it */
    const char *file;  /* NULL: the default */
    unsigned line;
    bool until_learned; /* the default, for as long as nothing better is known */
};

struct config {
    struct arena arena; /* owned */
    struct config_node node;
    size_t service_count;
    struct config_service *service; /* sorted by name */
    size_t upstream_count;
    struct config_upstream *upstream; /* sorted by name */
    struct config_bounds bounds;
    struct config_log log;
    struct addr metrics_listen; /* family NONE: off */
    uint32_t gossip_period_ms;  /* T: lan 1000, fast 500, wan 5000 */
    uint32_t datagram_bytes;    /* 1200..1400 */
    uint32_t key_hold_ms;       /* how long a gossip key is kept that another has replaced */
    size_t value_count;
    struct config_value *value;
    uint64_t text_hash; /* of all files read, in order */
};

/* Frees the config and all it points to; NULL is fine. */
void config_free(struct config *c);
/* NULL: no such service / upstream. */
const struct config_service *config_service(const struct config *c, struct span name);
const struct config_upstream *config_upstream(const struct config *c, struct span name);
/* Appends the keys ("node.threads (file:line)") whose change needs a restart; the count. */
size_t config_restart_needed(const struct config *running, const struct config *next,
                             struct strbuf *out);

#endif
