#include "core/crypto/sign.h"

#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define NOW   INT64_C(1767225600)
#define DAY_S INT64_C(86400)

static const uint8_t seed_a[SIGN_SEED_BYTES] = {1};
static const uint8_t seed_b[SIGN_SEED_BYTES] = {2};
static const struct mesh_id mesh = {{3, 1, 4}};

static struct sign_key *key_of(const uint8_t *seed)
{
    struct sign_key *k;
    assert_int_equal(sign_key_new(seed, &k), ERR_OK);
    return k;
}

static void test_a_signature_verifies_for_its_key_domain_and_message_only(void **state)
{
    (void)state;
    struct sign_key *a = key_of(seed_a), *b = key_of(seed_b);
    uint8_t sig[SIGN_BYTES];
    struct span msg = SPAN_LIT("alive");
    const uint8_t *pk = sign_key_public(a);
    sign_make(a, "head", msg, sig);
    assert_true(sign_verify(pk, "head", msg, sig));
    assert_false(sign_verify(pk, "hea", msg, sig));
    assert_false(sign_verify(pk, "head", SPAN_LIT("alivE"), sig));
    assert_false(sign_verify(pk, "head", SPAN_LIT(""), sig));
    assert_false(sign_verify(sign_key_public(b), "head", msg, sig));
    for (size_t bit = 0; bit < SIGN_BYTES * 8; bit++) {
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(sign_verify(pk, "head", msg, sig));
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    sign_key_free(a);
    sign_key_free(b);
}

/* The NUL between domain and message keeps the border where it is. */
static void test_domain_and_message_do_not_run_together(void **state)
{
    (void)state;
    struct sign_key *a = key_of(seed_a);
    uint8_t sig[SIGN_BYTES];
    sign_make(a, "ab", SPAN_LIT("c"), sig);
    assert_false(sign_verify(sign_key_public(a), "a", SPAN_LIT("bc"), sig));
    sign_key_free(a);
}

static void test_a_key_comes_back_from_its_seed_and_fresh_ones_differ(void **state)
{
    (void)state;
    struct sign_key *a = key_of(NULL), *b = key_of(NULL), *again = key_of(sign_key_seed(a));
    assert_memory_equal(sign_key_public(a), sign_key_public(again), SIGN_PUBLIC_BYTES);
    assert_memory_not_equal(sign_key_public(a), sign_key_public(b), SIGN_PUBLIC_BYTES);
    sign_key_free(a);
    sign_key_free(b);
    sign_key_free(again);
}

static void set_name(struct name *n, const char *text)
{
    assert_int_equal(name_set(n, span_str(text)), ERR_OK);
}

static struct sign_admission admission_for(const struct sign_key *node)
{
    struct sign_admission a = {.mesh = mesh,
                               .node = sign_node_id(sign_key_public(node)),
                               .spki_sha256 = {5, 5},
                               .roles = ADMISSION_ROLE_SIGNER,
                               .not_before_s = NOW,
                               .not_after_s = NOW + DAY_S,
                               .service_count = 2};
    memcpy(a.public_key, sign_key_public(node), SIGN_PUBLIC_BYTES);
    set_name(&a.name, "n1");
    set_name(&a.service[0], "web");
    set_name(&a.service[1], "api");
    return a;
}

static void test_an_admission_opens_to_what_was_signed(void **state)
{
    (void)state;
    struct sign_key *issuer = key_of(seed_a), *node = key_of(seed_b);
    struct sign_admission a = admission_for(node), out;
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len;
    assert_int_equal(sign_admission_make(issuer, &a, cert, &len), ERR_OK);
    assert_int_equal(
        sign_admission_open(span_of(cert, len), sign_key_public(issuer), &mesh, NOW, &out), ERR_OK);
    assert_memory_equal(&out.node, &a.node, sizeof(a.node));
    assert_memory_equal(out.public_key, a.public_key, sizeof(a.public_key));
    assert_memory_equal(out.spki_sha256, a.spki_sha256, sizeof(a.spki_sha256));
    assert_string_equal(out.name.text, "n1");
    assert_int_equal(out.roles, ADMISSION_ROLE_SIGNER);
    assert_true(out.not_before_s == NOW && out.not_after_s == NOW + DAY_S);
    assert_int_equal(out.service_count, 2);
    assert_string_equal(out.service[1].text, "api");
    sign_key_free(issuer);
    sign_key_free(node);
}

static void test_an_admission_is_refused_for_each_thing_that_is_wrong(void **state)
{
    (void)state;
    struct sign_key *issuer = key_of(seed_a), *node = key_of(seed_b);
    struct sign_admission a = admission_for(node), out;
    const struct mesh_id other = {{3, 1, 5}};
    uint8_t cert[ADMISSION_BYTES_MAX];
    const uint8_t *pk = sign_key_public(issuer);
    size_t len;
    assert_int_equal(sign_admission_make(issuer, &a, cert, &len), ERR_OK);
    struct span c = span_of(cert, len);
    assert_int_equal(sign_admission_open(c, sign_key_public(node), &mesh, NOW, &out), ERR_AUTH);
    assert_int_equal(sign_admission_open(c, pk, &other, NOW, &out), ERR_MISMATCH);
    assert_int_equal(sign_admission_open(c, pk, &mesh, NOW + DAY_S, &out), ERR_OK);
    assert_int_equal(sign_admission_open(c, pk, &mesh, NOW + DAY_S + 1, &out), ERR_EXPIRED);
    assert_int_equal(sign_admission_open(c, pk, &mesh, NOW - 600, &out), ERR_OK);
    assert_int_equal(sign_admission_open(c, pk, &mesh, NOW - 601, &out), ERR_NOT_YET_VALID);
    for (size_t n = 0; n < len; n++) {
        enum err err = sign_admission_open(span_of(cert, n), pk, &mesh, NOW, &out);
        assert_int_equal(err, n <= SIGN_BYTES ? ERR_INVALID : ERR_AUTH);
    }
    for (size_t at = 0; at < len; at++) {
        cert[at] ^= 0x10;
        assert_int_equal(sign_admission_open(c, pk, &mesh, NOW, &out), ERR_AUTH);
        cert[at] ^= 0x10;
    }
    sign_key_free(issuer);
    sign_key_free(node);
}

static void test_what_the_issuer_signed_must_still_be_an_admission(void **state)
{
    (void)state;
    struct sign_key *issuer = key_of(seed_a);
    static const char *const bodies[] = {"\x90", "\xc0", "\xdd\xff\xff\xff\xff", "hello",
                                         "\x9a\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"};
    struct sign_admission out;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        uint8_t cert[128];
        size_t len = strlen(bodies[i]);
        memcpy(cert, bodies[i], len);
        sign_make(issuer, "parley-admission-1", span_of(cert, len), cert + len);
        assert_int_equal(sign_admission_open(span_of(cert, len + SIGN_BYTES),
                                             sign_key_public(issuer), &mesh, NOW, &out),
                         ERR_INVALID);
    }
    sign_key_free(issuer);
}

