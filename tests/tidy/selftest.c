#include "tests/tidy/selftest.h"

#include "core/base/check.h"
#include "core/base/strbuf.h"
#include "tests/tidy/banned.h"
#include "tests/tidy/include.h"
#include "tests/tidy/layout.h"
#include "tests/tidy/object.h"

#include <stdlib.h>

#define GUARD "#ifndef A_H\n#define A_H\n"
#define BLOCK "/* A: what it is, which thread may call it, what it owns. Nothing else. */\n"

/* A file and how often it breaks one rule; it breaks no other. */
struct example {
    enum rule rule;
    unsigned findings;
    const char *path;
    const char *text;
};

static const struct example examples[] = {
    {RULE_TABS, 1, "core/base/a.c", "int a;\n\tint b;\n"},
    {RULE_TABS, 1, "tests/run", "\techo\n"},
    {RULE_TRAILING, 1, "core/base/a.c", "int a; \n"},
    {RULE_TRAILING, 1, "core/base/a.c", "int a;"},
    {RULE_TRAILING, 1, "core/base/a.c", "int a;\n\n"},
    {RULE_UNFINISHED, 1, "core/base/a.c",
     "/* TO"
     "DO: later */\n"},
    {RULE_UNFINISHED, 1, "tests/integration/a.sh",
     "# FIX"
     "ME\n"},
    {RULE_UNFINISHED, 1, "core/base/a.c",
     "int a; // X"
     "XX\n"},
    {RULE_UNFINISHED, 1, "core/base/a.c", "#if 0\nint a;\n#endif\n"},
    {RULE_UNFINISHED, 0, "core/base/a.c",
     "const char a[] = \"/tmp/a.XX"
     "XXXX\";\n"},
    {RULE_HEADER_BLOCK, 1, "core/base/a.h", GUARD "#endif\n"},
    {RULE_HEADER_BLOCK, 1, "core/base/a.h", "/* Short. */\n" GUARD "#endif\n"},
    {RULE_HEADER_BLOCK, 1, "core/base/a.h", BLOCK "int a(void);\n"},
    {RULE_HEADER_BLOCK, 0, "core/base/a.h", BLOCK GUARD "#endif\n"},
    {RULE_TYPEDEF, 1, "core/base/a.c", "typedef int b;\n"},
    {RULE_TYPEDEF, 0, "core/base/a.c", "/* no typedef */ const char *a = \"typedef\";\n"},
    {RULE_INCLUDE_DIRECTION, 1, "core/base/a.c", "#include \"core/model/name.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "core/model/a.c", "#include \"core/wire/toml.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "core/wire/a.c", "#include \"core/crypto/seal.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "core/crypto/a.c", "#  include \"core/io/loop.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 0, "core/crypto/a.c", "#include \"core/wire/pack.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "core/io/a.c", "#include \"proxy/net/pool.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "gossip/a.c", "#include \"core/wire/toml.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "gossip/a.c", "#include \"core/crypto/identity.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 0, "gossip/a.c", "#include \"core/wire/pack_check.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 0, "gossip/a.c", "#include \"core/crypto/seal.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "proxy/net/a.c", "#include \"gossip/gossip.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "proxy/net/a.c", "#include \"cmd/verb.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "cmd/a.c", "#include \"tests/sim/world.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "core/base/a.c", "#include \"span.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 1, "ui/a.c", "#include \"core/base/err.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 0, "tests/unit/a.c", "#include \"cmd/verb.h\"\n"},
    {RULE_INCLUDE_DIRECTION, 0, "core/base/a.c", "/*\n#include \"cmd/verb.h\"\n*/\n"},
    {RULE_INCLUDE_WRAPPER, 1, "gossip/a.c", "#include <sodium.h>\n"},
    {RULE_INCLUDE_WRAPPER, 1, "proxy/net/a.c", "#include <nghttp2/nghttp2.h>\n"},
    {RULE_INCLUDE_WRAPPER, 1, "cmd/a.c", "#include <ev.h>\n"},
    {RULE_INCLUDE_WRAPPER, 0, "core/io/loop.c", "#include <ev.h>\n"},
    {RULE_PARAMETERS, 0, "core/wire/h2.c",
     "int a(nghttp2_session *c, b d, b e, b f, b g, b h, b i)\n{\n}\n"},
    {RULE_BANNED_CALL, 1, "cmd/a.c", "int a = atoi(b);\n"},
    {RULE_BANNED_CALL, 1, "cmd/a.c", "int a = time (NULL);\n"},
    {RULE_BANNED_CALL, 1, "tests/unit/a.c", "int a = getaddrinfo(b, c, d, e);\n"},
    {RULE_BANNED_CALL, 0, "cmd/a.c", "/* strcpy(a, b) */ int a = \"rand()\" + my_time(t);\n"},
    {RULE_BANNED_CALL, 0, "cmd/a.c", "int a = b->time(c) + d.rand(e) + time;\n"},
    {RULE_GNU_SOURCE, 1, "proxy/net/a.c", "#define _GNU_SOURCE\n"},
    {RULE_GNU_SOURCE, 0, "core/io/a.c", "#define _GNU_SOURCE\n"},
    {RULE_SANS_IO, 1, "gossip/a.c", "int a = clock_gettime(b, &c);\n"},
    {RULE_SANS_IO, 1, "proxy/traffic/a.c", "long a = read(0, b, 1);\n"},
    {RULE_SANS_IO, 1, "core/wire/a.c", "void *a = fopen(b, c);\n"},
    {RULE_SANS_IO, 1, "core/crypto/a.c", "long a = getrandom(b, 1, 0);\n"},
    {RULE_SANS_IO, 0, "core/io/a.c", "long a = read(0, b, 1);\n"},
    {RULE_SANS_IO, 0, "core/wire/a.c", "long a = pack_read(b) + r->read(b);\n"},
};

/* What came out so far. */
struct tally {
    unsigned number;
    unsigned wrong;
    bool fired[RULE_COUNT];
};

static void check_text(const char *path, struct span text, struct rule_report *report)
{
    struct source s;
    CHECK(source_of(&s, path, text) == ERR_OK);
    layout_check(&s, report);
    include_check(&s, report);
    banned_check(&s, report);
    source_free(&s);
}

/* Prints one test: exactly `findings` of `rule` and none of the others. */
static void judge(struct tally *t, const struct rule_report *report, enum rule rule,
                  unsigned findings, const char *what)
{
    bool wrong = report->count[rule] != findings;
    for (unsigned i = 0; i < RULE_COUNT; i++)
        if (i != rule && report->count[i] > 0) wrong = true;
    printf("%sok %u - %s: %u in %s\n", wrong ? "not " : "", ++t->number, rule_name(rule), findings,
           what);
    for (unsigned i = 0; wrong && i < RULE_COUNT; i++)
        for (unsigned j = 0; j < report->count[i] && j < RULE_FINDINGS_SHOWN; j++)
            printf("# %s: %s\n", rule_name((enum rule)i), report->text[i][j]);
    t->wrong += wrong;
    t->fired[rule] = t->fired[rule] || findings > 0;
}

static void fact(struct tally *t, bool holds, const char *what)
{
    printf("%sok %u - %s\n", holds ? "" : "not ", ++t->number, what);
    t->wrong += !holds;
}

static void repeat(struct strbuf *sb, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        strbuf_str(sb, text);
}

/* What is too long or too deep to be written down: text of `size` lines, columns, blocks or
 * parameters for a rule about them. */
static void write_sized(struct strbuf *sb, enum rule rule, size_t size)
{
    strbuf_reset(sb);
    if (rule == RULE_FILE_LINES) {
        repeat(sb, "int a;\n", size);
    } else if (rule == RULE_COLUMNS) {
        strbuf_str(sb, "/*");
        repeat(sb, "\xc3\xa9", size - 4);
        strbuf_str(sb, "*/\n");
    } else if (rule == RULE_FUNCTION_LINES) {
        strbuf_str(sb, "static int a(void)\n{\n");
        repeat(sb, "    b();\n", size - 2);
        strbuf_str(sb, "}\n");
    } else if (rule == RULE_NESTING) {
        strbuf_str(sb, "static int a(void)\n{\n");
        repeat(sb, "    if (b) {\n", size);
        repeat(sb, "    }\n", size);
        strbuf_str(sb, "}\n");
    } else if (rule == RULE_PARAMETERS) {
        strbuf_str(sb, "static int a(int (*f)(int, int)");
        repeat(sb, ", int b", size - 1);
        strbuf_str(sb, ")\n{\n}\n");
    }
}

static void test_sizes(struct tally *t)
{
    static const struct {
        enum rule rule;
        const char *path;
        size_t max;
    } sizes[] = {
        {RULE_FILE_LINES, "core/base/a.c", 600}, {RULE_COLUMNS, "core/base/a.c", 100},
        {RULE_FUNCTION_LINES, "gossip/a.c", 70}, {RULE_NESTING, "gossip/a.c", 4},
        {RULE_PARAMETERS, "proxy/net/a.c", 6},
    };
    struct strbuf sb;
    strbuf_init(&sb, 1u << 20);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (unsigned over = 0; over < 2; over++) {
            struct rule_report report = {.count = {0}};
            write_sized(&sb, sizes[i].rule, sizes[i].max + over);
            CHECK(strbuf_ok(&sb));
            check_text(sizes[i].path, strbuf_view(&sb), &report);
            judge(t, &report, sizes[i].rule, over,
                  over > 0 ? "one more than the most" : "the most");
        }
    }
    strbuf_fini(&sb);
}

