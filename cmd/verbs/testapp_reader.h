/* Reader of HTTP/1.1 messages for the sample applications: the strict parser of core/wire, one
 * message after the other from a byte stream.
 *
 * One thread. Owns the text of the message in progress; spans of `head` and the trailers live until
 * testapp_reader_next.
 *
 *   HEAD --READ_HEAD--> BODY --READ_END--> (testapp_reader_next) --> HEAD
 */
#ifndef CMD_VERBS_TESTAPP_READER_H
#define CMD_VERBS_TESTAPP_READER_H

#include "core/base/strbuf.h"
#include "core/wire/h1.h"

enum testapp_read { TESTAPP_READ_MORE, TESTAPP_READ_HEAD, TESTAPP_READ_END, TESTAPP_READ_FAULT };
enum testapp_reader_stage { TESTAPP_READER_HEAD, TESTAPP_READER_BODY, TESTAPP_READER_DONE };

struct testapp_reader {
    enum h1_kind kind;
    enum testapp_reader_stage stage;
    bool to_head; /* the response to come answers HEAD */
    struct h1_scan scan;
    struct h1 parser;
    struct headers headers;
    struct h1_head head; /* from READ_HEAD on */
    struct h1_sink sink; /* gets the content; must not free the reader */
    enum reason fault;   /* after READ_FAULT */
    struct strbuf text;  /* owned: the head as it comes */
    struct arena arena;  /* owned: trailers */
};

void testapp_reader_init(struct testapp_reader *r, enum h1_kind kind, const struct h1_sink *sink);
void testapp_reader_fini(struct testapp_reader *r);
/* Forgets the message; the next byte begins another. */
void testapp_reader_next(struct testapp_reader *r);
/* Reads from `*in`, which moves on behind what was taken, up to the next event. An end that is
 * known already is told for an empty `*in` too. */
enum testapp_read testapp_reader_feed(struct testapp_reader *r, struct span *in);
/* The peer ended its stream: READ_END when that completes a body, READ_FAULT otherwise. */
enum testapp_read testapp_reader_eof(struct testapp_reader *r);
/* No byte of a message has come yet. */
bool testapp_reader_idle(const struct testapp_reader *r);

#endif
