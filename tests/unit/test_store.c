#include "cmd/daemon/store.h"

#include "cmd/daemon/store_identity.h"
#include "cmd/daemon/store_state.h"
#include "core/base/check.h"
#include "tests/unit/support_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define NOW_S 1800000000

struct world {
    char root[64];
    struct store store;
    struct diag diag;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    support_folder_make(w->root);
    assert_int_equal(store_open(w->root, NULL, &w->store), ERR_OK);
    diag_init(&w->diag);
    assert_int_equal(store_prepare(&w->store, true, &w->diag), ERR_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    store_close(&w->store);
    support_folder_remove(w->root);
    diag_fini(&w->diag);
    free(w);
    return 0;
}

static struct name name_of(const char *text)
{
    struct name n;
    assert_int_equal(name_set(&n, span_str(text)), ERR_OK);
    return n;
}

static mode_t mode_of(const struct world *w, enum store_file f)
{
    char path[STORE_PATH_MAX];
    struct stat st;
    assert_int_equal(stat(store_path(&w->store, f, path), &st), 0);
    return st.st_mode & 07777;
}

static void test_paths_lie_under_the_root(void **state)
{
    (void)state;
    struct store s;
    struct name web = name_of("web");
    char path[STORE_PATH_MAX];
    assert_int_equal(store_open("/", NULL, &s), ERR_OK);
    assert_string_equal(store_path(&s, STORE_CONFIG, path), "/etc/parley/parley.toml");
    assert_int_equal(store_open(NULL, NULL, &s), ERR_OK);
    assert_string_equal(store_path(&s, STORE_EPOCH, path), "/var/lib/parley/epoch");
    assert_int_equal(store_open("h1/", "/x.toml", &s), ERR_OK);
    assert_string_equal(store_path(&s, STORE_CONFIG, path), "/x.toml");
    assert_string_equal(store_path(&s, STORE_CONF_D, path), "h1/etc/parley/conf.d");
    assert_string_equal(store_service_path(&s, &web, "crt", path),
                        "h1/var/lib/parley/services/web.crt");
}

static void test_too_long_a_root_is_refused(void **state)
{
    (void)state;
    struct store s;
    char root[STORE_PATH_MAX];
    memset(root, 'a', sizeof root - 1);
    root[sizeof root - 1] = '\0';
    assert_int_equal(store_open(root, NULL, &s), ERR_TOO_LARGE);
}

static void test_folders_have_the_modes_of_the_list(void **state)
{
    struct world *w = *state;
    assert_int_equal(mode_of(w, STORE_ETC), 0750);
    assert_int_equal(mode_of(w, STORE_STATE), 0700);
    assert_int_equal(mode_of(w, STORE_CA), 0700);
    assert_int_equal(mode_of(w, STORE_RUN), 0755);
    assert_int_equal(store_prepare(&w->store, true, &w->diag), ERR_OK);
}

static void test_second_process_on_a_root_is_refused_in_words(void **state)
{
    struct world *w = *state;
    struct store other;
    assert_int_equal(store_lock(&w->store, &w->diag), ERR_OK);
    assert_int_equal(store_open(w->root, NULL, &other), ERR_OK);
    assert_int_equal(store_lock(&other, &w->diag), ERR_BUSY);
    assert_non_null(strstr(w->diag.entry[0].message, "another parley runs on this root"));
    store_close(&w->store);
    assert_int_equal(store_lock(&other, &w->diag), ERR_OK);
    store_close(&other);
}

static void test_missing_file_is_not_found_without_words(void **state)
{
    struct world *w = *state;
    struct strbuf sb;
    strbuf_init(&sb, 100);
    assert_int_equal(store_read(&w->store, STORE_TOKENS, &w->diag, &sb), ERR_NOT_FOUND);
    assert_int_equal(store_read_checked(&w->store, STORE_PEERS, "x", &w->diag, &sb), ERR_NOT_FOUND);
    assert_int_equal(w->diag.count, 0);
    assert_int_equal(store_remove(&w->store, STORE_TOKENS, &w->diag), ERR_OK);
    strbuf_fini(&sb);
}

static void test_checked_file_comes_back_as_it_went(void **state)
{
    struct world *w = *state;
    struct strbuf sb;
    struct span data = SPAN_LIT("a\0b\nc\n");
    strbuf_init(&sb, 200);
    strbuf_str(&sb, "before:");
    assert_int_equal(store_write_checked(&w->store, STORE_PEERS, data, &w->diag), ERR_OK);
    assert_int_equal(store_read_checked(&w->store, STORE_PEERS, "x", &w->diag, &sb), ERR_OK);
    assert_int_equal(sb.len, 7 + data.len);
    assert_memory_equal(sb.p + 7, data.p, data.len);
    assert_int_equal(mode_of(w, STORE_PEERS), 0600);
    strbuf_fini(&sb);
}

/* N09: every truncation and every flipped byte is found, and the message says what to do. */
static void test_damaged_checked_file_is_corrupt_at_every_byte(void **state)
{
    struct world *w = *state;
    struct strbuf good, sb;
    strbuf_init(&good, 200);
    strbuf_init(&sb, 200);
    assert_int_equal(store_write_checked(&w->store, STORE_PEERS, SPAN_LIT("peers!"), NULL), ERR_OK);
    assert_int_equal(store_read(&w->store, STORE_PEERS, NULL, &good), ERR_OK);
    for (size_t i = 0; i < good.len; i++) {
        char bytes[200];
        memcpy(bytes, good.p, good.len);
        strbuf_reset(&sb);
        assert_int_equal(store_write(&w->store, STORE_PEERS, span_of(bytes, i), NULL), ERR_OK);
        assert_int_equal(store_read_checked(&w->store, STORE_PEERS, "x", NULL, &sb), ERR_CORRUPT);
        bytes[i] ^= 0x04;
        strbuf_reset(&sb);
        assert_int_equal(store_write(&w->store, STORE_PEERS, span_of(bytes, good.len), NULL),
                         ERR_OK);
        assert_int_equal(store_read_checked(&w->store, STORE_PEERS, "do this", &w->diag, &sb),
                         ERR_CORRUPT);
        assert_non_null(strstr(w->diag.entry[0].message, "var/lib/parley/peers is damaged"));
        assert_non_null(strstr(w->diag.entry[0].message, "do this"));
    }
    strbuf_fini(&good);
    strbuf_fini(&sb);
}

/* A CA, and a leaf for `name` made by it. */
struct made {
    uint8_t ca_secret[P256_SECRET_BYTES], secret[P256_SECRET_BYTES];
    struct x509_der ca, leaf;
};

static void make_leaf(struct made *m, const struct name *mesh, const char *name,
                      enum identity_kind kind)
{
    uint8_t public_key[P256_PUBLIC_BYTES], ca_public[P256_PUBLIC_BYTES];
    if (m->ca.len == 0) {
        x509_mint_key(m->ca_secret, ca_public);
        assert_int_equal(x509_mint_ca(mesh, m->ca_secret, NOW_S - 60, NOW_S + 86400, &m->ca),
                         ERR_OK);
    }
    x509_mint_key(m->secret, public_key);
    struct x509_leaf_request r = {.ca_der = span_of(m->ca.data, m->ca.len),
                                  .ca_secret = m->ca_secret,
                                  .id = {*mesh, name_of(name), kind},
                                  .public_key = public_key,
                                  .not_before_s = NOW_S - 60,
                                  .not_after_s = NOW_S + 3600};
    assert_int_equal(x509_mint_leaf(&r, &m->leaf), ERR_OK);
}

static void save(struct world *w, const struct name *service, const struct made *m)
{
    assert_int_equal(store_identity_save(&w->store, service, m->secret,
                                         span_of(m->leaf.data, m->leaf.len), &w->diag),
                     ERR_OK);
}

static void test_leaf_and_key_come_back_as_an_identity(void **state)
{
    struct world *w = *state;
    struct name mesh = name_of("shop"), web = name_of("web");
    struct made m = {.ca.len = 0};
    struct identity *id = NULL;
    assert_int_equal(store_identity_node(&w->store, &w->diag, &id), ERR_NOT_FOUND);
    make_leaf(&m, &mesh, "h1", IDENTITY_NODE);
    save(w, NULL, &m);
    assert_int_equal(store_identity_node(&w->store, &w->diag, &id), ERR_OK);
    assert_string_equal(identity_uri(id), "spiffe://shop/node/h1");
    assert_memory_equal(identity_secret(id), m.secret, P256_SECRET_BYTES);
    identity_unref(id);
    assert_int_equal(mode_of(w, STORE_NODE_KEY), 0600);

    make_leaf(&m, &mesh, "web", IDENTITY_SERVICE);
    assert_int_equal(store_identity_service(&w->store, &web, &w->diag, &id), ERR_NOT_FOUND);
    save(w, &web, &m);
    assert_int_equal(store_identity_service(&w->store, &web, &w->diag, &id), ERR_OK);
    assert_string_equal(identity_uri(id), "spiffe://shop/service/web");
    identity_unref(id);
}

/* N07: between the steps of a replacement either the old pair or the new one loads. */
static void test_kill_between_key_and_certificate_leaves_a_whole_identity(void **state)
{
    struct world *w = *state;
    struct name mesh = name_of("shop");
    struct made old = {.ca.len = 0}, new;
    struct identity *id = NULL;
    char key[STORE_PATH_MAX], next[STORE_PATH_MAX + 8], keep[STORE_PATH_MAX + 8];
    (void)store_path(&w->store, STORE_NODE_KEY, key);
    (void)snprintf(next, sizeof next, "%s.next", key);
    (void)snprintf(keep, sizeof keep, "%s.keep", key);
    make_leaf(&old, &mesh, "h1", IDENTITY_NODE);
    save(w, NULL, &old);
    assert_int_equal(link(key, keep), 0);
    new = old;
    make_leaf(&new, &mesh, "h1", IDENTITY_NODE);
    save(w, NULL, &new);

    /* As if killed before the last step: the new certificate, the old key, the new key beside. */
    assert_int_equal(rename(key, next), 0);
    assert_int_equal(rename(keep, key), 0);
    assert_int_equal(store_identity_node(&w->store, &w->diag, &id), ERR_OK);
    assert_memory_equal(identity_secret(id), new.secret, P256_SECRET_BYTES);
    assert_int_equal(access(next, F_OK), -1);
    identity_unref(id);
}

static void test_damaged_leaf_or_key_says_to_join_again(void **state)
{
    static const enum store_file part[] = {STORE_NODE_KEY, STORE_NODE_CRT};
    struct world *w = *state;
    struct name mesh = name_of("shop");
    struct made m = {.ca.len = 0};
    struct identity *id = NULL;
    make_leaf(&m, &mesh, "h1", IDENTITY_NODE);
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        struct strbuf sb;
        struct diag diag;
        diag_init(&diag);
        strbuf_init(&sb, 4096);
        save(w, NULL, &m);
        assert_int_equal(store_read(&w->store, part[i], NULL, &sb), ERR_OK);
        assert_int_equal(store_write(&w->store, part[i], span_of(sb.p, sb.len / 2), NULL), ERR_OK);
        assert_int_equal(store_identity_node(&w->store, &diag, &id), ERR_CORRUPT);
        assert_non_null(strstr(diag.entry[0].message, "parley join"));
        diag_fini(&diag);
        strbuf_fini(&sb);
    }
}

