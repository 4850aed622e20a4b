/* The rules of style.md that a program can check, and the list of what broke them.
 *
 * One thread. A report keeps the first findings of each rule as text and counts all of them.
 */
#ifndef TESTS_TIDY_RULE_H
#define TESTS_TIDY_RULE_H

#include <stdio.h>

/* code, the fact that holds when nothing is found. */
#define RULE_LIST(X)                                                                               \
    X(RULE_FILE_LINES, "files have at most 600 lines, headers 200")                                \
    X(RULE_FUNCTION_LINES, "functions have at most 70 lines")                                      \
    X(RULE_NESTING, "blocks nest at most 4 deep")                                                  \
    X(RULE_PARAMETERS, "functions have at most 6 parameters")                                      \
    X(RULE_COLUMNS, "lines have at most 100 columns")                                              \
    X(RULE_TABS, "no tabs")                                                                        \
    X(RULE_TRAILING, "no blanks at line ends, one newline at the end of a file")                   \
    X(RULE_UNFINISHED, "no notes of unfinished work, no disabled code")                            \
    X(RULE_HEADER_BLOCK, "headers open with a block that explains them, then a guard")             \
    X(RULE_TYPEDEF, "no typedef")                                                                  \
    X(RULE_INCLUDE_DIRECTION, "includes follow the law of dependency")                             \
    X(RULE_INCLUDE_WRAPPER, "third-party headers are included by their wrappers only")             \
    X(RULE_BANNED_CALL, "no banned call")                                                          \
    X(RULE_GNU_SOURCE, "_GNU_SOURCE only where it is allowed")                                     \
    X(RULE_SANS_IO, "protocol logic reads no clock, socket, file, environment or random device")   \
    X(RULE_EXPORT, "exported names carry their file's prefix")                                     \
    X(RULE_WRITABLE, "no writable data outside struct daemon")

#define RULE_ENUM(code, text) code,
enum rule { RULE_LIST(RULE_ENUM) RULE_COUNT };
#undef RULE_ENUM

#define RULE_FINDINGS_SHOWN 20u
#define RULE_FINDING_BYTES  300u

struct rule_report {
    unsigned count[RULE_COUNT];
    char text[RULE_COUNT][RULE_FINDINGS_SHOWN][RULE_FINDING_BYTES];
};

/* "RULE_TABS" and so on, static. */
const char *rule_name(enum rule rule);
/* The fact, static. */
const char *rule_fact(enum rule rule);
/* Notes that `path` breaks `rule` at `line` (0: no line). */
void rule_broken(struct rule_report *report, enum rule rule, const char *path, size_t line,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* TAP: one test a rule, its findings as comments. The number of rules that were broken. */
unsigned rule_print(const struct rule_report *report, FILE *out);

#endif
