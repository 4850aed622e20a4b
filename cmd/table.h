/* Tables: aligned columns for people (interface.md 2.1): header, two spaces, no borders, widths by
 * code points.
 *
 * Main thread of a command. Cells are copied. Control bytes print as '?'.
 */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include <stdio.h>

#include "core/base/arena.h"

#define TABLE_COLUMNS_MAX 16u

struct json_value;

struct table {
    struct arena arena; /* owned */
    const char **cell;  /* owned array, row after row */
    size_t columns, cells, cap;
    bool failed; /* out of memory: table_print says so */
};

/* `header`: the column titles. */
void table_init(struct table *t, const char *const *header, size_t columns);
void table_fini(struct table *t);
/* Adds the next cell, left to right; NULL prints as "-". */
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The strings of a JSON array, blanks between them, as far as 255 bytes go; NULL has none. */
void table_cell_list(struct table *t, const struct json_value *list);
void table_print(const struct table *t, FILE *out);
/* "1.2ms", "3.4s", "5m", "2h", "3d" into `out`. */
const char *table_duration(uint64_t microseconds, char *out, size_t cap);

#endif
