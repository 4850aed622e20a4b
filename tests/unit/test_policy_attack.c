/* A member with valid keys of its own, and nobody else's, against mesh policy. */
#include "tests/unit/support_siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BAD 3u /* the peer */

static void test_who_is_no_operator_signs_nothing(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    struct operators_order o =
        support_siege_order(&s, OPERATORS - 1, "# mine"); /* not in this root */
    operators_policy(&s.operators, &o, &m);
    support_siege_say(&s, BAD, &m, "# mine");
    support_siege_expect(&s, POLICY_UNKNOWN_SIGNER, 1);
    const struct gossip_effect *e = lab_effect(&s.lab, GOSSIP_POLICY_REFUSED);
    assert_non_null(e);
    assert_memory_equal(e->node.byte, s.lab.peer[BAD].persona.id.byte, NODE_ID_BYTES);
    support_siege_fini(&s);
}

/* An operator of two meshes signs with one key; what is said in one is replayed in the other. */
static void test_what_is_signed_for_another_mesh_is_refused(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    struct persona_issuer elsewhere = s.lab.issuer;
    elsewhere.mesh.byte[0] ^= 1;
    struct operators operators = s.operators;
    operators.issuer = &elsewhere;
    struct operators_order o = support_siege_order(&s, 0, "# elsewhere");
    operators_policy(&operators, &o, &m);
    support_siege_say(&s, BAD, &m, "# elsewhere");
    support_siege_expect(&s, POLICY_WRONG_SIGNATURE, 1);
    struct operators_order root = {
        .gen = 2, .root_gen = 1, .parent = s.root.ref.hash, .by = 0, .count = 1};
    operators_root(&operators, &root, &m);
    support_siege_say(&s, BAD, &m, NULL);
    support_siege_expect(&s, POLICY_WRONG_SIGNATURE, 2);
    struct manifest_ref newest = gossip_policy_head(s.lab.g, MANIFEST_ROOT);
    assert_true(manifest_ref_eq(&newest, &s.root.ref));
    uint8_t confirm[PACK_MANIFEST_CONFIRM_BYTES];
    operators_confirm(&operators, 0, &s.first.ref, LAB_WALL_MS, confirm);
    struct message msg = {.kind = MESSAGE_POLICY_CONFIRM,
                          .policy = span_of(confirm, sizeof(confirm))};
    lab_say(&s.lab, BAD, &msg);
    support_siege_expect(&s, POLICY_WRONG_SIGNATURE, 3);
    operators_confirm(&s.operators, 0, &s.first.ref, LAB_WALL_MS, confirm);
    lab_say(&s.lab, BAD, &msg);
    support_siege_expect(&s, POLICY_WRONG_SIGNATURE, 3);
    assert_true(policy_find(&s.lab.g->policy, &s.first.ref.hash)->confirmed);
    support_siege_fini(&s);
}

/* A branch of roots, each on top of the one before. */
struct branch {
    struct operators_signed root[3];
    uint32_t count;
};

static void grow(const struct siege *s, struct branch *b, uint32_t by, uint32_t left_out)
{
    const struct operators_signed *after = b->count > 0 ? &b->root[b->count - 1] : &s->root;
    struct operators_order o = {.gen = after->ref.gen + 1,
                                .root_gen = after->ref.gen,
                                .parent = after->ref.hash,
                                .wall_ms = (int64_t)b->count + by,
                                .by = by,
                                .count = OPERATORS - 1,
                                .left_out = left_out};
    assert_true(b->count < 3);
    operators_root(&s->operators, &o, &b->root[b->count++]);
}

