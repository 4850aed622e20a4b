#include "gossip/sync_chunk.h"

#include "core/base/check.h"

void sync_chunk_init(struct sync_chunk *c, uint8_t *bytes)
{
    *c = (struct sync_chunk){.bytes = bytes};
    pack_writer_init(&c->writer, bytes + SYNC_CHUNK_HEADING, SYNC_CHUNK_ROOM - SYNC_CHUNK_HEADING);
}

bool sync_chunk_full(const struct sync_chunk *c)
{
    return c->writer.len >= SYNC_CHUNK_BYTES || c->count == SYNC_RECORDS_MAX;
}

void sync_chunk_add(struct sync_chunk *c, const struct offer *o)
{
    CHECK(!sync_chunk_full(c));
    offer_write(&c->writer, o);
    CHECK(pack_writer_ok(&c->writer));
    c->count++;
}

struct span sync_chunk_finish(struct sync_chunk *c, bool last)
{
    uint8_t heading[SYNC_CHUNK_HEADING];
    struct pack_writer w;
    pack_writer_init(&w, heading, sizeof(heading));
    pack_write_array(&w, 3);
    pack_write_u64(&w, SYNC_RECORDS);
    pack_write_bool(&w, last);
    pack_write_array(&w, c->count);
    uint8_t *start = c->bytes + SYNC_CHUNK_HEADING - w.len;
    memcpy(start, heading, w.len);
    return span_of(start, w.len + c->writer.len);
}
