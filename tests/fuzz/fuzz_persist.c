/* Any bytes as what a machine has stored of others, as they are and again behind the hash that
 * makes them whole: the start takes up what it can, the machine keeps its books, and what it stores
 * of that is taken up by the next start. */
#include "core/base/check.h"
#include "gossip/persist.h"
#include "tests/fuzz/support_gossip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the last step wants stored; empty: nothing. */
static struct span to_store(const struct rig *r)
{
    for (size_t i = 0; i < r->fx.count; i++)
        if (r->fx.effect[i].kind == GOSSIP_PERSIST) return r->fx.effect[i].data;
    return span_of(NULL, 0);
}

/* Lets time pass until it stores. */
static struct span run_to_store(struct rig *r)
{
    struct span blob = {0};
    r->g->persist_due = true;
    while (blob.p == NULL) {
        struct gossip_event tick = {.kind = GOSSIP_TICK};
        uint64_t due = gossip_next_deadline_ms(r->g);
        if (due > r->now_ms) r->now_ms = due;
        CHECK(r->now_ms < 2 * PERSIST_FIRST_MS);
        rig_step(r, &tick);
        blob = to_store(r);
    }
    return blob;
}

static void start_with(struct span blob)
{
    struct rig first, second;
    rig_restore(&first, blob);
    rig_run(&first, 2000);
    struct span stored = run_to_store(&first);
    rig_restore(&second, stored);
    CHECK(gossip_counters(second.g)->dropped_malformed == 0);
    CHECK(second.g->graves.count == first.g->graves.count);
    CHECK(second.g->members.count <= first.g->members.count);
    rig_run(&second, 10);
    rig_fini(&second);
    rig_fini(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    uint8_t *whole = malloc(CRYPTO_OPS_HASH_BYTES + size);
    CHECK(whole != NULL);
    rig_hash(in, whole);
    if (size > 0) memcpy(whole + CRYPTO_OPS_HASH_BYTES, data, size);
    start_with(in);
    start_with(span_of(whole, CRYPTO_OPS_HASH_BYTES + size));
    free(whole);
    return 0;
}
