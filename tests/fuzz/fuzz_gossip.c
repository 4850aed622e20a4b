/* What happens to a machine with seven others, one thing after the other: insiders with good keys
 * say anything of anyone by datagram, hail or rumour, streams open and fail, the driver asks for
 * this and that, and time passes. fuzz_packet finds what bytes do to a decoder; this, what well
 * formed news do to members in every state.
 *
 *   input    [ act 1 | arguments ] ...     each argument a byte; past the end all are 0
 *
 *   act      low 4 bits: enum act; bit 4: the summary of what is said differs from ours
 *   who      modulo 8: a peer; 0 is the machine itself
 */
#include "tests/fuzz/support_gossip.h"

#include "gossip/packet.h"

#define ACTS_MAX     400u
#define STEP_MS      64u /* a unit of time that passes */
#define OFFSET_SIGN  0x80u
#define DIFFERS      0x10u
#define SIG_IS_FALSE 0x80u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum act {
    ACT_WAIT,
    ACT_ACCUSE,
    ACT_CONFIRM,
    ACT_ACCUSED,
    ACT_RECORD,
    ACT_HAIL,
    ACT_RECORD_ACCUSED,
    ACT_ANSWER,
    ACT_ASK,
    ACT_REACHED,
    ACT_NEWS,
    ACT_RAW,
    ACT_DRIVER,
    ACT_STREAM,
    ACT_STREAM_SAY,
    ACT_LONG_WAIT,
    ACTS
};

struct play {
    struct rig rig;
    struct span input;
    bool differs;
};

static uint8_t take(struct play *p)
{
    if (p->input.len == 0) return 0;
    uint8_t v = (uint8_t)p->input.p[0];
    p->input = span_skip(p->input, 1);
    return v;
}

static struct span take_bytes(struct play *p)
{
    size_t len = take(p);
    if (len > p->input.len) len = p->input.len;
    struct span bytes = span_of(p->input.p, len);
    p->input = span_skip(p->input, len);
    return bytes;
}

static uint32_t take_peer(struct play *p)
{
    return take(p) % (RIG_PEERS_MAX + 1);
}

static uint32_t take_sender(struct play *p)
{
    return 1 + take(p) % RIG_PEERS_MAX;
}

/* A number near `from`. */
static uint64_t take_near(struct play *p, uint64_t from)
{
    uint8_t v = take(p);
    uint64_t off = v & ~OFFSET_SIGN;
    return (v & OFFSET_SIGN) != 0 ? from - off : from + off;
}

/* As the machine knows that node: what insiders speak of. */
static const struct head *head_of(const struct play *p, uint32_t who)
{
    const struct gossip *g = p->rig.g;
    const struct member *m = who == 0 ? g->self.member : NULL;
    if (who > 0) m = member_find(&g->members, &p->rig.head[who].owner);
    return m != NULL ? m->head : &p->rig.head[who];
}

static void send(struct play *p, uint32_t from, const struct message *m, bool hail)
{
    uint8_t plain[PACKET_BYTES_MAX];
    struct pack_writer w;
    uint64_t summary = digest_summary(&p->rig.g->digest);
    pack_writer_init(&w, plain, PACKET_BYTES_MAX - SEAL_OVERHEAD_BYTES);
    pack_write_array(&w, 2);
    pack_write_u64(&w, p->differs ? ~summary : summary);
    message_write(&w, m);
    if (pack_writer_ok(&w)) rig_datagram(&p->rig, from, pack_writer_view(&w), hail);
}

/* Votes of anyone against anyone, some of them of another incarnation or falsely signed. */
static struct accusation take_accusation(struct play *p)
{
    uint32_t target = take_peer(p);
    const struct head *h = head_of(p, target);
    struct accusation a = {
        .target = h->owner, .epoch = h->epoch, .inc = (uint32_t)take_near(p, h->inc)};
    uint8_t votes = 1 + take(p) % TUNING_ACCUSERS_MAX;
    for (uint8_t i = 0; i < votes; i++) {
        uint8_t what = take(p);
        struct accusation_vote v = {.accuser = head_of(p, take_peer(p))->owner,
                                    .kind = what & 3u,
                                    .ago = what >> 2 & 3u,
                                    .sig = {(what & SIG_IS_FALSE) == 0}};
        (void)accusation_add(&a, &v);
    }
    return a;
}

static void accuse(struct play *p, enum message_kind kind)
{
    struct message m = {.kind = kind, .accusation = take_accusation(p)};
    send(p, take_sender(p), &m, false);
}