static void test_key_that_others_may_read_is_refused(void **state)
{
    struct world *w = *state;
    struct name mesh = name_of("shop");
    struct made m = {.ca.len = 0};
    struct identity *id = NULL;
    char path[STORE_PATH_MAX];
    make_leaf(&m, &mesh, "h1", IDENTITY_NODE);
    save(w, NULL, &m);
    assert_int_equal(chmod(store_path(&w->store, STORE_NODE_KEY, path), 0644), 0);
    assert_int_equal(store_identity_node(&w->store, &w->diag, &id), ERR_PERM);
    assert_non_null(strstr(w->diag.entry[0].message, "0600"));
}

static void test_trust_anchors_and_ca_key_come_back(void **state)
{
    struct world *w = *state;
    struct name mesh = name_of("shop");
    struct made a = {.ca.len = 0}, b = {.ca.len = 0};
    struct trust *trust = NULL;
    struct x509_der first;
    uint8_t secret[P256_SECRET_BYTES];
    make_leaf(&a, &mesh, "h1", IDENTITY_NODE);
    make_leaf(&b, &mesh, "h1", IDENTITY_NODE);
    struct span both[] = {span_of(a.ca.data, a.ca.len), span_of(b.ca.data, b.ca.len)};
    assert_int_equal(store_identity_ca_save(&w->store, both, 2, &w->diag), ERR_OK);
    assert_int_equal(store_identity_trust(&w->store, &mesh, &w->diag, &trust), ERR_OK);
    assert_true(name_eq(identity_trust_mesh(trust), &mesh));
    identity_trust_unref(trust);
    assert_int_equal(store_identity_ca_der(&w->store, &w->diag, &first), ERR_OK);
    assert_true(span_eq(span_of(first.data, first.len), both[0]));

    assert_int_equal(store_identity_ca_key(&w->store, &w->diag, secret), ERR_NOT_FOUND);
    assert_int_equal(store_identity_ca_key_save(&w->store, a.ca_secret, &w->diag), ERR_OK);
    assert_int_equal(store_identity_ca_key(&w->store, &w->diag, secret), ERR_OK);
    assert_memory_equal(secret, a.ca_secret, sizeof secret);
    assert_int_equal(w->diag.count, 0);
}

