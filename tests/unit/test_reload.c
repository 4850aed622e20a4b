#include "cmd/daemon/reload.h"

#include "tests/unit/support_daemon.h"

#include "cmd/daemon/compile.h"
#include "cmd/daemon/health_run.h"
#include "core/io/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define SOON_MS 30000u
#define WEB     "[service.web]\nlocal = \"@:8080\"\n"
#define API     "[upstream.api]\nlisten = \"@:9311\"\n"
#define DB      "[upstream.db]\nlisten = \"@:9312\"\nprotocol = \"tcp\"\n"

struct world {
    struct support_daemon mesh;
    struct support_node *node;
    struct daemon *d;
    struct diag diag;
    struct reload_summary sum;
};

static bool ready(struct daemon *d)
{
    return d->ready;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    support_daemon_open(&w->mesh);
    w->node = support_daemon_node(&w->mesh, NULL, WEB API);
    w->d = support_daemon_here(w->node);
    assert_true(support_daemon_until(w->d, ready, SOON_MS));
    diag_init(&w->diag);
    reload_summary_init(&w->sum);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    reload_summary_fini(&w->sum);
    diag_fini(&w->diag);
    daemon_free(w->d);
    support_daemon_close(&w->mesh);
    free(w);
    return 0;
}

static enum err reload(struct world *w, const char *toml)
{
    support_daemon_config(&w->mesh, w->node, toml);
    return reload_run(w->d, &w->diag, &w->sum);
}

static bool says(const struct strbuf *text, const char *line)
{
    return text->p != NULL && strstr(text->p, line) != NULL;
}

static void test_summary_lists_what_came_went_and_changed(void **state)
{
    struct world *w = *state;
    assert_int_equal(reload(w, "[service.web]\nlocal = \"@:8081\"\n" DB), ERR_OK);
    assert_true(w->sum.changed);
    assert_true(says(&w->sum.applied, "+upstream.db\n"));
    assert_true(says(&w->sum.applied, "-upstream.api\n"));
    assert_true(says(&w->sum.applied, "~service.web\n"));
    assert_int_equal(w->sum.restart_count, 0);
    assert_int_equal(w->sum.generation, compile_generation(w->d->compile));
    assert_non_null(config_upstream(w->d->config, SPAN_LIT("db")));
    assert_null(config_upstream(w->d->config, SPAN_LIT("api")));
}

static void test_equal_file_is_applied_and_said_to_be_unchanged(void **state)
{
    struct world *w = *state;
    assert_int_equal(reload(w, WEB API), ERR_OK);
    assert_false(w->sum.changed);
    assert_int_equal(w->sum.applied.len, 0);
}

static void test_value_that_needs_a_restart_keeps_running_and_is_listed(void **state)
{
    struct world *w = *state;
    uint32_t period_ms = w->d->config->gossip_period_ms;
    struct store s = w->d->store;
    struct strbuf text;
    strbuf_init(&text, 4096);
    assert_int_equal(store_read(&s, STORE_CONFIG, NULL, &text), ERR_OK);
    char *profile = strstr(text.p, "\"fast\"");
    assert_non_null(profile);
    memcpy(profile, "\"lan\" ", 6);
    assert_int_equal(store_write(&s, STORE_CONFIG, strbuf_view(&text), NULL), ERR_OK);
    strbuf_fini(&text);
    assert_int_equal(reload_run(w->d, &w->diag, &w->sum), ERR_OK);
    assert_int_equal(w->sum.restart_count, 1);
    assert_true(says(&w->sum.restart, "gossip.profile ("));
    assert_int_equal(w->d->config->gossip_period_ms, period_ms);
}

static void test_new_name_needs_a_new_identity(void **state)
{
    struct world *w = *state;
    struct support_node other = *w->node;
    (void)span_to_cstr(SPAN_LIT("h9"), other.name, sizeof other.name);
    support_daemon_config(&w->mesh, &other, WEB API);
    assert_int_equal(reload_run(w->d, &w->diag, &w->sum), ERR_INVALID);
    assert_non_null(strstr(w->diag.entry[0].message, "another identity"));
    assert_string_equal(w->d->config->node.name.text, "h1");
}

/* X04: nothing of a refused file is in effect. */
static void test_refused_reload_changes_nothing(void **state)
{
    struct world *w = *state;
    struct addr busy;
    int fd = -1;
    const struct config *running = w->d->config;
    uint64_t generation = compile_generation(w->d->compile);
    assert_int_equal(reload(w, WEB API "[upstream.db]\nlissten = 3\n"), ERR_INVALID);
    assert_int_equal(addr_parse(span_str(w->node->addr), 9312, &busy), ERR_OK);
    assert_int_equal(sock_listen(&busy, 0, &fd), ERR_OK);
    assert_int_equal(reload(w, API DB), ERR_IN_USE);
    assert_int_equal(close(fd), 0);
    assert_int_equal(reload(w, API "[log]\naccess = { to = \"/nowhere/a.log\" }\n"), ERR_NOT_FOUND);
    assert_ptr_equal(w->d->config, running);
    assert_int_equal(compile_generation(w->d->compile), generation);
    assert_int_equal(w->d->reloads_refused, 3);
    struct health_run_status st; /* still checked: service.web is still ours */
    assert_int_equal(health_run_status(w->d->health, &w->d->config->service[0].name, &st), ERR_OK);
    assert_int_equal(reload(w, API DB), ERR_OK);
    assert_int_equal(w->d->reloads_refused, 0);
}

static void test_applied_file_becomes_the_last_good_one(void **state)
{
    struct world *w = *state;
    struct host_file good;
    struct config *c = NULL;
    assert_int_equal(reload(w, WEB DB), ERR_OK);
    assert_int_equal(reload(w, "[upstrem.x]\n"), ERR_INVALID);
    assert_int_equal(reload_read(&w->d->store, true, &w->diag, &good, &c), ERR_OK);
    assert_non_null(config_upstream(c, SPAN_LIT("db")));
    config_free(c);
    host_file_fini(&good);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_summary_lists_what_came_went_and_changed),
        CASE(test_equal_file_is_applied_and_said_to_be_unchanged),
        CASE(test_value_that_needs_a_restart_keeps_running_and_is_listed),
        CASE(test_new_name_needs_a_new_identity),
        CASE(test_refused_reload_changes_nothing),
        CASE(test_applied_file_becomes_the_last_good_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
