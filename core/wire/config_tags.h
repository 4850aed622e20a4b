/* Reading of tag tables: `tags = { version = "1.14" }`.
 *
 * Inside core/wire/config*.c only. One load, one thread.
 */
#ifndef CORE_WIRE_CONFIG_TAGS_H
#define CORE_WIRE_CONFIG_TAGS_H

#include "core/wire/config_read.h"

struct config_tags {
    struct service_tag *tag; /* in the config's arena */
    uint32_t count;          /* at most NODE_TAGS_MAX */
};

/* The tags under `key`, none when it is absent; notes the effective value. Errors are collected,
 * and what is wrong is left out. */
struct config_tags config_tags_read(const struct config_read_table *t, const char *key);

#endif
