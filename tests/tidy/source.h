/* A source file as tidy sees it: its text, and its code without comments and literals.
 *
 * One thread. `code` has the length and the lines of `text`; comments, strings and characters are
 * blanked, so that a word found in it is code. A source owns its bytes; spans point into them.
 */
#ifndef TESTS_TIDY_SOURCE_H
#define TESTS_TIDY_SOURCE_H

#include "core/base/err.h"
#include "core/base/span.h"

#define SOURCE_BYTES_MAX (4u * 1024 * 1024)

enum source_kind { SOURCE_C, SOURCE_HEADER, SOURCE_SCRIPT };

struct source {
    const char *path; /* borrowed, from the root of the tree */
    enum source_kind kind;
    char *text;
    char *code; /* of a script: empty */
    size_t len;
    struct span *line; /* lines of `text` without their newline */
    struct span *code_line;
    size_t line_count;
};

/* Whether tidy reads `path`, by its name; then `*kind`. */
bool source_kind(const char *path, enum source_kind *kind);
/* Reads `root`/`path`. ERR_IO, ERR_TOO_LARGE, ERR_NOMEM. On success end with source_free. */
enum err source_load(struct source *s, const char *root, const char *path) MUST_USE;
/* The same of `text`, for tests. */
enum err source_of(struct source *s, const char *path, struct span text) MUST_USE;
void source_free(struct source *s);

/* The next place at or after `from` in `code` where `word` stands alone; SIZE_MAX: none. */
size_t source_find(struct span code, const char *word, size_t from);
/* As source_find, of a call: `word`, blanks and "(", and not a member's name or a declaration. */
size_t source_find_call(struct span code, const char *word, size_t from);

#endif
