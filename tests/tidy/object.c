#include "tests/tidy/object.h"

#include <stdlib.h>

#define SYMBOL_LINE_BYTES 1024u

/* "core/base/err.c" -> "err". */
static struct span stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct span name = span_str(slash != NULL ? slash + 1 : path), rest;
    return span_cut(name, '.', &rest);
}

static bool has_prefix(struct span name, struct span stem)
{
    if (!span_starts(name, stem)) return false;
    return name.len == stem.len || name.p[stem.len] == '_';
}

static bool is_writable(char class, struct span section)
{
    if (strchr("bBdDCsSgG", class) == NULL) return false;
    /* Constant tables of pointers: read-only once the loader has relocated them (RELRO). */
    return !span_starts(section, SPAN_LIT(".data.rel.ro"));
}

bool object_check_symbol(const char *path, struct span line, struct rule_report *report)
{
    struct span field[7], rest = line;
    for (size_t i = 0; i < 7; i++) {
        if (rest.p == NULL) return false;
        field[i] = span_trim(span_cut(rest, '|', &rest));
    }
    if (field[2].len != 1 || field[0].len == 0) return false;
    /* What the optimizer keeps for the link is no data of the program. */
    if (span_starts(field[6], SPAN_LIT(".gnu.debuglto_"))) return true;
    struct span name = field[0];
    char class = field[2].p[0];
    if (strchr("TDBRCVWGSui", class) != NULL && !has_prefix(name, stem_of(path)))
        rule_broken(report, RULE_EXPORT, path, 0, "exports %.*s", SPAN_ARG(name));
    if (is_writable(class, field[6]))
        rule_broken(report, RULE_WRITABLE, path, 0, "%.*s in %.*s", SPAN_ARG(name),
                    SPAN_ARG(field[6]));
    return true;
}

enum err object_check(const char *path, const char *object, struct rule_report *report)
{
    char command[4096], line[SYMBOL_LINE_BYTES];
    size_t symbols = 0;
    /* The name goes to a shell: only what our own files are called. */
    if (strspn(object, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") !=
        strlen(object))
        return ERR_IO;
    /* Without its plugin for link-time optimization, which knows no sections. */
    int n = snprintf(command, sizeof(command), "nm --plugin=/dev/null --format=sysv %s 2>&1",
                     object);
    if (n < 0 || (size_t)n >= sizeof(command)) return ERR_IO;
    FILE *nm = popen(command, "r");
    if (nm == NULL) return ERR_IO;
    while (fgets(line, sizeof(line), nm) != NULL) {
        struct span rest;
        symbols += object_check_symbol(path, span_cut(span_str(line), '\n', &rest), report);
    }
    return pclose(nm) == 0 && symbols > 0 ? ERR_OK : ERR_IO;
}
