#include "core/wire/pack_manifest.h"

#include "core/wire/pack.h"
#include "core/wire/utf8.h"

#define VERSION        1u
#define BODY_ITEMS     11u
#define PLAN_ITEMS     5u
#define POLICY_ITEMS   1u
#define ROOT_ITEMS     4u
#define PART_ITEMS     3u /* of a text, an operator, a key */
#define FLAG_IMMEDIATE 1u
#define FLAG_FORCE     2u
/* Body, content, list, part: 4, and one for what newer versions append. */
#define DEPTH_MAX  5u
#define VALUES_MAX 512u

static bool name_good(const struct name *n)
{
    const char *end = memchr(n->text, '\0', sizeof(n->text));
    return end != NULL && name_valid(span_of(n->text, (size_t)(end - n->text)));
}

/* Valid UTF-8 without control characters: it is shown in tables and logs. */
static bool message_good(const char *message)
{
    const char *end = memchr(message, '\0', MANIFEST_MESSAGE_BYTES_MAX + 1);
    if (end == NULL) return false;
    struct span s = span_of(message, (size_t)(end - message));
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f) return false;
    return utf8_valid_len(s) == s.len;
}

/* A root is in force everywhere at once: no plan of it is looked at. */
static bool plan_good(const struct manifest_plan *p, const struct manifest *m)
{
    uint32_t before = 0;
    if (p->wave_count > MANIFEST_WAVES_MAX || p->soak_ms > MANIFEST_SOAK_MS_MAX) return false;
    if (p->min_ok > MANIFEST_WHOLE) return false;
    if (m->scope == MANIFEST_ROOT) return p->wave_count == 0;
    if (p->immediate) return p->wave_count == 0 && m->signer_count == MANIFEST_SIGNERS_MAX;
    for (uint32_t i = 0; i < p->wave_count; i++) {
        if (p->wave[i] < before || p->wave[i] > MANIFEST_WHOLE) return false;
        before = p->wave[i];
    }
    return before == MANIFEST_WHOLE;
}

static bool texts_good(const struct manifest *m)
{
    if (m->text_count > MANIFEST_TEXTS_MAX) return false;
    for (uint32_t i = 0; i < m->text_count; i++) {
        if (!name_good(&m->text[i].name) || m->text[i].bytes > MANIFEST_TEXT_BYTES_MAX)
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (name_eq(&m->text[i].name, &m->text[j].name)) return false;
    }
    return true;
}

static bool same_operator(const struct manifest_operator *a, const struct manifest_operator *b)
{
    return name_eq(&a->name, &b->name) ||
           memcmp(a->public_key, b->public_key, sizeof(a->public_key)) == 0;
}

static bool root_good(const struct manifest *m)
{
    if (m->operator_count > MANIFEST_OPERATORS_MAX || m->key_count > MANIFEST_KEYS_MAX)
        return false;
    if ((m->pinned.gen == 0) != manifest_hash_is_zero(&m->pinned.hash)) return false;
    for (uint32_t i = 0; i < m->operator_count; i++) {
        if (!name_good(&m->op[i].name) || m->op[i].role >= MANIFEST_ROLES) return false;
        for (uint32_t j = 0; j < i; j++)
            if (same_operator(&m->op[i], &m->op[j])) return false;
    }
    for (uint32_t i = 0; i < m->key_count; i++) {
        if (m->key[i].stage >= MANIFEST_KEY_STAGES) return false;
        for (uint32_t j = 0; j < i; j++)
            if (memcmp(m->key[i].id, m->key[j].id, sizeof(m->key[i].id)) == 0) return false;
    }
    return true;
}

static bool manifest_good(const struct manifest *m)
{
    if (m->scope >= MANIFEST_SCOPES || m->gen == 0) return false;
    if ((m->gen == 1) != manifest_hash_is_zero(&m->parent)) return false;
    if (m->signer_count < 1 || m->signer_count > MANIFEST_SIGNERS_MAX) return false;
    if (m->signer_count == 2 && manifest_key_id_eq(&m->signer[0], &m->signer[1])) return false;
    if (!name_good(&m->author) || !message_good(m->message)) return false;
    if (m->confirm_within_ms > MANIFEST_CONFIRM_MS_MAX) return false;
    if (!plan_good(&m->plan, m)) return false;
    return m->scope == MANIFEST_POLICY ? texts_good(m) : root_good(m);
}

