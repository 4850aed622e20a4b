/* Heads in a link's frame: how a header section becomes the payload of a HEAD or TRAILERS frame.
 *
 * One thread, that of the connection; of core/wire/link* alone. Numbers are varints: seven bits a
 * byte, the lowest first, the high bit says that more follow.
 *
 *      request    | method | bits | [method text] | [scheme text] | [content-length] | fields ...
 *      response   | status, 2 bytes | bits | [content-length] | fields ...
 *      trailers   | fields ...
 *
 *      bits       0 0 0 0 0 L S S      S: 0 no scheme, 1 http, 2 https, 3 spelled; L: a length
 *      method     1.. one of link_head.c's list; 0: spelled
 *      text       | varint length | bytes |
 *
 *      field      1 1 slot(6)                                     what is in that slot
 *                 1 0 name(6) | slot | [name text] | value text   this, and put it in that slot
 *                 0 0 name(6) | [name text] | value text          this
 *
 * `name` is a number of link_names.h, or 0 for one that is spelled. Both ends have the same 64
 * slots a direction, each a name and a value of at most LINK_TEXT_MAX bytes; the sender alone
 * decides what goes where, so there is nothing to agree on but the order of frames. It puts there
 * what it meets a second time, never secrets, and no slot twice in a head or after it was used in
 * it. A 1xx answer, and a head of a stream that is no more, change slots like any other.
 */
#ifndef CORE_WIRE_LINK_HEAD_H
#define CORE_WIRE_LINK_HEAD_H

#include "core/wire/mux.h"

#define LINK_SLOTS    64u
#define LINK_TEXT_MAX 118u

struct link_slot {
    uint32_t hash; /* of the sender */
    uint8_t name, name_len, value_len;
    uint8_t state;
    uint16_t seen; /* of the sender: what was last met and is not here */
    char text[LINK_TEXT_MAX];
};
struct link_dict {
    struct link_slot slot[LINK_SLOTS];
};

enum link_head_kind { LINK_HEAD_REQUEST, LINK_HEAD_RESPONSE, LINK_HEAD_TRAILERS };

/* At most this many bytes will it be. */
size_t link_head_bound(const struct mux_head *head);
/* Writes it to `out`; its bytes. Of trailers, head->headers alone. */
size_t link_head_write(struct link_dict *d, enum link_head_kind kind, const struct mux_head *head,
                       char *out);
/* Reads a whole payload into `s->head` and `s->fields`; with `s` NULL it is thrown away. ERR_OK,
 * maybe with head.too_large; ERR_INVALID: malformed (RFC 9113 8.1.1), the slots are right, `s` may
 * have some of it; ERR_PROTOCOL: what no sender makes, the connection cannot go on. */
enum err link_head_read(struct link_dict *d, enum link_head_kind kind, struct span in,
                        struct mux_stream *s) MUST_USE;

#endif