/* Headers have their own limit, and a block and a guard to pass the other rules. */
static void test_header_lines(struct tally *t)
{
    struct strbuf sb;
    strbuf_init(&sb, 1u << 20);
    for (unsigned over = 0; over < 2; over++) {
        struct rule_report report = {.count = {0}};
        strbuf_reset(&sb);
        strbuf_str(&sb, BLOCK GUARD);
        repeat(&sb, "int a;\n", 200 - 4 + over);
        strbuf_str(&sb, "#endif\n");
        check_text("core/base/a.h", strbuf_view(&sb), &report);
        judge(t, &report, RULE_FILE_LINES, over, "a long header");
    }
    strbuf_fini(&sb);
}

/* One wrong prefix and three kinds of state; the table of pointers is fine. */
static void test_object(struct tally *t, const char *example)
{
    struct rule_report report = {.count = {0}}, exports = {.count = {0}};
    fact(t, object_check("tests/tidy/example/globals.c", example, &report) == ERR_OK,
         "nm reads the example");
    exports.count[RULE_EXPORT] = report.count[RULE_EXPORT];
    judge(t, &exports, RULE_EXPORT, 1, example);
    report.count[RULE_EXPORT] = 0;
    judge(t, &report, RULE_WRITABLE, 3, example);
    fact(t, object_check("core/base/none.c", "build/none.o", &report) != ERR_OK,
         "an object that is not there is an error");
}

int selftest_run(const char *example)
{
    struct tally t = {.number = 0};
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct rule_report report = {.count = {0}};
        check_text(examples[i].path, span_str(examples[i].text), &report);
        judge(&t, &report, examples[i].rule, examples[i].findings, examples[i].path);
    }
    test_sizes(&t);
    test_header_lines(&t);
    test_object(&t, example);
    unsigned silent = 0;
    for (unsigned i = 0; i < RULE_COUNT; i++)
        silent += !t.fired[i];
    fact(&t, silent == 0, "every rule fires on some example");
    printf("1..%u\n", t.number);
    return t.wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
