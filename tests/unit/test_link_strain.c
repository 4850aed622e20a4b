#include "core/base/check.h"
#include "core/wire/link_impl.h"
#include "tests/unit/support_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What a link bears that is busy for long, not read, or lost at a bad moment. */

#define HELLO_OF_256                                                                               \
    "\0\0\x0a\0\0\0\0\0"                                                                           \
    "\x01\0"                                                                                       \
    "\0\x01\0\0"                                                                                   \
    "\0\x10\0\0"
#define LAST_ID "\x7f\xff\xff\0" /* place 0, the last generation */

static struct support_link *begin(bool server, struct span hello)
{
    unsigned type, byte;
    struct support_link *e = support_link_new(server);
    assert_int_equal(support_link_feed(e, hello, 1000), ERR_OK);
    support_link_said(e, &type, &byte);
    iobuf_clear(&e->wire);
    return e;
}

static void test_a_queue_that_is_never_empty_does_not_grow(void **state)
{
    (void)state;
    struct support_link *e = begin(false, SPAN_LIT(HELLO));
    mux_ping(e->mux);
    for (size_t left = 0; left < 2 * LINK_QUEUE_BYTES_MAX; left += LINK_FRAME_HEAD_BYTES) {
        mux_ping(e->mux);
        assert_int_equal(mux_pull(e->mux, LINK_FRAME_HEAD_BYTES), ERR_OK);
        assert_true(mux_wants_write(e->mux));
        assert_int_equal(e->wire.len, LINK_FRAME_HEAD_BYTES);
        iobuf_clear(&e->wire);
    }
    assert_true(e->alloc.bytes_held <= 24 * 1024);
    support_link_free(e);
}

static struct mux_head post(struct headers *fields)
{
    return (struct mux_head){.method = SPAN_LIT("POST"),
                             .scheme = SPAN_LIT("http"),
                             .authority = SPAN_LIT("a"),
                             .path = SPAN_LIT("/"),
                             .headers = fields,
                             .content_length = -1};
}

/* The head and the whole body have left: who sent it again elsewhere would have it done twice. */
static void test_a_request_whose_trailers_wait_was_not_refused(void **state)
{
    struct headers none = {.count = 0}, trailers = {.count = 0};
    struct mux_head head = post(&none);
    (void)state;
    struct support_link *e = begin(false, SPAN_LIT(HELLO));
    assert_int_equal(headers_add(&trailers, SPAN_LIT("x-sum"), SPAN_LIT("1")), ERR_OK);
    assert_int_equal(iobuf_append(&e->out, "body", 4), ERR_OK);
    e->stream[0] = (struct mux_stream){.arena = &e->arena,
                                       .fields = &e->fields,
                                       .out = &e->out,
                                       .out_ended = true,
                                       .out_trailers = &trailers,
                                       .owner = e};
    assert_int_equal(mux_request(e->mux, &e->stream[0], &head, true), ERR_OK);
    /* The queue, then the body's frame, and no more. */
    while (e->out.len > 0)
        assert_int_equal(mux_pull(e->mux, 1), ERR_OK);
    assert_true(mux_wants_write(e->mux));
    mux_lost(e->mux);
    assert_int_equal(e->closes, 1);
    assert_int_equal(e->how, MUX_RESET);
    support_link_free(e);
}

static char text[HEADER_LINE_BYTES_MAX];

/* Of `bytes` in fields as long as they may be. */
static void large(struct headers *h, size_t bytes)
{
    memset(text, 'v', sizeof text);
    *h = (struct headers){.count = 0};
    while (bytes > 0) {
        size_t len = bytes < sizeof text ? bytes : sizeof text;
        assert_int_equal(headers_add(h, SPAN_LIT("x-a"), span_of(text, len - 3)), ERR_OK);
        bytes -= len;
    }
}

static void test_requests_that_nobody_reads_hold_back_others(void **state)
{
    static struct mux_stream stream[LINK_PLACES];
    static struct headers fields;
    struct mux_head head = post(&fields);
    size_t n = 0;
    (void)state;
    large(&fields, HEADER_BYTES_MAX);
    struct support_link *e = begin(false, SPAN_LIT(HELLO_OF_256));
    for (; n < LINK_PLACES && mux_may_open(e->mux); n++) {
        stream[n] = (struct mux_stream){
            .arena = &e->arena, .fields = &e->fields, .out = &e->out, .owner = e};
        assert_int_equal(mux_request(e->mux, &stream[n], &head, false), ERR_OK);
    }
    assert_true(n < LINK_PLACES);
    for (unsigned i = 0; mux_wants_write(e->mux); i++) {
        assert_true(i < 100);
        assert_int_equal(mux_pull(e->mux, 65536), ERR_OK);
        iobuf_clear(&e->wire);
    }
    assert_true(mux_may_open(e->mux));
    assert_int_equal(e->closes, 0);
    support_link_free(e);
}

