#include "gossip/catalogue.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

static uint64_t dropped(const struct lab *lab)
{
    const struct gossip_counters *c = &lab->g->counters;
    return c->dropped_signature + c->dropped_address + c->dropped_epoch + c->dropped_quota;
}

static void test_a_stranger_with_certificate_and_signature_becomes_a_member(void **state)
{
    (void)state;
    struct lab lab;
    struct gossip_member m;
    lab_init(&lab, 2);
    struct offer o = lab_offer(&lab, 3);
    lab_say_record(&lab, 1, &o);
    assert_int_equal(gossip_member_get(lab.g, &o.head.owner, &m), ERR_OK);
    assert_string_equal(m.name.text, "n3");
    assert_int_equal(m.state, MEMBER_ALIVE);
    assert_true(span_eq_str(gossip_member_body(lab.g, &o.head.owner), "web"));
    assert_int_equal(lab_effects(&lab, GOSSIP_MEMBER_CHANGED), 1);
    assert_int_equal(lab_effects(&lab, GOSSIP_RECORD_CHANGED), 1);
    lab_fini(&lab);
}

static void test_a_stranger_without_certificate_is_asked_for(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct offer o = {.head = lab.peer[3].head};
    lab_say_record(&lab, 1, &o);
    assert_null(lab_member(&lab, 3));
    lab_run(&lab, 200, ALL);
    const struct gossip_effect *open = lab_effect(&lab, GOSSIP_STREAM_OPEN);
    assert_non_null(open);
    assert_string_equal(open->peer_name.text, "n1");
    lab_fini(&lab);
}

static void test_a_forged_certificate_or_head_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct offer o = lab_offer(&lab, 3);
    lab.peer[3].persona.admission[40] ^= 1; /* the issuer's mark */
    lab_sign(&lab, 3);
    o.head = lab.peer[3].head;
    lab_say_record(&lab, 1, &o);
    assert_null(lab_member(&lab, 3));
    lab.peer[3].persona.admission[40] ^= 1;
    lab_sign(&lab, 3);
    o.head = lab.peer[3].head;
    o.head.sig[0] ^= 1;
    lab_say_record(&lab, 1, &o);
    assert_null(lab_member(&lab, 3));
    assert_int_equal(lab.g->counters.dropped_signature, 2);
    lab_fini(&lab);
}

static void test_a_certificate_of_someone_else_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct offer o = lab_offer(&lab, 3);
    o.admission = lab_offer(&lab, 4).admission;
    fake_crypto_ops()->hash(o.admission, o.head.admission_hash);
    head_sign(fake_crypto_ops(), persona_key(&lab.peer[3].persona), &o.head);
    lab_say_record(&lab, 1, &o);
    assert_null(lab_member(&lab, 3));
    assert_int_equal(dropped(&lab), 1);
    lab_fini(&lab);
}

static void test_left_never_returns_to_alive_in_same_epoch(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    struct head *h = &lab.peer[1].head;
    h->flags = HEAD_LEFT;
    h->version++;
    lab_sign(&lab, 1);
    struct offer o = {.head = *h};
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_state(&lab, 1), MEMBER_LEFT);
    h->flags = 0;
    h->version++;
    h->inc++;
    lab_sign(&lab, 1);
    o.head = *h;
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_state(&lab, 1), MEMBER_LEFT);
    h->epoch++;
    h->version = 1;
    h->inc = 0;
    lab_sign(&lab, 1);
    o.head = *h;
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

static void test_an_older_head_changes_nothing(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct offer old = lab_offer(&lab, 1);
    lab.peer[1].head.version = 5;
    lab.peer[1].body = "web 5";
    lab_sign(&lab, 1);
    struct offer newer = lab_offer(&lab, 1);
    lab_say_record(&lab, 2, &newer);
    lab_say_record(&lab, 2, &old);
    assert_int_equal(lab_member(&lab, 1)->head->version, 5);
    assert_true(span_eq_str(gossip_member_body(lab.g, &old.head.owner), "web 5"));
    assert_int_equal(lab.g->counters.records_stale, 1);
    lab_fini(&lab);
}

static void test_a_body_that_its_head_does_not_name_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    lab.peer[1].head.version++;
    lab.peer[1].body = "signed";
    lab_sign(&lab, 1);
    struct offer o = lab_offer(&lab, 1);
    o.body = span_str("swapped");
    lab_say_record(&lab, 2, &o);
    assert_true(span_eq_str(gossip_member_body(lab.g, &o.head.owner), "web"));
    assert_true(lab_member(&lab, 1)->body_missing);
    o.body = lab_offer(&lab, 1).body;
    lab_say_record(&lab, 2, &o);
    assert_true(span_eq_str(gossip_member_body(lab.g, &o.head.owner), "signed"));
    lab_fini(&lab);
}

static void say_at(struct lab *lab, const uint8_t ip[4], uint16_t port)
{
    memcpy(lab->peer[1].head.addr.ip, ip, 4);
    lab->peer[1].head.addr.port = port;
    lab->peer[1].head.version++;
    lab_sign(lab, 1);
    struct offer o = {.head = lab->peer[1].head};
    lab_say_record(lab, 2, &o);
}

