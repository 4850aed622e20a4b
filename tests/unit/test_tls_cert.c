#include "core/crypto/tls_cert.h"

#include "core/crypto/identity.h"
#include "tests/unit/support_pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum err make(const char *chain, const char *key, struct tls_cert **out)
{
    *out = NULL;
    return tls_cert_new(span_str(chain), span_str(key), out);
}

static void test_a_chain_and_its_key_are_read(void **state)
{
    static const char *const keys[] = {support_pem_key_pkcs8, support_pem_key_sec1};
    uint8_t first[P256_SECRET_BYTES];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_cert *c;
        assert_int_equal(make(support_pem_cert, keys[i], &c), ERR_OK);
        struct span der = tls_cert_der(c, 0);
        assert_true(der.len > 300 && der.p[0] == 0x30);
        assert_int_equal(tls_cert_der(c, 1).len, 0);
        if (i == 0)
            memcpy(first, tls_cert_secret(c), sizeof first);
        else
            assert_memory_equal(first, tls_cert_secret(c), sizeof first);
        tls_cert_unref(tls_cert_ref(c));
        tls_cert_unref(c);
    }
}

static void test_intermediates_follow_and_other_objects_are_skipped(void **state)
{
    char chain[8192];
    struct tls_cert *c;
    (void)state;
    strncpy(chain, support_pem_key_other, sizeof chain - 1);
    for (unsigned i = 0; i < TLS_CERT_CHAIN_MAX; i++)
        strncat(chain, support_pem_cert, sizeof chain - strlen(chain) - 1);
    assert_int_equal(make(chain, support_pem_key_sec1, &c), ERR_OK);
    assert_true(tls_cert_der(c, TLS_CERT_CHAIN_MAX - 1).len > 0);
    tls_cert_unref(c);
    strncat(chain, support_pem_cert, sizeof chain - strlen(chain) - 1);
    assert_int_equal(make(chain, support_pem_key_sec1, &c), ERR_TOO_LARGE);
}

static void test_what_does_not_fit_is_told_apart(void **state)
{
    static const struct {
        const char *chain, *key;
        enum err want;
    } rows[] = {
        {"", support_pem_key_sec1, ERR_INVALID},
        {support_pem_key_sec1, support_pem_key_sec1, ERR_INVALID},
        {support_pem_cert, "", ERR_CORRUPT},
        {support_pem_cert, support_pem_cert, ERR_CORRUPT},
        {support_pem_cert, support_pem_key_other, ERR_MISMATCH},
        {support_pem_cert_rsa, support_pem_key_sec1, ERR_UNTRUSTED},
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", support_pem_key_sec1,
         ERR_INVALID},
        {"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", support_pem_key_sec1,
         ERR_INVALID},
        {support_pem_cert, "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n",
         ERR_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_cert *c;
        enum err err = make(rows[i].chain, rows[i].key, &c);
        if (err != rows[i].want) fail_msg("row %zu: %s", i, err_text(err));
        assert_null(c);
    }
}

/* Each text cut anywhere is refused or whole, and leaks nothing (under the sanitizers). */
static void test_cut_texts_are_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len + 1 < strlen(support_pem_cert); len += 7) {
        struct tls_cert *c = NULL;
        assert_int_not_equal(
            tls_cert_new(span_of(support_pem_cert, len), span_str(support_pem_key_sec1), &c),
            ERR_OK);
    }
    for (size_t len = 0; len + 1 < strlen(support_pem_key_sec1); len += 7) {
        struct tls_cert *c = NULL;
        assert_int_not_equal(
            tls_cert_new(span_str(support_pem_cert), span_of(support_pem_key_sec1, len), &c),
            ERR_OK);
    }
}

static void test_a_text_over_the_bound_is_refused(void **state)
{
    size_t len = TLS_CERT_PEM_MAX + 1;
    char *text = calloc(1, len);
    struct tls_cert *c;
    (void)state;
    assert_non_null(text);
    memset(text, '\n', len);
    assert_int_equal(tls_cert_new(span_of(text, len), span_str(support_pem_key_sec1), &c),
                     ERR_TOO_LARGE);
    assert_int_equal(tls_cert_new(span_str(support_pem_cert), span_of(text, len), &c),
                     ERR_TOO_LARGE);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chain_and_its_key_are_read),
        cmocka_unit_test(test_intermediates_follow_and_other_objects_are_skipped),
        cmocka_unit_test(test_what_does_not_fit_is_told_apart),
        cmocka_unit_test(test_cut_texts_are_refused),
        cmocka_unit_test(test_a_text_over_the_bound_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
