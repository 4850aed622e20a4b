/* The files that a host file names. */
#include "cmd/verbs/config_files.h"

#include "core/wire/config_load.h"
#include "tests/unit/support_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define NODE "[node]\nname = \"web-1\"\nmesh = \"shop\"\naddr = \"10.0.0.1\"\n"

#define KEY_UNDERLINED                                                                             \
    "      |                                                         "                             \
    "^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"

struct world {
    char folder[SUPPORT_FOLDER_MAX];
    char text[1024]; /* of the host file */
    char said[4096];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    support_folder_make(w->folder);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    support_folder_remove(w->folder);
    free(w);
    return 0;
}

static void make(struct world *w, const char *name, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", w->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, mode);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

/* Loads and checks `w->text`; what was found is in `w->said`, the folder's name as "@". */
static void expect(struct world *w, enum err want, const char *said)
{
    struct config_text text = {.file = "parley.toml", .text = span_str(w->text)};
    struct host_file file = {.text = &text, .count = 1};
    struct config *c = NULL;
    struct strbuf sb;
    struct diag d;
    size_t folder = strlen(w->folder);
    diag_init(&d);
    strbuf_init_fixed(&sb, w->said, sizeof w->said);
    assert_int_equal(config_load(&text, 1, &d, &c), ERR_OK);
    assert_int_equal(config_files_check(c, &file, &d), want);
    diag_print(&d, &sb);
    for (char *at; (at = strstr(w->said, w->folder)) != NULL;) {
        *at = '@';
        memmove(at + 1, at + folder, strlen(at + folder) + 1);
    }
    assert_string_equal(w->said, said);
    config_free(c);
    diag_fini(&d);
}

static void exec_is(struct world *w, const char *name)
{
    (void)snprintf(w->text, sizeof w->text,
                   NODE "[service.web]\nlocal = \"127.0.0.1:80\"\n"
                        "health = { interval = \"2s\", exec = [\n\"%s/%s\"] }\n",
                   w->folder, name);
}

static void test_program_that_is_not_there_is_a_warning(void **state)
{
    struct world *w = *state;
    exec_is(w, "check");
    expect(w, ERR_OK,
           "parley.toml:7: warning: there is no program @/check: every check of \"web\" would "
           "fail\n");
    make(w, "check", 0644);
    expect(w, ERR_OK, "parley.toml:7: warning: @/check is not executable: chmod +x @/check\n");
    make(w, "check", 0755);
    expect(w, ERR_OK, "");
    exec_is(w, ".");
    expect(w, ERR_OK,
           "parley.toml:7: warning: @/. is no program: every check of \"web\" would fail\n");
}

static void tls_is(struct world *w, const char *key)
{
    (void)snprintf(w->text, sizeof w->text,
                   NODE "[upstream.web]\nlisten = \"127.0.0.1:80\"\n"
                        "tls = { cert = \"%s/tls.crt\", key = \"%s/%s\" }\n",
                   w->folder, w->folder, key);
}

static void test_certificate_and_key_have_to_be_there(void **state)
{
    struct world *w = *state;
    tls_is(w, "tls.key");
    make(w, "tls.key", 0600);
    expect(w, ERR_INVALID,
           "parley.toml:7:16: error: there is no file @/tls.crt\n"
           "    7 | tls = { cert = \"@/tls.crt\", key = \"@/tls.key\" }\n"
           "      |                ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n");
    make(w, "tls.crt", 0644);
    expect(w, ERR_OK, "");
}

static void test_key_has_to_be_its_owners_alone(void **state)
{
    struct world *w = *state;
    char from[128], to[128];
    tls_is(w, "tls.key");
    make(w, "tls.crt", 0644);
    make(w, "tls.key", 0640);
    expect(w, ERR_INVALID,
           "parley.toml:7:57: error: a key must be its owner's alone: chmod 600 @/tls.key\n"
           "    7 | tls = { cert = \"@/tls.crt\", key = \"@/tls.key\" }\n" KEY_UNDERLINED);
    tls_is(w, "lnk.key");
    (void)snprintf(from, sizeof from, "%s/tls.key", w->folder);
    (void)snprintf(to, sizeof to, "%s/lnk.key", w->folder);
    assert_int_equal(symlink(from, to), 0);
    expect(w, ERR_INVALID,
           "parley.toml:7:57: error: a key may not be a link: name the file that @/lnk.key leads "
           "to\n"
           "    7 | tls = { cert = \"@/tls.crt\", key = \"@/lnk.key\" }\n" KEY_UNDERLINED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_program_that_is_not_there_is_a_warning, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_certificate_and_key_have_to_be_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_has_to_be_its_owners_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
