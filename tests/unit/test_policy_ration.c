/* Members that ask for mesh policy too often, or hint at what does not exist. */
#include "tests/unit/support_siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BAD 3u /* the peer */

#define LONG_TEXT 400000u
#define STREAM(n) (STREAM_INBOUND_BIT | (n))

/* The machine has a generation with a text so long that two answers with it are a burst. */
static struct manifest_hash give_long_text(struct siege *s)
{
    struct operators_signed m;
    char *text = malloc(LONG_TEXT);
    assert_non_null(text);
    memset(text, '#', LONG_TEXT);
    struct operators_order o = support_siege_order(s, 0, "");
    o.text = span_of(text, LONG_TEXT);
    operators_policy(&s->operators, &o, &m);
    assert_int_equal(support_siege_intend(s, &m, o.text), ERR_OK);
    struct manifest_hash hash = sign_manifest_hash(o.text);
    free(text);
    lab_forget(&s->lab);
    return hash;
}

static void bind(struct siege *s, uint32_t stream, uint32_t peer)
{
    struct sync_message m = {.kind = SYNC_HELLO, .offer = lab_offer(&s->lab, peer)};
    lab_stream_opened(&s->lab, stream, true, peer);
    lab_stream_data(&s->lab, stream, &m);
}

/* Asks for the text with that hash; NULL: for manifests alone. */
static void ask(struct siege *s, uint32_t stream, const struct manifest_hash *text)
{
    struct sync_message m = {.kind = SYNC_POLICY_ASK, .root = s->root.ref, .head = s->first.ref};
    if (text != NULL) m.bytes = span_of(text->byte, sizeof(text->byte));
    lab_stream_data(&s->lab, stream, &m);
}

static size_t answers(const struct siege *s, uint32_t stream)
{
    size_t n = 0;
    for (size_t i = 0; i < s->lab.effect_count; i++)
        n += s->lab.effect[i].kind == GOSSIP_STREAM_SEND && s->lab.effect[i].stream == stream;
    return n;
}

static void test_answers_are_rationed_and_what_waits_is_answered_later(void **state)
{
    (void)state;
    struct siege s;
    support_siege_init(&s);
    struct manifest_hash text = give_long_text(&s);
    bind(&s, STREAM(1), BAD);
    bind(&s, STREAM(2), 1);
    lab_forget(&s.lab);
    ask(&s, STREAM(1), &text);
    ask(&s, STREAM(1), &text);
    size_t before = answers(&s, STREAM(1));
    ask(&s, STREAM(1), &text);
    ask(&s, STREAM(2), &text);
    assert_int_equal(answers(&s, STREAM(1)), before);
    assert_int_equal(answers(&s, STREAM(2)), 0);
    struct bucket *sync = &s.lab.g->sync.bytes;
    assert_true(bucket_take(sync, s.lab.now_ms, SYNC_BURST_BYTES, 0)); /* untouched by it */
    lab_run(&s.lab, 1000, ~0u);
    assert_int_equal(answers(&s, STREAM(1)), before + 1);
    assert_true(answers(&s, STREAM(2)) > 0);
    assert_true(s.lab.stream_len > LONG_TEXT);
    support_siege_fini(&s);
}

static void test_who_asks_again_before_its_answer_is_cut_off(void **state)
{
    (void)state;
    struct siege s;
    support_siege_init(&s);
    struct manifest_hash text = give_long_text(&s);
    bind(&s, STREAM(1), BAD);
    for (uint32_t i = 0; i < 4; i++)
        ask(&s, STREAM(1), &text);
    assert_int_equal(lab_effects(&s.lab, GOSSIP_STREAM_CLOSE), 1);
    assert_int_equal(s.lab.g->counters.dropped_quota, 1);
    support_siege_fini(&s);
}

/* Small answers are soon paid for; a large one must not wait for them without end. */
static void test_one_that_asks_for_little_and_often_delays_nobody_for_long(void **state)
{
    (void)state;
    struct siege s;
    support_siege_init(&s);
    struct manifest_hash text = give_long_text(&s);
    bind(&s, STREAM(1), BAD);
    bind(&s, STREAM(2), 1);
    ask(&s, STREAM(1), &text);
    ask(&s, STREAM(1), &text);
    ask(&s, STREAM(1), NULL);
    lab_forget(&s.lab);
    for (uint32_t i = 0; i < 1000; i++) {
        size_t had = answers(&s, STREAM(1));
        if (i == 5) ask(&s, STREAM(2), &text);
        lab_run(&s.lab, 1, ~0u);
        if (i == 0 || answers(&s, STREAM(1)) > had) ask(&s, STREAM(1), NULL);
        if (answers(&s, STREAM(2)) > 0) break;
        lab_forget(&s.lab);
    }
    assert_true(answers(&s, STREAM(2)) > 0);
    support_siege_fini(&s);
}

static void hint(struct siege *s, uint32_t peer, uint64_t gen)
{
    struct message m = {
        .kind = MESSAGE_POLICY_HEAD, .scope = MANIFEST_POLICY, .ref = {.gen = gen, .hash = {{9}}}};
    lab_say(&s->lab, peer, &m);
}

/* Nobody has what it speaks of, so that each pull is in vain. */
static void test_hints_at_nothing_do_not_put_off_the_hints_of_others(void **state)
{
    (void)state;
    struct siege s;
    support_siege_init(&s);
    for (uint64_t i = 0; i < 20; i++) {
        hint(&s, BAD, 1000 + i);
        lab_run(&s.lab, 1000, ~0u);
        const struct gossip_effect *open = lab_effect(&s.lab, GOSSIP_STREAM_OPEN);
        if (open == NULL) continue;
        struct gossip_event closed = {
            .kind = GOSSIP_STREAM_CLOSED, .stream = open->stream, .err = ERR_REFUSED};
        lab_forget(&s.lab);
        assert_int_equal(lab_step(&s.lab, &closed), ERR_OK);
    }
    lab_forget(&s.lab);
    hint(&s, 1, 2);
    lab_run(&s.lab, 600, ~0u); /* one of its bucket's tokens */
    const struct gossip_effect *open = lab_effect(&s.lab, GOSSIP_STREAM_OPEN);
    assert_non_null(open);
    assert_string_equal(open->peer_name.text, "n1");
    support_siege_fini(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_rationed_and_what_waits_is_answered_later),
        cmocka_unit_test(test_who_asks_again_before_its_answer_is_cut_off),
        cmocka_unit_test(test_one_that_asks_for_little_and_often_delays_nobody_for_long),
        cmocka_unit_test(test_hints_at_nothing_do_not_put_off_the_hints_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
