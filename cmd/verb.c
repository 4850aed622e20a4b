#include "cmd/verb.h"

#include "core/base/check.h"
#include "core/base/diag.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX       64u
#define DURATION_MS_MAX (UINT64_C(10) * 365 * 24 * 3600 * 1000)

static const struct verb_flag global_flags[] = {
    {"json", 0, FLAG_BOOL, NULL, "one JSON document on stdout"},
    {"root", 0, FLAG_TEXT, "DIR", "use DIR/etc, DIR/var and DIR/run instead of the host's"},
    {"socket", 0, FLAG_TEXT, "PATH", "the agent's socket, a --root folder, or demo.N"},
    {"timeout", 0, FLAG_DURATION, "10s", "give up after this long"},
    {"output", 'o', FLAG_TEXT, "wide", "wide: more columns"},
    {"quiet", 'q', FLAG_BOOL, NULL, "print the result only"},
    {"yes", 0, FLAG_BOOL, NULL, "do not ask"},
    {"no-color", 0, FLAG_BOOL, NULL, "no colour"},
    {"help", 'h', FLAG_BOOL, NULL, "help for the verb"},
    {0},
};

enum verb_exit verb_fail(enum verb_exit code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fflush(stdout);
    fputs("x parley: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

bool verb_duration(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    struct span digits = {text, strspn(text, "0123456789")};
    uint64_t count;
    if (!span_u64(digits, &count)) return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(text + digits.len, units[i].unit) != 0) continue;
        if (count > DURATION_MS_MAX / units[i].ms) return false;
        *ms = count * units[i].ms;
        return true;
    }
    return false;
}

const char *verb_text(const struct verb_ctx *ctx, const char *flag)
{
    for (unsigned i = 0; i < ctx->value_count; i++)
        if (strcmp(ctx->value[i].flag->name, flag) == 0) return ctx->value[i].text;
    return NULL;
}

bool verb_has(const struct verb_ctx *ctx, const char *flag)
{
    for (unsigned i = 0; i < ctx->value_count; i++)
        if (strcmp(ctx->value[i].flag->name, flag) == 0) return true;
    return false;
}

uint64_t verb_number(const struct verb_ctx *ctx, const char *flag, uint64_t fallback)
{
    for (unsigned i = 0; i < ctx->value_count; i++)
        if (strcmp(ctx->value[i].flag->name, flag) == 0) return ctx->value[i].number;
    return fallback;
}

static const char *suggest(const char *word, const char *const *names, size_t n)
{
    return diag_did_you_mean(span_str(word), names, n);
}

/* The verb's name and, where it has nouns, the noun: both looked up with suggestions. */
static const struct verb *find_verb(const char *name, const char *noun, enum verb_exit *code)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    bool known = false;
    for (const struct verb *v = verb_table(); v->name; v++) {
        if (strcmp(v->name, name) == 0) {
            known = true;
            if (!v->noun || (noun && strcmp(v->noun, noun) == 0)) return v;
        }
        if (n < NAMES_MAX && (n == 0 || strcmp(names[n - 1], v->name) != 0)) names[n++] = v->name;
    }
    if (known) {
        n = 0;
        for (const struct verb *v = verb_table(); v->name && n < NAMES_MAX; v++)
            if (strcmp(v->name, name) == 0) names[n++] = v->noun;
    }
    const char *word = known ? noun : name;
    const char *near = word && word[0] != '-' ? suggest(word, names, n) : NULL;
    if (known && (!word || word[0] == '-')) {
        *code =
            verb_fail(EXIT_USAGE, "\"%s\" needs a second word; see: parley help %s", name, name);
    } else if (near) {
        *code = verb_fail(EXIT_USAGE, "unknown verb \"%s%s%s\"; did you mean \"%s%s%s\"?",
                          known ? name : "", known ? " " : "", word, known ? name : "",
                          known ? " " : "", near);
    } else {
        *code = verb_fail(EXIT_USAGE, "unknown verb \"%s%s%s\"; see: parley help",
                          known ? name : "", known ? " " : "", word);
    }
    return NULL;
}

static const struct verb_flag *flag_in(const struct verb_flag *list, struct span name, char letter)
{
    for (; list && list->name; list++) {
        if (letter ? list->letter == letter : span_eq_str(name, list->name)) return list;
    }
    return NULL;
}

