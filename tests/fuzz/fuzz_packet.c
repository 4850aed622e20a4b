/* Plaintexts of gossip datagrams, as a member who holds every key could send them: the decoder
 * first, then the machine, which must keep its books and go on. Input: support_gossip.h; who 0 is
 * a stranger. */
#include "gossip/packet.h"
#include "tests/fuzz/support_gossip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give(struct rig *r, uint32_t who, struct span plain)
{
    uint8_t packet[PACKET_BYTES_MAX] = {1};
    if (plain.len > sizeof(packet) - SEAL_OVERHEAD_BYTES) return;
    const struct head *h = &r->head[who];
    memcpy(packet + 5, h->owner.byte, 8);
    for (size_t i = 0; i < 6; i++) {
        packet[13 + i] = (uint8_t)(h->epoch >> (40 - 8 * i));
        packet[19 + i] = (uint8_t)(r->counter >> (40 - 8 * i));
    }
    r->counter++;
    if (plain.len > 0) memcpy(packet + SEAL_HEADER_BYTES, plain.p, plain.len);
    struct gossip_event e = {.kind = GOSSIP_DATAGRAM,
                             .from = h->addr,
                             .data = span_of(packet, plain.len + SEAL_OVERHEAD_BYTES)};
    rig_step(r, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig r;
    struct span input = span_of(data, size), message;
    uint32_t who;
    rig_init(&r);
    while (rig_next(&input, &who, &message)) {
        give(&r, who, message);
        rig_run(&r, 40);
    }
    rig_run(&r, 3000);
    rig_fini(&r);
    return 0;
}
