#include "core/base/check.h"
#include "core/wire/link_head.h"
#include "core/wire/link_names.h"
#include "tests/unit/support_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_nothing_comes_before_hello(void **state)
{
    (void)state;
    struct support_link *e = support_link_new(true);
    assert_int_equal(support_link_feed(e, SPAN_LIT(OPEN), 1000), ERR_PROTOCOL);
    support_link_free(e);
    e = support_link_new(false);
    assert_false(mux_may_open(e->mux));
    assert_int_equal(
        support_link_feed(e, SPAN_LIT("\0\0\x0a\0\0\0\0\0\0\x04\x80\0\0\0\0\x10\0\0"), 1000),
        ERR_PROTOCOL);
    support_link_free(e);
}

/* Frames, each of the same bytes, until the connection ends; how many it took. */
static unsigned flood(struct support_link *e, struct span frame, unsigned most)
{
    unsigned n = 0;
    while (n < most && support_link_feed(e, frame, frame.len) == ERR_OK)
        n++;
    return n;
}

static void test_floods_end_the_connection(void **state)
{
    static const struct span frame[] = {
        {FRAME("\0", "\x06", "\0\0\0\0"), 8},         /* PING */
        {FRAME("\0", "\x07", "\0\0\0\0"), 8},         /* PONG */
        {FRAME("\0", "\x03", ID), 8},                 /* DATA of no bytes */
        {FRAME("\x04", "\x05", ID) "\0\0\0\x01", 12}, /* CREDIT of a byte */
        {FRAME("\x04", "\x05", "\0\0\0\0") "\0\0\0\x01", 12},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frame); i++) {
        unsigned type, byte;
        struct support_link *e = support_link_new(true);
        assert_int_equal(support_link_feed(e, SPAN_LIT(HELLO POST), 1000), ERR_OK);
        assert_true(flood(e, frame[i], 1000) < 300);
        support_link_said(e, &type, &byte);
        assert_int_equal(type, LINK_GOAWAY);
        assert_int_equal(byte, LINK_FLOOD);
        support_link_free(e);
    }
}

/* Requests of ever new generations, each behind the one before. */
static void next_request(char *bytes, unsigned generation)
{
    memcpy(bytes, OPEN, sizeof OPEN - 1);
    bytes[4] = (char)(generation >> 16);
    bytes[5] = (char)(generation >> 8);
    bytes[6] = (char)generation;
}

static void test_resets_and_refusals_that_nobody_reads_are_bounded(void **state)
{
    char bytes[sizeof OPEN];
    (void)state;
    struct support_link *e = support_link_new(true);
    e->refuse = true;
    assert_int_equal(support_link_feed(e, SPAN_LIT(HELLO), 1000), ERR_OK);
    enum err err = ERR_OK;
    unsigned n = 1;
    for (; n < 1000000 && err == ERR_OK; n++) {
        next_request(bytes, n);
        err = support_link_feed(e, span_of(bytes, sizeof OPEN - 1), 1000);
        assert_true(e->alloc.bytes_held < 3 * LINK_QUEUE_BYTES_MAX);
        if (err == ERR_OK && mux_done(e->mux)) break;
    }
    assert_true(n < 1000000);
    support_link_free(e);
}

static void test_windows_that_are_passed_end_the_connection(void **state)
{
    static char data[LINK_FRAME_HEAD_BYTES + LINK_DATA_BYTES_MAX] = "\0\x40\0\x03\0\0\x01";
    (void)state;
    struct support_link *e = support_link_new(true);
    e->keep = true;
    assert_int_equal(support_link_feed(e, SPAN_LIT(HELLO POST), 1000), ERR_OK);
    /* 64 KiB is the stream's. */
    assert_int_equal(flood(e, span_of(data, sizeof data), 100), 4);
    assert_int_equal(e->data_bytes, 65536);
    support_link_free(e);
    /* Streams that are no more count on the connection, and are given back there. */
    e = support_link_new(true);
    assert_int_equal(support_link_feed(e, SPAN_LIT(HELLO POST), 1000), ERR_OK);
    mux_reset(e->mux, &e->stream[0], MUX_CANCELLED);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(support_link_feed(e, span_of(data, sizeof data), sizeof data), ERR_OK);
        if (i % 16 != 15) continue;
        assert_int_equal(mux_pull(e->mux, 65536), ERR_OK);
        assert_true(e->wire.len < 200);
        iobuf_clear(&e->wire);
    }
    assert_int_equal(e->data_bytes, 0);
    support_link_free(e);
}

