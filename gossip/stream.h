/* Streams: the table of those that are open, who is at the other end, and when they end.
 *
 * Gossip thread; embedded in the machine. The driver proves by mutual TLS a name and a key of the
 * other end; the first message, HELLO, brings its record, whose admission certificate must bind
 * the same name and key. Only then is the stream bound to a member and does anything else count.
 */
#ifndef GOSSIP_STREAM_H
#define GOSSIP_STREAM_H

#include "gossip/digest.h"
#include "gossip/sync_message.h"

#define STREAM_SLOTS       64u
#define STREAM_IDLE_MS     10000u /* without progress (security.md M14) */
#define STREAM_LIFE_MS     120000u
#define STREAM_OPEN_MS     5000u
#define STREAM_INBOUND_BIT 0x80000000u

struct gossip;
struct policy_ask;

enum stream_purpose {
    STREAM_INBOUND,
    STREAM_PROBE,
    STREAM_ASK,  /* as PROBE, of a person */
    STREAM_JOIN, /* to an address; then as SYNC */
    STREAM_SYNC,
    STREAM_PULL,
    STREAM_KEY,   /* brings one group key */
    STREAM_POLICY /* policy_news.h */
};

/* One anti-entropy session, of either side (sync.h). */
struct stream_session {
    bool active; /* holds one of the places for sessions */
    uint8_t bitmap[DIGEST_BITMAP_BYTES];
    bool listing; /* our list is being sent */
    bool listed, list_received;
    bool answered;            /* a list of theirs has come */
    struct node_id list_next; /* ids from here are to be listed, or to be held against their list */
    uint8_t *tell;            /* owned: who began: prints of theirs that differ from ours */
    size_t tell_count, tell_cap, tell_at;
    uint8_t *want; /* owned: short ids that we lack */
    size_t want_count, want_cap, want_at;
    bool want_waits; /* an answer to the last WANT is due */
    uint8_t *serve;  /* owned: short ids the other side asked for */
    size_t serve_count, serve_at;
    bool done_sent, done_received;
    uint32_t news;          /* records that were new to us */
    struct policy_ask *ask; /* owned: waits for its answer (policy_news.h); NULL: none */
};

struct stream {
    bool used, inbound, opened;
    bool greeted; /* our HELLO has gone */
    bool bound;   /* theirs has come, and `peer` is who they proved to be */
    uint32_t id;
    enum stream_purpose purpose;
    struct timer timer;
    uint64_t started_ms, heard_ms;
    struct member *peer; /* NULL: not yet known; until bound: who we meant to reach */
    struct addr to;
    struct name peer_name;
    uint8_t peer_spki[32];
    uint32_t probe_seq; /* PROBE */
    struct stream_session session;
};

struct stream_table {
    size_t used;
    uint32_t id_next;
    uint32_t made;                     /* slots: most machines never need more than a few */
    struct stream *slot[STREAM_SLOTS]; /* owned */
};

void stream_table_init(struct stream_table *t);
void stream_table_fini(struct stream_table *t);
struct stream *stream_find(struct stream_table *t, uint32_t id);
/* Asks the driver for a stream to `m`, or when `m` is NULL to `to`. NULL: no slot or effect. */
struct stream *stream_dial(struct gossip *g, struct member *m, const struct addr *to,
                           enum stream_purpose purpose);
/* The event OPENED: NULL when it is to be ignored or was closed again. */
struct stream *stream_opened(struct gossip *g, const struct gossip_event *e);
/* Sends one message; our HELLO goes first. False: closed, for want of memory or effects. */
bool stream_send(struct gossip *g, struct stream *s, const struct sync_message *m);
/* As stream_send, of a message with a key in it: its bytes are wiped after the step. */
bool stream_send_secret(struct gossip *g, struct stream *s, const struct sync_message *m);
/* As stream_send, of a message that is encoded already, borrowed from the effects' arena. */
bool stream_send_raw(struct gossip *g, struct stream *s, struct span message);
/* Takes the other side's HELLO: binds the stream. False: refused, and closed. */
bool stream_bind(struct gossip *g, struct stream *s, const struct offer *hello);
/* Tells the driver to close, and frees the slot. */
void stream_close(struct gossip *g, struct stream *s);
/* Frees the slot only: the driver said that it is closed. */
void stream_drop(struct gossip *g, struct stream *s);
/* Progress was made: the idle limit starts again. */
void stream_touch(struct gossip *g, struct stream *s);
/* Closes those bound to a member that is being forgotten. */
void stream_forget(struct gossip *g, struct member *m);

#endif
