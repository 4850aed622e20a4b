#include "core/crypto/identity.h"
#include "tests/unit/support_x509.h"

#include <pthread.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define WEB     "spiffe://demo/service/web"
#define THREADS 4
#define ROUNDS  20000

static struct support_x509_ca ca;

static int make_ca(void **state)
{
    (void)state;
    support_x509_ca_new("demo", &ca);
    return 0;
}

static void test_an_identity_tells_who_it_is_and_how_long(void **state)
{
    (void)state;
    static struct support_x509_pair pair;
    struct support_x509_leaf l = support_x509_good(WEB);
    struct identity *id;
    support_x509_write(&ca, &l, &pair);
    assert_int_equal(identity_new(span_of(pair.der, pair.len), pair.secret, &id), ERR_OK);
    assert_string_equal(identity_uri(id), WEB);
    assert_string_equal(identity_spiffe(id)->name.text, "web");
    assert_true(span_eq(identity_leaf(id), span_of(pair.der, pair.len)));
    assert_true(identity_not_before_s(id) == l.not_before_s);
    assert_true(identity_not_after_s(id) == l.not_after_s);
    assert_memory_equal(identity_secret(id), pair.secret, P256_SECRET_BYTES);
    /* The identity has copies of its own. */
    memset(pair.der, 0, sizeof(pair.der));
    memset(pair.secret, 0, sizeof(pair.secret));
    assert_memory_not_equal(identity_secret(id), pair.secret, P256_SECRET_BYTES);
    assert_int_equal(((const uint8_t *)identity_leaf(id).p)[0], 0x30);
    identity_unref(id);
    identity_unref(NULL);
}

static void test_a_leaf_that_would_be_refused_is_no_identity(void **state)
{
    (void)state;
    static struct support_x509_pair pair;
    static const uint8_t zero[P256_SECRET_BYTES];
    struct support_x509_leaf l = support_x509_good(WEB);
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct identity *id;
    support_x509_write(&ca, &l, &pair);
    x509_mint_key(secret, public_key);
    struct span der = span_of(pair.der, pair.len);
    assert_int_equal(identity_new(der, secret, &id), ERR_INVALID);
    assert_int_equal(identity_new(der, zero, &id), ERR_INVALID);
    assert_int_equal(identity_new(SPAN_LIT("x"), secret, &id), ERR_INVALID);
    assert_int_equal(identity_new(span_of(ca.der.data, ca.der.len), ca.secret, &id), ERR_INVALID);
    l.eku_client = false;
    support_x509_write(&ca, &l, &pair);
    assert_int_equal(identity_new(span_of(pair.der, pair.len), pair.secret, &id), ERR_INVALID);
}

static void *hold_and_drop(void *arg)
{
    struct identity *id = arg;
    for (int i = 0; i < ROUNDS; i++) {
        identity_ref(id);
        identity_unref(id);
    }
    identity_unref(id);
    return NULL;
}

static void test_references_are_counted_across_threads(void **state)
{
    (void)state;
    struct identity *id = support_x509_identity(&ca, WEB);
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hold_and_drop, identity_ref(id)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_string_equal(identity_uri(id), WEB);
    identity_unref(id);
}

static void test_a_trust_holds_the_anchors_of_one_mesh(void **state)
{
    (void)state;
    static struct support_x509_ca next, other;
    struct span der[TRUST_ANCHORS_MAX + 1];
    struct trust *t;
    support_x509_ca_new("demo", &next);
    support_x509_ca_new("other", &other);
    der[0] = span_of(ca.der.data, ca.der.len);
    der[1] = span_of(next.der.data, next.der.len);
    assert_int_equal(identity_trust_new(der, 2, &ca.mesh, &t), ERR_OK);
    assert_string_equal(identity_trust_mesh(t)->text, "demo");
    assert_int_equal(identity_trust_count(t), 2);
    assert_true(span_eq(identity_trust_anchor(t, 1)->der, der[1]));
    assert_int_equal(identity_trust_anchor(t, 1)->key_id.len, 20);
    assert_null(identity_trust_anchor(t, 2));
    identity_trust_unref(identity_trust_ref(t));
    identity_trust_unref(t);
    identity_trust_unref(NULL);

    der[1] = span_of(other.der.data, other.der.len);
    assert_int_equal(identity_trust_new(der, 2, &ca.mesh, &t), ERR_MISMATCH);
    der[1] = SPAN_LIT("x");
    assert_int_equal(identity_trust_new(der, 2, &ca.mesh, &t), ERR_INVALID);
    assert_int_equal(identity_trust_new(der, 0, &ca.mesh, &t), ERR_INVALID);
    for (size_t i = 0; i <= TRUST_ANCHORS_MAX; i++)
        der[i] = der[0];
    assert_int_equal(identity_trust_new(der, TRUST_ANCHORS_MAX + 1, &ca.mesh, &t), ERR_TOO_LARGE);
}

static void test_a_leaf_is_no_anchor(void **state)
{
    (void)state;
    struct identity *id = support_x509_identity(&ca, WEB);
    struct span der = identity_leaf(id);
    struct trust *t;
    assert_int_equal(identity_trust_new(&der, 1, &ca.mesh, &t), ERR_INVALID);
    identity_unref(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_identity_tells_who_it_is_and_how_long),
        cmocka_unit_test(test_a_leaf_that_would_be_refused_is_no_identity),
        cmocka_unit_test(test_references_are_counted_across_threads),
        cmocka_unit_test(test_a_trust_holds_the_anchors_of_one_mesh),
        cmocka_unit_test(test_a_leaf_is_no_anchor),
    };
    return cmocka_run_group_tests(tests, make_ca, NULL);
}
