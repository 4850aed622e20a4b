#include "core/wire/toml_value.h"

static bool bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static enum err read_bare(struct toml_scan *s, struct span *out)
{
    size_t from = s->at;
    while (bare(toml_scan_peek(s, 0)))
        s->at++;
    size_t len = s->at - from;
    if (len == 0) return toml_scan_expected(s, "a key");
    char *text = arena_alloc(s->arena, TOML_KEY_ROOM + len + 1);
    if (text == NULL) return toml_scan_nomem(s);
    memcpy(text + TOML_KEY_ROOM, s->src->text.p + from, len);
    *out = span_of(text + TOML_KEY_ROOM, len);
    return ERR_OK;
}

static enum err read_part(struct toml_scan *s, struct toml_key **out)
{
    struct toml_key *key = arena_alloc(s->arena, sizeof(*key));
    if (key == NULL) return toml_scan_nomem(s);
    key->at = toml_scan_place(s);
    int c = toml_scan_peek(s, 0);
    enum err err = c == '"' || c == '\'' ? toml_string_read(s, false, TOML_KEY_ROOM, &key->text)
                                         : read_bare(s, &key->text);
    if (err != ERR_OK) return err;
    toml_scan_close(s, &key->at);
    *out = key;
    return ERR_OK;
}

enum err toml_key_read(struct toml_scan *s, struct toml_key **out)
{
    struct toml_key *first = NULL, **link = &first;
    unsigned parts = 0;
    do {
        toml_scan_blanks(s);
        if (++parts > TOML_DEPTH_MAX) {
            struct toml_place at = toml_scan_place(s);
            return toml_scan_fail(s, &at, "a key of more than %u parts", TOML_DEPTH_MAX);
        }
        enum err err = read_part(s, link);
        if (err != ERR_OK) return err;
        link = &(*link)->next;
        toml_scan_blanks(s);
    } while (toml_scan_take(s, '.'));
    *out = first;
    return ERR_OK;
}