static void test_trust_of_another_mesh_is_corrupt(void **state)
{
    struct world *w = *state;
    struct name mesh = name_of("shop"), other = name_of("bank");
    struct made m = {.ca.len = 0};
    struct trust *trust = NULL;
    make_leaf(&m, &mesh, "h1", IDENTITY_NODE);
    struct span ca = span_of(m.ca.data, m.ca.len);
    assert_int_equal(store_identity_ca_save(&w->store, &ca, 1, &w->diag), ERR_OK);
    assert_int_equal(store_identity_trust(&w->store, &other, &w->diag, &trust), ERR_CORRUPT);
    assert_int_equal(store_write(&w->store, STORE_CA_CRT, SPAN_LIT("nothing"), NULL), ERR_OK);
    assert_int_equal(store_identity_trust(&w->store, &mesh, &w->diag, &trust), ERR_CORRUPT);
}

static void test_gossip_key_comes_back(void **state)
{
    struct world *w = *state;
    struct sign_key *made = NULL, *loaded = NULL;
    assert_int_equal(sign_key_new(NULL, &made), ERR_OK);
    assert_int_equal(store_identity_sign_save(&w->store, STORE_GOSSIP_KEY, made, &w->diag), ERR_OK);
    assert_int_equal(store_identity_sign_key(&w->store, STORE_GOSSIP_KEY, &w->diag, &loaded),
                     ERR_OK);
    assert_memory_equal(sign_key_public(loaded), sign_key_public(made), SIGN_PUBLIC_BYTES);
    sign_key_free(loaded);
    sign_key_free(made);
    assert_int_equal(store_write(&w->store, STORE_GOSSIP_KEY, SPAN_LIT("x"), NULL), ERR_OK);
    assert_int_equal(store_identity_sign_key(&w->store, STORE_GOSSIP_KEY, &w->diag, &loaded),
                     ERR_CORRUPT);
}