static void test_late_frames_of_a_place_taken_again_are_dropped(void **state)
{
    (void)state;
    struct support_link *e = support_link_new(false);
    assert_int_equal(support_link_feed(e, SPAN_LIT(HELLO), 1000), ERR_OK);
    support_link_ask(e, 0, "GET");
    mux_reset(e->mux, &e->stream[0], MUX_CANCELLED);
    support_link_ask(e, 0, "GET");
    assert_int_equal(e->stream[0].id, 0x200);
    assert_int_equal(
        support_link_feed(e,
                          SPAN_LIT(FRAME("\x06", "\x01", ID) "\0\xc8\0\x84\x03"
                                                             "\x00" FRAME("\x01", "\x13", ID) "x"),
                          1000),
        ERR_OK);
    assert_int_equal(e->heads, 0);
    /* The slots that the late head filled are filled. */
    assert_int_equal(
        support_link_feed(e, SPAN_LIT(FRAME("\x04", "\x11", "\0\0\x02\0") "\0\xc8\0\xc3"), 1000),
        ERR_OK);
    assert_int_equal(e->heads, 1);
    assert_int_equal(e->fields.count, 1);
    support_link_free(e);
}

static void test_slots_that_swell_a_head_are_cut(void **state)
{
    static char bytes[400] = FRAME("\x08", "\x01", ID) GET;
    (void)state;
    struct support_link *e = support_link_new(true);
    assert_int_equal(support_link_feed(e, SPAN_LIT(HELLO), 1000), ERR_OK);
    size_t len = sizeof(POST) - 1;
    memcpy(bytes + len, "\x84\x01\x76", 3);
    memset(bytes + len + 3, 'v', LINK_TEXT_MAX);
    len += 3 + LINK_TEXT_MAX;
    memset(bytes + len, 0xc1, sizeof bytes - len);
    bytes[1] = (char)((sizeof bytes - 8) >> 8);
    bytes[2] = (char)((sizeof bytes - 8) & 0xff);
    assert_int_equal(support_link_feed(e, span_of(bytes, sizeof bytes), 1000), ERR_OK);
    assert_int_equal(e->heads, 1);
    assert_true(e->too_large);
    assert_true(e->fields.count <= HEADER_FIELDS_MAX);
    support_link_free(e);
}

static void test_an_idle_link_holds_little(void **state)
{
    (void)state;
    struct support_link *e = support_link_new(true);
    unsigned type, byte;
    assert_int_equal(support_link_feed(e, SPAN_LIT(HELLO), 1000), ERR_OK);
    support_link_said(e, &type, &byte);
    /* architecture.md 9: 72 KiB, of which 44 are TLS's. */
    assert_true(e->alloc.bytes_held <= 24 * 1024);
    /* Heads in pieces and answers that wait are held while they do. */
    size_t mallocs = e->alloc.mallocs_total;
    for (unsigned i = 1; i < 100; i++) {
        char request[sizeof OPEN];
        struct headers none = {.count = 0};
        struct mux_head head = {.status = 204, .headers = &none, .content_length = -1};
        next_request(request, i);
        assert_int_equal(support_link_feed(e, span_of(request, sizeof OPEN - 1), 5), ERR_OK);
        struct mux_stream *s = &e->stream[(i - 1) % 4];
        assert_int_equal(mux_respond(e->mux, s, &head, false), ERR_OK);
        support_link_said(e, &type, &byte);
        assert_int_equal(type, LINK_HEAD);
        iobuf_clear(&e->wire);
        if (i == 4) mallocs = e->alloc.mallocs_total;
    }
    assert_int_equal(e->alloc.mallocs_total, mallocs);
    support_link_free(e);
}