/* The machine asks that peer for all it has, and gets the branch. */
static void pull(struct siege *s, uint32_t peer, const struct branch *b)
{
    uint8_t bytes[4 * MANIFEST_BYTES_MAX];
    struct sync_message m = {.kind = SYNC_POLICY_HAVE, .last = true};
    struct pack_writer w;
    lab_run(&s->lab, 10000, ~0u);
    lab_forget(&s->lab);
    policy_news_lack(s->lab.g, lab_member(&s->lab, peer));
    lab_run(&s->lab, 1500, ~0u);
    const struct gossip_effect *e = lab_effect(&s->lab, GOSSIP_STREAM_OPEN);
    assert_non_null(e);
    uint32_t stream = e->stream;
    for (uint32_t i = 0; i < b->count; i++)
        m.item[m.item_count++] = span_of(b->root[i].bytes, b->root[i].len);
    pack_writer_init(&w, bytes, sizeof(bytes));
    sync_message_write(&w, &m);
    assert_true(pack_writer_ok(&w));
    lab_stream_opened(&s->lab, stream, false, peer);
    struct sync_message hello = {.kind = SYNC_HELLO, .offer = lab_offer(&s->lab, peer)};
    lab_stream_data(&s->lab, stream, &hello);
    lab_stream_bytes(&s->lab, stream, pack_writer_view(&w));
    struct gossip_event closed = {.kind = GOSSIP_STREAM_CLOSED, .stream = stream};
    assert_int_equal(lab_step(&s->lab, &closed), ERR_OK);
}

static void expect_tip(struct siege *s, const struct branch *b)
{
    struct manifest_ref newest = gossip_policy_head(s->lab.g, MANIFEST_ROOT);
    assert_true(manifest_ref_eq(&newest, &b->root[b->count - 1].ref));
}

/* `stays` is what is left of the two, whichever is met first; and neither comes back. */
static void expect_of(const struct branch *stays, const struct branch *goes)
{
    for (unsigned first = 0; first < 2; first++) {
        struct siege s;
        support_siege_init(&s);
        pull(&s, 1, first == 0 ? stays : goes);
        expect_tip(&s, first == 0 ? stays : goes);
        pull(&s, 2, first == 0 ? goes : stays);
        expect_tip(&s, stays);
        pull(&s, BAD, goes);
        for (uint32_t i = 0; i < goes->count; i++)
            support_siege_say(&s, BAD, &goes->root[i], NULL);
        expect_tip(&s, stays);
        support_siege_fini(&s);
    }
}

/* Operator 2 signed an old root, and was removed two generations later. It signs another one in
 * place of that, many times until the hash is low. */
static void test_who_was_removed_does_not_replace_an_old_root_of_theirs(void **state)
{
    (void)state;
    struct siege s;
    struct branch ours = {.count = 0}, fork = {.count = 0};
    support_siege_init(&s);
    grow(&s, &ours, 2, 2);
    grow(&s, &ours, 2, 0);
    grow(&s, &ours, 0, 3);
    for (uint32_t i = 0; i < 64; i++) {
        struct operators_order o = {.gen = 2,
                                    .root_gen = 1,
                                    .parent = s.root.ref.hash,
                                    .wall_ms = 1000 + i,
                                    .by = 2,
                                    .count = OPERATORS - 1};
        operators_root(&s.operators, &o, &fork.root[0]);
        if (manifest_hash_cmp(&fork.root[0].ref.hash, &ours.root[0].ref.hash) < 0) break;
    }
    assert_true(manifest_hash_cmp(&fork.root[0].ref.hash, &ours.root[0].ref.hash) < 0);
    fork.count = 1;
    for (uint32_t i = 0; i < ours.count; i++)
        assert_int_equal(support_siege_intend(&s, &ours.root[i], span_of(NULL, 0)), ERR_OK);
    support_siege_say(&s, BAD, &fork.root[0], NULL);
    expect_tip(&s, &ours);
    support_siege_fini(&s);
    expect_of(&ours, &fork);
}

/* Nor by putting themselves first in a list of their own, and signing more. */
static void test_nobody_becomes_senior_by_removing_who_was(void **state)
{
    (void)state;
    struct siege s;
    struct branch ours = {.count = 0}, fork = {.count = 0};
    support_siege_init(&s);
    grow(&s, &ours, 2, 0);
    grow(&s, &ours, 0, 3);
    grow(&s, &fork, 2, 1);
    grow(&s, &fork, 2, 1);
    grow(&s, &fork, 2, 1);
    support_siege_fini(&s);
    expect_of(&ours, &fork);
}

