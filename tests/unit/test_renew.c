/* Certificates past half their life are renewed while a signer lives, and kept while none does
 * (security.md N40). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/daemon/daemon.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/issue.h"
#include "cmd/daemon/store_identity.h"
#include "cmd/daemon/store_state.h"
#include "core/io/clock.h"
#include "tests/unit/support_daemon.h"

#define SOON_MS 30000u
#define AGE_S   (20 * 3600) /* of 24 hours: past every renewal time */

static int make(void **state)
{
    struct support_daemon *m = calloc(1, sizeof *m);
    assert_non_null(m);
    support_daemon_open(m);
    *state = m;
    return 0;
}

static int drop(void **state)
{
    support_daemon_close(*state);
    free(*state);
    return 0;
}

static bool fresh(const struct identity *id)
{
    return id && identity_not_after_s(id) > clock_wall_s() + 23 * 3600;
}

static bool all_fresh(struct daemon *d)
{
    size_t count;
    struct identity *const *id = identities_all(d->identities, &count);
    for (size_t i = 0; i < count; i++)
        if (!fresh(id[i])) return false;
    return count == 2;
}

static bool has_failed(struct daemon *d)
{
    struct issue_status is;
    issue_status(enroll_renewals(d->enroll), &is);
    return is.failed_total > 0 && is.waiting;
}

/* What a restart would load is what runs. */
static void check_stored(const struct support_daemon *m, const struct support_node *n)
{
    struct store s;
    struct identity *id = NULL;
    struct name api;
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len;
    struct sign_admission a;
    assert_int_equal(store_open(n->root, NULL, &s), ERR_OK);
    assert_int_equal(store_identity_node(&s, NULL, &id), ERR_OK);
    assert_true(fresh(id));
    identity_unref(id);
    assert_int_equal(name_set(&api, SPAN_LIT("api")), ERR_OK);
    assert_int_equal(store_identity_service(&s, &api, NULL, &id), ERR_OK);
    assert_true(fresh(id));
    identity_unref(id);
    assert_int_equal(store_state_admission(&s, NULL, cert, &len), ERR_OK);
    assert_int_equal(sign_admission_open(span_of(cert, len), sign_key_public(m->issuer), &m->id,
                                         clock_wall_s(), &a),
                     ERR_OK);
    assert_true(a.not_after_s > clock_wall_s() + 23 * 3600);
}

static const char *const api[] = {"api", NULL};
static const char api_toml[] = "[service.api]\nlocal = \"127.0.0.1:1\"\nhealth = \"none\"\n";

static void test_a_signer_renews_its_own_old_leaves(void **state)
{
    struct support_daemon *m = *state;
    m->leaf_age_s = AGE_S;
    m->roles = ADMISSION_ROLE_SIGNER;
    struct support_node *n = support_daemon_node(m, api, api_toml);
    support_daemon_signer(m, n);
    struct daemon *d = support_daemon_here(n);
    assert_true(support_daemon_until(d, all_fresh, SOON_MS));
    check_stored(m, n);
    daemon_free(d);
}

static void test_a_member_gets_old_leaves_renewed_by_a_signer(void **state)
{
    struct support_daemon *m = *state;
    m->roles = ADMISSION_ROLE_SIGNER;
    struct support_node *signer = support_daemon_node(m, NULL, "");
    support_daemon_signer(m, signer);
    support_daemon_up(signer, false);
    assert_true(support_daemon_hears(signer, "READY=1", SOON_MS));
    m->roles = 0;
    m->leaf_age_s = AGE_S;
    struct support_node *n = support_daemon_node(m, api, api_toml);
    struct daemon *d = support_daemon_here(n);
    assert_true(support_daemon_until(d, all_fresh, SOON_MS));
    check_stored(m, n);
    daemon_free(d);
}

static void test_without_a_signer_the_old_leaves_stay_in_use(void **state)
{
    struct support_daemon *m = *state;
    m->leaf_age_s = AGE_S;
    struct support_node *n = support_daemon_node(m, api, api_toml);
    struct daemon *d = support_daemon_here(n);
    assert_true(support_daemon_until(d, has_failed, SOON_MS));
    assert_false(all_fresh(d));
    assert_non_null(identities_node(d->identities));
    daemon_free(d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        T(test_a_signer_renews_its_own_old_leaves),
        T(test_a_member_gets_old_leaves_renewed_by_a_signer),
        T(test_without_a_signer_the_old_leaves_stay_in_use),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
