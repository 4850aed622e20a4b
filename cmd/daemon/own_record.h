/* Own record: what this host announces of itself, from its configuration, health checks, drain
 * state and leaf.
 *
 * Control thread. Plain data out; the mesh driver packs and spreads it, compile reads it as the
 * local part of the catalogue.
 */
#ifndef CMD_DAEMON_OWN_RECORD_H
#define CMD_DAEMON_OWN_RECORD_H

#include "cmd/daemon/daemon.h"
#include "core/model/record.h"

/* Services past NODE_SERVICES_MAX and tags past NODE_TAGS_MAX are left out (the loader refuses
 * such files). */
void own_record_build(const struct daemon *d, const struct config *c, struct node_record *out);
/* Builds it from the running configuration and packs it into RECORD_BODY_BYTES_MAX bytes; its
 * length, 0 when it does not fit (said in the log). */
size_t own_record_pack(struct daemon *d, struct node_record *out, uint8_t *body);

#endif
