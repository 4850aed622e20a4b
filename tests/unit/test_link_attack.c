#include "core/base/check.h"
#include "tests/unit/support_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What a peer of the mesh may send that no parley does: each is an end of the stream or of the
 * connection, and nothing else happens. Bytes are written out, so that the frame stays what it is.
 */

enum verdict { FINE, STREAM, CONNECTION };

struct attack {
    const char *name;
    struct span bytes; /* behind HELLO */
    enum verdict verdict;
};
#define ATTACK(name, bytes, verdict)                                                               \
    {                                                                                              \
        name, {bytes, sizeof(bytes) - 1}, verdict                                                  \
    }

/* clang-format off */
/* To a server. */
static const struct attack to_server[] = {
    ATTACK("a request", OPEN, FINE),
    ATTACK("HELLO again", HELLO, CONNECTION),
    ATTACK("an unknown type", FRAME("\0", "\x09", "\0\0\0\0"), CONNECTION),
    ATTACK("type 15", FRAME("\0", "\x0f", "\0\0\0\0"), CONNECTION),
    ATTACK("an unknown flag", FRAME("\x08", "\x41", ID) GET, CONNECTION),
    ATTACK("END on a PING", FRAME("\0", "\x16", "\0\0\0\0"), CONNECTION),
    ATTACK("a PING with a payload", FRAME("\x01", "\x06", "\0\0\0\0") "x", CONNECTION),
    ATTACK("a PING of a stream", OPEN FRAME("\0", "\x06", ID), CONNECTION),
    ATTACK("a head of 16 MiB", "\xff\xff\xff\x01" ID, CONNECTION),
    ATTACK("a head of no bytes", FRAME("\0", "\x01", ID), CONNECTION),
    ATTACK("a head of stream 0", FRAME("\x08", "\x01", "\0\0\0\0") GET, CONNECTION),
    ATTACK("stream 2^31", FRAME("\x08", "\x01", "\x80\0\x01\0") GET, CONNECTION),
    ATTACK("generation 0", FRAME("\x08", "\x01", "\0\0\0\x01") GET, CONNECTION),
    ATTACK("generation 2 first", FRAME("\x08", "\x01", "\0\0\x02\0") GET, CONNECTION),
    ATTACK("a place beyond the limit", FRAME("\x08", "\x01", "\0\0\x01\x04") GET, CONNECTION),
    ATTACK("a second head", POST POST, CONNECTION),
    ATTACK("the place taken again", POST FRAME("\x08", "\x01", "\0\0\x02\0") GET, CONNECTION),
    ATTACK("DATA of nobody", FRAME("\x01", "\x03", ID) "x", CONNECTION),
    ATTACK("DATA behind the end", OPEN FRAME("\x01", "\x03", ID) "x", CONNECTION),
    ATTACK("DATA over 16 KiB", POST "\0\x40\x01\x03" ID, CONNECTION),
    ATTACK("trailers of nobody", FRAME("\0", "\x02", ID), CONNECTION),
    ATTACK("trailers behind the end", OPEN FRAME("\0", "\x02", ID), CONNECTION),
    ATTACK("trailers twice", POST FRAME("\0", "\x02", ID) FRAME("\0", "\x02", ID), CONNECTION),
    ATTACK("trailers", POST FRAME("\0", "\x02", ID), FINE),
    ATTACK("RESET of nobody", FRAME("\x01", "\x04", ID) "\x02", CONNECTION),
    ATTACK("RESET of stream 0", FRAME("\x01", "\x04", "\0\0\0\0") "\x02", CONNECTION),
    ATTACK("RESET without a reason", POST FRAME("\x01", "\x04", ID) "\x04", CONNECTION),
    ATTACK("RESET of two bytes", POST FRAME("\x02", "\x04", ID) "\x02\x02", CONNECTION),
    ATTACK("RESET twice", POST FRAME("\x01", "\x04", ID) "\x02" FRAME("\x01", "\x04", ID) "\x02",
           FINE),
    ATTACK("DATA behind RESET", POST FRAME("\x01", "\x04", ID) "\x02" FRAME("\x01", "\x03", ID) "x",
           CONNECTION),
    ATTACK("CREDIT of 0", POST FRAME("\x04", "\x05", ID) "\0\0\0\0", CONNECTION),
    ATTACK("CREDIT of nobody", FRAME("\x04", "\x05", ID) "\0\0\x40\0", CONNECTION),
    ATTACK("CREDIT of 2^31", FRAME("\x04", "\x05", "\0\0\0\0") "\x80\0\0\0", CONNECTION),
    ATTACK("CREDIT past the window", FRAME("\x04", "\x05", "\0\0\0\0") "\x7f\xff\xff\xff",
           CONNECTION),
    ATTACK("CREDIT past a stream's", POST FRAME("\x04", "\x05", ID) "\x7f\xff\xff\xff", CONNECTION),
    ATTACK("CREDIT of three bytes", FRAME("\x03", "\x05", "\0\0\0\0") "\0\x40\0", CONNECTION),
    ATTACK("CREDIT for the connection", FRAME("\x04", "\x05", "\0\0\0\0") "\0\0\x40\0", FINE),
    ATTACK("GOAWAY(NOTICE) of a client", FRAME("\x05", "\x08", "\0\0\0\0") "\0\0\0\0\0",
           CONNECTION),
    ATTACK("GOAWAY without a reason", FRAME("\x05", "\x08", "\0\0\0\0") "\x04\0\0\0\0", CONNECTION),
    /* Heads: what is in them ends the stream, how it is written the connection. */
    ATTACK("method 10",
           FRAME("\x08", "\x11", ID) "\x0a\x01\x01\x01"
                                     "a\x02\x01/",
           CONNECTION),
    ATTACK("unknown bits",
           FRAME("\x08", "\x11", ID) "\x01\x09\x01\x01"
                                     "a\x02\x01/",
           CONNECTION),
    ATTACK("a text beyond the frame",
           FRAME("\x08", "\x11", ID) "\x01\x01\x01\x01"
                                     "a\x02\x02/",
           CONNECTION),
    ATTACK("an endless number",
           FRAME("\x0e", "\x11", ID) "\x01\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
           CONNECTION),
    ATTACK("half a field", FRAME("\x09", "\x11", ID) GET "\x04", CONNECTION),
    ATTACK("operation 01", FRAME("\x0a", "\x11", ID) GET "\x44\0", CONNECTION),
    ATTACK("an empty slot", FRAME("\x09", "\x11", ID) GET "\xc5", CONNECTION),
    ATTACK("slot 64", FRAME("\x0c", "\x11", ID) GET "\x84\x40\x01x", CONNECTION),
    ATTACK("a slot filled twice", FRAME("\x10", "\x11", ID) GET "\x84\x03\x01x\x84\x03\x01y",
           CONNECTION),
    ATTACK("a slot used, then filled",
           FRAME("\x0c", "\x01", ID) GET "\x84\x03\x01x" FRAME("\x0d", "\x01", "\0\0\x01\x01") GET
           "\xc3\x84\x03\x01y",
           CONNECTION),
    ATTACK("a slot filled, then used", FRAME("\x0d", "\x11", ID) GET "\x84\x03\x01x\xc3", FINE),
    ATTACK("no path",
           FRAME("\x05", "\x11", ID) "\x01\x01\x01\x01"
                                     "a",
           STREAM),
    ATTACK("no scheme",
           FRAME("\x08", "\x11", ID) "\x01\0\x01\x01"
                                     "a\x02\x01/",
           STREAM),
    ATTACK("a path without /",
           FRAME("\x08", "\x11", ID) "\x01\x01\x01\x01"
                                     "a\x02\x01x",
           STREAM),
    ATTACK("a space in the path",
           FRAME("\x09", "\x11", ID) "\x01\x01\x01\x01"
                                     "a\x02\x02/ ",
           STREAM),
    ATTACK("a path twice", FRAME("\x0b", "\x11", ID) GET "\x02\x01/", STREAM),
    ATTACK("a path behind a field",
           FRAME("\x0b", "\x11", ID) "\x01\x01\x01\x01"
                                     "a\x04\x01x\x02\x01/",
           STREAM),
    ATTACK("a method with a space",
           FRAME("\x0c", "\x11", ID) "\0\x01\x03G T\x01\x01"
                                     "a\x02\x01/",
           STREAM),
    ATTACK("no method",
           FRAME("\x09", "\x11", ID) "\0\x01\0\x01\x01"
                                     "a\x02\x01/",
           STREAM),
    ATTACK("CONNECT with a path",
           FRAME("\x08", "\x01", ID) "\x08\x01\x01\x01"
                                     "a\x02\x01/",
           STREAM),
    ATTACK("CONNECT to nobody", FRAME("\x02", "\x01", ID) "\x08\0", STREAM),
    ATTACK("CONNECT",
           FRAME("\x05", "\x01", ID) "\x08\0\x01\x01"
                                     "a",
           FINE),
    ATTACK("a protocol without CONNECT", FRAME("\x0b", "\x01", ID) GET "\x03\x01x", STREAM),
    ATTACK("upper case", FRAME("\x0d", "\x11", ID) GET "\0\x01X\x01v", STREAM),
    ATTACK("a name with a colon", FRAME("\x0e", "\x11", ID) GET "\0\x02:a\x01v", STREAM),
    ATTACK("no name", FRAME("\x0c", "\x11", ID) GET "\0\0\x01v", STREAM),
    ATTACK("a numbered name spelled",
           FRAME("\x10", "\x11", ID) GET "\0\x04"
                                         "date\x01v",
           STREAM),
    ATTACK("CR in a value", FRAME("\x0c", "\x11", ID) GET "\x04\x02v\r", STREAM),
    ATTACK("LF in a value", FRAME("\x0c", "\x11", ID) GET "\x04\x02\nv", STREAM),
    ATTACK("NUL in a value", FRAME("\x0d", "\x11", ID) GET "\x04\x03v\0v", STREAM),
    ATTACK("a space behind a value", FRAME("\x0c", "\x11", ID) GET "\x04\x02v ", STREAM),
    ATTACK("connection",
           FRAME("\x16", "\x11", ID) GET "\0\x0a"
                                         "connection\x01v",
           STREAM),
    ATTACK("upgrade", FRAME("\x13", "\x11", ID) GET "\0\x07upgrade\x01v", STREAM),
    ATTACK("transfer-encoding",
           FRAME("\x23", "\x11", ID) GET "\0\x11transfer-encoding\x07"
                                         "chunked",
           STREAM),
    ATTACK("te: gzip", FRAME("\x11", "\x11", ID) GET "\0\x02te\x04gzip", STREAM),
    ATTACK("te: trailers", FRAME("\x15", "\x11", ID) GET "\0\x02te\x08trailers", FINE),
    ATTACK("content-length as a field",
           FRAME("\x1a", "\x11", ID) GET "\0\x0e"
                                         "content-length\x01"
                                         "0",
           STREAM),
    ATTACK("CR in a slot", FRAME("\x0d", "\x11", ID) GET "\x84\x03\x02v\r", STREAM),
    ATTACK("a bad slot used",
           FRAME("\x0d", "\x01", ID) GET "\x84\x03\x02v\r" FRAME("\x09", "\x01", "\0\0\x01\x01") GET
           "\xc3",
           STREAM),
    ATTACK("a length and no body",
           FRAME("\x09", "\x11", ID) "\x02\x05\x05\x01\x01"
                                     "a\x02\x01/",
           STREAM),
    ATTACK("a body too short",
           FRAME("\x09", "\x01", ID) "\x02\x05\x05\x01\x01"
                                     "a\x02\x01/" FRAME("\x04", "\x13", ID) "1234",
           STREAM),
    ATTACK("a body too long",
           FRAME("\x09", "\x01", ID) "\x02\x05\x05\x01\x01"
                                     "a\x02\x01/" FRAME("\x06", "\x03", ID) "123456",
           STREAM),
    ATTACK("trailers for the rest",
           FRAME("\x09", "\x01", ID) "\x02\x05\x05\x01\x01"
                                     "a\x02\x01/" FRAME("\x04", "\x03",
                                                        ID) "1234" FRAME("\0", "\x02", ID),
           STREAM),
    ATTACK("a body of its length",
           FRAME("\x09", "\x01", ID) "\x02\x05\x05\x01\x01"
                                     "a\x02\x01/" FRAME("\x05", "\x13", ID) "12345",
           FINE),
    ATTACK("a path in trailers", POST FRAME("\x03", "\x02", ID) "\x02\x01/", STREAM),
};

