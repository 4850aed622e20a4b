/* HTTP/1.x messages in: a strict, bounded, incremental reader over llhttp (RFC 9110, RFC 9112;
 * security.md A, B, C).
 *
 * One thread a parser. No I/O, no clock. A message is read in two stages:
 *
 *      bytes --h1_scan--> end of head known --copy--> h1_request / h1_response --> h1_body ... done
 *
 * The scan finds the empty line and enforces the limits and the line ends (CRLF, nothing else)
 * before anything is interpreted; the head is then parsed as one contiguous piece of the caller's
 * arena, so that each name and value is one span into it, names lower-cased in place. What llhttp
 * would let pass and the RFCs or security.md refuse is refused here: anything ambiguous is an
 * error, never repaired. Faults are `enum reason` words: what to answer a client with.
 *
 *      4\r\n wxyz \r\n 0\r\n name: value\r\n \r\n      a chunked body, whose framing is checked
 * twice
 */
#ifndef CORE_WIRE_H1_H
#define CORE_WIRE_H1_H

#include "core/base/arena.h"
#include "core/model/reason.h"
#include "core/wire/headers.h"

#define H1_PARSER_BYTES 112u

/* No body; and a body as long as the connection or the chunks say. */
#define H1_LENGTH_NONE    (-2)
#define H1_LENGTH_UNKNOWN (-1)

enum h1_kind { H1_REQUEST, H1_RESPONSE };
enum h1_version { H1_1_0, H1_1_1 };

/* Progress of the search for the end of a head. Zero-initialise for each message. */
struct h1_scan {
    uint32_t bytes;      /* taken, leading empty line included */
    uint32_t line_bytes; /* of the line in progress, without its end */
    uint32_t skipped;    /* bytes of the leading empty line: the head starts behind them */
    uint16_t lines;      /* complete ones */
    uint8_t spaces;      /* in the first line, at most 3 counted */
    bool cr;             /* the last byte was CR */
    enum reason fault;   /* once h1_scan has failed */
};

/* Takes bytes of a head. ERR_OK: complete, `*used` is the count of bytes of `in` that belong to it;
 * ERR_MORE: all taken, none of it ends the head; ERR_INVALID: `scan->fault` says why. Bytes may
 * come in any pieces; each is looked at once. */
enum err h1_scan(struct h1_scan *scan, enum h1_kind kind, struct span in, size_t *used) MUST_USE;

struct h1_head {
    struct span method, target; /* of a request */
    unsigned status;            /* of a response */
    struct span phrase;
    enum h1_version version;
    struct headers *headers; /* set by the caller: gets every field, framing ones too */
    struct span host;        /* the one Host field; p == NULL: none */
    int64_t body_length;     /* or H1_LENGTH_* */
    int64_t content_length;  /* as declared, also where there is no body (HEAD, 304); -1: none */
    bool keep_alive;         /* the sender lets the connection live on */
    bool expect_continue;
    struct span upgrade; /* Upgrade with `Connection: upgrade`; p == NULL: none */
};

struct h1 {
    _Alignas(8) unsigned char parser[H1_PARSER_BYTES];
    enum h1_kind kind;
    enum reason fault; /* once a function has failed */
    bool chunked;
    bool until_close;    /* the body ends with the connection */
    bool done;           /* the message is complete */
    uint8_t chunk_state; /* of our own look at the chunk framing */
    bool chunk_last;     /* the size line in progress says 0 so far */
    uint8_t chunk_digits;
    uint32_t chunk_excess_bytes; /* extensions so far */
    bool in_trailers;
    struct h1_trailers *text; /* where trailer fields are gathered; in the arena */
    struct headers *trailers; /* in the arena; NULL: none. Complete once `done` */
};

/* Parses a complete head, `head` of `len` bytes without the leading empty line, changed in place.
 * Resets `p`. ERR_INVALID: `p->fault`. After ERR_OK body bytes go to h1_body unless `p->done`. */
enum err h1_request(struct h1 *p, char *head, size_t len, struct h1_head *out) MUST_USE;
/* `to_head`: it answers a HEAD request, so it has no body whatever it says. */
enum err h1_response(struct h1 *p, char *head, size_t len, bool to_head,
                     struct h1_head *out) MUST_USE;

struct h1_sink {
    void (*on_data)(void *owner,
                    struct span data); /* borrowed during the call; must not free `p` */
    void *owner;
};
/* Takes body bytes and gives the content to `sink`. Stops at the end of the message: `*used` bytes
 * of `in` were taken, `p->done` says whether it ended. Trailers go to `arena`. ERR_INVALID:
 * `p->fault`, nothing more may come. */
enum err h1_body(struct h1 *p, struct arena *arena, struct span in, const struct h1_sink *sink,
                 size_t *used) MUST_USE;
/* The connection ended. ERR_OK: a body that lasts until then is complete; ERR_INVALID: cut short.
 */
enum err h1_finish(struct h1 *p) MUST_USE;

#endif
