/* Detect: what an application speaks, by what it says when it is asked.
 *
 * Any thread; pure. Two questions tell it, each on a connection of its own, and a server that
 * speaks first has answered both before it hears them:
 *
 *      PRI * HTTP/2.0 ... SETTINGS     an HTTP/2 server answers with its SETTINGS; one of HTTP/1.1
 *                                      with an error, and no application sees it (RFC 9113 3.4)
 *      OPTIONS * HTTP/1.1              asked only when that was not conclusive
 *
 *      first answer  second answer          it speaks
 *      HTTP/1        not asked              HTTP/1.1
 *      any other     HTTP/1                 HTTP/1.1, and HTTP/2 perhaps as well
 *      SETTINGS      a refusal, any, none   HTTP/2 alone
 *      bytes         bytes                  TCP: something else
 *      otherwise                            nobody knows
 *
 * TCP is said only of who answers both questions with bytes of its own: to take a silent or broken
 * HTTP application for TCP would lead requests past the rules about them.
 */
#ifndef PROXY_NET_DETECT_H
#define PROXY_NET_DETECT_H

#include "core/base/span.h"
#include "core/model/record.h"

#define DETECT_BYTES_MAX 12u /* "HTTP/1.1 400" */

enum detect_question { DETECT_ASK_H2, DETECT_ASK_H1, DETECT_QUESTIONS };
enum detect_answer {
    DETECT_MORE,    /* it may become anything: wait for more bytes, or their end */
    DETECT_HTTP1,   /* a response */
    DETECT_REFUSED, /* a response that says: not in this version, or not like this */
    DETECT_H2,
    DETECT_BYTES,
    DETECT_NOTHING
};
enum detect_verdict { DETECT_UNKNOWN, DETECT_KNOWN, DETECT_ASK_ON };

/* What to send; for DETECT_ASK_H1 with this Host. Into `out` of `cap` bytes; its length, 0: no
 * room. */
size_t detect_question(enum detect_question q, struct span host, char *out, size_t cap);
/* What the first bytes of the answer are; DETECT_BYTES_MAX are enough. `ended`: none will follow,
 * then it is never DETECT_MORE. */
enum detect_answer detect_answer(struct span seen, bool ended);
/* What is known from the answer to DETECT_ASK_H2 and, when that was not enough (DETECT_ASK_ON: ask
 * it), to DETECT_ASK_H1; DETECT_MORE: not asked yet. `*out` is set for DETECT_KNOWN. */
enum detect_verdict detect_judge(enum detect_answer h2, enum detect_answer h1,
                                 enum service_protocol *out);

#endif
