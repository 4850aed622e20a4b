/* Learn: finds out what the applications of this host speak whose service has no `protocol`.
 *
 * Control thread. Each is asked once (proxy/net/detect.h), and again when it has been down or its
 * address has changed; what it answers goes into this host's record, and by gossip to its callers,
 * so that nobody has to guess or wait while traffic passes. Who cannot be reached is asked again
 * later; who gives no clear answer LEARN_TRIES_MAX times is left alone, and stays what the
 * configuration takes it for. `on_change` comes last in what caused it.
 */
#ifndef CMD_DAEMON_LEARN_H
#define CMD_DAEMON_LEARN_H

#include "core/io/log.h"
#include "core/io/loop.h"
#include "core/model/config.h"

#define LEARN_TRIES_MAX 4u
#define LEARN_ANSWER_MS 1000u  /* to connect; with the answer, twice as long */
#define LEARN_LEAST_MS  500u   /* between two tries; doubles */
#define LEARN_MOST_MS   30000u /* and no more than this */

struct learn;

struct learn_options {
    struct loop *loop;
    struct log *log;
    void (*on_change)(void *owner);
    void *owner;
};

enum err learn_new(const struct learn_options *o, struct learn **out) MUST_USE;
void learn_free(struct learn *l);
/* Follows the configuration: asks for new services and new addresses, forgets what is gone or has a
 * protocol. ERR_NOMEM: nothing changed. */
enum err learn_sync(struct learn *l, const struct config *c) MUST_USE;
/* The health of this service has changed. */
void learn_health(struct learn *l, const struct name *service, enum service_health health);
/* What the service speaks, and where that is known from. `l` may be NULL. */
enum protocol_origin learn_of(const struct learn *l, const struct config_service *s,
                              enum service_protocol *out);

#endif
