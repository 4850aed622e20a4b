#include "gossip/self.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

static void upsert(struct lab *lab, const char *body)
{
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_str(body)};
    assert_int_equal(lab_step(lab, &e), ERR_OK);
}

static void test_a_new_body_is_signed_as_a_new_version_and_spread(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    uint64_t before = lab.g->self.member->head->version;
    upsert(&lab, "web up");
    assert_int_equal(lab.g->self.member->head->version, before + 1);
    lab_run(&lab, 300, ALL);
    const struct message *m = lab_last(&lab, LAB_ANYONE, MESSAGE_RECORD);
    assert_non_null(m);
    assert_int_equal(m->offer.head.version, before + 1);
    assert_non_null(m->offer.body.p);
    lab_fini(&lab);
}

static void test_the_same_body_again_is_no_news(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    upsert(&lab, "web up");
    uint64_t version = lab.g->self.member->head->version;
    upsert(&lab, "web up");
    assert_int_equal(lab.g->self.member->head->version, version);
    lab_fini(&lab);
}

static void test_a_flapping_body_is_published_once_a_second_and_the_last_one_wins(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    uint64_t before = lab.g->self.member->head->version;
    for (int i = 0; i < 100; i++)
        upsert(&lab, i % 2 == 0 ? "up" : "down");
    upsert(&lab, "settled");
    assert_int_equal(lab.g->self.member->head->version, before + 5);
    lab_run(&lab, 1100, ALL);
    assert_int_equal(lab.g->self.member->head->version, before + 6);
    assert_true(span_eq_str(gossip_member_body(lab.g, &lab.peer[0].persona.id), "settled"));
    lab_fini(&lab);
}

static void test_oversized_record_refused(void **state)
{
    (void)state;
    static const char big[STATUS_ENVELOPE_MAX + 1];
    struct lab lab;
    lab_init(&lab, 1);
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_of(big, sizeof(big))};
    assert_int_equal(lab_step(&lab, &e), ERR_TOO_LARGE);
    e.data.len--;
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    lab_fini(&lab);
}

static void test_an_accusation_of_us_is_refuted_and_the_accuser_told_at_once(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    struct message m = {.kind = MESSAGE_ACCUSED, .accusation = lab_accuse(&lab, 0, 2)};
    lab_say(&lab, 2, &m);
    assert_int_equal(lab.g->self.member->head->inc, 1);
    assert_int_equal(lab.g->counters.refutations, 1);
    const struct message *told = lab_last(&lab, 2, MESSAGE_RECORD);
    assert_non_null(told);
    assert_int_equal(told->offer.head.inc, 1);
    assert_true(
        head_verify(fake_crypto_ops(), lab.peer[0].persona.fake.public_key, &told->offer.head));
    lab_fini(&lab);
}

static void test_an_old_accusation_of_us_is_answered_but_raises_nothing(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    struct message m = {.kind = MESSAGE_ACCUSED, .accusation = lab_accuse(&lab, 0, 2)};
    lab_say(&lab, 2, &m);
    lab_say(&lab, 3, &m);
    assert_int_equal(lab.g->self.member->head->inc, 1);
    assert_int_equal(lab_last(&lab, 3, MESSAGE_RECORD)->offer.head.inc, 1);
    lab_fini(&lab);
}

static void test_accusations_of_what_we_never_were_are_ignored(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    struct message m = {.kind = MESSAGE_ACCUSED, .accusation = lab_accuse(&lab, 0, 2)};
    m.accusation.inc = 7;
    lab_say(&lab, 2, &m);
    m.accusation.inc = 0;
    m.accusation.epoch++;
    lab_say(&lab, 2, &m);
    assert_int_equal(lab.g->self.member->head->inc, 0);
    lab_fini(&lab);
}

/* A member speaks for itself: it cannot make up accusers. */
static void test_a_charge_that_its_accuser_has_not_signed_is_ignored(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    struct message m = {.kind = MESSAGE_ACCUSED, .accusation = lab_accuse(&lab, 0, 3)};
    m.accusation.vote[0].sig[5] ^= 1;
    lab_say(&lab, 2, &m);
    m.accusation = lab_accuse(&lab, 0, 2);
    m.accusation.vote[0].accuser = lab.peer[3].persona.id;
    lab_say(&lab, 2, &m);
    assert_int_equal(lab.g->self.member->head->inc, 0);
    assert_int_equal(lab.g->counters.dropped_signature, 2);
    lab_fini(&lab);
}

/* Else one member could keep another's timeouts at nine times what they are. */
static void test_one_voice_is_refuted_but_does_not_make_us_doubt_our_health(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    uint32_t score = lab.g->awareness.score;
    struct message m = {.kind = MESSAGE_ACCUSED, .accusation = lab_accuse(&lab, 0, 2)};
    lab_say(&lab, 2, &m);
    assert_int_equal(lab.g->self.member->head->inc, 1);
    assert_int_equal(lab.g->awareness.score, score);
    m.accusation = lab_accuse(&lab, 0, 2);
    struct accusation second = lab_accuse(&lab, 0, 3);
    assert_true(accusation_add(&m.accusation, &second.vote[0]));
    lab_say(&lab, 2, &m);
    assert_int_equal(lab.g->self.member->head->inc, 2);
    assert_int_equal(lab.g->awareness.score, score + 1);
    lab_fini(&lab);
}

