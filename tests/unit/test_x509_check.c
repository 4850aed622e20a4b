#include "core/crypto/x509_check.h"
#include "tests/unit/support_x509.h"

#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define WEB "spiffe://demo/service/web"

static struct support_x509_ca ca;

static int make_ca(void **state)
{
    (void)state;
    support_x509_ca_new("demo", &ca);
    return 0;
}

static enum x509_fault judge(const struct support_x509_leaf *l, enum x509_role role)
{
    static struct support_x509_pair pair;
    struct x509_leaf out;
    support_x509_write(&ca, l, &pair);
    return x509_check_leaf(span_of(pair.der, pair.len), &ca.mesh, role, &out);
}

static void test_a_good_leaf_yields_its_identity_and_key(void **state)
{
    (void)state;
    static struct support_x509_pair pair;
    struct support_x509_leaf l = support_x509_good(WEB);
    struct x509_leaf out;
    support_x509_write(&ca, &l, &pair);
    assert_int_equal(x509_check_leaf(span_of(pair.der, pair.len), &ca.mesh, X509_CLIENT, &out),
                     X509_OK);
    assert_string_equal(out.id.mesh.text, "demo");
    assert_string_equal(out.id.name.text, "web");
    assert_int_equal(out.id.kind, IDENTITY_SERVICE);
    assert_memory_equal(out.public_key, pair.public_key, sizeof(pair.public_key));
    assert_true(out.not_before_s == l.not_before_s);
    assert_true(out.not_after_s == l.not_after_s);
}

static void test_any_mesh_is_taken_when_none_is_named(void **state)
{
    (void)state;
    static struct support_x509_pair pair;
    struct support_x509_leaf l = support_x509_good("spiffe://other/node/n1");
    struct x509_leaf out;
    support_x509_write(&ca, &l, &pair);
    struct span der = span_of(pair.der, pair.len);
    assert_int_equal(x509_check_leaf(der, NULL, X509_SERVER, &out), X509_OK);
    assert_int_equal(x509_check_leaf(der, &ca.mesh, X509_SERVER, &out), X509_OTHER_MESH);
}

/* security.md T03 to T10, each with its own fault. */
static void test_each_wrong_leaf_is_refused_with_its_own_fault(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    l.uri[l.uri_count++] = SPAN_LIT("spiffe://demo/service/api");
    assert_int_equal(judge(&l, X509_CLIENT), X509_MANY_URI_SANS);
    l.uri[1] = l.uri[0];
    assert_int_equal(judge(&l, X509_CLIENT), X509_MANY_URI_SANS);

    l = support_x509_good(WEB);
    l.ca = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_IS_CA);
    l = support_x509_good(WEB);
    l.key_usage = SUPPORT_X509_ABSENT;
    assert_int_equal(judge(&l, X509_CLIENT), X509_KEY_USAGE);
    l.key_usage = 0x84; /* keyCertSign */
    assert_int_equal(judge(&l, X509_CLIENT), X509_KEY_USAGE);
    l.key_usage = 0x82; /* cRLSign */
    assert_int_equal(judge(&l, X509_CLIENT), X509_KEY_USAGE);
    l.key_usage = 0x08; /* keyAgreement alone */
    assert_int_equal(judge(&l, X509_CLIENT), X509_KEY_USAGE);
    l = support_x509_good(WEB);
    l.key_usage_not_critical = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_KEY_USAGE);

    l = support_x509_good(WEB);
    l.drop_san = true;
    l.subject = WEB; /* a common name is no identity */
    assert_int_equal(judge(&l, X509_CLIENT), X509_NO_URI_SAN);
    l = support_x509_good(WEB);
    l.uri_count = 0;
    l.dns_san = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_NO_URI_SAN);

    l = support_x509_good(WEB);
    l.unknown_critical = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_UNKNOWN_CRITICAL);
    l = support_x509_good(WEB);
    l.eku_critical = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_UNKNOWN_CRITICAL);
    l = support_x509_good(WEB);
    l.name_constraints = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_UNKNOWN_CRITICAL);

    l = support_x509_good(WEB);
    l.wrong_key_type = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_KEY_TYPE);
    l = support_x509_good(WEB);
    l.wrong_sig_alg = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_BAD_SIGNATURE);
    l = support_x509_good(WEB);
    l.version = 0;
    assert_int_equal(judge(&l, X509_CLIENT), X509_MALFORMED);
    l = support_x509_good(WEB);
    l.twice = true;
    assert_int_equal(judge(&l, X509_CLIENT), X509_MALFORMED);
    l = support_x509_good(WEB);
    l.not_before_s = l.not_after_s + 1;
    assert_int_equal(judge(&l, X509_CLIENT), X509_MALFORMED);
}

static void test_extended_key_usage_must_cover_the_role(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    l.eku_client = false;
    assert_int_equal(judge(&l, X509_CLIENT), X509_EXTENDED_KEY_USAGE);
    assert_int_equal(judge(&l, X509_SERVER), X509_OK);
    l.eku_client = true;
    l.eku_server = false;
    assert_int_equal(judge(&l, X509_CLIENT), X509_OK);
    assert_int_equal(judge(&l, X509_SERVER), X509_EXTENDED_KEY_USAGE);
    l.eku = false;
    assert_int_equal(judge(&l, X509_CLIENT), X509_OK);
    assert_int_equal(judge(&l, X509_SERVER), X509_OK);
}

