/* Plaintexts of gossip datagrams, as a member who holds every key could send them: the decoder
 * first, then the machine, which must keep its books and go on. Input: support_gossip.h; who 0 is
 * a stranger, or, if its first byte is the number of a peer, a hail of that with the rest. */
#include "tests/fuzz/support_gossip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give(struct rig *r, uint32_t who, struct span plain)
{
    uint32_t peer = who == 0 && plain.len > 0 ? (uint8_t)plain.p[0] : 0;
    if (peer >= 1 && peer <= RIG_PEERS)
        rig_datagram(r, peer, span_skip(plain, 1), true);
    else
        rig_datagram(r, who, plain, false);
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
