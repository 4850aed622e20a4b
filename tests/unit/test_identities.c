#include "cmd/daemon/identities.h"

#include "tests/unit/support_daemon.h"

#include "cmd/daemon/own_record.h"
#include "cmd/daemon/store_identity.h"
#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct world {
    struct support_daemon mesh;
    struct store store;
    struct identities *ids;
    struct diag diag;
    struct config_service service[2];
    struct config_upstream upstream[2];
    struct config config;
};

static struct name name_of(const char *text)
{
    struct name n;
    assert_int_equal(name_set(&n, span_str(text)), ERR_OK);
    return n;
}

static struct spiffe_id id_of(const char *name, enum identity_kind kind)
{
    return (struct spiffe_id){name_of("shop"), name_of(name), kind};
}

/* Node h1 with leaves of web and old on disk, and a configuration that wants web, api and jobs. */
static int setup(void **state)
{
    static const char *const service[] = {"web", "old", NULL};
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    support_daemon_open(&w->mesh);
    struct support_node *n = support_daemon_node(&w->mesh, service, "");
    assert_int_equal(store_open(n->root, NULL, &w->store), ERR_OK);
    assert_int_equal(identities_new(&w->ids), ERR_OK);
    diag_init(&w->diag);
    w->service[0].name = name_of("api");
    w->service[1].name = name_of("web");
    w->upstream[0].as = id_of("jobs", IDENTITY_SERVICE);
    w->upstream[1].as = id_of("web", IDENTITY_SERVICE);
    w->config = (struct config){
        .service = w->service, .service_count = 2, .upstream = w->upstream, .upstream_count = 2};
    w->config.node.mesh = name_of("shop");
    w->config.node.name = name_of("h1");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    identities_free(w->ids);
    diag_fini(&w->diag);
    support_daemon_close(&w->mesh);
    free(w);
    return 0;
}

static void load(struct world *w)
{
    assert_int_equal(identities_load(w->ids, &w->store, &w->config, &w->diag), ERR_OK);
}

static struct identity *get(struct world *w, const char *name)
{
    struct spiffe_id id = id_of(name, IDENTITY_SERVICE);
    return identities_get(w->ids, &id);
}

static void test_wanted_are_services_and_callers_once_each(void **state)
{
    struct world *w = *state;
    struct spiffe_id want[8];
    assert_int_equal(identities_wanted(&w->config, want, ARRAY_LEN(want)), 3);
    assert_string_equal(want[0].name.text, "api");
    assert_string_equal(want[1].name.text, "web");
    assert_string_equal(want[2].name.text, "jobs");
    assert_int_equal(identities_wanted(&w->config, want, 1), 1);
    w->upstream[0].as = id_of("h1", IDENTITY_NODE); /* the node's is no service leaf */
    assert_int_equal(identities_wanted(&w->config, want, ARRAY_LEN(want)), 2);
}

static void test_load_takes_what_is_wanted_and_there(void **state)
{
    struct world *w = *state;
    size_t count = 0;
    load(w);
    assert_string_equal(identity_uri(identities_node(w->ids)), "spiffe://shop/node/h1");
    assert_non_null(identities_trust(w->ids));
    assert_non_null(get(w, "web"));
    assert_null(get(w, "api")); /* not issued yet */
    assert_null(get(w, "old")); /* not wanted */
    assert_ptr_equal(identities_all(w->ids, &count)[0], identities_node(w->ids));
    assert_int_equal(count, 2);
    assert_int_equal(w->diag.count, 0);
}

static void test_node_of_another_name_is_refused(void **state)
{
    struct world *w = *state;
    w->config.node.name = name_of("h2");
    assert_int_equal(identities_load(w->ids, &w->store, &w->config, &w->diag), ERR_MISMATCH);
    assert_non_null(strstr(w->diag.entry[0].message, "spiffe://shop/node/h1"));
    assert_non_null(strstr(w->diag.entry[0].message, "spiffe://shop/node/h2"));
}

