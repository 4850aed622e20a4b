/* Offers: a record on its way. The head, and what comes along of the three things that belong to
 * it. Datagrams, streams and the persisted catalogue all carry records in this one form.
 *
 *   [ head bin156, admission bin | nil, body bin | nil, accusation bin | nil ]     msgpack
 *
 * Pure; any thread. Spans are borrowed from what was read.
 */
#ifndef GOSSIP_OFFER_H
#define GOSSIP_OFFER_H

#include "core/base/limits.h"
#include "core/wire/pack.h"
#include "gossip/accusation.h"
#include "gossip/head.h"

struct offer {
    struct head head;
    struct span admission; /* p == NULL: not along */
    struct span body;      /* p == NULL: not along; an empty body has p != NULL */
    bool accused;
    struct accusation accusation;
};

void offer_write(struct pack_writer *w, const struct offer *o);
/* A failure goes into the reader: malformed, or a part over its bound (ADMISSION_BYTES_MAX,
 * RECORD_BODY_BYTES_MAX). Then `*out` must not be used. */
void offer_read(struct pack_reader *r, struct offer *out);

/* An accusation alone, as a bin; a failure goes into the writer or reader. */
void offer_write_accusation(struct pack_writer *w, const struct accusation *a);
void offer_read_accusation(struct pack_reader *r, struct accusation *out);

#endif
