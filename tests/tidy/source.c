#include "tests/tidy/source.h"

#include "core/base/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum state { IN_CODE, IN_LINE_COMMENT, IN_BLOCK_COMMENT, IN_STRING, IN_CHAR };

bool source_kind(const char *path, enum source_kind *kind)
{
    static const struct {
        const char *suffix;
        enum source_kind kind;
    } kinds[] = {
        {".c", SOURCE_C},       {".h", SOURCE_HEADER},        {".sh", SOURCE_SCRIPT},
        {".py", SOURCE_SCRIPT}, {"tests/run", SOURCE_SCRIPT},
    };
    size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t n = strlen(kinds[i].suffix);
        if (len >= n && strcmp(path + len - n, kinds[i].suffix) == 0) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* One step of the scan at `text[i]`: the state behind it. `*width` bytes are taken. */
static enum state step(enum state state, const char *text, size_t i, size_t *width)
{
    char c = text[i], next = text[i + 1]; /* the text is terminated */
    *width = 1;
    switch (state) {
    case IN_CODE:
        if (c == '"') return IN_STRING;
        if (c == '\'') return IN_CHAR;
        if (c == '/' && (next == '/' || next == '*')) {
            *width = 2;
            return next == '/' ? IN_LINE_COMMENT : IN_BLOCK_COMMENT;
        }
        return IN_CODE;
    case IN_LINE_COMMENT:
        return c == '\n' ? IN_CODE : state;
    case IN_BLOCK_COMMENT:
        if (c != '*' || next != '/') return state;
        *width = 2;
        return IN_CODE;
    case IN_STRING:
    case IN_CHAR:
        if (c == '\\' && next != '\0') *width = 2;
        if (c == '\n' || c == (state == IN_STRING ? '"' : '\'')) return IN_CODE;
        return state;
    }
    return state;
}

static void blank_literals(const char *text, char *code, size_t len)
{
    enum state state = IN_CODE;
    for (size_t i = 0; i < len;) {
        size_t width;
        enum state after = step(state, text, i, &width);
        bool keep = state == IN_CODE && after == IN_CODE;
        for (size_t j = i; j < i + width && j < len; j++)
            code[j] = keep || text[j] == '\n' ? text[j] : ' ';
        state = after;
        i += width;
    }
}

static enum err split_lines(struct source *s)
{
    size_t count = 0, n = 0;
    for (size_t i = 0; i < s->len; i++)
        count += s->text[i] == '\n';
    if (s->len > 0 && s->text[s->len - 1] != '\n') count++;
    s->line = calloc(count + 1, sizeof(*s->line));
    s->code_line = calloc(count + 1, sizeof(*s->code_line));
    if (s->line == NULL || s->code_line == NULL) return ERR_NOMEM;
    for (size_t start = 0; start < s->len; n++) {
        const char *newline = memchr(s->text + start, '\n', s->len - start);
        size_t end = newline != NULL ? (size_t)(newline - s->text) : s->len;
        s->line[n] = span_of(s->text + start, end - start);
        s->code_line[n] = span_of(s->code + start, s->kind == SOURCE_SCRIPT ? 0 : end - start);
        start = end + 1;
    }
    s->line_count = n;
    return ERR_OK;
}

enum err source_of(struct source *s, const char *path, struct span text)
{
    enum source_kind kind = SOURCE_SCRIPT;
    CHECK(source_kind(path, &kind));
    *s = (struct source){.path = path, .kind = kind, .len = text.len};
    s->text = calloc(1, text.len + 1);
    s->code = calloc(1, text.len + 1);
    if (s->text == NULL || s->code == NULL) goto fail;
    if (text.len > 0) memcpy(s->text, text.p, text.len);
    if (kind != SOURCE_SCRIPT) blank_literals(s->text, s->code, s->len);
    if (split_lines(s) != ERR_OK) goto fail;
    return ERR_OK;
fail:
    source_free(s);
    return ERR_NOMEM;
}

enum err source_load(struct source *s, const char *root, const char *path)
{
    char name[4096];
    enum err err = ERR_IO;
    int n = snprintf(name, sizeof(name), "%s/%s", root, path);
    if (n < 0 || (size_t)n >= sizeof(name)) return ERR_TOO_LARGE;
    FILE *file = fopen(name, "rb");
    if (file == NULL) return ERR_IO;
    char *text = malloc(SOURCE_BYTES_MAX);
    if (text == NULL) {
        err = ERR_NOMEM;
        goto fail_file;
    }
    size_t len = fread(text, 1, SOURCE_BYTES_MAX, file);
    if (ferror(file)) goto fail_text;
    if (len == SOURCE_BYTES_MAX) {
        err = ERR_TOO_LARGE;
        goto fail_text;
    }
    err = source_of(s, path, span_of(text, len));
fail_text:
    free(text);
fail_file:
    fclose(file);
    return err;
}

void source_free(struct source *s)
{
    free(s->text);
    free(s->code);
    free(s->line);
    free(s->code_line);
    *s = (struct source){.path = NULL};
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

size_t source_find(struct span code, const char *word, size_t from)
{
    size_t n = strlen(word);
    for (size_t i = from; i + n <= code.len; i++) {
        if (memcmp(code.p + i, word, n) != 0) continue;
        if (i > 0 && word_char(code.p[i - 1])) continue;
        if (i + n < code.len && word_char(code.p[i + n])) continue;
        return i;
    }
    return SIZE_MAX;
}

/* What stands before `at`: a member access (".", "->") or a function pointer ("*") makes no call.
 */
static bool is_member(struct span code, size_t at)
{
    while (at > 0 && isspace((unsigned char)code.p[at - 1]))
        at--;
    if (at == 0) return false;
    if (code.p[at - 1] == '.') return true;
    return at > 1 && code.p[at - 1] == '>' && code.p[at - 2] == '-';
}

size_t source_find_call(struct span code, const char *word, size_t from)
{
    for (size_t at; (at = source_find(code, word, from)) != SIZE_MAX; from = at + 1) {
        size_t i = at + strlen(word);
        while (i < code.len && isspace((unsigned char)code.p[i]))
            i++;
        if (i < code.len && code.p[i] == '(' && !is_member(code, at)) return at;
    }
    return SIZE_MAX;
}