static void test_damaged_service_leaf_is_a_warning(void **state)
{
    struct world *w = *state;
    char path[STORE_PATH_MAX];
    struct name web = name_of("web");
    (void)store_service_path(&w->store, &web, "crt", path);
    assert_int_equal(store_write_path(path, 0644, SPAN_LIT("rot"), NULL), ERR_OK);
    load(w);
    assert_null(get(w, "web"));
    assert_int_equal(w->diag.errors, 0);
    assert_int_equal(w->diag.warnings, 1);
    assert_non_null(strstr(w->diag.entry[0].message, "issued anew"));
}

static void test_leaf_stored_under_another_name_is_not_used(void **state)
{
    struct world *w = *state;
    char from[STORE_PATH_MAX], to[STORE_PATH_MAX];
    struct name old = name_of("old"), api = name_of("api");
    static const char *const part[] = {"key", "crt"};
    for (size_t i = 0; i < ARRAY_LEN(part); i++)
        assert_int_equal(rename(store_service_path(&w->store, &old, part[i], from),
                                store_service_path(&w->store, &api, part[i], to)),
                         0);
    load(w);
    assert_null(get(w, "api"));
    assert_non_null(strstr(w->diag.entry[0].message, "is for spiffe://shop/service/old"));
}

static void test_sync_follows_the_configuration(void **state)
{
    struct world *w = *state;
    load(w);
    w->service[1].name = name_of("old");
    w->config.upstream_count = 0;
    identities_sync(w->ids, &w->store, &w->config, &w->diag);
    assert_null(get(w, "web"));
    assert_non_null(get(w, "old"));
    assert_non_null(identities_node(w->ids));
}

static void test_renewed_leaf_replaces_the_old_one(void **state)
{
    struct world *w = *state;
    struct name web = name_of("web");
    struct identity *again = NULL;
    size_t before = 0, after = 0;
    load(w);
    (void)identities_all(w->ids, &before);
    assert_int_equal(store_identity_service(&w->store, &web, NULL, &again), ERR_OK);
    assert_ptr_not_equal(get(w, "web"), again);
    assert_int_equal(identities_put(w->ids, again), ERR_OK);
    assert_ptr_equal(get(w, "web"), again);
    (void)identities_all(w->ids, &after);
    assert_int_equal(before, after);
}

static void test_own_record_says_what_runs_here(void **state)
{
    struct world *w = *state;
    struct daemon d = {.identities = w->ids, .store = w->store};
    struct service_tag tag = {"version", "1.14"};
    struct node_record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    load(w);
    w->service[1].weight = 7;
    w->service[1].protocol = PROTOCOL_TCP;
    w->service[1].tag = &tag;
    w->service[1].tag_count = 1;
    own_record_build(&d, &w->config, r);
    assert_string_equal(r->node.text, "h1");
    assert_string_equal(r->version, PARLEY_VERSION);
    assert_int_equal(r->cert_not_after_s, identity_not_after_s(identities_node(w->ids)));
    assert_false(r->draining);
    assert_false(r->signer);
    assert_int_equal(r->service_count, 2);
    assert_string_equal(r->service[1].service.text, "web");
    assert_int_equal(r->service[1].protocol, PROTOCOL_TCP);
    assert_int_equal(r->service[1].health, HEALTH_UNKNOWN);
    assert_int_equal(r->service[1].weight, 7);
    assert_string_equal(r->service[1].tag[0].value, "1.14");
    assert_int_equal(store_prepare(&w->store, true, NULL), ERR_OK);
    assert_int_equal(store_identity_ca_key_save(&w->store, w->mesh.ca_secret, NULL), ERR_OK);
    own_record_build(&d, &w->config, r);
    assert_true(r->signer);
    free(r);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_wanted_are_services_and_callers_once_each),
        CASE(test_load_takes_what_is_wanted_and_there),
        CASE(test_node_of_another_name_is_refused),
        CASE(test_damaged_service_leaf_is_a_warning),
        CASE(test_leaf_stored_under_another_name_is_not_used),
        CASE(test_sync_follows_the_configuration),
        CASE(test_renewed_leaf_replaces_the_old_one),
        CASE(test_own_record_says_what_runs_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