static struct offer take_offer(struct play *p, uint32_t owner)
{
    static const char *const body[] = {"web", "api", ""};
    struct offer o = rig_offer(&p->rig, owner);
    uint8_t what = take(p);
    o.head = *head_of(p, owner);
    o.head.epoch = take_near(p, o.head.epoch);
    o.head.inc = (uint32_t)take_near(p, o.head.inc);
    o.head.version = take_near(p, o.head.version);
    if ((what & 1u) != 0) o.head.flags |= HEAD_LEFT;
    if ((what & 2u) != 0) o.head.addr.ip[3] ^= 0x40;
    if ((what & 4u) != 0) o.admission = span_of(NULL, 0);
    if ((what & 8u) != 0) o.body = span_of(NULL, 0);
    struct span says = span_str(body[(what >> 4) % ARRAY_LEN(body)]);
    if (o.body.p != NULL) o.body = says;
    rig_hash(says, o.head.body_hash);
    o.head.sig[0] = (what & SIG_IS_FALSE) == 0;
    return o;
}

static void record(struct play *p, bool hail, bool accused)
{
    uint32_t owner = take_peer(p);
    struct message m = {.kind = MESSAGE_RECORD, .offer = take_offer(p, owner)};
    uint32_t from = take_sender(p);
    if (accused) {
        m.offer.accused = true;
        m.offer.accusation = take_accusation(p);
    }
    if (hail && from != owner && owner != 0 && (take(p) & 1u) == 0) from = owner;
    send(p, from, &m, hail);
    /* Its next datagrams are of the life that it has announced. */
    if (owner > 0) p->rig.head[owner].epoch = head_of(p, owner)->epoch;
}

/* The nth probe that runs, if so many do. */
static const struct probe *take_probe(struct play *p)
{
    const struct probe_table *t = &p->rig.g->probes;
    uint8_t n = take(p);
    for (size_t i = 0; i < t->high; i++) {
        size_t at = (i + n) % t->high;
        if (t->slot[at]->kind != PROBE_FREE) return t->slot[at];
    }
    return NULL;
}

static void answer(struct play *p)
{
    const struct probe *probe = take_probe(p);
    uint8_t which = take(p);
    struct message m = {.kind = (which & 0x80u) != 0 ? MESSAGE_NACK : MESSAGE_ACK};
    uint32_t from = take_sender(p);
    if (probe == NULL) return;
    m.seq = probe->seq + which % (probe->pings + 1);
    if ((which & 0x40u) == 0) /* its target itself */
        for (uint32_t i = 1; i <= RIG_PEERS_MAX; i++)
            if (head_is(probe->target->head, p->rig.head[i].owner.byte)) from = i;
    send(p, from, &m, false);
}

static void ask(struct play *p)
{
    struct message m = {.kind = MESSAGE_PING, .seq = take(p)};
    uint32_t target = take_peer(p);
    if ((m.seq & 1u) != 0) m.kind = MESSAGE_PING_REQ;
    if ((m.seq & 6u) == 6u) m.kind = MESSAGE_STATUS_ASK;
    m.target = head_of(p, target)->owner;
    send(p, take_sender(p), &m, false);
}

static void reached(struct play *p)
{
    const struct head *h = head_of(p, take_peer(p));
    struct message m = {.kind = MESSAGE_REACHED, .target = h->owner, .epoch = h->epoch};
    m.inc = (uint32_t)take_near(p, h->inc);
    send(p, take_sender(p), &m, false);
}

static void news(struct play *p)
{
    struct message m = {.kind = MESSAGE_POLICY_HEAD};
    uint8_t what = take(p);
    m.scope = (what & 1u) != 0 ? MANIFEST_ROOT : MANIFEST_POLICY;
    m.ref.gen = take(p);
    m.ref.hash.byte[0] = take(p);
    if ((what & 2u) != 0) m.kind = MESSAGE_CONFLICT;
    if ((what & 4u) != 0) {
        m.kind = MESSAGE_BALLOT;
        memcpy(m.ballot, head_of(p, take_peer(p))->owner.byte, NODE_ID_SHORT_BYTES);
        m.ballot[NODE_ID_SHORT_BYTES] = take(p);
    }
    send(p, take_sender(p), &m, false);
}

static void drive(struct play *p)
{
    static const enum gossip_event_kind kind[] = {GOSSIP_UPSERT,   GOSSIP_REMOVE, GOSSIP_HINT,
                                                  GOSSIP_EVIDENCE, GOSSIP_JOIN,   GOSSIP_PING,
                                                  GOSSIP_LEAVE};
    struct gossip_event e = {.kind = kind[take(p) % ARRAY_LEN(kind)]};
    uint32_t who = take_peer(p);
    struct addr addr = head_of(p, who)->addr;
    e.node = head_of(p, who)->owner;
    e.addr = &addr;
    e.addr_count = 1;
    e.token = 1;
    e.data = span_str("own");
    e.now_ms = p->rig.now_ms;
    e.wall_ms = p->rig.g->wall_ms;
    enum err err = gossip_step(p->rig.g, &e, &p->rig.fx);
    CHECK(err == ERR_OK || err == ERR_FULL || err == ERR_NOT_FOUND || err == ERR_BUSY);
}