static void test_a_conflict_is_believed_when_a_second_member_says_so(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message m = {.kind = MESSAGE_CONFLICT};
    for (int i = 0; i < 10; i++)
        lab_say(&lab, 2, &m);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 0);
    lab_run(&lab, 70000, UINT32_MAX);
    lab_forget(&lab);
    lab_say(&lab, 3, &m); /* what the first one said is forgotten */
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 0);
    lab_say(&lab, 2, &m);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 1);
    lab_fini(&lab);
    lab_init(&lab, 1); /* who else could say so */
    lab_say(&lab, 1, &m);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 1);
    lab_fini(&lab);
}

static void test_refuting_is_rationed(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    for (uint32_t i = 0; i < 50; i++) {
        struct message m = {.kind = MESSAGE_ACCUSED, .accusation = lab_accuse(&lab, 0, 2)};
        lab_say(&lab, 2, &m);
    }
    assert_in_range(lab.g->self.member->head->inc, 5, 6);
    lab_fini(&lab);
}

static void test_leaving_is_told_to_several_at_once_and_is_not_refuted_after(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct gossip_event e = {.kind = GOSSIP_LEAVE};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    size_t told = lab_count(&lab, LAB_ANYONE, MESSAGE_RECORD);
    assert_in_range(told, 3, TUNING_LEAVE_FANOUT);
    assert_int_equal(lab_last(&lab, LAB_ANYONE, MESSAGE_RECORD)->offer.head.flags, HEAD_LEFT);
    struct message m = {.kind = MESSAGE_ACCUSED, .accusation = lab_accuse(&lab, 0, 2)};
    lab_say(&lab, 2, &m);
    assert_int_equal(lab.g->self.member->head->inc, 0);
    struct gossip_member self;
    assert_int_equal(gossip_member_get(lab.g, &lab.peer[0].persona.id, &self), ERR_OK);
    assert_int_equal(self.state, MEMBER_LEFT);
    lab_fini(&lab);
}

static void test_a_certificate_of_another_is_refused_and_our_own_renewed(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t cert[FAKE_ADMISSION_BYTES_MAX];
    struct name other = {"other"};
    lab_init(&lab, 2);
    struct gossip_event e = {.kind = GOSSIP_ADMISSION, .data = lab_offer(&lab, 1).admission};
    assert_int_equal(lab_step(&lab, &e), ERR_INVALID);
    size_t len =
        fake_crypto_admission(&lab.peer[0].persona.fake, &other, lab.issuer.public_key, cert);
    e.data = span_of(cert, len);
    assert_int_equal(lab_step(&lab, &e), ERR_INVALID);
    uint64_t before = lab.g->self.member->head->version;
    e.data = lab_offer(&lab, 0).admission;
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_int_equal(lab.g->self.member->head->version, before + 1);
    lab_fini(&lab);
}

/* Each time costs every node a rumour: the first once it is known, then more and more rarely. */
static void test_a_place_that_never_rests_is_said_ever_more_rarely(void **state)
{
    (void)state;
    struct lab lab;
    uint64_t said[4] = {0}, version = 0;
    lab_init(&lab, 3);
    lab_run(&lab, 1000, ALL);
    lab.g->space.own.error = 0.1f;
    version = lab.g->self.member->head->version;
    uint64_t start = lab.now_ms;
    for (uint32_t n = 0; n < 4;) {
        lab.g->space.own.axis[0] += 50.0f;
        self_place(lab.g);
        lab.now_ms += 1000;
        struct gossip_event e = {.kind = GOSSIP_TICK};
        (void)lab_step(&lab, &e);
        if (lab.g->self.member->head->version == version) continue;
        version = lab.g->self.member->head->version;
        said[n++] = lab.now_ms - start;
        assert_true(lab.now_ms - start < 3600000);
    }
    assert_in_range(said[0], 30000, 45000);
    assert_in_range(said[1] - said[0], 100000, 140000);
    assert_in_range(said[3] - said[2], 460000, 500000);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_body_is_signed_as_a_new_version_and_spread),
        cmocka_unit_test(test_the_same_body_again_is_no_news),
        cmocka_unit_test(test_a_place_that_never_rests_is_said_ever_more_rarely),
        cmocka_unit_test(test_a_flapping_body_is_published_once_a_second_and_the_last_one_wins),
        cmocka_unit_test(test_oversized_record_refused),
        cmocka_unit_test(test_an_accusation_of_us_is_refuted_and_the_accuser_told_at_once),
        cmocka_unit_test(test_an_old_accusation_of_us_is_answered_but_raises_nothing),
        cmocka_unit_test(test_accusations_of_what_we_never_were_are_ignored),
        cmocka_unit_test(test_a_charge_that_its_accuser_has_not_signed_is_ignored),
        cmocka_unit_test(test_one_voice_is_refuted_but_does_not_make_us_doubt_our_health),
        cmocka_unit_test(test_a_conflict_is_believed_when_a_second_member_says_so),
        cmocka_unit_test(test_refuting_is_rationed),
        cmocka_unit_test(test_leaving_is_told_to_several_at_once_and_is_not_refuted_after),
        cmocka_unit_test(test_a_certificate_of_another_is_refused_and_our_own_renewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
