/* Host configurations for tests, from their texts.
 *
 * One thread. The files are parley.toml and, as included, conf.d/a.toml and conf.d/b.toml.
 */
#ifndef TESTS_UNIT_SUPPORT_CONFIG_H
#define TESTS_UNIT_SUPPORT_CONFIG_H

#include "core/wire/config_load.h"

#define SUPPORT_CONFIG_FILES 3u

/* What every host file begins with, and a service. */
#define SUPPORT_CONFIG_NODE                                                                        \
    "[node]\n"                                                                                     \
    "name = \"web-1\"\n"                                                                           \
    "mesh = \"shop\"\n"                                                                            \
    "addr = \"10.0.0.1\"\n"
#define SUPPORT_CONFIG_WEB "[service.web]\nlocal = \"127.0.0.1:8080\"\n"

/* What comes of it, and in `*said`, which the caller frees, what `config check` prints. NULL for
 * all but ERR_OK. */
struct config *support_config_try(const char *const *text, size_t count, enum err *err,
                                  char **said);
/* Of what is good; else the test fails. */
struct config *support_config_load(const char *const *text, size_t count);
struct config *support_config_one(const char *text);

#endif