static void test_mesh_and_admission_come_back(void **state)
{
    struct world *w = *state;
    struct store_mesh m = {.name = name_of("shop"), .id = {{1, 2, 0xff}}, .issuer_pk = {9, 8}}, got;
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len = 0;
    assert_int_equal(store_state_mesh(&w->store, &w->diag, &got), ERR_NOT_FOUND);
    assert_int_equal(store_state_mesh_save(&w->store, &m, &w->diag), ERR_OK);
    assert_int_equal(store_state_mesh(&w->store, &w->diag, &got), ERR_OK);
    assert_true(name_eq(&got.name, &m.name));
    assert_memory_equal(&got.id, &m.id, sizeof m.id);
    assert_memory_equal(got.issuer_pk, m.issuer_pk, sizeof m.issuer_pk);
    assert_int_equal(
        store_write_checked(&w->store, STORE_MESH, SPAN_LIT("mesh = shop\nid = 0g\n"), NULL),
        ERR_OK);
    assert_int_equal(store_state_mesh(&w->store, &w->diag, &got), ERR_CORRUPT);

    assert_int_equal(store_state_admission_save(&w->store, SPAN_LIT("\x01\x02\xff"), &w->diag),
                     ERR_OK);
    assert_int_equal(store_state_admission(&w->store, &w->diag, cert, &len), ERR_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(cert, "\x01\x02\xff", 3);
}

static void test_keyring_comes_back_in_order(void **state)
{
    struct world *w = *state;
    struct seal_ring *made = NULL, *loaded = NULL;
    uint8_t one[SEAL_KEY_BYTES] = {1}, two[SEAL_KEY_BYTES] = {2};
    assert_int_equal(seal_ring_new(&made), ERR_OK);
    assert_int_equal(seal_ring_add(made, one), ERR_OK);
    assert_int_equal(seal_ring_add(made, two), ERR_OK);
    assert_int_equal(store_state_keyring_save(&w->store, made, &w->diag), ERR_OK);
    assert_int_equal(mode_of(w, STORE_KEYRING), 0600);
    assert_int_equal(store_state_keyring(&w->store, &w->diag, &loaded), ERR_OK);
    assert_int_equal(seal_ring_count(loaded), 2);
    uint32_t id = 0;
    assert_memory_equal(seal_ring_key(loaded, 0, &id), one, sizeof one);
    assert_memory_equal(seal_ring_key(loaded, 1, &id), two, sizeof two);
    seal_ring_free(loaded);
    seal_ring_free(made);
    assert_int_equal(store_write_checked(&w->store, STORE_KEYRING, SPAN_LIT("no key\n"), NULL),
                     ERR_OK);
    assert_int_equal(store_state_keyring(&w->store, &w->diag, &loaded), ERR_CORRUPT);
}

static void test_epoch_only_grows_even_when_the_clock_goes_back(void **state)
{
    struct world *w = *state;
    uint64_t epoch = 0;
    assert_int_equal(store_state_epoch_next(&w->store, 1000, &w->diag, &epoch), ERR_OK);
    assert_int_equal(epoch, 1000);
    assert_int_equal(store_state_epoch_next(&w->store, 5000, &w->diag, &epoch), ERR_OK);
    assert_int_equal(epoch, 5000);
    assert_int_equal(store_state_epoch_next(&w->store, 10, &w->diag, &epoch), ERR_OK);
    assert_int_equal(epoch, 5001);
    assert_int_equal(store_write(&w->store, STORE_EPOCH, SPAN_LIT("7"), NULL), ERR_OK);
    assert_int_equal(store_state_epoch_next(&w->store, 9000, &w->diag, &epoch), ERR_CORRUPT);
    assert_non_null(strstr(w->diag.entry[0].message, "delete it if this host's clock is right"));
    assert_int_equal(epoch, 5001);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_lie_under_the_root),
        cmocka_unit_test(test_too_long_a_root_is_refused),
        CASE(test_folders_have_the_modes_of_the_list),
        CASE(test_second_process_on_a_root_is_refused_in_words),
        CASE(test_missing_file_is_not_found_without_words),
        CASE(test_checked_file_comes_back_as_it_went),
        CASE(test_damaged_checked_file_is_corrupt_at_every_byte),
        CASE(test_leaf_and_key_come_back_as_an_identity),
        CASE(test_kill_between_key_and_certificate_leaves_a_whole_identity),
        CASE(test_damaged_leaf_or_key_says_to_join_again),
        CASE(test_key_that_others_may_read_is_refused),
        CASE(test_trust_anchors_and_ca_key_come_back),
        CASE(test_trust_of_another_mesh_is_corrupt),
        CASE(test_gossip_key_comes_back),
        CASE(test_mesh_and_admission_come_back),
        CASE(test_keyring_comes_back_in_order),
        CASE(test_epoch_only_grows_even_when_the_clock_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
