#include "gossip/receive.h"

#include "gossip/catalogue.h"
#include "gossip/change.h"
#include "gossip/hail.h"
#include "gossip/packet.h"
#include "gossip/state.h"
#include "gossip/suspicion.h"

static void receive_record(struct gossip *g, const struct offer *o, struct member *from)
{
    enum catalogue_verdict verdict = catalogue_take(g, o, from, CATALOGUE_GOSSIP);
    if (!o->accused || verdict == CATALOGUE_REFUSED || verdict == CATALOGUE_CONFLICT) return;
    suspicion_hear(g, &o->accusation, from, SUSPICION_GOSSIP);
}

static void receive(struct gossip *g, const struct message *m, struct member *from)
{
    g->told[m->kind].received++;
    switch (m->kind) {
    case MESSAGE_PING:
        probe_on_ping(g, from, m->seq);
        break;
    case MESSAGE_ACK:
        if (!ask_on_ack(g, from, m->seq)) probe_on_ack(g, from, m);
        break;
    case MESSAGE_PING_REQ:
        probe_on_request(g, from, m);
        break;
    case MESSAGE_NACK:
        probe_on_nack(g, m->seq);
        break;
    case MESSAGE_CONFIRM:
        probe_on_confirm(g, from, &m->accusation);
        break;
    case MESSAGE_REACHED:
        suspicion_reached(g, from, m);
        break;
    case MESSAGE_ACCUSED:
        suspicion_accused(g, &m->accusation, from);
        break;
    case MESSAGE_RECORD:
        receive_record(g, &m->offer, from);
        break;
    case MESSAGE_ACCUSE:
        suspicion_hear(g, &m->accusation, from, SUSPICION_GOSSIP);
        break;
    case MESSAGE_CONFLICT:
        change_conflict_said(g, member_name(from));
        break;
    case MESSAGE_POLICY:
    case MESSAGE_POLICY_HEAD:
    case MESSAGE_POLICY_CONFIRM:
        policy_news_receive(g, m, from);
        break;
    case MESSAGE_BALLOT:
        ballot_receive(g, m->ballot, from);
        break;
    case MESSAGE_STATUS_ASK:
        rollout_asked(g, from);
        break;
    case MESSAGE_UNKNOWN:
    case MESSAGE_KINDS:
        break;
    }
}

/* What costs a datagram, or a probe of another: an honest sender puts one in a packet. */
static bool is_question(enum message_kind kind)
{
    return kind == MESSAGE_PING || kind == MESSAGE_PING_REQ || kind == MESSAGE_CONFIRM ||
           kind == MESSAGE_STATUS_ASK;
}

/* Twice over the bytes, the first time for nothing but to see that all of it is well-formed: a bad
 * input is never half applied (architecture.md law 7). */
static bool well_formed(struct span plain, uint64_t *summary)
{
    struct message_reader mr;
    struct message m;
    if (message_reader_init(&mr, plain, summary) != ERR_OK) return false;
    while (message_next(&mr, &m))
        ;
    return message_reader_err(&mr) == ERR_OK;
}

void receive_plain(struct gossip *g, struct span plain, struct member *from)
{
    struct message_reader mr;
    struct message m;
    uint64_t summary;
    bool asked = false;
    if (!well_formed(plain, &summary) || message_reader_init(&mr, plain, &summary) != ERR_OK) {
        g->counters.dropped_malformed++;
        return;
    }
    /* Records first would be nicer to a PING's answer; the sender's order is as good. */
    while (message_next(&mr, &m)) {
        /* security.md M16: no more is answered than was asked. */
        if (is_question(m.kind) && asked) {
            g->counters.dropped_quota++;
            continue;
        }
        asked = asked || is_question(m.kind);
        receive(g, &m, from);
    }
    sync_on_summary(g, from, summary);
    if (from->state != MEMBER_ALIVE) suspicion_poke(g, from);
}

void receive_datagram(struct gossip *g, struct span datagram, const struct addr *from)
{
    uint8_t plain[PACKET_BYTES_MAX];
    size_t len;
    g->counters.datagrams_received++;
    g->counters.bytes_received += datagram.len;
    bool hail;
    struct member *sender = packet_open(g, datagram, from, plain, &len, &hail);
    if (sender == NULL) return;
    if (hail)
        hail_receive(g, span_of(plain, len), sender);
    else
        receive_plain(g, span_of(plain, len), sender);
}