static void test_answers_that_nobody_reads_end_no_others(void **state)
{
    static struct headers fields;
    struct mux_head early = {.status = 103, .headers = &fields, .content_length = -1};
    unsigned type, byte;
    (void)state;
    large(&fields, HEADER_BYTES_MAX);
    struct support_link *e = begin(true, SPAN_LIT(HELLO OPEN));
    enum err err = ERR_OK;
    for (unsigned i = 0; i < 200 && err == ERR_OK; i++)
        err = mux_interim(e->mux, &e->stream[0], &early);
    assert_int_equal(err, ERR_NOMEM);
    assert_int_equal(mux_respond(e->mux, &e->stream[0], &early, false), ERR_NOMEM);
    mux_reset(e->mux, &e->stream[0], MUX_RESET);
    while (mux_wants_write(e->mux)) {
        iobuf_clear(&e->wire);
        assert_int_equal(mux_pull(e->mux, 65536), ERR_OK);
    }
    iobuf_clear(&e->wire);
    assert_int_equal(support_link_feed(e, SPAN_LIT(FRAME("\0", "\x06", "\0\0\0\0")), 1000), ERR_OK);
    support_link_said(e, &type, &byte);
    assert_int_equal(type, LINK_PONG);
    support_link_free(e);
}

/* A client's fields and its path may be more together than the peer takes in a frame. */
static void test_a_head_that_would_end_the_connection_is_not_sent(void **state)
{
    static struct headers fields;
    struct mux_head head = post(&fields);
    unsigned type, byte;
    (void)state;
    large(&fields, HEADER_BYTES_MAX);
    struct support_link *e = begin(false, SPAN_LIT(HELLO));
    head.path = span_of(text, TARGET_BYTES_MAX);
    e->stream[0] =
        (struct mux_stream){.arena = &e->arena, .fields = &e->fields, .out = &e->out, .owner = e};
    assert_int_equal(mux_request(e->mux, &e->stream[0], &head, true), ERR_TOO_LARGE);
    assert_int_equal(e->stream[0].id, 0);
    assert_int_equal(mux_streams(e->mux), 0);
    support_link_said(e, &type, &byte);
    assert_int_equal(type, LINK_TYPE_COUNT);
    support_link_ask(e, 0, "GET");
    support_link_said(e, &type, &byte);
    assert_int_equal(type, LINK_HEAD);
    support_link_free(e);
}

static void wear(struct support_link *e)
{
    CONTAINER_OF(e->mux, struct link, mux)->place[0].generation = LINK_GENERATIONS - 1;
}

static void test_late_frames_are_told_when_generations_begin_anew(void **state)
{
    (void)state;
    struct support_link *e = begin(false, SPAN_LIT(HELLO));
    wear(e);
    support_link_ask(e, 0, "GET");
    assert_int_equal(e->stream[0].id, 0x7fffff00);
    mux_reset(e->mux, &e->stream[0], MUX_CANCELLED);
    support_link_ask(e, 0, "GET");
    assert_int_equal(e->stream[0].id, 0x100);
    assert_int_equal(
        support_link_feed(
            e,
            SPAN_LIT(FRAME("\x03", "\x01", LAST_ID) "\0\xc8\0" FRAME(
                "\x04", "\x05", LAST_ID) "\0\0\x40\0" FRAME("\x01", "\x04", LAST_ID) "\x02"),
            1000),
        ERR_OK);
    assert_int_equal(e->heads + e->closes, 0);
    /* What was not opened since is still nobody's. */
    assert_int_equal(
        support_link_feed(e, SPAN_LIT(FRAME("\x01", "\x04", "\0\0\x02\0") "\x02"), 1000),
        ERR_PROTOCOL);
    support_link_free(e);
    e = begin(true, SPAN_LIT(HELLO));
    wear(e);
    assert_int_equal(
        support_link_feed(
            e,
            SPAN_LIT(FRAME("\x08", "\x01", LAST_ID) GET FRAME(
                "\x01", "\x04", LAST_ID) "\x02" POST FRAME("\x01", "\x04", LAST_ID) "\x02"),
            1000),
        ERR_OK);
    assert_int_equal(e->heads, 2);
    assert_int_equal(e->closes, 1);
    support_link_free(e);
}

static void test_farewells_without_end_are_a_flood(void **state)
{
    static const char reason[] = {LINK_NOTICE, LINK_LAST};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(reason); i++) {
        char frame[] = FRAME("\x05", "\x08", "\0\0\0\0") "\0\0\0\0\x01";
        unsigned type, byte, n = 0;
        struct support_link *e = begin(false, SPAN_LIT(HELLO));
        frame[LINK_FRAME_HEAD_BYTES] = reason[i];
        support_link_ask(e, 0, "GET");
        while (n < 1000 && support_link_feed(e, span_of(frame, sizeof frame - 1), 1000) == ERR_OK)
            n++;
        assert_true(n > 10 && n < 300);
        assert_int_equal(e->goaways, n);
        assert_int_equal(e->closes, 0);
        support_link_said(e, &type, &byte);
        assert_int_equal(type, LINK_GOAWAY);
        assert_int_equal(byte, LINK_FLOOD);
        support_link_free(e);
    }
}

