/* Enroll: lets new hosts in with a token, and signs certificates for members, on a host that holds
 * the CA key.
 *
 * Control thread. Registers itself for connections with ALPN parley-join/1 and for 'I' streams
 * (mesh_stream). At most ENROLL_CONNECTIONS_MAX join connections at once, each ended after
 * ENROLL_LIMIT_MS; attempts are rate-limited by source address (security.md X07). On a host without
 * the CA key they are closed: it could not show the CA that the token pins.
 */
#ifndef CMD_DAEMON_ENROLL_H
#define CMD_DAEMON_ENROLL_H

#include "cmd/daemon/daemon.h"
#include "cmd/daemon/signer.h"
#include "cmd/daemon/token_book.h"

#define ENROLL_CONNECTIONS_MAX 16u
#define ENROLL_LIMIT_MS        10000u
#define ENROLL_SKEW_S_MAX      300
#define ENROLL_TOKENS_A_MINUTE 60u

struct enroll;
struct issue;

/* Needs d->mesh, d->identities, d->config and d->log. A damaged CA key or token book is an error,
 * said in `diag`. */
enum err enroll_new(struct daemon *d, struct diag *diag, struct enroll **out) MUST_USE;
void enroll_free(struct enroll *e);
/* The wanted identities may have changed (reload): what is missing is asked for at once. */
void enroll_kick(struct enroll *e);
/* Renewals of this host's own leaves. */
struct issue *enroll_renewals(const struct enroll *e);
/* NULL: this host signs nothing. */
const struct signer *enroll_signer(const struct enroll *e);

struct enroll_token_spec {
    uint32_t ttl_s; /* 1..TOKEN_TTL_S_MAX */
    uint32_t uses;  /* 1..TOKEN_USES_MAX */
    uint32_t roles;
    struct span glob; /* empty: any node name */
    uint32_t service_count;
    struct name service[ADMISSION_SERVICES_MAX];
};
/* Makes a token, stores it, logs its id. ERR_UNSUPPORTED: not a signer; ERR_BUSY: too many a
 * minute; ERR_RANGE; ERR_FULL; ERR_IO. The caller wipes `text`. */
enum err enroll_token_create(struct enroll *e, const struct enroll_token_spec *spec,
                             char text[TOKEN_TEXT_MAX], struct token_entry *entry) MUST_USE;
/* Empty on a host that is no signer. */
const struct token_entry *enroll_token_at(const struct enroll *e, size_t i);
enum err enroll_token_revoke(struct enroll *e, uint32_t id) MUST_USE;

struct enroll_counters {
    uint64_t joined_total, refused_total, issued_total, issue_refused_total;
};
const struct enroll_counters *enroll_counters(const struct enroll *e);

#endif