static void write_plan(struct pack_writer *w, const struct manifest_plan *p)
{
    pack_write_array(w, PLAN_ITEMS);
    pack_write_u64(w, (p->immediate ? FLAG_IMMEDIATE : 0) | (p->force ? FLAG_FORCE : 0));
    pack_write_array(w, p->wave_count);
    for (uint32_t i = 0; i < p->wave_count; i++)
        pack_write_u64(w, p->wave[i]);
    pack_write_u64(w, p->soak_ms);
    pack_write_u64(w, p->max_rejected);
    pack_write_u64(w, p->min_ok);
}

static void write_texts(struct pack_writer *w, const struct manifest *m)
{
    pack_write_array(w, POLICY_ITEMS);
    pack_write_array(w, m->text_count);
    for (uint32_t i = 0; i < m->text_count; i++) {
        pack_write_array(w, PART_ITEMS);
        pack_write_str(w, span_str(m->text[i].name.text));
        pack_write_bin(w, m->text[i].hash.byte, MANIFEST_HASH_BYTES);
        pack_write_u64(w, m->text[i].bytes);
    }
}

static void write_root(struct pack_writer *w, const struct manifest *m)
{
    pack_write_array(w, ROOT_ITEMS);
    pack_write_array(w, m->operator_count);
    for (uint32_t i = 0; i < m->operator_count; i++) {
        pack_write_array(w, PART_ITEMS);
        pack_write_str(w, span_str(m->op[i].name.text));
        pack_write_bin(w, m->op[i].public_key, MANIFEST_PUBLIC_BYTES);
        pack_write_u64(w, (uint64_t)m->op[i].role);
    }
    pack_write_array(w, m->key_count);
    for (uint32_t i = 0; i < m->key_count; i++) {
        pack_write_array(w, PART_ITEMS);
        pack_write_bin(w, m->key[i].id, sizeof(m->key[i].id));
        pack_write_bin(w, m->key[i].hash.byte, MANIFEST_HASH_BYTES);
        pack_write_u64(w, (uint64_t)m->key[i].stage);
    }
    pack_write_u64(w, m->pinned.gen);
    pack_write_bin(w, m->pinned.hash.byte, MANIFEST_HASH_BYTES);
}

enum err pack_manifest_body(const struct manifest *m, uint8_t *dst, size_t cap, size_t *len)
{
    struct pack_writer w;
    if (!manifest_good(m)) return ERR_INVALID;
    pack_writer_init(&w, dst, cap);
    pack_write_array(&w, BODY_ITEMS);
    pack_write_u64(&w, (uint64_t)m->scope);
    pack_write_u64(&w, m->gen);
    pack_write_bin(&w, m->parent.byte, MANIFEST_HASH_BYTES);
    pack_write_u64(&w, m->hlc);
    pack_write_u64(&w, m->root_gen);
    pack_write_str(&w, span_str(m->author.text));
    pack_write_array(&w, m->signer_count);
    for (uint32_t i = 0; i < m->signer_count; i++)
        pack_write_bin(&w, m->signer[i].byte, MANIFEST_KEY_ID_BYTES);
    pack_write_str(&w, span_str(m->message));
    pack_write_u64(&w, m->confirm_within_ms);
    write_plan(&w, &m->plan);
    if (m->scope == MANIFEST_POLICY)
        write_texts(&w, m);
    else
        write_root(&w, m);
    if (!pack_writer_ok(&w)) return ERR_TOO_LARGE;
    *len = w.len;
    return ERR_OK;
}

enum err pack_manifest_split(struct span wire, struct pack_manifest_parts *out)
{
    const uint8_t *p = (const uint8_t *)wire.p;
    if (wire.len > MANIFEST_BYTES_MAX) return ERR_TOO_LARGE;
    if (wire.len < 2) return ERR_INVALID;
    if (p[0] != VERSION) return ERR_UNSUPPORTED;
    if (p[1] < 1 || p[1] > MANIFEST_SIGNERS_MAX) return ERR_INVALID;
    size_t heading = 2 + (size_t)p[1] * MANIFEST_SIGNATURE_BYTES;
    if (wire.len <= heading) return ERR_INVALID;
    *out = (struct pack_manifest_parts){
        .body = span_skip(wire, heading), .signature_count = p[1], .signature = p + 2};
    return ERR_OK;
}

