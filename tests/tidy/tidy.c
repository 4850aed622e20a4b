/* tidy: holds the tree to what style.md says and a program can see. Prints TAP, one test a rule.
 *
 *   tidy [--root DIR] [--objects DIR]     checks the tree in DIR and its objects in DIR/build/rel
 *   tidy --self-test EXAMPLE.o            shows that each rule fires on what breaks it
 */
#include "core/base/check.h"
#include "tests/tidy/banned.h"
#include "tests/tidy/include.h"
#include "tests/tidy/layout.h"
#include "tests/tidy/object.h"
#include "tests/tidy/selftest.h"
#include "tests/tidy/walk.h"

#include <stdlib.h>

struct tidy {
    struct walk_visitor visitor;
    const char *root;
    const char *objects;
    unsigned files;
    struct rule_report report;
};

/* Objects of the product are judged; tests may keep state and export what they like. */
static enum err check_object(struct tidy *t, const struct source *s)
{
    char object[4096];
    struct span path = span_str(s->path);
    if (s->kind != SOURCE_C || span_starts(path, SPAN_LIT("tests/"))) return ERR_OK;
    int n = snprintf(object, sizeof(object), "%s/%.*so", t->objects,
                     SPAN_ARG(span_of(path.p, path.len - 1)));
    if (n < 0 || (size_t)n >= sizeof(object)) return ERR_TOO_LARGE;
    enum err err = object_check(s->path, object, &t->report);
    if (err != ERR_OK) fprintf(stderr, "tidy: no symbols in %s\n", object);
    return err;
}

static enum err visit(struct walk_visitor *visitor, const char *path)
{
    struct tidy *t = CONTAINER_OF(visitor, struct tidy, visitor);
    enum source_kind kind;
    struct source s;
    if (!source_kind(path, &kind)) return ERR_OK;
    enum err err = source_load(&s, t->root, path);
    if (err != ERR_OK) {
        fprintf(stderr, "tidy: %s: %s\n", path, err_text(err));
        return err;
    }
    t->files++;
    layout_check(&s, &t->report);
    include_check(&s, &t->report);
    banned_check(&s, &t->report);
    err = check_object(t, &s);
    source_free(&s);
    return err;
}

static int check_tree(const char *root, const char *objects)
{
    static const char *const folders[] = {"core", "gossip", "proxy", "cmd", "tests", "packaging"};
    struct tidy *t = calloc(1, sizeof(*t));
    int code = EXIT_FAILURE;
    if (t == NULL) return EXIT_FAILURE;
    *t = (struct tidy){.visitor = {.file = visit}, .root = root, .objects = objects};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (walk_tree(root, folders[i], &t->visitor) != ERR_OK) goto out;
    if (t->files == 0) {
        fprintf(stderr, "tidy: no source in %s\n", root);
        goto out;
    }
    printf("1..%d\n", RULE_COUNT);
    if (rule_print(&t->report, stdout) == 0) code = EXIT_SUCCESS;
out:
    free(t);
    return code;
}

int main(int argc, char **argv)
{
    const char *root = ".", *objects = "build/rel";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--self-test") == 0) return selftest_run(argv[i + 1]);
        if (strcmp(argv[i], "--root") == 0) root = argv[i + 1];
        if (strcmp(argv[i], "--objects") == 0) objects = argv[i + 1];
    }
    return check_tree(root, objects);
}
