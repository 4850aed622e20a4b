#include "gossip/policy_text.h"

#include <stdlib.h>

#define FIRST_CAP 8u

void policy_text_fini(struct policy_text_store *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->text[i].bytes);
    free(s->text);
    *s = (struct policy_text_store){0};
}

static struct policy_text *find(const struct policy_text_store *s, const struct manifest_hash *hash)
{
    for (size_t i = 0; i < s->count; i++)
        if (manifest_hash_eq(&s->text[i].hash, hash)) return &s->text[i];
    return NULL;
}

const struct policy_text *policy_text_find(const struct policy_text_store *s,
                                           const struct manifest_hash *hash)
{
    return find(s, hash);
}

static enum err grow(struct policy_text_store *s)
{
    if (s->count < s->cap) return ERR_OK;
    size_t cap = s->cap > 0 ? s->cap * 2 : FIRST_CAP;
    struct policy_text *grown = realloc(s->text, cap * sizeof(*grown));
    if (grown == NULL) return ERR_NOMEM;
    s->text = grown;
    s->cap = cap;
    return ERR_OK;
}

enum err policy_text_add(struct policy_text_store *s, const struct manifest_hash *hash,
                         struct span bytes)
{
    if (find(s, hash) != NULL) return ERR_OK;
    if (bytes.len > MANIFEST_TEXT_BYTES_MAX || s->count == POLICY_TEXT_COUNT_MAX ||
        s->bytes + bytes.len > POLICY_TEXT_BYTES_MAX)
        return ERR_FULL;
    enum err err = grow(s);
    if (err != ERR_OK) return err;
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    if (copy == NULL) return ERR_NOMEM;
    if (bytes.len > 0) memcpy(copy, bytes.p, bytes.len);
    s->text[s->count++] =
        (struct policy_text){.hash = *hash, .bytes = copy, .len = (uint32_t)bytes.len};
    s->bytes += bytes.len;
    return ERR_OK;
}

void policy_text_unmark(struct policy_text_store *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->text[i].used = false;
}

void policy_text_mark(struct policy_text_store *s, const struct manifest_hash *hash)
{
    struct policy_text *t = find(s, hash);
    if (t != NULL) t->used = true;
}

void policy_text_sweep(struct policy_text_store *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->text[i].used) {
            s->text[kept++] = s->text[i];
            continue;
        }
        s->bytes -= s->text[i].len;
        free(s->text[i].bytes);
    }
    s->count = kept;
}
