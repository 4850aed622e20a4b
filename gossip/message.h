/* Messages of the gossip datagram, as they stand in a packet's plaintext (msgpack).
 *
 *   packet   [ summary u64, message, message, ... ]   summary: of the sender's digest (digest.h)
 *
 *   PING     [1, seq, padding bin]       answer with ACK; the padding is seldom there
 *   ACK      [2, seq, coordinate bin]    coordinate.h; not in each
 *   PING_REQ [3, seq, target16]          ping the target for me; ACK if it answers, else NACK
 *   NACK     [4, seq]                    it did not answer me either, but you reach me
 *   CONFIRM  [5, accusation bin]         I do not reach this one; do you?
 *   REACHED  [6, target16, epoch, inc]   I do
 *   ACCUSED  [7, accusation bin]         to the accused itself: refute, if you are that
 *   RECORD   [8, offer]                  a rumour: a record (offer.h)
 *   ACCUSE   [9, accusation bin]         a rumour: an accusation (accusation.h)
 *   CONFLICT [10]                        the identity or name you use is in use by another
 *   POLICY   [11, manifest bin, [text bin, ...]]   a rumour: a generation with all its texts
 *   POLICY_HEAD    [12, scope, gen, hash bin32]    a rumour: one that is too long; ask me
 *   POLICY_CONFIRM [13, confirm bin]               a rumour: one is confirmed (pack_manifest.h)
 *   BALLOT         [15, ballot bin81]              a rumour: what a voter says (ballot.h)
 *   STATUS_ASK     [14]                            tell me your record: I wait for your status
 *
 * A newer version appends items and kinds; unknown ones are skipped. Pure; any thread. Spans are
 * borrowed from the packet.
 */
#ifndef GOSSIP_MESSAGE_H
#define GOSSIP_MESSAGE_H

#include "core/model/manifest.h"
#include "gossip/ballot.h"
#include "gossip/coordinate.h"
#include "gossip/offer.h"

#define MESSAGE_DEPTH_MAX   4u
#define MESSAGE_ITEMS_MAX   512u /* values in one packet */
#define MESSAGE_PADDING_MAX 1400u
#define MESSAGE_TEXTS_MAX   4u
/* A manifest and its texts in one datagram, in which there is little else. */
#define MESSAGE_POLICY_BYTES_MAX 1080u

enum message_kind {
    MESSAGE_UNKNOWN,
    MESSAGE_PING,
    MESSAGE_ACK,
    MESSAGE_PING_REQ,
    MESSAGE_NACK,
    MESSAGE_CONFIRM,
    MESSAGE_REACHED,
    MESSAGE_ACCUSED,
    MESSAGE_RECORD,
    MESSAGE_ACCUSE,
    MESSAGE_CONFLICT,
    MESSAGE_POLICY,
    MESSAGE_POLICY_HEAD,
    MESSAGE_POLICY_CONFIRM,
    MESSAGE_STATUS_ASK,
    MESSAGE_BALLOT,
    MESSAGE_KINDS
};

/* ping, ack, ping_req, ...; static. */
const char *message_word(enum message_kind k);

struct message {
    enum message_kind kind;
    uint32_t seq;     /* PING, ACK, PING_REQ, NACK */
    uint32_t padding; /* PING, when writing: bytes */
    bool placed;      /* ACK: with a coordinate */
    uint8_t place[COORDINATE_BYTES];
    struct node_id target;        /* PING_REQ, REACHED */
    uint64_t epoch;               /* REACHED */
    uint32_t inc;                 /* REACHED */
    struct offer offer;           /* RECORD */
    struct accusation accusation; /* CONFIRM, ACCUSED, ACCUSE */
    uint8_t ballot[BALLOT_BYTES]; /* BALLOT */
    struct span policy;           /* POLICY, POLICY_CONFIRM: as signed */
    enum manifest_scope scope;    /* POLICY_HEAD */
    struct manifest_ref ref;      /* POLICY_HEAD */
    uint32_t text_count;
    struct span text[MESSAGE_TEXTS_MAX]; /* POLICY */
};

/* Appends one message; too little room is the writer's overflow. */
void message_write(struct pack_writer *w, const struct message *m);

struct message_reader {
    struct pack_reader reader;
    uint32_t left; /* messages not yet read */
};
/* Checks a whole plaintext and reads its summary. ERR_INVALID, ERR_TOO_LARGE. */
enum err message_reader_init(struct message_reader *mr, struct span plain,
                             uint64_t *summary) MUST_USE;
/* The next message; false at the end or at a malformed one, told apart by message_reader_err. */
bool message_next(struct message_reader *mr, struct message *out);
enum err message_reader_err(const struct message_reader *mr) MUST_USE;

#endif
