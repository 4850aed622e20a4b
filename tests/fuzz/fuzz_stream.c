/* Messages on gossip streams, as a member behind a good certificate could send them: the decoder
 * first, then the machine, which must keep its books and go on. Input: support_gossip.h; who picks
 * one of four streams: 0 and 1 inbound (0 not yet greeted), 2 of a session of ours, 3 of a pull. */
#include "tests/fuzz/support_gossip.h"

#define STREAMS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void opened(struct rig *r, uint32_t id, bool inbound, uint32_t peer)
{
    static const char *const name[] = {"n0", "n1", "n2", "n3"};
    struct gossip_event e = {.kind = GOSSIP_STREAM_OPENED, .stream = id, .inbound = inbound};
    memcpy(e.peer_name.text, name[peer], sizeof("n0"));
    rig_step(r, &e);
}

static void say(struct rig *r, uint32_t id, struct span message)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_DATA, .stream = id, .data = message};
    rig_step(r, &e);
}

static void greet(struct rig *r, uint32_t id, uint32_t peer)
{
    uint8_t bytes[SYNC_SMALL_BYTES_MAX];
    struct pack_writer w;
    struct sync_message hello = {.kind = SYNC_HELLO, .offer = rig_offer(r, peer)};
    pack_writer_init(&w, bytes, sizeof(bytes));
    sync_message_write(&w, &hello);
    CHECK(pack_writer_ok(&w));
    say(r, id, pack_writer_view(&w));
}

/* The id of the stream that the last step dialled; 0: none. */
static uint32_t dialled(const struct rig *r)
{
    for (size_t i = 0; i < r->fx.count; i++)
        if (r->fx.effect[i].kind == GOSSIP_STREAM_OPEN) return r->fx.effect[i].stream;
    return 0;
}

static void open_all(struct rig *r, uint32_t id[STREAMS])
{
    const struct node_id stranger = {{'x'}};
    struct gossip_event join = {.kind = GOSSIP_JOIN,
                                .addr = &(struct addr){{10, 0, 0, 99}, 7400, ADDR_IP4},
                                .addr_count = 1};
    id[0] = STREAM_INBOUND_BIT | 1;
    id[1] = STREAM_INBOUND_BIT | 2;
    opened(r, id[0], true, 1);
    opened(r, id[1], true, 2);
    greet(r, id[1], 2);
    rig_step(r, &join);
    id[2] = dialled(r);
    opened(r, id[2], false, 3);
    greet(r, id[2], 3);
    pull_lack(r->g, &stranger, member_find(&r->g->members, &r->head[1].owner));
    r->now_ms += 60;
    struct gossip_event tick = {.kind = GOSSIP_TICK};
    rig_step(r, &tick);
    id[3] = dialled(r);
    opened(r, id[3], false, 1);
    greet(r, id[3], 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig r;
    struct span input = span_of(data, size), message;
    uint32_t id[STREAMS];
    uint32_t who;
    rig_init(&r);
    open_all(&r, id);
    while (rig_next(&input, &who, &message)) {
        if (message.len > 0) say(&r, id[who], message);
        rig_run(&r, 15);
    }
    rig_run(&r, 3000);
    rig_fini(&r);
    return 0;
}
