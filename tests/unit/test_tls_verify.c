#include "core/crypto/tls_verify.h"
#include "tests/unit/support_rogue.h"
#include "tests/unit/support_x509.h"

#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define WEB "spiffe://demo/service/web"
#define API "spiffe://demo/service/api"

static struct support_x509_ca ca;
static struct trust *trust;
static struct identity *ours; /* api */
static struct tls_profile *profile;

static int set_up(void **state)
{
    (void)state;
    support_x509_ca_new("demo", &ca);
    trust = support_x509_trust(&ca);
    ours = support_x509_identity(&ca, API);
    return tls_engine_profile_new(&profile) != ERR_OK;
}

static int tear_down(void **state)
{
    (void)state;
    identity_trust_unref(trust);
    identity_unref(ours);
    tls_engine_profile_free(profile);
    return 0;
}

static struct span view(const struct support_x509_pair *pair)
{
    return span_of(pair->der, pair->len);
}

static struct tls_engine *our_server(void)
{
    struct tls_engine *e;
    struct tls_server_options o = {
        .profile = profile, .self = ours, .trust = trust, .alpn = "h2", .now_s = SUPPORT_X509_NOW};
    assert_int_equal(tls_engine_server(&o, &e), ERR_OK);
    return e;
}

static struct tls_engine *our_client(const char *expect)
{
    struct tls_engine *e;
    struct spiffe_id id;
    assert_int_equal(name_spiffe_parse(span_str(expect), &id), ERR_OK);
    struct tls_client_options o = {.profile = profile,
                                   .self = ours,
                                   .trust = trust,
                                   .expect = &id,
                                   .sni = "web.demo",
                                   .alpn = "h2",
                                   .now_s = SUPPORT_X509_NOW};
    assert_int_equal(tls_engine_client(&o, &e), ERR_OK);
    return e;
}

/* What our engine says of a peer that shows this chain; X509_OK means that it became ready. */
static enum x509_fault verdict(const struct support_rogue_options *o, bool rogue_is_server)
{
    static struct support_rogue rogue;
    struct tls_engine *e = rogue_is_server ? our_client(WEB) : our_server();
    if (rogue_is_server)
        support_rogue_server(&rogue, o);
    else
        support_rogue_client(&rogue, o);
    support_rogue_start(&rogue, rogue_is_server);
    support_rogue_shuttle(&rogue, e);
    enum x509_fault fault = tls_engine_fault(e);
    if (fault == X509_OK) {
        assert_true(tls_engine_ready(e));
        assert_non_null(tls_engine_peer(e));
    } else {
        assert_false(tls_engine_ready(e));
        assert_true(tls_engine_closed(e));
        assert_null(tls_engine_peer(e));
        assert_int_not_equal(tls_engine_error(e), ERR_OK);
        /* The peer hears an alert. */
        int heard = br_ssl_engine_last_error(rogue.eng);
        assert_in_range(heard, BR_ERR_RECV_FATAL_ALERT + 40, BR_ERR_RECV_FATAL_ALERT + 51);
    }
    tls_engine_free(e);
    return fault;
}

static enum x509_fault judge(const struct support_x509_leaf *l, bool rogue_is_server)
{
    static struct support_x509_pair pair;
    support_x509_write(&ca, l, &pair);
    struct support_rogue_options o = {.profile = profile,
                                      .secret = pair.secret,
                                      .chain = {view(&pair)},
                                      .chain_len = 1,
                                      .alpn = "h2"};
    return verdict(&o, rogue_is_server);
}

static void assert_judged(const struct support_x509_leaf *l, enum x509_fault want)
{
    for (int server = 0; server < 2; server++)
        assert_string_equal(x509_check_word(judge(l, server)), x509_check_word(want));
}

static void test_a_good_leaf_is_accepted_from_either_side(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    assert_judged(&l, X509_OK);
    l.dns_san = l.san_critical = true;
    l.subject = NULL;
    assert_judged(&l, X509_OK);
}