static void test_every_numbered_name_is_found(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= LINK_NAMES_MAX; i++)
        assert_int_equal(link_names_find(link_names_text(i)), i);
    assert_int_equal(link_names_find(SPAN_LIT("x")), LINK_NAME_NONE);
    assert_int_equal(link_names_find(SPAN_LIT("dare")), LINK_NAME_NONE);
    assert_int_equal(link_names_find(SPAN_LIT("cookie")), LINK_NAME_COOKIE);
    assert_int_equal(link_names_find(SPAN_LIT(":authority")), LINK_NAME_AUTHORITY);
    assert_int_equal(link_names_find(SPAN_LIT(":path")), LINK_NAME_PATH);
    assert_int_equal(link_names_find(SPAN_LIT(":protocol")), LINK_NAME_PROTOCOL);
}

/* The peer may have met `text` before us; what is secret it shall not be able to ask. */
static void test_secrets_are_kept_in_no_slot(void **state)
{
    static struct link_dict dict;
    static const char *const name[] = {"authorization", "cookie", "set-cookie"};
    char out[512];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        struct headers h = {.count = 0};
        struct mux_head head = {.status = 200, .headers = &h, .content_length = -1};
        assert_int_equal(headers_add(&h, span_str(name[i]), SPAN_LIT("secret")), ERR_OK);
        size_t first = link_head_write(&dict, LINK_HEAD_RESPONSE, &head, out);
        for (unsigned k = 0; k < 5; k++)
            assert_int_equal(link_head_write(&dict, LINK_HEAD_RESPONSE, &head, out), first);
        assert_true(first <= link_head_bound(&head));
    }
}

/* Which streams' frames of DATA there are in `wire`, as the last byte of their ids' places. */
static size_t data_frames(struct support_link *e, char *place, size_t cap)
{
    static uint8_t bytes[1 << 18];
    size_t len = iobuf_peek(&e->wire, bytes, sizeof bytes), count = 0;
    for (size_t at = 0; at + LINK_FRAME_HEAD_BYTES <= len && count + 1 < cap;) {
        size_t payload = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        if ((bytes[at + 3] & 0x0f) == LINK_DATA) place[count++] = (char)('a' + bytes[at + 7]);
        at += LINK_FRAME_HEAD_BYTES + payload;
    }
    place[count] = '\0';
    iobuf_clear(&e->wire);
    return count;
}

static void test_a_body_goes_on_until_its_turn_is_over(void **state)
{
    static const char block[LINK_DATA_BYTES_MAX];
    struct iobuf body[2];
    char place[32];
    (void)state;
    struct support_link *e = support_link_new(false);
    assert_int_equal(
        support_link_feed(e, SPAN_LIT("\0\0\x0a\0\0\0\0\0\0\x04\0\x08\0\0\0\x10\0\0"), 1000),
        ERR_OK);
    for (size_t i = 0; i < 2; i++) {
        struct headers none = {.count = 0};
        struct mux_head head = {.method = SPAN_LIT("POST"),
                                .scheme = SPAN_LIT("http"),
                                .authority = SPAN_LIT("a"),
                                .path = SPAN_LIT("/"),
                                .headers = &none,
                                .content_length = -1};
        iobuf_init(&body[i], &e->pool);
        for (unsigned k = 0; k < 6; k++)
            assert_int_equal(iobuf_append(&body[i], block, sizeof block), ERR_OK);
        e->stream[i] = (struct mux_stream){.arena = &e->arena,
                                           .fields = &e->fields,
                                           .out = &body[i],
                                           .out_ended = true,
                                           .owner = e};
        assert_int_equal(mux_request(e->mux, &e->stream[i], &head, true), ERR_OK);
    }
    while (mux_wants_write(e->mux))
        assert_int_equal(mux_pull(e->mux, 1u << 18), ERR_OK);
    (void)data_frames(e, place, sizeof place);
    assert_string_equal(place, "aaaabbbbaabb");
    support_link_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_comes_before_hello),
        cmocka_unit_test(test_floods_end_the_connection),
        cmocka_unit_test(test_resets_and_refusals_that_nobody_reads_are_bounded),
        cmocka_unit_test(test_windows_that_are_passed_end_the_connection),
        cmocka_unit_test(test_late_frames_of_a_place_taken_again_are_dropped),
        cmocka_unit_test(test_slots_that_swell_a_head_are_cut),
        cmocka_unit_test(test_an_idle_link_holds_little),
        cmocka_unit_test(test_every_numbered_name_is_found),
        cmocka_unit_test(test_secrets_are_kept_in_no_slot),
        cmocka_unit_test(test_a_body_goes_on_until_its_turn_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