/* security.md M11. */
static void test_addresses_that_are_no_hosts_are_refused(void **state)
{
    (void)state;
    static const uint8_t bad[][4] = {
        {127, 0, 0, 1}, {0, 0, 0, 0}, {224, 0, 0, 1}, {169, 254, 1, 1}, {255, 255, 255, 255}};
    struct lab lab;
    lab_init(&lab, 2);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lab.peer[2].counter += 1;
        say_at(&lab, bad[i], 7400);
        assert_int_equal(lab_member(&lab, 1)->head->addr.ip[0], 10);
    }
    say_at(&lab, (const uint8_t[]){10, 0, 0, 9}, 0);
    assert_int_equal(lab_member(&lab, 1)->head->addr.port, 7400);
    assert_int_equal(lab.g->counters.dropped_address, 6);
    say_at(&lab, (const uint8_t[]){10, 0, 0, 9}, 7400);
    assert_int_equal(lab_member(&lab, 1)->head->addr.ip[3], 9);
    lab_fini(&lab);
}

static void test_an_epoch_far_ahead_of_the_clock_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct head *h = &lab.peer[1].head;
    uint64_t now = (uint64_t)LAB_WALL_MS + lab.now_ms;
    h->epoch = now + STATE_EPOCH_AHEAD_MS + 1;
    lab_sign(&lab, 1);
    struct offer o = {.head = *h};
    lab_say_record(&lab, 2, &o);
    assert_true(lab_member(&lab, 1)->head->epoch < now);
    assert_int_equal(lab.g->counters.dropped_epoch, 1);
    h->epoch = now + STATE_EPOCH_AHEAD_MS;
    lab_sign(&lab, 1);
    o.head = *h;
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_member(&lab, 1)->head->epoch, h->epoch);
    lab_fini(&lab);
}

/* Peer 3 with the name of peer 1, admitted all the same. */
static struct offer namesake(struct lab *lab, uint8_t cert[FAKE_ADMISSION_BYTES_MAX])
{
    struct lab_peer *p = &lab->peer[3];
    size_t len = fake_crypto_admission(&p->persona.fake, &lab->peer[1].persona.name,
                                       lab->issuer.public_key, cert);
    struct offer o = lab_offer(lab, 3);
    o.admission = span_of(cert, len);
    fake_crypto_ops()->hash(o.admission, o.head.admission_hash);
    head_sign(fake_crypto_ops(), persona_key(&p->persona), &o.head);
    return o;
}

static void test_a_name_stays_with_who_holds_it(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t cert[FAKE_ADMISSION_BYTES_MAX];
    lab_init(&lab, 2);
    struct offer o = namesake(&lab, cert);
    lab_say_record(&lab, 2, &o);
    assert_null(lab_member(&lab, 3));
    const struct gossip_effect *e = lab_effect(&lab, GOSSIP_CONFLICT);
    assert_non_null(e);
    assert_memory_equal(e->node.byte, lab.peer[3].persona.id.byte, NODE_ID_BYTES);
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 1); /* not again within 10 s */
    lab_fini(&lab);
}

static void test_the_name_of_one_who_left_is_free(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t cert[FAKE_ADMISSION_BYTES_MAX];
    lab_init(&lab, 2);
    lab.peer[1].head.flags = HEAD_LEFT;
    lab.peer[1].head.version++;
    lab_sign(&lab, 1);
    struct offer bye = {.head = lab.peer[1].head};
    lab_say_record(&lab, 2, &bye);
    struct offer o = namesake(&lab, cert);
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_state(&lab, 3), MEMBER_ALIVE);
    assert_ptr_equal(member_find_name(&lab.g->members, &lab.peer[1].persona.name),
                     lab_member(&lab, 3));
    lab_fini(&lab);
}

/* The integration test of a mesh that starts cold after one host had joined anew: stores still had
 * its old identity, and with it refused the new one. */
static void test_the_name_of_one_never_heard_goes_to_who_was_admitted_later(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t cert[FAKE_ADMISSION_BYTES_MAX];
    lab_init(&lab, 2);
    lab_member(&lab, 1)->contact->heard_ms = 0; /* never in this life */
    struct offer o = namesake(&lab, cert);
    lab_say_record(&lab, 2, &o);
    assert_ptr_equal(member_find_name(&lab.g->members, &lab.peer[1].persona.name),
                     lab_member(&lab, 3));
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 0);
    lab_fini(&lab);
}

/* Peer 1's key, a newer epoch, another address. */
static struct offer clone_of_first(struct lab *lab)
{
    struct offer o = lab_offer(lab, 1);
    o.head.epoch++;
    o.head.addr.ip[3] = 77;
    head_sign(fake_crypto_ops(), persona_key(&lab->peer[1].persona), &o.head);
    return o;
}