static enum verb_exit unknown_flag(const struct verb *v, const char *word)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (const struct verb_flag *f = v->flag; f && f->name; f++)
        names[n++] = f->name;
    for (const struct verb_flag *f = global_flags; f->name; f++)
        names[n++] = f->name;
    const char *bare = word + strspn(word, "-");
    const char *near = suggest(bare, names, n);
    if (near)
        return verb_fail(EXIT_USAGE, "unknown flag \"%s\" of \"%s\"; did you mean \"--%s\"?", word,
                         v->name, near);
    return verb_fail(EXIT_USAGE, "unknown flag \"%s\" of \"%s\"; see: parley help %s", word,
                     v->name, v->name);
}

static enum verb_exit set_flag(struct verb_ctx *ctx, const struct verb_flag *f, const char *text)
{
    if (verb_has(ctx, f->name))
        return verb_fail(EXIT_USAGE, "flag \"--%s\" is given twice", f->name);
    if (ctx->value_count == VERB_FLAGS_MAX) return verb_fail(EXIT_USAGE, "too many flags");
    struct verb_value *v = &ctx->value[ctx->value_count];
    v->flag = f;
    v->text = text;
    v->number = 0;
    if (f->kind == FLAG_DURATION && !verb_duration(text, &v->number))
        return verb_fail(EXIT_USAGE,
                         "--%s \"%s\": give a number with a unit, such as 250ms, 10s, 5m or 1h",
                         f->name, text);
    if (f->kind == FLAG_COUNT && !span_u64(span_str(text), &v->number))
        return verb_fail(EXIT_USAGE, "--%s \"%s\": give a whole number", f->name, text);
    ctx->value_count++;
    return EXIT_DONE;
}

/* One argument that starts with '-'; `*i` moves on when it takes the next word as its value. */
static enum verb_exit parse_flag(struct verb_ctx *ctx, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const struct verb_flag *f = NULL;
    const char *inline_value = NULL;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        struct span name = {word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2)};
        inline_value = equals ? equals + 1 : NULL;
        f = flag_in(ctx->verb->flag, name, 0);
        if (!f) f = flag_in(global_flags, name, 0);
    } else if (word[1] != 0 && word[2] == 0) {
        f = flag_in(ctx->verb->flag, (struct span){0}, word[1]);
        if (!f) f = flag_in(global_flags, (struct span){0}, word[1]);
    }
    if (!f) return unknown_flag(ctx->verb, word);
    if (f->kind == FLAG_BOOL) {
        if (inline_value) return verb_fail(EXIT_USAGE, "flag \"--%s\" takes no value", f->name);
        return set_flag(ctx, f, NULL);
    }
    if (inline_value) return set_flag(ctx, f, inline_value);
    if (*i + 1 >= argc)
        return verb_fail(EXIT_USAGE, "flag \"--%s\" needs a value (%s)", f->name, f->meta);
    *i += 1;
    return set_flag(ctx, f, argv[*i]);
}

static enum verb_exit parse_rest(struct verb_ctx *ctx, int argc, char **argv, int from)
{
    bool flags_end = false;
    for (int i = from; i < argc; i++) {
        if (!flags_end && strcmp(argv[i], "--") == 0) {
            flags_end = true;
        } else if (!flags_end && argv[i][0] == '-' && argv[i][1] != 0) {
            enum verb_exit code = parse_flag(ctx, argc, argv, &i);
            if (code != EXIT_DONE) return code;
        } else if (ctx->arg_count == ctx->verb->args_max) {
            return verb_fail(EXIT_USAGE, "unexpected \"%s\"; usage: parley %s%s%s%s%s", argv[i],
                             ctx->verb->name, ctx->verb->noun ? " " : "",
                             ctx->verb->noun ? ctx->verb->noun : "", ctx->verb->args ? " " : "",
                             ctx->verb->args ? ctx->verb->args : "");
        } else {
            ctx->arg[ctx->arg_count++] = argv[i];
        }
    }
    return EXIT_DONE;
}

