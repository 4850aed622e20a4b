#include "gossip/status.h"

#include "tests/unit/support_gossip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct status sample(void)
{
    struct status s = {.policy_gen = 9,
                       .policy_hash = {1, 2, 3, 4, 5, 6, 7, 8},
                       .state = STATUS_REJECTED,
                       .root_gen = 2,
                       .root_hash = {9},
                       .key_count = 2,
                       .key = {{1, 1, 1, 1}, {2, 2, 2, 2}}};
    status_set_reason(&s, SPAN_LIT("authz:3:1: unknown key"));
    return s;
}

static void test_both_parts_come_back_as_they_were(void **state)
{
    (void)state;
    uint8_t body[512];
    size_t len;
    struct status s = sample(), out;
    struct span driver, status;
    assert_int_equal(status_seal(SPAN_LIT("web"), &s, body, sizeof(body), &len), ERR_OK);
    assert_int_equal(status_open(span_of(body, len), &driver, &status), ERR_OK);
    assert_true(span_eq_str(driver, "web"));
    assert_int_equal(status_decode(status, &out), ERR_OK);
    assert_memory_equal(&out, &s, sizeof(s));
}

static void test_a_place_comes_back_and_one_of_a_later_form_is_left_out(void **state)
{
    (void)state;
    uint8_t body[512];
    size_t len;
    struct status s = sample(), out;
    struct span driver, status;
    s.placed = true;
    memset(s.place, 7, sizeof(s.place));
    assert_int_equal(status_seal(SPAN_LIT("web"), &s, body, sizeof(body), &len), ERR_OK);
    assert_int_equal(status_open(span_of(body, len), &driver, &status), ERR_OK);
    assert_int_equal(status_decode(status, &out), ERR_OK);
    assert_memory_equal(&out, &s, sizeof(s));
    /* The place is the last item: bin8, its length, its bytes. */
    char *longer = (char *)body + len;
    longer[0] = 0;
    body[status.p - (char *)body + (ptrdiff_t)status.len - COORDINATE_BYTES - 1] =
        COORDINATE_BYTES + 1;
    assert_int_equal(status_decode(span_of(status.p, status.len + 1), &out), ERR_OK);
    assert_false(out.placed);
    assert_int_equal(out.policy_gen, s.policy_gen);
}

static void test_nothing_to_say_takes_no_room(void **state)
{
    (void)state;
    uint8_t body[16];
    size_t len;
    struct status s = {0}, out = sample();
    struct span driver, status;
    assert_int_equal(status_seal(SPAN_LIT("web"), &s, body, sizeof(body), &len), ERR_OK);
    assert_int_equal(len, 1 + 2 + 3 + 2);
    assert_int_equal(status_open(span_of(body, len), &driver, &status), ERR_OK);
    assert_int_equal(status_decode(status, &out), ERR_OK);
    assert_memory_equal(&out, &s, sizeof(s));
}

static void test_the_longest_status_fits_its_bound(void **state)
{
    (void)state;
    uint8_t body[STATUS_BYTES_MAX + 16];
    size_t len;
    char reason[2 * STATUS_REASON_BYTES_MAX];
    memset(reason, 'r', sizeof(reason));
    struct status s = {.policy_gen = UINT64_MAX,
                       .state = STATUS_REVERTED,
                       .root_gen = UINT64_MAX,
                       .key_count = STATUS_KEYS_MAX};
    status_set_reason(&s, span_of(reason, sizeof(reason)));
    assert_int_equal(strlen(s.reason), STATUS_REASON_BYTES_MAX);
    assert_int_equal(status_seal(span_of("", 0), &s, body, sizeof(body), &len), ERR_OK);
}

static void test_every_prefix_is_refused(void **state)
{
    (void)state;
    uint8_t body[512];
    size_t len;
    struct status s = sample(), out;
    struct span driver, status, part;
    assert_int_equal(status_seal(SPAN_LIT("web"), &s, body, sizeof(body), &len), ERR_OK);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(status_open(span_of(body, n), &driver, &part), ERR_INVALID);
    assert_int_equal(status_open(span_of(body, len), &driver, &status), ERR_OK);
    for (size_t n = 1; n < status.len; n++) {
        assert_int_not_equal(status_decode(span_of(status.p, n), &out), ERR_OK);
        assert_int_equal(out.policy_gen, 0);
    }
}

static void test_a_reason_cannot_speak_to_a_terminal(void **state)
{
    (void)state;
    struct status s = {0};
    status_set_reason(&s, SPAN_LIT("\x1b[2J\xff ok"));
    assert_string_equal(s.reason, "?[2J? ok");
}

static void test_a_status_alone_is_no_new_record(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    lab_forget(&lab);
    lab.peer[1].status = sample();
    lab.peer[1].head.version++;
    lab_sign(&lab, 1);
    struct offer o = lab_offer(&lab, 1);
    lab_say_record(&lab, 1, &o);
    assert_int_equal(lab_effects(&lab, GOSSIP_STATUS_CHANGED), 1);
    assert_int_equal(lab_effects(&lab, GOSSIP_RECORD_CHANGED), 0);
    lab.peer[1].body = "moved";
    lab.peer[1].head.version++;
    lab_sign(&lab, 1);
    o = lab_offer(&lab, 1);
    lab_say_record(&lab, 1, &o);
    assert_int_equal(lab_effects(&lab, GOSSIP_RECORD_CHANGED), 1);
    lab_fini(&lab);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_parts_come_back_as_they_were),
        cmocka_unit_test(test_a_place_comes_back_and_one_of_a_later_form_is_left_out),
        cmocka_unit_test(test_nothing_to_say_takes_no_room),
        cmocka_unit_test(test_the_longest_status_fits_its_bound),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_a_reason_cannot_speak_to_a_terminal),
        cmocka_unit_test(test_a_status_alone_is_no_new_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