static void next_generation(char *frame, unsigned generation)
{
    frame[4] = (char)(generation >> 16);
    frame[5] = (char)(generation >> 8);
    frame[6] = (char)generation;
}

static void ended_by_a_flood(struct support_link *e)
{
    unsigned type, byte;
    support_link_said(e, &type, &byte);
    assert_int_equal(type, LINK_GOAWAY);
    assert_int_equal(byte, LINK_FLOOD);
    support_link_free(e);
}

#define RESET_ID FRAME("\x01", "\x04", ID) "\x02"

/* What crosses GOAWAY is the client's right, once in all places; more is a flood. */
static void test_requests_behind_goaway_are_bounded(void **state)
{
    char open[] = OPEN, reset[] = RESET_ID;
    unsigned n = 1;
    (void)state;
    struct support_link *e = begin(true, SPAN_LIT(HELLO));
    mux_goaway(e->mux);
    enum err err = ERR_OK;
    for (; n < 100000 && err == ERR_OK; n++) {
        next_generation(open, n);
        next_generation(reset, n);
        err = support_link_feed(e, span_of(open, sizeof open - 1), 1000);
        if (err == ERR_OK) err = support_link_feed(e, span_of(reset, sizeof reset - 1), 1000);
    }
    assert_true(n > LINK_PLACES && n < MUX_FLOOD_LATE_MAX);
    assert_int_equal(e->begun, 0);
    ended_by_a_flood(e);
}

static void test_resets_of_what_is_over_are_bounded(void **state)
{
    static const struct span reset = {RESET_ID, 9};
    unsigned n = 0;
    (void)state;
    struct support_link *e = begin(true, SPAN_LIT(HELLO OPEN));
    mux_reset(e->mux, &e->stream[0], MUX_RESET);
    while (n < 100000 && support_link_feed(e, reset, 1000) == ERR_OK)
        n++;
    assert_true(n >= MUX_FLOOD_BURST && n <= MUX_FLOOD_BURST + MUX_FLOOD_LATE_EACH);
    ended_by_a_flood(e);
    /* One for each stream crosses its end, however many there were. */
    e = begin(true, SPAN_LIT(HELLO));
    for (n = 1; n < 5000; n++) {
        char open[] = OPEN, cross[] = RESET_ID;
        next_generation(open, n);
        next_generation(cross, n);
        assert_int_equal(support_link_feed(e, span_of(open, sizeof open - 1), 1000), ERR_OK);
        mux_reset(e->mux, &e->stream[(n - 1) % 4], MUX_RESET);
        assert_int_equal(support_link_feed(e, span_of(cross, sizeof cross - 1), 1000), ERR_OK);
        while (mux_wants_write(e->mux))
            assert_int_equal(mux_pull(e->mux, 65536), ERR_OK);
        iobuf_clear(&e->wire);
    }
    support_link_free(e);
}

static void test_late_answers_are_bounded(void **state)
{
    static const struct span late[] = {
        {FRAME("\x03", "\x01", ID) "\0\xc8\0", 11}, /* a head */
        {FRAME("\0", "\x02", ID), 8},               /* trailers */
        {FRAME("\0", "\x13", ID), 8},               /* the end */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(late); i++) {
        unsigned n = 0;
        struct support_link *e = begin(false, SPAN_LIT(HELLO));
        support_link_ask(e, 0, "GET");
        mux_reset(e->mux, &e->stream[0], MUX_CANCELLED);
        while (n < 100000 && support_link_feed(e, late[i], 1000) == ERR_OK)
            n++;
        assert_true(n >= MUX_FLOOD_BURST && n <= MUX_FLOOD_BURST + MUX_FLOOD_LATE_EACH);
        ended_by_a_flood(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_queue_that_is_never_empty_does_not_grow),
        cmocka_unit_test(test_a_request_whose_trailers_wait_was_not_refused),
        cmocka_unit_test(test_requests_that_nobody_reads_hold_back_others),
        cmocka_unit_test(test_answers_that_nobody_reads_end_no_others),
        cmocka_unit_test(test_a_head_that_would_end_the_connection_is_not_sent),
        cmocka_unit_test(test_late_frames_are_told_when_generations_begin_anew),
        cmocka_unit_test(test_farewells_without_end_are_a_flood),
        cmocka_unit_test(test_requests_behind_goaway_are_bounded),
        cmocka_unit_test(test_resets_of_what_is_over_are_bounded),
        cmocka_unit_test(test_late_answers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
