#include "core/crypto/x509_mint.h"
#include "core/crypto/x509_check.h"
#include "tests/unit/support_x509.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define DAY_S INT64_C(86400)

/* FIPS 186-4 D.1.2.3: n. */
static const uint8_t order[P256_SECRET_BYTES] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

static struct support_x509_ca ca;

static int make_ca(void **state)
{
    (void)state;
    support_x509_ca_new("demo", &ca);
    return 0;
}

static struct x509_leaf_request request(const uint8_t *public_key)
{
    struct x509_leaf_request r = {.ca_der = span_of(ca.der.data, ca.der.len),
                                  .ca_secret = ca.secret,
                                  .public_key = public_key,
                                  .not_before_s = SUPPORT_X509_NOW,
                                  .not_after_s = SUPPORT_X509_NOW + DAY_S};
    assert_int_equal(name_spiffe_parse(SPAN_LIT("spiffe://demo/node/n1"), &r.id), ERR_OK);
    return r;
}

static void test_secrets_are_between_one_and_the_order(void **state)
{
    (void)state;
    uint8_t secret[P256_SECRET_BYTES] = {0}, public_key[P256_PUBLIC_BYTES];
    assert_int_equal(x509_mint_public(secret, public_key), ERR_RANGE);
    secret[31] = 1;
    assert_int_equal(x509_mint_public(secret, public_key), ERR_OK);
    assert_int_equal(public_key[0], 4);
    assert_int_equal(public_key[1], 0x6b); /* the generator's x begins 6b17d1f2 */
    assert_int_equal(public_key[2], 0x17);
    memcpy(secret, order, sizeof(secret));
    assert_int_equal(x509_mint_public(secret, public_key), ERR_RANGE);
    secret[31]--;
    assert_int_equal(x509_mint_public(secret, public_key), ERR_OK);
    memset(secret, 0xff, sizeof(secret));
    assert_int_equal(x509_mint_public(secret, public_key), ERR_RANGE);
}

static void test_fresh_keys_differ(void **state)
{
    (void)state;
    uint8_t a[P256_SECRET_BYTES], b[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    x509_mint_key(a, public_key);
    x509_mint_key(b, public_key);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void test_a_minted_leaf_passes_the_check(void **state)
{
    (void)state;
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct x509_der der;
    struct x509_leaf out;
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = request(public_key);
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_OK);
    struct span leaf = span_of(der.data, der.len);
    assert_int_equal(x509_check_leaf(leaf, &ca.mesh, X509_SERVER, &out), X509_OK);
    assert_int_equal(x509_check_leaf(leaf, &ca.mesh, X509_CLIENT, &out), X509_OK);
    assert_true(name_spiffe_eq(&out.id, &r.id));
    assert_true(out.not_before_s == r.not_before_s && out.not_after_s == r.not_after_s);
    assert_memory_equal(out.public_key, public_key, sizeof(public_key));
}

static void test_the_longest_names_fit(void **state)
{
    (void)state;
    static struct support_x509_ca longest_ca;
    char text[NAME_BYTES_MAX + 1];
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct x509_der der;
    struct x509_leaf out;
    memset(text, 'm', NAME_BYTES_MAX);
    text[NAME_BYTES_MAX] = '\0';
    support_x509_ca_new(text, &longest_ca);
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = request(public_key);
    r.ca_der = span_of(longest_ca.der.data, longest_ca.der.len);
    r.ca_secret = longest_ca.secret;
    r.id.kind = IDENTITY_SERVICE;
    r.id.mesh = r.id.name = longest_ca.mesh;
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_OK);
    assert_int_equal(
        x509_check_leaf(span_of(der.data, der.len), &longest_ca.mesh, X509_SERVER, &out), X509_OK);
}

static void test_a_leaf_is_not_minted_from_wrong_parts(void **state)
{
    (void)state;
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES], bad[P256_PUBLIC_BYTES];
    struct x509_der der, leaf;
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = request(public_key);
    assert_int_equal(x509_mint_leaf(&r, &leaf), ERR_OK);
    r.ca_secret = secret;
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_MISMATCH);
    r = request(public_key);
    r.ca_der = span_of(leaf.data, leaf.len);
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_INVALID);
    r = request(bad);
    memcpy(bad, public_key, sizeof(bad));
    bad[64] ^= 1;
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_INVALID);
    memcpy(bad, public_key, sizeof(bad));
    bad[0] = 2;
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_INVALID);
    r = request(public_key);
    r.not_after_s = r.not_before_s - 1;
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_RANGE);
    r = request(public_key);
    r.not_after_s = SUPPORT_X509_NOW + 40 * 365 * DAY_S;
    assert_int_equal(x509_mint_leaf(&r, &der), ERR_RANGE);
}