static void test_a_senior_fork_takes_the_place_of_a_juniors_roots(void **state)
{
    (void)state;
    struct siege s;
    struct branch junior = {.count = 0}, senior = {.count = 0};
    support_siege_init(&s);
    grow(&s, &junior, 2, 1);
    grow(&s, &junior, 4, 1);
    grow(&s, &senior, 0, 3);
    for (uint32_t i = 0; i < junior.count; i++)
        assert_int_equal(support_siege_intend(&s, &junior.root[i], span_of(NULL, 0)), ERR_OK);
    assert_int_equal(support_siege_intend(&s, &senior.root[0], span_of(NULL, 0)), ERR_OK);
    expect_tip(&s, &senior);
    support_siege_fini(&s);
    expect_of(&senior, &junior);
}

/* Still an operator, and as senior as any: history is not rewritten by it. */
static void test_of_one_signers_branches_the_longer_stays(void **state)
{
    (void)state;
    struct siege s;
    struct branch ours = {.count = 0}, fork = {.count = 0}, equal = {.count = 0};
    support_siege_init(&s);
    grow(&s, &ours, 0, 5);
    grow(&s, &ours, 0, 0);
    grow(&s, &fork, 0, 4);
    for (uint32_t i = 0; i < ours.count; i++)
        assert_int_equal(support_siege_intend(&s, &ours.root[i], span_of(NULL, 0)), ERR_OK);
    assert_int_equal(support_siege_intend(&s, &fork.root[0], span_of(NULL, 0)), ERR_MISMATCH);
    assert_int_equal(gossip_policy_intent_refusal(s.lab.g), POLICY_NOT_HEAD);
    grow(&s, &equal, 0, 3);
    grow(&s, &equal, 0, 0);
    support_siege_fini(&s);
    expect_of(&ours, &fork);
    bool lower = manifest_hash_cmp(&equal.root[0].ref.hash, &ours.root[0].ref.hash) < 0;
    expect_of(lower ? &equal : &ours, lower ? &ours : &equal);
}

static void test_every_changed_byte_is_refused(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m, bad;
    support_siege_init(&s);
    struct operators_order o = support_siege_order(&s, 0, "# two");
    operators_policy(&s.operators, &o, &m);
    for (size_t i = 0; i < m.len; i++) {
        bad = m;
        bad.bytes[i] ^= 0x01;
        support_siege_say(&s, BAD, &bad, "# two");
        struct manifest_ref now = support_siege_head(&s);
        assert_true(manifest_ref_eq(&now, &s.first.ref));
        if (i % 100 == 99) lab_run(&s.lab, 1000, ~0u); /* its ration of signatures */
    }
    support_siege_say(&s, 1, &m, "# two");
    struct manifest_ref now = support_siege_head(&s);
    assert_true(manifest_ref_eq(&now, &m.ref));
    support_siege_fini(&s);
}

static void test_an_old_head_said_again_changes_nothing(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    struct operators_order o = support_siege_order(&s, 0, "# two");
    operators_policy(&s.operators, &o, &m);
    support_siege_say(&s, 1, &m, "# two");
    for (uint32_t i = 0; i < 100; i++) {
        support_siege_say(&s, BAD, &s.first, "# one");
        support_siege_say(&s, BAD, &s.root, NULL);
    }
    struct manifest_ref now = support_siege_head(&s);
    assert_true(manifest_ref_eq(&now, &m.ref));
    assert_int_equal(gossip_policy_refusals(s.lab.g, POLICY_KNOWN), 300); /* and the text */
    support_siege_fini(&s);
}

static void test_the_future_waits_until_it_is_plausible(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    struct operators_order o = support_siege_order(&s, 0, "# soon");
    o.wall_ms += 90000;
    operators_policy(&s.operators, &o, &m);
    support_siege_say(&s, 1, &m, "# soon");
    support_siege_expect(&s, POLICY_FROM_THE_FUTURE, 1);
    lab_run(&s.lab, 40000, ~0u);
    struct message text = {.kind = MESSAGE_POLICY, .policy = span_of(m.bytes, m.len)};
    text.text[text.text_count++] = SPAN_LIT("# soon");
    lab_say(&s.lab, 1, &text);
    struct manifest_ref now = support_siege_head(&s);
    assert_true(manifest_ref_eq(&now, &m.ref));
    support_siege_fini(&s);
}

