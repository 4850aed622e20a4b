#include "gossip/policy_store.h"

#include "core/crypto/sign_manifest.h"
#include "core/wire/pack.h"
#include "gossip/policy_head.h"
#include "gossip/state.h"

#define VERSION       1u
#define STORE_ITEMS   4u
#define ITEM_ITEMS    4u
#define DEPTH_MAX     4u
#define VALUES_MAX    8192u
#define HEADING_BYTES 64u
#define EXTRA_BYTES   32u /* of an entry */
#define FLAG_APPLIED  1u
#define FLAG_REJECTED 2u
#define FLAG_STOPPED  4u
#define FLAG_REVERTED 8u
#define FLAG_SETTLED  16u

static size_t room_for(const struct policy *p)
{
    size_t room = HEADING_BYTES;
    for (size_t i = 0; i < p->root_count; i++)
        room += p->root[i].len + EXTRA_BYTES;
    for (size_t i = 0; i < p->held_count; i++)
        room += p->held[i]->len + PACK_MANIFEST_CONFIRM_BYTES + EXTRA_BYTES;
    for (size_t i = 0; i < p->texts.count; i++)
        room += p->texts.text[i].len + EXTRA_BYTES;
    return room;
}

static void write_item(struct pack_writer *w, const struct policy_item *i)
{
    uint64_t flags = (i->applied ? FLAG_APPLIED : 0) | (i->rejected ? FLAG_REJECTED : 0) |
                     (i->stopped ? FLAG_STOPPED : 0) | (i->reverted ? FLAG_REVERTED : 0) |
                     (i->settled ? FLAG_SETTLED : 0);
    pack_write_array(w, ITEM_ITEMS);
    pack_write_bin(w, i->bytes, i->len);
    pack_write_u64(w, flags);
    pack_write_i64(w, i->activated_ms);
    if (i->confirmed)
        pack_write_bin(w, i->confirm, sizeof(i->confirm));
    else
        pack_write_nil(w);
}

bool policy_store_push(struct gossip *g)
{
    const struct policy *p = &g->policy;
    size_t room = room_for(p);
    uint8_t *bytes = arena_alloc(&g->fx->arena, MANIFEST_HASH_BYTES + room);
    if (bytes == NULL) return false;
    struct pack_writer w;
    pack_writer_init(&w, bytes + MANIFEST_HASH_BYTES, room);
    pack_write_array(&w, STORE_ITEMS);
    pack_write_u64(&w, VERSION);
    pack_write_array(&w, (uint32_t)p->root_count);
    for (size_t i = 0; i < p->root_count; i++)
        pack_write_bin(&w, p->root[i].bytes, p->root[i].len);
    pack_write_array(&w, (uint32_t)p->held_count);
    for (size_t i = 0; i < p->held_count; i++)
        write_item(&w, p->held[i]);
    pack_write_array(&w, (uint32_t)p->texts.count);
    for (size_t i = 0; i < p->texts.count; i++)
        pack_write_bin(&w, p->texts.text[i].bytes, p->texts.text[i].len);
    CHECK(pack_writer_ok(&w));
    struct gossip_effect *e = event_push(g->fx, GOSSIP_POLICY_STORE);
    if (e == NULL) return false;
    struct manifest_hash hash = sign_manifest_hash(pack_writer_view(&w));
    memcpy(bytes, hash.byte, sizeof(hash.byte));
    e->data = span_of(bytes, MANIFEST_HASH_BYTES + w.len);
    return true;
}

static void read_item(struct gossip *g, struct pack_reader *r)
{
    uint32_t outer;
    (void)pack_read_array(r, ITEM_ITEMS, &outer);
    struct span wire = pack_read_bin(r);
    uint64_t flags = pack_read_u64(r);
    int64_t activated = pack_read_i64(r);
    struct span confirm = span_of(NULL, 0);
    if (pack_read_peek(r) == PACK_BIN) confirm = pack_read_bin(r);
    pack_read_array_end(r, outer);
    if (pack_reader_err(r) != ERR_OK) return;
    struct policy_item *i = policy_restore_item(g, wire);
    if (i == NULL) return;
    i->applied = (flags & FLAG_APPLIED) != 0;
    i->rejected = (flags & FLAG_REJECTED) != 0;
    i->stopped = (flags & FLAG_STOPPED) != 0;
    i->reverted = (flags & FLAG_REVERTED) != 0;
    i->settled = (flags & FLAG_SETTLED) != 0;
    i->activated_ms = activated;
    i->told = true;
    i->confirmed = confirm.len == sizeof(i->confirm);
    if (i->confirmed) memcpy(i->confirm, confirm.p, sizeof(i->confirm));
}

static bool is_ours(struct span blob)
{
    if (blob.len <= MANIFEST_HASH_BYTES) return false;
    struct manifest_hash hash = sign_manifest_hash(span_skip(blob, MANIFEST_HASH_BYTES));
    return memcmp(hash.byte, blob.p, sizeof(hash.byte)) == 0;
}

bool policy_store_restore(struct gossip *g, struct span blob)
{
    struct pack_reader r;
    uint32_t outer, list;
    if (!is_ours(blob)) return false;
    struct span doc = span_skip(blob, MANIFEST_HASH_BYTES);
    if (pack_reader_init(&r, doc, DEPTH_MAX, VALUES_MAX) != ERR_OK) return false;
    (void)pack_read_array(&r, STORE_ITEMS, &outer);
    if (pack_read_u64(&r) != VERSION) return false;
    uint32_t count = pack_read_array(&r, 0, &list);
    for (uint32_t i = 0; i < count && policy_restore_root(g, pack_read_bin(&r)); i++)
        continue;
    pack_read_array_end(&r, list);
    count = pack_read_array(&r, 0, &list);
    for (uint32_t i = 0; i < count; i++)
        read_item(g, &r);
    pack_read_array_end(&r, list);
    count = pack_read_array(&r, 0, &list);
    for (uint32_t i = 0; i < count; i++) {
        struct span text = pack_read_bin(&r);
        struct manifest_hash hash = sign_manifest_hash(text);
        if (policy_text_add(&g->policy.texts, &hash, text) != ERR_OK) break;
    }
    (void)policy_head_choose(g);
    g->policy.changed = g->policy.store_due = g->policy.report_due = false;
    digest_policy(&g->digest, policy_head_print(g), 0);
    rollout_restore(g);
    const struct manifest_ref root = policy_root_ref(&g->policy);
    if (root.gen > 0) keyring_root(g, g->policy.authority, &root);
    return true;
}
