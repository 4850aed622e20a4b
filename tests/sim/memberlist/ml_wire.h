/* What memberlist nodes say to each other: plain structs here, and the sizes that the real packets
 * have (memberlist 0.2.2 under serf: msgpack, LZW, AES-GCM), which the byte counts use.
 *
 *   datagram:  struct ml_letter, then letter.rumours x struct ml_rumour
 *   stream:    struct ml_letter, then letter.states x struct ml_state_entry
 *
 * The sizes are those of serf 0.9.4 of Debian 12, nodes "s10" and so on, no tags.
 */
#ifndef TESTS_SIM_MEMBERLIST_ML_WIRE_H
#define TESTS_SIM_MEMBERLIST_ML_WIRE_H

#include "gossip/packet.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ML_WIRE_DATAGRAM_MAX 1400u /* UDPBufferSize */
#define ML_WIRE_SEAL         29u   /* version, nonce, tag */
#define ML_WIRE_COMPOUND     2u    /* type and count; and again the length of each part */
#define ML_WIRE_ACCUSATION   33u   /* a suspect or dead message */
#define ML_WIRE_ALIVE        61u

enum ml_letter_kind {
    ML_LETTER_GOSSIP, /* rumours only */
    ML_LETTER_PING,
    ML_LETTER_ACK,
    ML_LETTER_RELAYED_ACK, /* without a coordinate */
    ML_LETTER_NACK,
    ML_LETTER_INDIRECT,
    ML_LETTER_STATE, /* streams: push or pull */
    ML_LETTER_STREAM_PING,
    ML_LETTER_STREAM_ACK
};

struct ml_letter {
    enum ml_letter_kind kind;
    uint32_t seq;
    uint32_t target; /* of INDIRECT */
    uint32_t rumours, states;
};

enum ml_status { ML_UNKNOWN, ML_ALIVE, ML_SUSPECT, ML_DEAD, ML_LEFT, ML_FORGOTTEN };

struct ml_rumour {
    enum ml_status status; /* ALIVE, SUSPECT or DEAD; of itself from itself: has left */
    uint32_t subject, inc, from;
};

struct ml_state_entry {
    uint32_t subject;
    uint32_t inc;
    uint32_t status;
};

#define ML_WIRE_RUMOURS_MAX ((ML_WIRE_DATAGRAM_MAX - ML_WIRE_SEAL) / ML_WIRE_ACCUSATION)
static_assert(sizeof(struct ml_letter) + ML_WIRE_RUMOURS_MAX * sizeof(struct ml_rumour) <=
                  PACKET_BYTES_MAX,
              "a packet of structs fits where a real one does");

/* Bytes of one message before it is packed. */
uint32_t ml_wire_message_bytes(enum ml_letter_kind kind);
static inline uint32_t ml_wire_rumour_bytes(const struct ml_rumour *r)
{
    return r->status == ML_ALIVE ? ML_WIRE_ALIVE : ML_WIRE_ACCUSATION;
}
/* Bytes of a UDP payload with a message of `own` bytes and `rumours` bytes of others: compressed
 * when that helps, sealed. */
uint32_t ml_wire_datagram_bytes(uint32_t own, uint32_t rumours, bool checksum);
/* Bytes on the wire of a stream's message, TCP and IP headers included. */
uint32_t ml_wire_stream_bytes(const struct ml_letter *l);
/* The same of opening and closing a stream, one side's share. */
uint32_t ml_wire_stream_open_bytes(void);

#endif
