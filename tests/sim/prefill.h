/* Prefill: what one machine knows, as an image that others of its process start with; for worlds
 * that begin with a mesh that has long been there.
 *
 * A machine that is made from the image knows what a restored one would, without the checks that
 * the first one did and without their time. Its table shares the image until it changes (member.h),
 * so that 10 000 views of 10 000 members take memory for what differs between them. The driver is
 * taken to know of the members already.
 *
 * Gossip thread, one for all machines that share the archive.
 */
#ifndef TESTS_SIM_PREFILL_H
#define TESTS_SIM_PREFILL_H

#include "gossip/gossip.h"

struct prefill;

/* Of a machine on which everyone is alive and complete, itself included. ERR_INVALID, ERR_NOMEM. */
enum err prefill_new(const struct gossip *from, struct prefill **out) MUST_USE;
/* After all machines that took it are gone. */
void prefill_free(struct prefill *p);
/* Before the first step of `g`, which is of the same mesh and archive, and whose node is in the
 * image. ERR_INVALID: it is not so. ERR_NOMEM: unchanged. */
enum err prefill_take(struct gossip *g, const struct prefill *p) MUST_USE;

#endif