/* The nth stream in use; 0: none. */
static uint32_t take_stream(struct play *p)
{
    const struct stream_table *t = &p->rig.g->streams;
    uint8_t n = take(p);
    for (uint32_t i = 0; i < t->made; i++) {
        const struct stream *s = t->slot[(i + n) % t->made];
        if (s->used) return s->id;
    }
    return 0;
}

static void stream(struct play *p)
{
    static const enum err end[] = {ERR_OK, ERR_REFUSED, ERR_TIMEOUT};
    uint8_t what = take(p);
    uint32_t peer = take_peer(p);
    struct gossip_event e = {.kind = GOSSIP_STREAM_OPENED, .stream = take_stream(p)};
    if ((what & 1u) != 0) {
        e.kind = GOSSIP_STREAM_CLOSED;
        e.err = end[(what >> 1) % ARRAY_LEN(end)];
    }
    if (e.stream == 0 || (what & 0x80u) != 0) {
        e.inbound = true;
        e.stream = STREAM_INBOUND_BIT | (what & 7u);
    }
    e.peer_name.text[0] = 'n';
    e.peer_name.text[1] = (char)('0' + peer);
    rig_step(&p->rig, &e);
}

static void stream_say(struct play *p)
{
    uint8_t bytes[SYNC_SMALL_BYTES_MAX + HEAD_BYTES + ACCUSATION_BYTES_MAX];
    struct pack_writer w;
    struct sync_message m = {.kind = SYNC_HELLO};
    uint32_t id = take_stream(p), owner = take_peer(p);
    uint8_t what = take(p);
    struct gossip_event e = {.kind = GOSSIP_STREAM_DATA, .stream = id};
    if (id == 0) return;
    m.offer = take_offer(p, owner);
    m.seq = what;
    if ((what & 3u) == 1) m.kind = SYNC_PROBE;
    if ((what & 3u) == 2) m.kind = SYNC_ACCUSED;
    if ((what & 3u) == 3) m.kind = SYNC_DONE;
    if (m.kind == SYNC_ACCUSED) m.accusation = take_accusation(p);
    pack_writer_init(&w, bytes, sizeof(bytes));
    sync_message_write(&w, &m);
    if (!pack_writer_ok(&w)) return;
    e.data = pack_writer_view(&w);
    rig_step(&p->rig, &e);
}

static void act(struct play *p)
{
    uint8_t what = take(p);
    p->differs = (what & DIFFERS) != 0;
    switch ((enum act)(what % ACTS)) {
    case ACT_WAIT:
        rig_run(&p->rig, (uint64_t)take(p) * STEP_MS / 4);
        break;
    case ACT_LONG_WAIT:
        rig_run(&p->rig, (uint64_t)take(p) * STEP_MS);
        break;
    case ACT_ACCUSE:
        accuse(p, MESSAGE_ACCUSE);
        break;
    case ACT_CONFIRM:
        accuse(p, MESSAGE_CONFIRM);
        break;
    case ACT_ACCUSED:
        accuse(p, MESSAGE_ACCUSED);
        break;
    case ACT_RECORD:
        record(p, false, false);
        break;
    case ACT_HAIL:
        record(p, true, false);
        break;
    case ACT_RECORD_ACCUSED:
        record(p, false, true);
        break;
    case ACT_ANSWER:
        answer(p);
        break;
    case ACT_ASK:
        ask(p);
        break;
    case ACT_REACHED:
        reached(p);
        break;
    case ACT_NEWS:
        news(p);
        break;
    case ACT_RAW: {
        uint32_t from = take_peer(p);
        rig_datagram(&p->rig, from, take_bytes(p), (take(p) & 1u) != 0);
        break;
    }
    case ACT_DRIVER:
        drive(p);
        break;
    case ACT_STREAM:
        stream(p);
        break;
    case ACT_STREAM_SAY:
        stream_say(p);
        break;
    case ACTS:
        break;
    }
    rig_check(&p->rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.input = span_of(data, size)};
    rig_init_of(&p.rig, RIG_PEERS_MAX);
    for (uint32_t i = 0; i < ACTS_MAX && p.input.len > 0; i++)
        act(&p);
    rig_run(&p.rig, 12000); /* suspicions and holds end */
    rig_fini(&p.rig);
    return 0;
}