/* T02. */
static void test_dates_are_judged(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    l.not_after_s = SUPPORT_X509_NOW - 1;
    assert_judged(&l, X509_EXPIRED);
    l = support_x509_good(WEB);
    l.not_before_s = SUPPORT_X509_NOW + 1;
    assert_judged(&l, X509_NOT_YET_VALID);
    l.not_before_s = l.not_after_s = SUPPORT_X509_NOW;
    assert_judged(&l, X509_OK);
}

/* T03 to T10: the same faults as in test_x509_check, now through a handshake. */
static void test_each_wrong_leaf_is_refused_in_a_handshake(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    l.uri[l.uri_count++] = SPAN_LIT(API);
    assert_judged(&l, X509_MANY_URI_SANS);
    l = support_x509_good(WEB);
    l.ca = true;
    assert_judged(&l, X509_IS_CA);
    l = support_x509_good(WEB);
    l.key_usage = SUPPORT_X509_ABSENT;
    assert_judged(&l, X509_KEY_USAGE);
    l.key_usage = 0x84;
    assert_judged(&l, X509_KEY_USAGE);
    l = support_x509_good(WEB);
    l.drop_san = true;
    l.subject = WEB;
    assert_judged(&l, X509_NO_URI_SAN);
    l = support_x509_good(WEB);
    l.uri[0] = SPAN_LIT("spiffe://demo/service/web\0x");
    assert_judged(&l, X509_BAD_SPIFFE_ID);
    l = support_x509_good(WEB);
    l.eku_critical = true;
    assert_judged(&l, X509_UNKNOWN_CRITICAL);
    l = support_x509_good(WEB);
    l.wrong_key_type = true;
    assert_judged(&l, X509_KEY_TYPE);
    l = support_x509_good("spiffe://other/service/web");
    assert_judged(&l, X509_OTHER_MESH);
}

/* T09. */
static void test_key_usage_of_the_other_role_is_refused(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    l.eku_client = false;
    assert_int_equal(judge(&l, false), X509_EXTENDED_KEY_USAGE);
    assert_int_equal(judge(&l, true), X509_OK);
    l.eku_client = true;
    l.eku_server = false;
    assert_int_equal(judge(&l, false), X509_OK);
    assert_int_equal(judge(&l, true), X509_EXTENDED_KEY_USAGE);
}

static void test_only_the_expected_server_will_do(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(API);
    assert_int_equal(judge(&l, true), X509_OTHER_IDENTITY);
    l = support_x509_good("spiffe://demo/node/web");
    assert_int_equal(judge(&l, true), X509_OTHER_IDENTITY);
    assert_int_equal(judge(&l, false), X509_OK); /* a server takes any member */
}

static void test_a_peer_must_hold_the_key_of_its_leaf(void **state)
{
    (void)state;
    static struct support_x509_pair pair, other;
    struct support_x509_leaf l = support_x509_good(WEB);
    support_x509_write(&ca, &l, &pair);
    support_x509_write(&ca, &l, &other);
    struct support_rogue_options o = {.profile = profile,
                                      .secret = other.secret,
                                      .chain = {view(&pair)},
                                      .chain_len = 1,
                                      .alpn = "h2"};
    assert_int_equal(verdict(&o, false), X509_BAD_SIGNATURE);
    assert_int_equal(verdict(&o, true), X509_BAD_SIGNATURE);
}

static void test_a_leaf_signed_by_nobody_we_trust_is_told_from_a_forged_one(void **state)
{
    (void)state;
    static struct support_x509_ca stranger, forger;
    static struct support_x509_pair pair;
    struct support_x509_leaf l = support_x509_good(WEB);
    struct support_rogue_options o = {
        .profile = profile, .secret = pair.secret, .chain_len = 1, .alpn = "h2"};
    support_x509_ca_new("demo", &stranger);
    support_x509_write(&stranger, &l, &pair);
    o.chain[0] = view(&pair);
    assert_int_equal(verdict(&o, false), X509_UNKNOWN_CA);
    assert_int_equal(verdict(&o, true), X509_UNKNOWN_CA);
    /* Names our CA and its key, signed with another. */
    forger = ca;
    memcpy(forger.secret, stranger.secret, sizeof(forger.secret));
    support_x509_write(&forger, &l, &pair);
    o.chain[0] = view(&pair);
    assert_int_equal(verdict(&o, false), X509_BAD_SIGNATURE);
    assert_int_equal(verdict(&o, true), X509_BAD_SIGNATURE);
}

