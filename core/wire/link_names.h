/* Names of header fields that cost one byte in a link's frame: most of what meshes carry.
 *
 * Any thread; constants. Which number a name has is part of `parley-link/1` and never changes. The
 * first three are no fields but what HTTP/2 calls pseudo fields.
 */
#ifndef CORE_WIRE_LINK_NAMES_H
#define CORE_WIRE_LINK_NAMES_H

#include "core/base/span.h"

#define LINK_NAMES_MAX 63u

enum link_name {
    LINK_NAME_NONE, /* the name is spelled out */
    LINK_NAME_AUTHORITY,
    LINK_NAME_PATH,
    LINK_NAME_PROTOCOL,
    LINK_NAME_FIELD, /* the first of the others */
    LINK_NAME_COOKIE = 18
};

/* The number of `name` (lower-case, not empty), or LINK_NAME_NONE. */
unsigned link_names_find(struct span name);
/* The name of a number of 1 to LINK_NAMES_MAX: constant, for ever. */
struct span link_names_text(unsigned number);

#endif
