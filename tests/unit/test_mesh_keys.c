/* Group keys of a host: what is on disk before anyone hears of it, and what is undone when the disk
 * refuses. */
#include "cmd/daemon/mesh_keys.h"

#include "cmd/daemon/store_state.h"
#include "tests/unit/support_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct rig {
    struct daemon d; /* its store and its log are all that is used */
    struct seal_ring *ring;
    struct diag diag;
    char root[64];
    int null;
};

static const uint8_t key_one[SEAL_KEY_BYTES] = {1}, key_two[SEAL_KEY_BYTES] = {2};

static uint32_t id_of(const uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t h[SEAL_KEY_HASH_BYTES];
    seal_key_hash(key, h);
    return (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
}

static int make(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    support_folder_make(r->root);
    diag_init(&r->diag);
    assert_int_equal(store_open(r->root, NULL, &r->d.store), ERR_OK);
    assert_int_equal(store_prepare(&r->d.store, false, &r->diag), ERR_OK);
    r->null = open("/dev/null", O_WRONLY);
    log_init(&r->d.log, r->null, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    assert_int_equal(seal_ring_new(&r->ring), ERR_OK);
    assert_int_equal(seal_ring_add(r->ring, key_one), ERR_OK);
    assert_int_equal(store_state_keyring_save(&r->d.store, r->ring, &r->diag), ERR_OK);
    *state = r;
    return 0;
}

static int drop(void **state)
{
    struct rig *r = *state;
    support_folder_remove(r->root);
    seal_ring_free(r->ring);
    diag_fini(&r->diag);
    close(r->null);
    free(r);
    return 0;
}

static void apply(struct rig *r, enum gossip_effect_kind kind, const uint8_t *key)
{
    struct gossip_effect e = {.kind = kind};
    if (kind == GOSSIP_KEY_STORE)
        e.data = span_of(key, SEAL_KEY_BYTES);
    else
        e.key_id = id_of(key);
    mesh_keys_apply(&r->d, r->ring, &e);
}

/* The ids that a start would find, in order; how many. */
static size_t on_disk(struct rig *r, uint32_t ids[SEAL_KEYS_MAX])
{
    struct seal_ring *ring;
    assert_int_equal(store_state_keyring(&r->d.store, &r->diag, &ring), ERR_OK);
    size_t n = 0;
    while (n < SEAL_KEYS_MAX && seal_ring_key(ring, n, &ids[n]) != NULL)
        n++;
    seal_ring_free(ring);
    return n;
}

/* A folder where the file is to go: no write succeeds. */
static void break_disk(struct rig *r)
{
    char path[STORE_PATH_MAX];
    (void)store_path(&r->d.store, STORE_KEYRING, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void test_each_step_of_a_rotation_is_on_disk(void **state)
{
    struct rig *r = *state;
    uint32_t ids[SEAL_KEYS_MAX];
    apply(r, GOSSIP_KEY_STORE, key_two);
    assert_int_equal(on_disk(r, ids), 2);
    assert_int_equal(ids[0], id_of(key_one)); /* a new key does not seal yet */
    assert_int_equal(ids[1], id_of(key_two));
    apply(r, GOSSIP_KEY_USE, key_two);
    assert_int_equal(on_disk(r, ids), 2);
    assert_int_equal(ids[0], id_of(key_two));
    apply(r, GOSSIP_KEY_DROP, key_one);
    assert_int_equal(on_disk(r, ids), 1);
    assert_int_equal(ids[0], id_of(key_two));
    apply(r, GOSSIP_KEY_DROP, key_two); /* never the one that seals */
    assert_int_equal(on_disk(r, ids), 1);
}

static void test_a_key_that_cannot_be_stored_is_not_in_the_ring(void **state)
{
    struct rig *r = *state;
    struct manifest_hash hash;
    break_disk(r);
    apply(r, GOSSIP_KEY_STORE, key_two);
    assert_int_equal(seal_ring_count(r->ring), 1);
    assert_int_not_equal(mesh_keys_make(&r->d, r->ring, &r->diag, &hash), ERR_OK);
    assert_int_equal(seal_ring_count(r->ring), 1);
    assert_true(r->diag.count > 0);
}

static void test_a_made_key_is_stored_last_and_three_are_enough(void **state)
{
    struct rig *r = *state;
    struct manifest_hash first, second, third;
    uint32_t ids[SEAL_KEYS_MAX];
    assert_int_equal(mesh_keys_make(&r->d, r->ring, &r->diag, &first), ERR_OK);
    assert_int_equal(on_disk(r, ids), 2);
    assert_int_equal(ids[0], id_of(key_one));
    assert_int_equal(mesh_keys_make(&r->d, r->ring, &r->diag, &second), ERR_OK);
    assert_false(manifest_hash_eq(&first, &second));
    assert_int_equal(mesh_keys_make(&r->d, r->ring, &r->diag, &third), ERR_FULL);
    assert_int_equal(on_disk(r, ids), 3);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        FACT(test_each_step_of_a_rotation_is_on_disk),
        FACT(test_a_key_that_cannot_be_stored_is_not_in_the_ring),
        FACT(test_a_made_key_is_stored_last_and_three_are_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