/* T10: whatever an intermediate says, it is not part of our chains. */
static void test_intermediates_are_not_followed(void **state)
{
    (void)state;
    static struct support_x509_pair middle, pair;
    static struct support_x509_ca intermediate;
    struct support_x509_leaf l = support_x509_good("spiffe://demo/service/middle");
    l.ca = true;
    l.key_usage = 0x06;
    support_x509_write(&ca, &l, &middle);
    intermediate = ca;
    memcpy(intermediate.secret, middle.secret, sizeof(middle.secret));
    l = support_x509_good(WEB);
    support_x509_write(&intermediate, &l, &pair);
    struct support_rogue_options o = {.profile = profile,
                                      .secret = pair.secret,
                                      .chain = {view(&pair), view(&middle)},
                                      .chain_len = 2,
                                      .alpn = "h2"};
    assert_int_equal(verdict(&o, false), X509_BAD_SIGNATURE);
    assert_int_equal(verdict(&o, true), X509_BAD_SIGNATURE);
}

/* T11. */
static void test_long_chains_and_large_certificates_are_refused(void **state)
{
    (void)state;
    static struct support_x509_pair pair;
    static uint8_t big[65536];
    struct support_x509_leaf l = support_x509_good(WEB);
    struct support_rogue_options o = {
        .profile = profile, .secret = pair.secret, .chain_len = 12, .alpn = "h2"};
    support_x509_write(&ca, &l, &pair);
    for (size_t i = 0; i < 12; i++)
        o.chain[i] = view(&pair);
    assert_int_equal(verdict(&o, false), X509_CHAIN_TOO_LONG);
    assert_int_equal(verdict(&o, true), X509_CHAIN_TOO_LONG);
    o.chain_len = TLS_CHAIN_MAX + 1;
    assert_int_equal(verdict(&o, true), X509_CHAIN_TOO_LONG);
    o.chain_len = TLS_CHAIN_MAX;
    assert_int_equal(verdict(&o, true), X509_OK);

    o.chain_len = 1;
    o.chain[0] = span_of(big, sizeof(big));
    assert_int_equal(verdict(&o, false), X509_TOO_LARGE);
    assert_int_equal(verdict(&o, true), X509_TOO_LARGE);
    l.padding = TLS_VERIFY_CERT_BYTES_MAX;
    assert_judged(&l, X509_TOO_LARGE);
    l.padding = TLS_VERIFY_CERT_BYTES_MAX / 2;
    assert_judged(&l, X509_OK);
    o.chain[0] = span_of(NULL, 0);
    assert_int_equal(verdict(&o, false), X509_MALFORMED);
    o.chain[0] = SPAN_LIT("not a certificate");
    assert_int_equal(verdict(&o, false), X509_MALFORMED);
}

static void test_a_client_that_sends_an_empty_list_is_refused(void **state)
{
    (void)state;
    struct support_rogue_options o = {.profile = profile, .alpn = "h2"};
    assert_int_equal(verdict(&o, false), X509_NO_CERTIFICATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_leaf_is_accepted_from_either_side),
        cmocka_unit_test(test_dates_are_judged),
        cmocka_unit_test(test_each_wrong_leaf_is_refused_in_a_handshake),
        cmocka_unit_test(test_key_usage_of_the_other_role_is_refused),
        cmocka_unit_test(test_only_the_expected_server_will_do),
        cmocka_unit_test(test_a_peer_must_hold_the_key_of_its_leaf),
        cmocka_unit_test(test_a_leaf_signed_by_nobody_we_trust_is_told_from_a_forged_one),
        cmocka_unit_test(test_intermediates_are_not_followed),
        cmocka_unit_test(test_long_chains_and_large_certificates_are_refused),
        cmocka_unit_test(test_a_client_that_sends_an_empty_list_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
