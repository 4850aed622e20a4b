/* Walks the tree's own folders in one order, which is that of the names.
 *
 * One thread, owns nothing.
 */
#ifndef TESTS_TIDY_WALK_H
#define TESTS_TIDY_WALK_H

#include "core/base/err.h"

/* Is given the path from the root of each file; another err than ERR_OK ends the walk with it. */
struct walk_visitor {
    enum err (*file)(struct walk_visitor *visitor, const char *path);
};

/* Visits every file below `root`/`folder`; a folder that is not there has none. Folders named
 * corpus or example hold what is wrong on purpose and are left out. ERR_IO, ERR_TOO_LARGE (names
 * longer than a path, folders deeper than 16), and what the visitor returns. */
enum err walk_tree(const char *root, const char *folder, struct walk_visitor *visitor) MUST_USE;

#endif
