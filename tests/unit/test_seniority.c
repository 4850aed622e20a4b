/* Numbers of operators along a chain of roots. */
#include "gossip/seniority.h"

#include "core/crypto/sign_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum who { ADA = 1, BOB, EVE, ISSUER };

static struct manifest_operator operator_of(enum who who)
{
    struct manifest_operator op = {.role = MANIFEST_ROLE_ADMIN};
    memset(op.public_key, (int)who, sizeof(op.public_key));
    return op;
}

/* A root with these operators; 0 ends them. */
static struct manifest root_of(const enum who *who)
{
    struct manifest m = {.scope = MANIFEST_ROOT};
    while (who[m.operator_count] != 0) {
        m.op[m.operator_count] = operator_of(who[m.operator_count]);
        m.operator_count++;
    }
    return m;
}

static void expect(const struct seniority *s, uint32_t given, const uint32_t *of, size_t count)
{
    assert_int_equal(s->given, given);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(s->of[i], of[i]);
}

/* The picture in the header. */
static void test_numbers_are_kept_and_never_given_twice(void **state)
{
    (void)state;
    static const enum who list[4][4] = {{ADA, BOB}, {ADA, BOB, EVE}, {BOB, EVE}, {BOB, EVE, ADA}};
    static const uint32_t number[4][3] = {{1, 2}, {1, 2, 3}, {2, 3}, {2, 3, 4}};
    static const uint32_t given[4] = {2, 3, 3, 4};
    struct manifest before = {.operator_count = 0};
    struct seniority s = {.given = 77}; /* ignored for the first */
    for (size_t i = 0; i < 4; i++) {
        struct seniority next;
        struct manifest m = root_of(list[i]);
        seniority_follow(i > 0 ? &before : NULL, &s, &m, &next);
        expect(&next, given[i], number[i], m.operator_count);
        before = m;
        s = next;
    }
}

static void test_reordering_the_list_makes_nobody_senior(void **state)
{
    (void)state;
    static const enum who first[] = {ADA, BOB, EVE, 0}, then[] = {EVE, ADA, BOB, 0};
    static const uint32_t number[] = {3, 1, 2};
    struct manifest a = root_of(first), b = root_of(then);
    struct seniority s, next;
    seniority_follow(NULL, NULL, &a, &s);
    seniority_follow(&a, &s, &b, &next);
    expect(&next, 3, number, 3);
}

static uint32_t signer(const struct manifest *root, const struct seniority *s, enum who one,
                       enum who two)
{
    struct manifest_operator issuer = operator_of(ISSUER), a = operator_of(one),
                             b = operator_of(two);
    struct authority authority = {.issuer_pk = issuer.public_key, .root = root};
    struct manifest m = {
        .signer_count = two != 0 ? 2 : 1,
        .signer = {sign_manifest_key_id(a.public_key), sign_manifest_key_id(b.public_key)}};
    return seniority_signer(&authority, s, &m);
}

static void test_of_two_signers_the_senior_counts(void **state)
{
    (void)state;
    static const enum who first[] = {ADA, BOB, 0}, then[] = {BOB, EVE, 0};
    struct manifest a = root_of(first), b = root_of(then);
    struct seniority s, next;
    seniority_follow(NULL, NULL, &a, &s);
    seniority_follow(&a, &s, &b, &next);
    assert_int_equal(signer(&b, &next, BOB, 0), 2);
    assert_int_equal(signer(&b, &next, EVE, 0), 3);
    assert_int_equal(signer(&b, &next, EVE, BOB), 2);
    assert_int_equal(signer(&b, &next, BOB, EVE), 2);
}

static void test_the_issuer_is_above_all_and_who_was_removed_nobody(void **state)
{
    (void)state;
    static const enum who list[] = {BOB, EVE, 0};
    struct manifest m = root_of(list);
    struct seniority s;
    seniority_follow(NULL, NULL, &m, &s);
    assert_int_equal(signer(&m, &s, ISSUER, 0), 0);
    assert_int_equal(signer(&m, &s, EVE, ISSUER), 0);
    assert_int_equal(signer(&m, &s, ADA, 0), AUTHORITY_NOBODY);
    assert_int_equal(signer(NULL, NULL, ISSUER, 0), 0);
    assert_int_equal(signer(NULL, NULL, BOB, 0), AUTHORITY_NOBODY);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_kept_and_never_given_twice),
        cmocka_unit_test(test_reordering_the_list_makes_nobody_senior),
        cmocka_unit_test(test_of_two_signers_the_senior_counts),
        cmocka_unit_test(test_the_issuer_is_above_all_and_who_was_removed_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
