#include "tests/sim/memberlist/ml_wire.h"

#include "core/base/check.h"

#define CHECKSUM_BYTES 5u
/* LZW of msgpack with its field names: what it costs at once, what it leaves of each byte of many
 * like messages, and what it makes of a single one, whose names and floats come but once. Fitted to
 * go-msgpack's bytes and compress/lzw's codes for 1 to 36 messages. */
#define LZW_FIXED_BYTES  70.0
#define LZW_SHARE        0.37
#define LZW_SHARE_SINGLE 1.1
/* The same of a push/pull: the empty event buffer of serf, and a member's state in both lists. */
#define STATE_FIXED_BYTES  400.0
#define STATE_MEMBER_BYTES 14.5
#define STREAM_SEAL        34u /* type, length, version, nonce, tag */
#define TCP_IP_BYTES       52u /* with timestamps */
#define TCP_SYN_BYTES      60u
#define SEGMENT_BYTES      1448u

uint32_t ml_wire_message_bytes(enum ml_letter_kind kind)
{
    switch (kind) {
    case ML_LETTER_PING:
        return 65;
    case ML_LETTER_ACK:
        return 152;
    case ML_LETTER_RELAYED_ACK:
        return 20;
    case ML_LETTER_NACK:
        return 11;
    case ML_LETTER_INDIRECT:
        return 91;
    case ML_LETTER_GOSSIP:
    case ML_LETTER_STATE:
    case ML_LETTER_STREAM_PING:
    case ML_LETTER_STREAM_ACK:
        break;
    }
    return 0;
}

uint32_t ml_wire_datagram_bytes(uint32_t own, uint32_t rumours, bool checksum)
{
    uint32_t packed =
        (uint32_t)(LZW_FIXED_BYTES + LZW_SHARE_SINGLE * (double)own + LZW_SHARE * (double)rumours);
    uint32_t bytes = packed < own + rumours ? packed : own + rumours;
    return bytes + ML_WIRE_SEAL + (checksum ? CHECKSUM_BYTES : 0);
}

uint32_t ml_wire_stream_bytes(const struct ml_letter *l)
{
    uint32_t bytes = STREAM_SEAL;
    if (l->kind == ML_LETTER_STATE)
        bytes += (uint32_t)(STATE_FIXED_BYTES + STATE_MEMBER_BYTES * (double)l->states);
    else
        bytes += l->kind == ML_LETTER_STREAM_PING ? 78 : 40;
    uint32_t segments = (bytes + SEGMENT_BYTES - 1) / SEGMENT_BYTES;
    /* Of each segment its header, and half an acknowledgement. */
    return bytes + segments * (TCP_IP_BYTES + TCP_IP_BYTES / 2);
}

uint32_t ml_wire_stream_open_bytes(void)
{
    return TCP_SYN_BYTES + 3 * TCP_IP_BYTES;
}