enum err pack_manifest_join(struct span body, const uint8_t *signatures, uint32_t count,
                            uint8_t *dst, size_t cap, size_t *len)
{
    size_t signed_bytes = (size_t)count * MANIFEST_SIGNATURE_BYTES;
    if (count < 1 || count > MANIFEST_SIGNERS_MAX) return ERR_INVALID;
    if (body.len > MANIFEST_BYTES_MAX || 2 + signed_bytes + body.len > cap) return ERR_TOO_LARGE;
    dst[0] = VERSION;
    dst[1] = (uint8_t)count;
    memcpy(dst + 2, signatures, signed_bytes);
    memcpy(dst + 2 + signed_bytes, body.p, body.len);
    *len = 2 + signed_bytes + body.len;
    return ERR_OK;
}

static void read_name(struct pack_reader *r, struct name *out)
{
    struct span s = pack_read_str(r);
    if (pack_reader_err(r) == ERR_OK) pack_reader_fail(r, name_set(out, s));
}

static uint32_t read_count(struct pack_reader *r, uint32_t max, uint32_t *outer)
{
    uint32_t count = pack_read_array(r, 0, outer);
    if (count > max) pack_reader_fail(r, ERR_TOO_LARGE);
    return pack_reader_err(r) == ERR_OK ? count : 0;
}

static void read_plan(struct pack_reader *r, struct manifest_plan *p)
{
    uint32_t outer, inner;
    (void)pack_read_array(r, PLAN_ITEMS, &outer);
    uint64_t flags = pack_read_u64(r);
    p->immediate = (flags & FLAG_IMMEDIATE) != 0;
    p->force = (flags & FLAG_FORCE) != 0;
    p->wave_count = read_count(r, MANIFEST_WAVES_MAX, &inner);
    for (uint32_t i = 0; i < p->wave_count; i++)
        p->wave[i] = (uint16_t)pack_read_u64_max(r, MANIFEST_WHOLE);
    pack_read_array_end(r, inner);
    p->soak_ms = (uint32_t)pack_read_u64_max(r, MANIFEST_SOAK_MS_MAX);
    p->max_rejected = (uint32_t)pack_read_u64_max(r, UINT32_MAX);
    p->min_ok = (uint32_t)pack_read_u64_max(r, MANIFEST_WHOLE);
    pack_read_array_end(r, outer);
}

static void read_texts(struct pack_reader *r, struct manifest *m)
{
    uint32_t outer, list, part;
    (void)pack_read_array(r, POLICY_ITEMS, &outer);
    m->text_count = read_count(r, MANIFEST_TEXTS_MAX, &list);
    for (uint32_t i = 0; i < m->text_count; i++) {
        struct manifest_text *t = &m->text[i];
        (void)pack_read_array(r, PART_ITEMS, &part);
        read_name(r, &t->name);
        pack_read_bin_exact(r, t->hash.byte, MANIFEST_HASH_BYTES);
        t->bytes = (uint32_t)pack_read_u64_max(r, MANIFEST_TEXT_BYTES_MAX);
        pack_read_array_end(r, part);
    }
    pack_read_array_end(r, list);
    pack_read_array_end(r, outer);
}

static void read_operators(struct pack_reader *r, struct manifest *m)
{
    uint32_t list, part;
    m->operator_count = read_count(r, MANIFEST_OPERATORS_MAX, &list);
    for (uint32_t i = 0; i < m->operator_count; i++) {
        struct manifest_operator *o = &m->op[i];
        (void)pack_read_array(r, PART_ITEMS, &part);
        read_name(r, &o->name);
        pack_read_bin_exact(r, o->public_key, MANIFEST_PUBLIC_BYTES);
        o->role = (enum manifest_role)pack_read_u64_max(r, MANIFEST_ROLES - 1);
        pack_read_array_end(r, part);
    }
    pack_read_array_end(r, list);
}

