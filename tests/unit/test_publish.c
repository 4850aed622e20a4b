#include "proxy/snapshot/publish.h"
#include "proxy/snapshot/view.h"

#include "core/base/check.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define GENERATIONS 5000u

static struct snapshot *snapshot_made(uint64_t generation)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->magic = SNAPSHOT_MAGIC;
    s->refs = 1;
    s->generation = generation;
    arena_init(&s->arena, 256, 4096);
    struct snapshot_service *service = arena_array(&s->arena, 1, sizeof(*service));
    assert_non_null(service);
    service->endpoint_id = generation % 7;
    s->service = service;
    s->service_count = 1;
    return s;
}

static void test_a_snapshot_that_was_never_taken_comes_back(void **state)
{
    (void)state;
    struct publish_slot slot;
    assert_int_equal(publish_init(&slot), ERR_OK);
    struct snapshot *a = snapshot_made(1), *b = snapshot_made(2);
    assert_null(publish_take(&slot));
    assert_null(publish_put(&slot, a));
    assert_ptr_equal(publish_put(&slot, b), a);
    assert_ptr_equal(publish_take(&slot), b);
    assert_null(publish_take(&slot));
    assert_null(publish_reclaim(&slot));
    assert_int_equal(publish_return(&slot, b), ERR_OK);
    assert_ptr_equal(publish_reclaim(&slot), b);
    snapshot_unref(a);
    snapshot_unref(b);
    publish_fini(&slot);
}

static void test_returns_are_bounded(void **state)
{
    (void)state;
    struct publish_slot slot;
    assert_int_equal(publish_init(&slot), ERR_OK);
    struct snapshot *s = snapshot_made(1);
    for (unsigned i = 0; i < PUBLISH_RETURNS_MAX; i++)
        assert_int_equal(publish_return(&slot, s), ERR_OK);
    assert_int_equal(publish_return(&slot, s), ERR_FULL);
    snapshot_unref(s);
    publish_fini(&slot);
}

struct worker {
    struct publish_slot slot;
    uint64_t seen;       /* generations in rising order */
    uint64_t taken;      /* snapshots */
    uint64_t disordered; /* an older one after a newer one */
    uint64_t wrong;      /* content that is not of its generation */
};

static void *worker_main(void *arg)
{
    static const struct hash_key key = {{3}};
    struct worker *w = arg;
    struct endpoint_table table;
    struct view *view = NULL, *pinned = NULL;
    endpoint_state_table_init(&table, &key);
    while (w->seen < GENERATIONS) {
        struct snapshot *s = publish_take(&w->slot);
        if (s == NULL) continue;
        struct view *next;
        CHECK(view_new(s, &table, 1000, &next) == ERR_OK);
        w->taken++;
        w->disordered += s->generation <= w->seen;
        w->wrong += view_local(next, &s->service[0])->id != s->generation % 7;
        w->seen = s->generation;
        /* Every other view is still pinned by an exchange when the next one comes. */
        struct snapshot *done[2] = {NULL, NULL};
        if (pinned != NULL) done[0] = view_unpin(pinned, &table);
        pinned = view != NULL && w->taken % 2 ? view_pin(view) : NULL;
        if (view != NULL) done[1] = view_unpin(view, &table);
        view = next;
        for (size_t i = 0; i < 2; i++)
            while (done[i] != NULL && publish_return(&w->slot, done[i]) != ERR_OK)
                continue;
    }
    struct snapshot *last[2] = {pinned != NULL ? view_unpin(pinned, &table) : NULL,
                                view_unpin(view, &table)};
    for (size_t i = 0; i < 2; i++)
        while (last[i] != NULL && publish_return(&w->slot, last[i]) != ERR_OK)
            continue;
    CHECK(table.map.count == 0);
    endpoint_state_table_fini(&table);
    return NULL;
}

static unsigned reclaim(struct worker *w, size_t count)
{
    unsigned freed = 0;
    for (size_t i = 0; i < count; i++)
        for (struct snapshot *s; (s = publish_reclaim(&w[i].slot)) != NULL; freed++)
            snapshot_unref(s);
    return freed;
}

static void test_two_workers_take_newer_snapshots_only_and_give_all_back(void **state)
{
    (void)state;
    struct worker w[2] = {{.seen = 0}, {.seen = 0}};
    pthread_t thread[2];
    unsigned untaken = 0, back = 0;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(publish_init(&w[i].slot), ERR_OK);
        assert_int_equal(pthread_create(&thread[i], NULL, worker_main, &w[i]), 0);
    }
    for (uint64_t g = 1; g <= GENERATIONS; g++) {
        struct snapshot *s = snapshot_made(g);
        for (size_t i = 0; i < 2; i++) {
            struct snapshot *old = publish_put(&w[i].slot, snapshot_ref(s));
            untaken += old != NULL;
            snapshot_unref(old);
        }
        snapshot_unref(s);
        back += reclaim(w, 2);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    back += reclaim(w, 2);
    assert_int_equal(untaken + back, 2 * GENERATIONS);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(w[i].disordered, 0);
        assert_int_equal(w[i].wrong, 0);
        assert_int_equal(w[i].seen, GENERATIONS);
        publish_fini(&w[i].slot);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_snapshot_that_was_never_taken_comes_back),
        cmocka_unit_test(test_returns_are_bounded),
        cmocka_unit_test(test_two_workers_take_newer_snapshots_only_and_give_all_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