static void test_an_issuer_does_not_sign_nonsense(void **state)
{
    (void)state;
    struct sign_key *issuer = key_of(seed_a), *node = key_of(seed_b);
    struct sign_admission a = admission_for(node);
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len;
    a.node.byte[0] ^= 1;
    assert_int_equal(sign_admission_make(issuer, &a, cert, &len), ERR_MISMATCH);
    a = admission_for(node);
    a.service_count = ADMISSION_SERVICES_MAX + 1;
    assert_int_equal(sign_admission_make(issuer, &a, cert, &len), ERR_RANGE);
    a = admission_for(node);
    a.not_after_s = a.not_before_s - 1;
    assert_int_equal(sign_admission_make(issuer, &a, cert, &len), ERR_RANGE);
    sign_key_free(issuer);
    sign_key_free(node);
}

static void test_the_largest_admission_fits(void **state)
{
    (void)state;
    struct sign_key *issuer = key_of(seed_a), *node = key_of(seed_b);
    struct sign_admission a = admission_for(node), out;
    uint8_t cert[ADMISSION_BYTES_MAX];
    char longest[NAME_BYTES_MAX + 1];
    size_t len;
    memset(longest, 'a', NAME_BYTES_MAX);
    longest[NAME_BYTES_MAX] = '\0';
    set_name(&a.name, longest);
    a.service_count = ADMISSION_SERVICES_MAX;
    for (size_t i = 0; i < ADMISSION_SERVICES_MAX; i++)
        set_name(&a.service[i], longest);
    assert_int_equal(sign_admission_make(issuer, &a, cert, &len), ERR_OK);
    assert_int_equal(
        sign_admission_open(span_of(cert, len), sign_key_public(issuer), &mesh, NOW, &out), ERR_OK);
    assert_int_equal(out.service_count, ADMISSION_SERVICES_MAX);
    sign_key_free(issuer);
    sign_key_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_signature_verifies_for_its_key_domain_and_message_only),
        cmocka_unit_test(test_domain_and_message_do_not_run_together),
        cmocka_unit_test(test_a_key_comes_back_from_its_seed_and_fresh_ones_differ),
        cmocka_unit_test(test_an_admission_opens_to_what_was_signed),
        cmocka_unit_test(test_an_admission_is_refused_for_each_thing_that_is_wrong),
        cmocka_unit_test(test_what_the_issuer_signed_must_still_be_an_admission),
        cmocka_unit_test(test_an_issuer_does_not_sign_nonsense),
        cmocka_unit_test(test_the_largest_admission_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