/* To a client that has asked once, by GET. */
static const struct attack to_client[] = {
    ATTACK("an answer", FRAME("\x03", "\x11", ID) "\0\xc8\0", FINE),
    ATTACK("an answer of nobody's", FRAME("\x03", "\x11", "\0\0\x01\x01") "\0\xc8\0", CONNECTION),
    ATTACK("an answer twice",
           FRAME("\x03", "\x01", ID) "\0\xc8\0" FRAME("\x03", "\x11", ID) "\0\xc8\0", CONNECTION),
    ATTACK("an answer behind its end",
           FRAME("\x03", "\x11", ID) "\0\xc8\0" FRAME("\x03", "\x11", ID) "\0\xc8\0", CONNECTION),
    ATTACK("a later generation", FRAME("\x03", "\x11", "\0\0\x02\0") "\0\xc8\0", CONNECTION),
    ATTACK("DATA before the head", FRAME("\x01", "\x03", ID) "x", CONNECTION),
    ATTACK("trailers before the head", FRAME("\0", "\x02", ID), CONNECTION),
    ATTACK("103 and 200", FRAME("\x03", "\x01", ID) "\0\x67\0" FRAME("\x03", "\x11", ID) "\0\xc8\0",
           FINE),
    ATTACK("103 that ends", FRAME("\x03", "\x11", ID) "\0\x67\0", STREAM),
    ATTACK("101", FRAME("\x03", "\x01", ID) "\0\x65\0", STREAM),
    ATTACK("status 99", FRAME("\x03", "\x11", ID) "\0\x63\0", STREAM),
    ATTACK("status 1000", FRAME("\x03", "\x11", ID) "\x03\xe8\0", STREAM),
    ATTACK("a status cut short", FRAME("\x02", "\x11", ID) "\0\xc8", CONNECTION),
    ATTACK("a scheme in an answer", FRAME("\x03", "\x11", ID) "\0\xc8\x01", CONNECTION),
    ATTACK("a path in an answer", FRAME("\x06", "\x11", ID) "\0\xc8\0\x02\x01/", STREAM),
    ATTACK("204 with a body", FRAME("\x03", "\x01", ID) "\0\xcc\0" FRAME("\x01", "\x13", ID) "x",
           STREAM),
    ATTACK("304 with a length", FRAME("\x04", "\x11", ID) "\x01\x30\x04\x05", FINE),
    ATTACK("200 with a length and no body", FRAME("\x04", "\x11", ID) "\0\xc8\x04\x05", STREAM),
    ATTACK("RESET(REFUSED)", FRAME("\x01", "\x04", ID) "\x01", STREAM),
    ATTACK("CREDIT behind the end",
           FRAME("\x03", "\x11", ID) "\0\xc8\0" FRAME("\x04", "\x05", ID) "\0\0\x40\0", FINE),
    ATTACK("RESET behind the end",
           FRAME("\x03", "\x11", ID) "\0\xc8\0" FRAME("\x01", "\x04", ID) "\0", FINE),
    ATTACK("GOAWAY(LAST) that has it", FRAME("\x05", "\x08", "\0\0\0\0") "\x01\0\0\0\x01", FINE),
    ATTACK("GOAWAY(LAST) that has not", FRAME("\x05", "\x08", "\0\0\0\0") "\x01\0\0\0\0", STREAM),
    ATTACK("GOAWAY(BROKEN)", FRAME("\x05", "\x08", "\0\0\0\0") "\x02\0\0\0\x01", CONNECTION),
};