/* A generation out of nowhere is kept, but is no head until what led to it is known. */
static void test_a_huge_generation_does_not_become_the_head(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    struct operators_order o = support_siege_order(&s, 1, "# far");
    o.gen = UINT64_MAX;
    memset(o.parent.byte, 7, sizeof(o.parent.byte));
    operators_policy(&s.operators, &o, &m);
    support_siege_say(&s, BAD, &m, "# far");
    support_siege_expect(&s, POLICY_WRONG_GENERATION, 0);
    o.parent = s.first.ref.hash; /* and on a parent that is known, it is refused */
    operators_policy(&s.operators, &o, &m);
    support_siege_say(&s, BAD, &m, "# far");
    support_siege_expect(&s, POLICY_WRONG_GENERATION, 1);
    support_siege_fini(&s);
}

static void test_texts_that_nobody_names_are_not_kept(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    struct operators_order o = support_siege_order(&s, 0, "# right");
    operators_policy(&s.operators, &o, &m);
    size_t before = s.lab.g->policy.texts.count;
    for (uint32_t i = 0; i < 50; i++)
        support_siege_say(&s, BAD, &m, "# wrong");
    support_siege_expect(&s, POLICY_TEXT_MISMATCH, 50);
    assert_int_equal(s.lab.g->policy.texts.count, before);
    support_siege_say(&s, 1, &m, "# right");
    struct manifest_ref now = support_siege_head(&s);
    assert_true(manifest_ref_eq(&now, &m.ref));
    support_siege_fini(&s);
}

/* Signed under a root that is not there: one place for each sender, for a while. */
static void test_what_cannot_be_judged_takes_one_place(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    char text[32];
    support_siege_init(&s);
    for (uint32_t i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof(text), "# flood %u", i);
        struct operators_order o = support_siege_order(&s, 0, text);
        o.root_gen = 1000 + i;
        operators_policy(&s.operators, &o, &m);
        support_siege_say(&s, BAD, &m, NULL);
    }
    size_t pending = 0;
    for (size_t i = 0; i < POLICY_PENDING_MAX; i++)
        pending += s.lab.g->policy.pending[i].bytes != NULL;
    assert_int_equal(pending, 1);
    support_siege_expect(&s, POLICY_UNKNOWN_ROOT, 200);
    assert_true(lab_effects(&s.lab, GOSSIP_STREAM_OPEN) <= 1);
    lab_run(&s.lab, POLICY_PENDING_LIFE_MS + 2000, ~0u);
    assert_null(s.lab.g->policy.pending[0].bytes);
    support_siege_fini(&s);
}

static void test_siblings_are_bounded(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    char text[32];
    support_siege_init(&s);
    for (uint32_t i = 0; i < 4 * POLICY_HELD_MAX; i++) {
        (void)snprintf(text, sizeof(text), "# sibling %u", i);
        struct operators_order o = support_siege_order(&s, i % 5, text);
        operators_policy(&s.operators, &o, &m);
        support_siege_say(&s, 1 + i % 4, &m, text);
        lab_run(&s.lab, 10, ~0u);
    }
    assert_true(s.lab.g->policy.held_count <= POLICY_HELD_MAX);
    assert_true(s.lab.g->policy.texts.count <= POLICY_HELD_MAX);
    assert_int_equal(support_siege_head(&s).gen, 2);
    support_siege_fini(&s);
}

static void test_a_ballot_speaks_for_its_signer_alone(void **state)
{
    (void)state;
    struct siege s;
    support_siege_init(&s);
    struct rollout *r = &s.lab.g->policy.rollout;
    assert_int_equal(r->voter_count, 5);
    uint8_t before[5], after[5];
    for (uint32_t i = 0; i < 5; i++)
        before[i] = r->voter_of[i].state;
    for (uint32_t victim = 1; victim <= 4; victim++) {
        struct message m = {.kind = MESSAGE_BALLOT};
        memcpy(m.ballot, s.lab.peer[victim].persona.id.byte, 8);
        memcpy(m.ballot + 8, s.first.ref.hash.byte, STATUS_HASH_BYTES);
        m.ballot[16] = STATUS_REJECTED;
        memset(m.ballot + 17, 0x5a, SIGN_BYTES);
        lab_say(&s.lab, BAD, &m);
    }
    for (uint32_t i = 0; i < 5; i++)
        after[i] = r->voter_of[i].state;
    assert_memory_equal(after, before, sizeof(after));
    assert_int_equal(r->evidence_count, 0);
    assert_int_equal(gossip_counters(s.lab.g)->dropped_signature, 4);
    support_siege_fini(&s);
}