static bool colour_wanted(const struct verb_ctx *ctx)
{
    const char *force = getenv("CLICOLOR_FORCE"), *never = getenv("NO_COLOR"),
               *term = getenv("TERM");
    if (verb_has(ctx, "no-color") || (never && never[0])) return false;
    if (force && force[0] && strcmp(force, "0") != 0) return true;
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

static void print_flags(FILE *out, const struct verb_flag *f)
{
    for (; f && f->name; f++) {
        char left[64], letter[8] = "    ";
        if (f->letter) snprintf(letter, sizeof letter, "-%c, ", f->letter);
        snprintf(left, sizeof left, "--%s%s%s", f->name, f->meta ? " " : "",
                 f->meta ? f->meta : "");
        fprintf(out, "  %s%-28s %s\n", letter, left, f->help);
    }
}

bool verb_help(FILE *out, const char *name, const char *noun)
{
    bool any = false;
    if (!name) fputs("parley VERB [NOUN] [flags]: a service mesh in one binary\n\n", out);
    for (const struct verb *v = verb_table(); v->name; v++) {
        char left[64];
        if (name && strcmp(name, v->name) != 0) continue;
        if (noun && (!v->noun || strcmp(noun, v->noun) != 0)) continue;
        any = true;
        snprintf(left, sizeof left, "%s%s%s%s%s", v->name, v->noun ? " " : "",
                 v->noun ? v->noun : "", v->args ? " " : "", v->args ? v->args : "");
        fprintf(out, "  %-20s %s\n", left, v->summary);
        if (name) print_flags(out, v->flag);
    }
    if (!any) return false;
    fputs(name ? "\nflags of every verb:\n"
               : "\nflags of every verb (parley help VERB: its own):\n",
          out);
    print_flags(out, global_flags);
    return true;
}

/* Flags of every verb may also stand before it: moves the verb, and the word behind it, in front of
 * them. */
static void verb_first(int argc, char **argv)
{
    int at = 1;
    while (at < argc && argv[at][0] == '-') {
        const char *word = argv[at], *equals = strchr(word, '=');
        size_t dashes = strspn(word, "-");
        struct span name = {word + dashes,
                            equals ? (size_t)(equals - word) - dashes : strlen(word + dashes)};
        const struct verb_flag *f = dashes == 2 ? flag_in(global_flags, name, 0)
                                                : flag_in(global_flags, (struct span){0}, word[1]);
        if (dashes == 0 || dashes > 2 || !f) return;
        at += f->kind == FLAG_BOOL || equals ? 1 : 2;
    }
    int words = at + 1 < argc && argv[at + 1][0] != '-' ? 2 : 1;
    for (int i = 0; at > 1 && at < argc && i < words; i++) {
        char *word = argv[at + i];
        memmove(&argv[2 + i], &argv[1 + i], (size_t)(at - 1) * sizeof *argv);
        argv[1 + i] = word;
    }
}

enum verb_exit verb_main(int argc, char **argv)
{
    struct verb_ctx ctx = {.root = "", .timeout_ms = 10000};
    enum verb_exit code = EXIT_DONE;
    if (argc < 2) {
        verb_help(stderr, NULL, NULL);
        return EXIT_USAGE;
    }
    verb_first(argc, argv);
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    if (argc > 2 && (strcmp(argv[2], "-h") == 0 || strcmp(argv[2], "--help") == 0) &&
        verb_help(stdout, name, NULL))
        return EXIT_DONE;
    ctx.verb = find_verb(name, argc > 2 ? argv[2] : NULL, &code);
    if (!ctx.verb) return code;
    code = parse_rest(&ctx, argc, argv, ctx.verb->noun ? 3 : 2);
    if (code != EXIT_DONE) return code;
    if (verb_has(&ctx, "help")) {
        verb_help(stdout, name, ctx.verb->noun);
        return EXIT_DONE;
    }
    if (ctx.arg_count < ctx.verb->args_min)
        return verb_fail(EXIT_USAGE, "%s%s%s needs %s; see: parley help %s", name,
                         ctx.verb->noun ? " " : "", ctx.verb->noun ? ctx.verb->noun : "",
                         ctx.verb->args, name);
    const char *output = verb_text(&ctx, "output");
    if (output && strcmp(output, "wide") != 0)
        return verb_fail(EXIT_USAGE, "--output \"%s\": only \"wide\" is known; for JSON use --json",
                         output);
    ctx.wide = output != NULL;
    if (verb_has(&ctx, "root")) ctx.root = verb_text(&ctx, "root");
    ctx.socket = verb_text(&ctx, "socket");
    ctx.timeout_ms = verb_number(&ctx, "timeout", ctx.timeout_ms);
    ctx.json = verb_has(&ctx, "json");
    ctx.quiet = verb_has(&ctx, "quiet");
    ctx.yes = verb_has(&ctx, "yes");
    ctx.colour = colour_wanted(&ctx);
    return ctx.verb->run(&ctx);
}
