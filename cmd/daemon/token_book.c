#include "cmd/daemon/token_book.h"

#include "core/base/check.h"
#include "core/wire/pack.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BOOK_BYTES_MAX (512u * 1024)
#define BOOK_VERSION   1u
#define ENTRY_ITEMS    7u

struct token_book {
    const struct store *store; /* borrowed */
    size_t count;
    struct token_entry entry[TOKEN_BOOK_MAX];
};

static void read_entry(struct pack_reader *r, struct token_entry *e)
{
    uint32_t outer;
    pack_read_array(r, ENTRY_ITEMS, &outer);
    e->id = (uint32_t)pack_read_u64_max(r, UINT32_MAX);
    pack_read_bin_exact(r, e->key, sizeof e->key);
    e->expires_s = pack_read_i64(r);
    e->uses_left = (uint32_t)pack_read_u64_max(r, TOKEN_USES_MAX);
    e->roles = (uint32_t)pack_read_u64_max(r, UINT32_MAX);
    if (!span_to_cstr(pack_read_str(r), e->glob, sizeof e->glob)) pack_reader_fail(r, ERR_INVALID);
    uint32_t list, names = pack_read_array(r, 0, &list);
    if (names > ADMISSION_SERVICES_MAX) pack_reader_fail(r, ERR_TOO_LARGE);
    for (uint32_t i = 0; i < names && pack_reader_err(r) == ERR_OK; i++) {
        enum err err = name_set(&e->service[i], pack_read_str(r));
        if (err != ERR_OK) pack_reader_fail(r, err);
        e->service_count++;
    }
    pack_read_array_end(r, list);
    pack_read_array_end(r, outer);
}

static enum err read_book(struct token_book *b, struct span doc)
{
    struct pack_reader r;
    uint32_t outer, list;
    enum err err = pack_reader_init(&r, doc, 5, TOKEN_BOOK_MAX * 40u);
    if (err != ERR_OK) return err;
    pack_read_array(&r, 2, &outer);
    if (pack_read_u64(&r) != BOOK_VERSION) pack_reader_fail(&r, ERR_UNSUPPORTED);
    uint32_t count = pack_read_array(&r, 0, &list);
    if (count > TOKEN_BOOK_MAX) return ERR_TOO_LARGE;
    for (uint32_t i = 0; i < count && pack_reader_err(&r) == ERR_OK; i++)
        read_entry(&r, &b->entry[b->count++]);
    return pack_reader_err(&r);
}

enum err token_book_new(const struct store *s, struct diag *d, struct token_book **out)
{
    struct token_book *b = calloc(1, sizeof *b);
    struct strbuf text;
    if (!b) return ERR_NOMEM;
    b->store = s;
    strbuf_init(&text, BOOK_BYTES_MAX);
    enum err err =
        store_read_checked(s, STORE_TOKENS, "delete it: open tokens are then void", d, &text);
    if (err == ERR_OK) {
        err = read_book(b, strbuf_view(&text));
        if (err != ERR_OK)
            diag_error(d, NULL,
                       "the token book is damaged (%s): delete var/lib/parley/tokens; open "
                       "tokens are then void",
                       err_text(err));
        if (err != ERR_OK && err != ERR_NOMEM) err = ERR_CORRUPT;
    } else if (err == ERR_NOT_FOUND) {
        err = ERR_OK;
    }
    if (text.p) sodium_memzero(text.p, text.cap);
    strbuf_fini(&text);
    if (err != ERR_OK) {
        token_book_free(b);
        return err;
    }
    *out = b;
    return ERR_OK;
}

void token_book_free(struct token_book *b)
{
    if (!b) return;
    sodium_memzero(b, sizeof *b);
    free(b);
}

static void write_entry(struct pack_writer *w, const struct token_entry *e)
{
    pack_write_array(w, ENTRY_ITEMS);
    pack_write_u64(w, e->id);
    pack_write_bin(w, e->key, sizeof e->key);
    pack_write_i64(w, e->expires_s);
    pack_write_u64(w, e->uses_left);
    pack_write_u64(w, e->roles);
    pack_write_str(w, span_str(e->glob));
    pack_write_array(w, e->service_count);
    for (uint32_t i = 0; i < e->service_count; i++)
        pack_write_str(w, span_str(e->service[i].text));
}

static enum err save(const struct token_book *b)
{
    uint8_t *doc = malloc(BOOK_BYTES_MAX);
    struct pack_writer w;
    if (!doc) return ERR_NOMEM;
    pack_writer_init(&w, doc, BOOK_BYTES_MAX);
    pack_write_array(&w, 2);
    pack_write_u64(&w, BOOK_VERSION);
    pack_write_array(&w, (uint32_t)b->count);
    for (size_t i = 0; i < b->count; i++)
        write_entry(&w, &b->entry[i]);
    enum err err = pack_writer_ok(&w)
                       ? store_write_checked(b->store, STORE_TOKENS, pack_writer_view(&w), NULL)
                       : ERR_FULL;
    sodium_memzero(doc, BOOK_BYTES_MAX);
    free(doc);
    return err;
}

static size_t find(const struct token_book *b, uint32_t id)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->entry[i].id == id) return i;
    return b->count;
}

static void drop(struct token_book *b, size_t i)
{
    b->entry[i] = b->entry[--b->count];
    sodium_memzero(&b->entry[b->count], sizeof b->entry[b->count]);
}

enum err token_book_add(struct token_book *b, const struct token_entry *e, int64_t now_s)
{
    for (size_t i = b->count; i-- > 0;)
        if (b->entry[i].expires_s <= now_s) drop(b, i);
    if (b->count == TOKEN_BOOK_MAX) return ERR_FULL;
    if (find(b, e->id) < b->count) return ERR_EXISTS;
    b->entry[b->count++] = *e;
    enum err err = save(b);
    if (err != ERR_OK) drop(b, b->count - 1);
    return err;
}

const struct token_entry *token_book_find(const struct token_book *b, uint32_t id)
{
    size_t i = find(b, id);
    return i < b->count ? &b->entry[i] : NULL;
}

enum err token_book_take(struct token_book *b, uint32_t id, int64_t now_s)
{
    size_t i = find(b, id);
    if (i == b->count) return ERR_NOT_FOUND;
    if (b->entry[i].expires_s <= now_s) return ERR_EXPIRED;
    struct token_entry kept = b->entry[i];
    if (--b->entry[i].uses_left == 0) drop(b, i);
    enum err err = save(b);
    if (err != ERR_OK) {
        i = find(b, id);
        if (i == b->count) b->count++;
        b->entry[i] = kept;
    }
    sodium_memzero(&kept, sizeof kept);
    return err;
}

enum err token_book_revoke(struct token_book *b, uint32_t id)
{
    size_t i = find(b, id);
    if (i == b->count) return ERR_NOT_FOUND;
    struct token_entry kept = b->entry[i];
    drop(b, i);
    enum err err = save(b);
    if (err != ERR_OK) b->entry[b->count++] = kept;
    sodium_memzero(&kept, sizeof kept);
    return err;
}

const struct token_entry *token_book_at(const struct token_book *b, size_t i)
{
    return i < b->count ? &b->entry[i] : NULL;
}