static void read_root(struct pack_reader *r, struct manifest *m)
{
    uint32_t outer, list, part;
    (void)pack_read_array(r, ROOT_ITEMS, &outer);
    read_operators(r, m);
    m->key_count = read_count(r, MANIFEST_KEYS_MAX, &list);
    for (uint32_t i = 0; i < m->key_count; i++) {
        struct manifest_key *k = &m->key[i];
        (void)pack_read_array(r, PART_ITEMS, &part);
        pack_read_bin_exact(r, k->id, sizeof(k->id));
        pack_read_bin_exact(r, k->hash.byte, MANIFEST_HASH_BYTES);
        k->stage = (enum manifest_key_stage)pack_read_u64_max(r, MANIFEST_KEY_STAGES - 1);
        pack_read_array_end(r, part);
    }
    pack_read_array_end(r, list);
    m->pinned.gen = pack_read_u64(r);
    pack_read_bin_exact(r, m->pinned.hash.byte, MANIFEST_HASH_BYTES);
    pack_read_array_end(r, outer);
}

static void read_message(struct pack_reader *r, struct manifest *m)
{
    struct span s = pack_read_str(r);
    if (pack_reader_err(r) != ERR_OK) return;
    if (!span_to_cstr(s, m->message, sizeof(m->message))) pack_reader_fail(r, ERR_INVALID);
}

static void read_body(struct pack_reader *r, struct manifest *m)
{
    uint32_t outer, list;
    (void)pack_read_array(r, BODY_ITEMS, &outer);
    m->scope = (enum manifest_scope)pack_read_u64_max(r, MANIFEST_SCOPES - 1);
    m->gen = pack_read_u64(r);
    pack_read_bin_exact(r, m->parent.byte, MANIFEST_HASH_BYTES);
    m->hlc = pack_read_u64(r);
    m->root_gen = pack_read_u64(r);
    read_name(r, &m->author);
    m->signer_count = read_count(r, MANIFEST_SIGNERS_MAX, &list);
    for (uint32_t i = 0; i < m->signer_count; i++)
        pack_read_bin_exact(r, m->signer[i].byte, MANIFEST_KEY_ID_BYTES);
    pack_read_array_end(r, list);
    read_message(r, m);
    m->confirm_within_ms = (uint32_t)pack_read_u64_max(r, MANIFEST_CONFIRM_MS_MAX);
    read_plan(r, &m->plan);
    if (m->scope == MANIFEST_POLICY)
        read_texts(r, m);
    else
        read_root(r, m);
    pack_read_array_end(r, outer);
}

enum err pack_manifest_decode(struct span wire, struct manifest *out)
{
    struct pack_manifest_parts parts;
    struct pack_reader r;
    *out = (struct manifest){0};
    enum err err = pack_manifest_split(wire, &parts);
    if (err != ERR_OK) return err;
    err = pack_reader_init(&r, parts.body, DEPTH_MAX, VALUES_MAX);
    if (err != ERR_OK) return err;
    read_body(&r, out);
    err = pack_reader_err(&r);
    if (err != ERR_OK) return err;
    return out->signer_count == parts.signature_count && manifest_good(out) ? ERR_OK : ERR_INVALID;
}

static void put_u64(uint8_t *out, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

void pack_manifest_confirm_text(const struct manifest_confirm *c,
                                uint8_t out[PACK_MANIFEST_CONFIRM_TEXT])
{
    out[0] = VERSION;
    out[1] = (uint8_t)c->scope;
    put_u64(out + 2, c->ref.gen);
    memcpy(out + 10, c->ref.hash.byte, MANIFEST_HASH_BYTES);
    put_u64(out + 42, c->hlc);
    memcpy(out + 50, c->signer.byte, MANIFEST_KEY_ID_BYTES);
}

enum err pack_manifest_confirm_decode(struct span wire, struct manifest_confirm *out)
{
    const uint8_t *p = (const uint8_t *)wire.p;
    if (wire.len != PACK_MANIFEST_CONFIRM_BYTES) return ERR_INVALID;
    if (p[0] != VERSION) return ERR_UNSUPPORTED;
    if (p[1] >= MANIFEST_SCOPES || get_u64(p + 2) == 0) return ERR_INVALID;
    *out = (struct manifest_confirm){
        .scope = (enum manifest_scope)p[1], .ref.gen = get_u64(p + 2), .hlc = get_u64(p + 42)};
    memcpy(out->ref.hash.byte, p + 10, MANIFEST_HASH_BYTES);
    memcpy(out->signer.byte, p + 50, MANIFEST_KEY_ID_BYTES);
    return ERR_OK;
}
