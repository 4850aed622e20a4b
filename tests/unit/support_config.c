#include "tests/unit/support_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct config *support_config_try(const char *const *text, size_t count, enum err *err, char **said)
{
    static const char *const file[SUPPORT_CONFIG_FILES] = {"parley.toml", "conf.d/a.toml",
                                                           "conf.d/b.toml"};
    struct config_text texts[SUPPORT_CONFIG_FILES];
    struct config *c = NULL;
    struct strbuf sb;
    struct diag d;
    assert_true(count <= SUPPORT_CONFIG_FILES);
    for (size_t i = 0; i < count; i++)
        texts[i] = (struct config_text){.file = file[i], .text = span_str(text[i])};
    strbuf_init(&sb, 1u << 20);
    diag_init(&d);
    *err = config_load(texts, count, &d, &c);
    assert_int_equal(*err == ERR_OK, c != NULL);
    diag_print(&d, &sb);
    diag_fini(&d);
    *said = strbuf_take(&sb);
    assert_non_null(*said);
    return c;
}

struct config *support_config_load(const char *const *text, size_t count)
{
    enum err err;
    char *said;
    struct config *c = support_config_try(text, count, &err, &said);
    if (c == NULL) fail_msg("%s", said);
    free(said);
    return c;
}

struct config *support_config_one(const char *text)
{
    return support_config_load(&text, 1);
}
