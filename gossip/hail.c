#include "gossip/hail.h"

#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/state.h"

void hail_send(struct gossip *g, struct member *to)
{
    struct message m = {.kind = MESSAGE_RECORD};
    struct packet p;
    packet_begin_hail(g, &p, to);
    catalogue_offer(g->self.member, true, false, &m.offer);
    if (packet_add(&p, &m)) (void)packet_send_plain(g, &p, PACKET_PROBE, &to->head->addr);
}

void hail_receive(struct gossip *g, struct span plain, struct member *from)
{
    struct message_reader mr;
    struct message m;
    uint64_t summary;
    bool whole = message_reader_init(&mr, plain, &summary) == ERR_OK && message_next(&mr, &m);
    if (!whole || m.kind != MESSAGE_RECORD ||
        name_node_id_cmp(&m.offer.head.owner, &from->head->owner) != 0) {
        g->counters.dropped_malformed++;
        return;
    }
    /* What is known already would count as heard, and end the rumour of it. */
    bool told = head_cmp(&m.offer.head, from->head) == 0 && !catalogue_has_gap(from);
    if (told || catalogue_take(g, &m.offer, from, CATALOGUE_GOSSIP) != CATALOGUE_NEW)
        g->counters.dropped_replay++;
}
