/* Join tokens as text: they survive the round trip, and a damaged one says how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/daemon/token.h"

static struct token sample(size_t seeds)
{
    struct token t = {.id = 0x1f2e3d4c, .expires_s = 1795000020, .seed_count = seeds};
    memset(t.secret, 0xa5, sizeof t.secret);
    memset(t.ca_pin, 0x5a, sizeof t.ca_pin);
    for (size_t i = 0; i < seeds; i++)
        assert_int_equal(
            addr_parse(span_str(i == 1 ? "[fd00::7]:7400" : "10.0.0.1:7400"), 0, &t.seed[i]),
            ERR_OK);
    return t;
}

static void test_round_trip_keeps_everything(void **state)
{
    (void)state;
    for (size_t seeds = 1; seeds <= TOKEN_SEEDS_MAX; seeds++) {
        struct token t = sample(seeds), back;
        char text[TOKEN_TEXT_MAX];
        assert_int_equal(token_format(&t, text), ERR_OK);
        if (seeds == 1) assert_true(strlen(text) <= 100);
        assert_int_equal(token_parse(span_str(text), &back), ERR_OK);
        assert_int_equal(back.id, t.id);
        assert_memory_equal(back.secret, t.secret, sizeof t.secret);
        assert_memory_equal(back.ca_pin, t.ca_pin, sizeof t.ca_pin);
        assert_int_equal(back.expires_s, t.expires_s);
        assert_int_equal(back.seed_count, seeds);
        for (size_t i = 0; i < seeds; i++)
            assert_true(addr_eq(&back.seed[i], &t.seed[i]));
    }
}

static void test_every_cut_is_called_cut(void **state)
{
    (void)state;
    struct token t = sample(2), back;
    char text[TOKEN_TEXT_MAX];
    assert_int_equal(token_format(&t, text), ERR_OK);
    /* The last digit carries padding bits only when the bytes end inside it; leave that one out. */
    for (size_t len = 1; len + 2 < strlen(text); len++)
        assert_int_equal(token_parse(span_of(text, len), &back), ERR_MORE);
}

static void test_every_changed_character_is_refused(void **state)
{
    (void)state;
    struct token t = sample(1), back;
    char text[TOKEN_TEXT_MAX];
    assert_int_equal(token_format(&t, text), ERR_OK);
    size_t len = strlen(text);
    for (size_t i = 0; i + 1 < len; i++) {
        char kept = text[i];
        if (kept == '-') continue;
        text[i] = kept == '7' ? '3' : '7';
        assert_int_not_equal(token_parse(span_str(text), &back), ERR_OK);
        text[i] = '!';
        assert_int_not_equal(token_parse(span_str(text), &back), ERR_OK);
        text[i] = kept;
    }
    assert_int_equal(token_parse(span_str(text), &back), ERR_OK);
}

static void test_nonsense_and_later_versions_have_their_own_words(void **state)
{
    (void)state;
    struct token back;
    assert_int_equal(token_parse(SPAN_LIT(""), &back), ERR_INVALID);
    assert_int_equal(token_parse(SPAN_LIT("hello world"), &back), ERR_INVALID);
    assert_int_equal(token_parse(SPAN_LIT("pj2_abcdef"), &back), ERR_UNSUPPORTED);
    assert_int_equal(token_parse(SPAN_LIT("pj1_uuuu"), &back), ERR_INVALID);
}

static void test_white_space_and_case_do_not_matter(void **state)
{
    (void)state;
    struct token t = sample(1), back;
    char text[TOKEN_TEXT_MAX], padded[TOKEN_TEXT_MAX + 8];
    assert_int_equal(token_format(&t, text), ERR_OK);
    snprintf(padded, sizeof padded, " \t%s\r\n", text);
    assert_int_equal(token_parse(span_str(padded), &back), ERR_OK);
}

static void test_a_token_without_a_seed_is_not_made(void **state)
{
    (void)state;
    struct token t = sample(1);
    char text[TOKEN_TEXT_MAX];
    t.seed_count = 0;
    assert_int_equal(token_format(&t, text), ERR_RANGE);
    t.seed_count = TOKEN_SEEDS_MAX + 1;
    assert_int_equal(token_format(&t, text), ERR_RANGE);
}

static void test_ids_read_back(void **state)
{
    (void)state;
    char text[TOKEN_ID_TEXT_MAX];
    uint32_t id;
    assert_string_equal(token_id_format(0x00ab12cd, text), "tk_00ab12cd");
    assert_int_equal(token_id_parse(span_str(text), &id), ERR_OK);
    assert_int_equal(id, 0x00ab12cd);
    assert_int_equal(token_id_parse(SPAN_LIT("../../etc"), &id), ERR_INVALID);
    assert_int_equal(token_id_parse(SPAN_LIT("tk_xyz"), &id), ERR_INVALID);
}

static void test_mac_binds_key_and_request(void **state)
{
    (void)state;
    struct token t = sample(1);
    uint8_t key[TOKEN_KEY_BYTES], mac[TOKEN_MAC_BYTES];
    token_key(t.secret, key);
    token_mac(key, SPAN_LIT("request"), mac);
    assert_true(token_mac_verify(key, SPAN_LIT("request"), mac));
    assert_false(token_mac_verify(key, SPAN_LIT("requesT"), mac));
    mac[31] ^= 1;
    assert_false(token_mac_verify(key, SPAN_LIT("request"), mac));
    mac[31] ^= 1;
    key[0] ^= 1;
    assert_false(token_mac_verify(key, SPAN_LIT("request"), mac));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_keeps_everything),
        cmocka_unit_test(test_every_cut_is_called_cut),
        cmocka_unit_test(test_every_changed_character_is_refused),
        cmocka_unit_test(test_nonsense_and_later_versions_have_their_own_words),
        cmocka_unit_test(test_white_space_and_case_do_not_matter),
        cmocka_unit_test(test_a_token_without_a_seed_is_not_made),
        cmocka_unit_test(test_ids_read_back),
        cmocka_unit_test(test_mac_binds_key_and_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
