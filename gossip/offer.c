#include "gossip/offer.h"

#define OFFER_ITEMS 4u

static void write_part(struct pack_writer *w, struct span part)
{
    if (part.p == NULL)
        pack_write_nil(w);
    else
        pack_write_bin(w, part.p, part.len);
}

void offer_write(struct pack_writer *w, const struct offer *o)
{
    uint8_t head[HEAD_BYTES];
    head_encode(&o->head, head);
    pack_write_array(w, OFFER_ITEMS);
    pack_write_bin(w, head, sizeof(head));
    write_part(w, o->admission);
    write_part(w, o->body);
    if (!o->accused) {
        pack_write_nil(w);
        return;
    }
    offer_write_accusation(w, &o->accusation);
}

void offer_write_accusation(struct pack_writer *w, const struct accusation *a)
{
    uint8_t bytes[ACCUSATION_BYTES_MAX];
    size_t len = accusation_encode(a, bytes);
    pack_write_bin(w, bytes, len);
}

void offer_read_accusation(struct pack_reader *r, struct accusation *out)
{
    struct span bytes = pack_read_bin(r);
    if (pack_reader_err(r) == ERR_OK) pack_reader_fail(r, accusation_decode(bytes, out));
}

static struct span read_part(struct pack_reader *r, size_t bytes_max)
{
    if (pack_read_peek(r) == PACK_NIL) {
        pack_read_skip(r);
        return span_of(NULL, 0);
    }
    struct span part = pack_read_bin(r);
    if (part.len > bytes_max) pack_reader_fail(r, ERR_TOO_LARGE);
    return part;
}

void offer_read(struct pack_reader *r, struct offer *out)
{
    uint32_t outer;
    *out = (struct offer){0};
    (void)pack_read_array(r, OFFER_ITEMS, &outer);
    struct span head = pack_read_bin(r);
    out->admission = read_part(r, ADMISSION_BYTES_MAX);
    out->body = read_part(r, RECORD_BODY_BYTES_MAX);
    struct span accusation = read_part(r, ACCUSATION_BYTES_MAX);
    pack_read_array_end(r, outer);
    if (pack_reader_err(r) != ERR_OK) return;
    pack_reader_fail(r, head_decode(head, &out->head));
    if (accusation.p == NULL) return;
    out->accused = true;
    pack_reader_fail(r, accusation_decode(accusation, &out->accusation));
}
