/* Merging of the configuration files: which tables there are, and in which files their parts stand.
 *
 * Inside core/wire/config*.c only. [node], [defaults], [metrics], [log], [gossip] and [limits] may
 * be written in several files as long as no key is; a service or an upstream is defined in one
 * place.
 */
#ifndef CORE_WIRE_CONFIG_MERGE_H
#define CORE_WIRE_CONFIG_MERGE_H

#include "core/wire/config_read.h"

enum config_merge_section {
    CONFIG_MERGE_NODE,
    CONFIG_MERGE_DEFAULTS,
    CONFIG_MERGE_METRICS,
    CONFIG_MERGE_LOG,
    CONFIG_MERGE_GOSSIP,
    CONFIG_MERGE_LIMITS,
    CONFIG_MERGE_SECTIONS
};

struct config_merge_entry { /* [service.X] or [upstream.X] */
    struct config_read_item item;
    struct config_read_table table;
};

struct config_merge_list { /* sorted by name */
    const char *section;
    size_t limit;
    size_t count;
    struct config_merge_entry *entry;
};

struct config_merge {
    struct config_read *read;      /* borrowed */
    const struct toml_source *src; /* borrowed */
    size_t count;                  /* files */
    struct config_read_table section[CONFIG_MERGE_SECTIONS];
    struct config_merge_list service, upstream;
};

/* Sorts the top tables of `root[count]`, parsed from `src[count]`, into `m`. Errors are collected
 * in `r`: unknown sections, bad names, services that two files define. Lives as long as r->scratch.
 */
void config_merge_files(struct config_merge *m, struct config_read *r,
                        const struct toml_source *src, const struct toml_value *const *root,
                        size_t count);

#endif
