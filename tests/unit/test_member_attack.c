/* A member with valid keys of its own, and nobody else's, against the machine: what it says of
 * itself and of what it knows. */
#include "gossip/change.h"
#include "tests/unit/support_gossip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ALL     UINT32_MAX
#define BAD     3u /* the peer */
#define INBOUND (STREAM_INBOUND_BIT | 1u)

static void say_conflict_by_stream(struct lab *lab, uint32_t id, uint32_t peer)
{
    struct sync_message m = {.kind = SYNC_CONFLICT};
    lab_stream_opened(lab, id, true, peer);
    lab_stream_data(lab, id, &m);
}

/* That our identity is used elsewhere is believed of two members. */
static void test_who_speaks_on_two_ways_is_one_witness(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message m = {.kind = MESSAGE_CONFLICT};
    lab_say(&lab, BAD, &m);
    say_conflict_by_stream(&lab, INBOUND, BAD);
    lab.peer[BAD].persona.spki[0] ^= 1; /* its leaf was renewed */
    say_conflict_by_stream(&lab, INBOUND + 1, BAD);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 0);
    say_conflict_by_stream(&lab, INBOUND + 2, 5);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 1);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_speaks_on_two_ways_is_one_witness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