static void test_other_names_and_an_empty_subject_do_not_matter(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    l.dns_san = true;
    l.san_critical = true;
    l.subject = NULL;
    assert_int_equal(judge(&l, X509_SERVER), X509_OK);
}

/* T06, T07. */
static void test_uris_that_are_no_spiffe_id_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"SPIFFE://demo/service/web",
                                      "spiffe://demo/service/web?q",
                                      "spiffe://demo/service/web#f",
                                      "spiffe://demo:443/service/web",
                                      "spiffe://u@demo/service/web",
                                      "spiffe://demo",
                                      "spiffe://demo/",
                                      "spiffe://demo//web",
                                      "spiffe://demo/./web",
                                      "spiffe://demo/service/..",
                                      "spiffe://demo/service/web/",
                                      "spiffe://demo/service/%41",
                                      "spiffe://Demo/service/web",
                                      "https://demo/service/web",
                                      "spiffe://demo/service/web/x1",
                                      ""};
    static char longest[2049];
    struct support_x509_leaf l = support_x509_good(WEB);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        l.uri[0] = span_str(bad[i]);
        assert_int_equal(judge(&l, X509_CLIENT), X509_BAD_SPIFFE_ID);
    }
    l.uri[0] = SPAN_LIT("spiffe://demo/service/web\0.evil");
    assert_int_equal(judge(&l, X509_CLIENT), X509_BAD_SPIFFE_ID);
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "spiffe://demo/service/", 22);
    l.uri[0] = span_of(longest, sizeof(longest));
    assert_int_equal(judge(&l, X509_CLIENT), X509_BAD_SPIFFE_ID);
}

static void test_every_prefix_of_a_leaf_is_malformed(void **state)
{
    (void)state;
    static struct support_x509_pair pair;
    struct support_x509_leaf l = support_x509_good(WEB);
    struct x509_leaf out;
    support_x509_write(&ca, &l, &pair);
    for (size_t n = 0; n < pair.len; n++)
        assert_int_equal(x509_check_leaf(span_of(pair.der, n), NULL, X509_CLIENT, &out),
                         X509_MALFORMED);
    pair.der[pair.len] = 0;
    assert_int_equal(x509_check_leaf(span_of(pair.der, pair.len + 1), NULL, X509_CLIENT, &out),
                     X509_MALFORMED);
}

static void test_a_ca_certificate_names_its_mesh(void **state)
{
    (void)state;
    struct x509_leaf out;
    struct name mesh;
    struct span der = span_of(ca.der.data, ca.der.len);
    assert_int_equal(x509_check_ca(der, &mesh, &out), X509_OK);
    assert_string_equal(mesh.text, "demo");
    assert_true(out.not_before_s == SUPPORT_X509_NOW - 3600);
    assert_int_equal(x509_check_leaf(der, NULL, X509_SERVER, &out), X509_IS_CA);
}

static void test_a_leaf_is_no_ca_certificate(void **state)
{
    (void)state;
    struct x509_leaf out;
    struct name mesh;
    struct identity *id = support_x509_identity(&ca, WEB);
    assert_int_equal(x509_check_ca(identity_leaf(id), &mesh, &out), X509_NOT_CA);
    identity_unref(id);
}

static void test_a_ca_with_any_bit_flipped_is_refused(void **state)
{
    (void)state;
    struct x509_leaf out;
    struct name mesh;
    /* Every bit outside the signature's numbers; a signature check costs 1 ms, so bytes in steps.
     */
    for (size_t at = 0; at < ca.der.len; at += 3) {
        struct x509_der bad = ca.der;
        bad.data[at] ^= (uint8_t)(1u << (at % 8));
        assert_int_not_equal(x509_check_ca(span_of(bad.data, bad.len), &mesh, &out), X509_OK);
    }
}

static void test_each_fault_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < X509_FAULT_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(x509_check_word((enum x509_fault)i),
                                    x509_check_word((enum x509_fault)j));
    assert_string_equal(x509_check_word(X509_MANY_URI_SANS), "many_uri_sans");
    assert_string_equal(x509_check_word(X509_FAULT_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_leaf_yields_its_identity_and_key),
        cmocka_unit_test(test_any_mesh_is_taken_when_none_is_named),
        cmocka_unit_test(test_each_wrong_leaf_is_refused_with_its_own_fault),
        cmocka_unit_test(test_extended_key_usage_must_cover_the_role),
        cmocka_unit_test(test_other_names_and_an_empty_subject_do_not_matter),
        cmocka_unit_test(test_uris_that_are_no_spiffe_id_are_refused),
        cmocka_unit_test(test_every_prefix_of_a_leaf_is_malformed),
        cmocka_unit_test(test_a_ca_certificate_names_its_mesh),
        cmocka_unit_test(test_a_leaf_is_no_ca_certificate),
        cmocka_unit_test(test_a_ca_with_any_bit_flipped_is_refused),
        cmocka_unit_test(test_each_fault_has_a_word_of_its_own),
    };
    return cmocka_run_group_tests(tests, make_ca, NULL);
}