/* Of itself it may say what it likes: that stops a rollout, but no later one is stopped by it. */
static void test_one_refusal_stops_one_generation(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    struct lab_peer *p = &s.lab.peer[BAD];
    p->status.policy_gen = 1;
    memcpy(p->status.policy_hash, s.first.ref.hash.byte, STATUS_HASH_BYTES);
    p->status.state = STATUS_REJECTED;
    p->head.version++;
    lab_sign(&s.lab, BAD);
    struct offer o = lab_offer(&s.lab, BAD);
    lab_say_record(&s.lab, BAD, &o);
    struct status status;
    gossip_policy_status(s.lab.g, &status);
    assert_int_equal(status.state, STATUS_STOPPED);
    struct operators_order next = support_siege_order(&s, 0, "# again");
    operators_policy(&s.operators, &next, &m);
    assert_int_equal(support_siege_intend(&s, &m, next.text), ERR_OK);
    gossip_policy_status(s.lab.g, &status);
    assert_int_equal(status.state, STATUS_WAITING);
    support_siege_fini(&s);
}

/* gossip.md 3.3, memberlist #299: churn of members must not starve what operators say. */
static void test_policy_is_told_while_membership_churns(void **state)
{
    (void)state;
    struct siege s;
    struct operators_signed m;
    support_siege_init(&s);
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 1; i <= 4; i++) {
            s.lab.peer[i].head.epoch++;
            lab_sign(&s.lab, i);
            struct offer o = lab_offer(&s.lab, i);
            lab_say_record(&s.lab, i, &o);
        }
        if (round == 10) {
            struct operators_order next = support_siege_order(&s, 0, "# news");
            operators_policy(&s.operators, &next, &m);
            assert_int_equal(support_siege_intend(&s, &m, next.text), ERR_OK);
            lab_forget(&s.lab);
        }
        lab_run(&s.lab, 50, ~0u);
        if (round == 11) assert_true(lab_count(&s.lab, LAB_ANYONE, MESSAGE_POLICY) >= 3);
    }
    assert_true(lab_count(&s.lab, LAB_ANYONE, MESSAGE_POLICY) <=
                2 * tuning_retransmits(state_live(s.lab.g)));
    assert_true(lab_count(&s.lab, LAB_ANYONE, MESSAGE_RECORD) > 0);
    support_siege_fini(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_no_operator_signs_nothing),
        cmocka_unit_test(test_what_is_signed_for_another_mesh_is_refused),
        cmocka_unit_test(test_who_was_removed_does_not_replace_an_old_root_of_theirs),
        cmocka_unit_test(test_nobody_becomes_senior_by_removing_who_was),
        cmocka_unit_test(test_a_senior_fork_takes_the_place_of_a_juniors_roots),
        cmocka_unit_test(test_of_one_signers_branches_the_longer_stays),
        cmocka_unit_test(test_every_changed_byte_is_refused),
        cmocka_unit_test(test_an_old_head_said_again_changes_nothing),
        cmocka_unit_test(test_the_future_waits_until_it_is_plausible),
        cmocka_unit_test(test_a_huge_generation_does_not_become_the_head),
        cmocka_unit_test(test_texts_that_nobody_names_are_not_kept),
        cmocka_unit_test(test_what_cannot_be_judged_takes_one_place),
        cmocka_unit_test(test_siblings_are_bounded),
        cmocka_unit_test(test_a_ballot_speaks_for_its_signer_alone),
        cmocka_unit_test(test_one_refusal_stops_one_generation),
        cmocka_unit_test(test_policy_is_told_while_membership_churns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