static void test_a_proof_holds_for_its_key_domain_and_message_only(void **state)
{
    (void)state;
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    uint8_t other_secret[P256_SECRET_BYTES], other[P256_PUBLIC_BYTES], sig[64];
    struct span msg = SPAN_LIT("csr");
    x509_mint_key(secret, public_key);
    x509_mint_key(other_secret, other);
    x509_mint_prove(secret, "join", msg, sig);
    assert_true(x509_mint_prove_verify(public_key, "join", msg, sig));
    assert_false(x509_mint_prove_verify(public_key, "joi", SPAN_LIT("ncsr"), sig));
    assert_false(x509_mint_prove_verify(public_key, "join", SPAN_LIT("csR"), sig));
    assert_false(x509_mint_prove_verify(other, "join", msg, sig));
    for (size_t at = 0; at < sizeof(sig); at++) {
        sig[at] ^= 1;
        assert_false(x509_mint_prove_verify(public_key, "join", msg, sig));
        sig[at] ^= 1;
    }
}

static void test_pem_goes_out_and_comes_back(void **state)
{
    (void)state;
    struct strbuf sb;
    uint8_t data[200], back[200];
    size_t len;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof(data); n++) {
        strbuf_init(&sb, 4096);
        strbuf_str(&sb, "some text before\n");
        x509_mint_pem("OTHER", SPAN_LIT("other"), &sb);
        x509_mint_pem("CERTIFICATE", span_of(data, n), &sb);
        x509_mint_pem("CERTIFICATE", SPAN_LIT("second"), &sb);
        assert_true(strbuf_ok(&sb));
        assert_int_equal(x509_mint_unpem(strbuf_view(&sb), "CERTIFICATE", back, sizeof(back), &len),
                         ERR_OK);
        assert_int_equal(len, n);
        if (n > 0) assert_memory_equal(back, data, n);
        assert_int_equal(x509_mint_unpem(strbuf_view(&sb), "KEY", back, sizeof(back), &len),
                         ERR_NOT_FOUND);
        strbuf_fini(&sb);
    }
}

static void test_pem_that_is_damaged_is_refused(void **state)
{
    (void)state;
    uint8_t back[8];
    size_t len;
    const char *const bad[] = {
        "-----BEGIN X-----\nQUJD\n", "-----BEGIN X-----\nQU*D\n-----END X-----",
        "-----BEGIN X-----\nQUJ\n-----END X-----", "-----BEGIN X-----\nQUJD====\n-----END X-----"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(x509_mint_unpem(span_str(bad[i]), "X", back, sizeof(back), &len),
                         ERR_INVALID);
    assert_int_equal(x509_mint_unpem(SPAN_LIT("-----BEGIN X-----\nQUJDQUJDQUJD\r\n-----END X-----"),
                                     "X", back, sizeof(back), &len),
                     ERR_TOO_LARGE);
    assert_int_equal(x509_mint_unpem(SPAN_LIT(""), "X", back, sizeof(back), &len), ERR_NOT_FOUND);
    assert_int_equal(x509_mint_unpem(span_of(NULL, 0), "X", back, sizeof(back), &len),
                     ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_between_one_and_the_order),
        cmocka_unit_test(test_fresh_keys_differ),
        cmocka_unit_test(test_a_minted_leaf_passes_the_check),
        cmocka_unit_test(test_the_longest_names_fit),
        cmocka_unit_test(test_a_leaf_is_not_minted_from_wrong_parts),
        cmocka_unit_test(test_a_proof_holds_for_its_key_domain_and_message_only),
        cmocka_unit_test(test_pem_goes_out_and_comes_back),
        cmocka_unit_test(test_pem_that_is_damaged_is_refused),
    };
    return cmocka_run_group_tests(tests, make_ca, NULL);
}