static void test_a_clone_does_not_take_the_place_of_one_who_answers(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    struct offer o = clone_of_first(&lab);
    lab_say_record(&lab, 2, &o);
    assert_true(lab_count(&lab, 1, MESSAGE_PING) > 0);
    const struct message *ping = lab_last(&lab, 1, MESSAGE_PING);
    struct message ack = {.kind = MESSAGE_ACK, .seq = ping->seq};
    lab_say(&lab, 1, &ack);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 1);
    assert_int_equal(lab_count(&lab, 76, MESSAGE_CONFLICT), 1); /* the clone is told */
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_member(&lab, 1)->head->addr.ip[3], 2);
    assert_true(lab_member(&lab, 1)->head->epoch < o.head.epoch);
    lab_fini(&lab);
}

static void test_a_restart_elsewhere_is_taken_once_the_old_place_is_silent(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    struct offer o = clone_of_first(&lab);
    lab_say_record(&lab, 2, &o);
    lab_run(&lab, 900, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab_member(&lab, 1)->head->addr.ip[3], 77);
    lab_fini(&lab);
}

static void test_a_restart_at_the_same_address_is_taken_at_once(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    lab.peer[1].head.epoch++;
    lab_sign(&lab, 1);
    struct offer o = lab_offer(&lab, 1);
    lab_say_record(&lab, 2, &o);
    assert_int_equal(lab_member(&lab, 1)->head->epoch, o.head.epoch);
    lab_fini(&lab);
}

static void test_a_newer_head_of_ourselves_is_a_conflict_and_not_fought(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct offer o = {.head = *lab.g->self.member->head};
    o.head.epoch += 5;
    head_sign(fake_crypto_ops(), persona_key(&lab.peer[0].persona), &o.head);
    uint64_t before = lab.g->self.member->head->epoch;
    lab_say_record(&lab, 1, &o);
    const struct gossip_effect *e = lab_effect(&lab, GOSSIP_CONFLICT);
    assert_non_null(e);
    assert_memory_equal(e->node.byte, lab.peer[0].persona.id.byte, NODE_ID_BYTES);
    assert_int_equal(lab.g->self.member->head->epoch, before);
    assert_int_equal(lab.g->self.member->head->inc, 0);
    lab_fini(&lab);
}

static void test_more_signatures_than_a_sender_may_have_checked_are_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    for (uint32_t i = 0; i < STATE_VERIFIES_A_SEC; i++)
        assert_true(catalogue_may_verify(lab.g, lab_member(&lab, 1)));
    assert_false(catalogue_may_verify(lab.g, lab_member(&lab, 1)));
    assert_true(catalogue_may_verify(lab.g, lab_member(&lab, 2)));
    lab_run(&lab, 1100, ALL);
    assert_true(catalogue_may_verify(lab.g, lab_member(&lab, 1)));
    lab_fini(&lab);
}

static void test_streams_bring_more_records_but_not_any_number(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct member *from = lab_member(&lab, 1);
    for (uint32_t i = 0; i < STATE_RECORDS_A_SEC; i++)
        assert_true(catalogue_may_take(lab.g, from, CATALOGUE_SYNC));
    assert_false(catalogue_may_take(lab.g, from, CATALOGUE_SYNC));
    uint64_t dropped = lab.g->counters.dropped_quota;
    struct offer o = lab_offer(&lab, 5);
    assert_int_equal(catalogue_take(lab.g, &o, from, CATALOGUE_SYNC), CATALOGUE_REFUSED);
    assert_true(lab.g->counters.dropped_quota > dropped);
    lab_run(&lab, 1100, ALL);
    assert_int_equal(catalogue_take(lab.g, &o, from, CATALOGUE_SYNC), CATALOGUE_NEW);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stranger_with_certificate_and_signature_becomes_a_member),
        cmocka_unit_test(test_a_stranger_without_certificate_is_asked_for),
        cmocka_unit_test(test_streams_bring_more_records_but_not_any_number),
        cmocka_unit_test(test_a_forged_certificate_or_head_is_refused),
        cmocka_unit_test(test_a_certificate_of_someone_else_is_refused),
        cmocka_unit_test(test_left_never_returns_to_alive_in_same_epoch),
        cmocka_unit_test(test_an_older_head_changes_nothing),
        cmocka_unit_test(test_a_body_that_its_head_does_not_name_is_refused),
        cmocka_unit_test(test_addresses_that_are_no_hosts_are_refused),
        cmocka_unit_test(test_an_epoch_far_ahead_of_the_clock_is_refused),
        cmocka_unit_test(test_a_name_stays_with_who_holds_it),
        cmocka_unit_test(test_the_name_of_one_who_left_is_free),
        cmocka_unit_test(test_the_name_of_one_never_heard_goes_to_who_was_admitted_later),
        cmocka_unit_test(test_a_clone_does_not_take_the_place_of_one_who_answers),
        cmocka_unit_test(test_a_restart_elsewhere_is_taken_once_the_old_place_is_silent),
        cmocka_unit_test(test_a_restart_at_the_same_address_is_taken_at_once),
        cmocka_unit_test(test_a_newer_head_of_ourselves_is_a_conflict_and_not_fought),
        cmocka_unit_test(test_more_signatures_than_a_sender_may_have_checked_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
