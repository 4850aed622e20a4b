#include "cmd/daemon/member_page.h"
#include "core/base/strbuf.h"
#include "tests/unit/support_gossip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect_page(const struct lab *lab, const char *after, size_t cap, const char *names,
                        size_t left)
{
    struct gossip_member m[LAB_PEERS];
    char text[128];
    struct strbuf sb;
    size_t more = 99;
    size_t count = member_page_take(lab->g, span_str(after), m, cap, &more);
    strbuf_init_fixed(&sb, text, sizeof(text));
    for (size_t i = 0; i < count; i++)
        strbuf_fmt(&sb, "%s ", m[i].name.text);
    assert_string_equal(text, names);
    assert_int_equal(more, left);
}

/* The table is by id, so that names come in any order. */
static void test_pages_together_hold_each_member_once_by_name(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    expect_page(&lab, "", 8, "n1 n2 n3 n4 n5 n6 n7 n8 ", 0);
    expect_page(&lab, "", 3, "n1 n2 n3 ", 5);
    expect_page(&lab, "n3", 3, "n4 n5 n6 ", 2);
    expect_page(&lab, "n6", 3, "n7 n8 ", 0);
    expect_page(&lab, "n8", 3, "", 0);
    expect_page(&lab, "", 1, "n1 ", 7);
    lab_fini(&lab);
}

static void test_who_has_left_is_on_no_page_and_the_dead_are(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        struct message m = {.kind = MESSAGE_ACCUSE, .accusation = lab_accuse(&lab, 1, i)};
        lab_say(&lab, i, &m);
    }
    lab.peer[5].head.flags = HEAD_LEFT;
    lab.peer[5].head.version++;
    lab_sign(&lab, 5);
    struct offer bye = {.head = lab.peer[5].head};
    lab_say_record(&lab, 2, &bye);
    lab_run(&lab, 65000, ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    expect_page(&lab, "", 8, "n1 n2 n3 n4 n6 n7 n8 ", 0);
    expect_page(&lab, "n4a", 8, "n6 n7 n8 ", 0); /* a name that nobody has */
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_together_hold_each_member_once_by_name),
        cmocka_unit_test(test_who_has_left_is_on_no_page_and_the_dead_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