/* clang-format on */

static void try(const struct attack *a, bool server, size_t step)
{
    struct support_link *e = support_link_new(server);
    unsigned type, byte;
    assert_int_equal(support_link_feed(e, span_of(HELLO, sizeof HELLO - 1), step), ERR_OK);
    if (!server) support_link_ask(e, 0, "GET");
    support_link_said(e, &type, &byte);
    iobuf_clear(&e->wire);
    enum err err = support_link_feed(e, a->bytes, step);
    support_link_said(e, &type, &byte);
    bool reset = type == LINK_RESET && byte == MUX_RESET && e->how == MUX_RESET;
    bool refused = !server && e->closes == 1 && e->how == MUX_REFUSED;
    enum verdict verdict = err != ERR_OK ? CONNECTION : reset || refused ? STREAM : FINE;
    if (verdict != a->verdict) fail_msg("%s by %zu: %d", a->name, step, (int)verdict);
    if (err != ERR_OK) {
        assert_int_equal(err, ERR_PROTOCOL);
        assert_true(e->goaways == 1 || (type == LINK_GOAWAY && byte == LINK_BROKEN));
        assert_true(mux_done(e->mux));
        assert_false(mux_may_open(e->mux));
    }
    support_link_free(e);
}

static void test_attacks_on_a_server_end_the_stream_or_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(to_server); i++)
        for (size_t step = 1; step < 200; step += step)
            try(&to_server[i], true, step);
}

static void test_attacks_on_a_client_end_the_stream_or_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(to_client); i++)
        for (size_t step = 1; step < 200; step += step)
            try(&to_client[i], false, step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attacks_on_a_server_end_the_stream_or_the_connection),
        cmocka_unit_test(test_attacks_on_a_client_end_the_stream_or_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
