#include "gossip/sync_message.h"

#include <assert.h>

#define SYNC_WALL_MS_MAX (UINT64_C(1) << 48)

static_assert(SYNC_PRINTS_MAX * SYNC_PRINT_BYTES <= SYNC_CHUNK_BYTES, "a LIST is one chunk");

static void write_alternates(struct pack_writer *w, const struct sync_message *m)
{
    pack_write_array(w, m->alternate_count);
    for (uint32_t i = 0; i < m->alternate_count; i++) {
        const struct addr *a = &m->alternate[i];
        pack_write_array(w, 2);
        pack_write_bin(w, a->ip, a->family == ADDR_IP4 ? 4 : 16);
        pack_write_u64(w, a->port);
    }
}

static void write_refs(struct pack_writer *w, const struct sync_message *m)
{
    pack_write_u64(w, m->root.gen);
    pack_write_bin(w, m->root.hash.byte, MANIFEST_HASH_BYTES);
    pack_write_u64(w, m->head.gen);
    pack_write_bin(w, m->head.hash.byte, MANIFEST_HASH_BYTES);
}

static void write_bins(struct pack_writer *w, const struct span *bin, uint32_t count)
{
    pack_write_array(w, count);
    for (uint32_t i = 0; i < count; i++)
        pack_write_bin(w, bin[i].p, bin[i].len);
}

void sync_message_write(struct pack_writer *w, const struct sync_message *m)
{
    static const uint8_t items[SYNC_KINDS] = {
        [SYNC_HELLO] = 2,        [SYNC_PROBE] = 2,      [SYNC_PONG] = 3,       [SYNC_VECTOR] = 2,
        [SYNC_LIST] = 4,         [SYNC_WANT] = 2,       [SYNC_BUSY] = 2,       [SYNC_DONE] = 1,
        [SYNC_ACCUSED] = 2,      [SYNC_CONFLICT] = 1,   [SYNC_KEY_WANT] = 2,   [SYNC_KEY] = 2,
        [SYNC_POLICY_HEADS] = 6, [SYNC_POLICY_ASK] = 6, [SYNC_POLICY_HAVE] = 4};
    pack_write_array(w, items[m->kind]);
    pack_write_u64(w, (uint64_t)m->kind);
    switch (m->kind) {
    case SYNC_HELLO:
        offer_write(w, &m->offer);
        break;
    case SYNC_PROBE:
        pack_write_u64(w, m->seq);
        break;
    case SYNC_PONG:
        pack_write_u64(w, m->seq);
        pack_write_u64(w, m->wall_ms > 0 ? (uint64_t)m->wall_ms : 0);
        break;
    case SYNC_VECTOR:
    case SYNC_WANT:
    case SYNC_KEY_WANT:
    case SYNC_KEY:
        pack_write_bin(w, m->bytes.p, m->bytes.len);
        break;
    case SYNC_LIST:
        pack_write_bool(w, m->last);
        pack_write_bin(w, m->bitmap, sizeof(m->bitmap));
        pack_write_bin(w, m->bytes.p, m->bytes.len);
        break;
    case SYNC_BUSY:
        write_alternates(w, m);
        break;
    case SYNC_ACCUSED:
        offer_write_accusation(w, &m->accusation);
        break;
    case SYNC_POLICY_HEADS:
        write_refs(w, m);
        pack_write_bool(w, m->last);
        break;
    case SYNC_POLICY_ASK:
        write_refs(w, m);
        pack_write_bin(w, m->bytes.p, m->bytes.len);
        break;
    case SYNC_POLICY_HAVE:
        pack_write_bool(w, m->last);
        write_bins(w, m->item, m->item_count);
        write_bins(w, m->item + m->item_count, m->text_count);
        break;
    case SYNC_RECORDS: /* sync_chunk */
    case SYNC_DONE:
    case SYNC_CONFLICT:
    case SYNC_UNKNOWN:
    case SYNC_KINDS:
        break;
    }
}

static void read_alternate(struct pack_reader *r, struct addr *out)
{
    uint32_t outer;
    (void)pack_read_array(r, 2, &outer);
    struct span ip = pack_read_bin(r);
    uint16_t port = (uint16_t)pack_read_u64_max(r, UINT16_MAX);
    pack_read_array_end(r, outer);
    if (pack_reader_err(r) != ERR_OK) return;
    if (ip.len != 4 && ip.len != 16) {
        pack_reader_fail(r, ERR_INVALID);
        return;
    }
    *out = (struct addr){.port = port, .family = ip.len == 4 ? ADDR_IP4 : ADDR_IP6};
    memcpy(out->ip, ip.p, ip.len);
}

static void read_alternates(struct pack_reader *r, struct sync_message *m)
{
    uint32_t outer;
    uint32_t count = pack_read_array(r, 0, &outer);
    m->alternate_count = count < SYNC_ALTERNATES_MAX ? count : SYNC_ALTERNATES_MAX;
    for (uint32_t i = 0; i < m->alternate_count; i++)
        read_alternate(r, &m->alternate[i]);
    pack_read_array_end(r, outer);
}

/* A BIN that is a whole number of `item` bytes, at most `max` of them. */
static void read_items(struct pack_reader *r, struct sync_message *m, size_t item, size_t max)
{
    m->bytes = pack_read_bin(r);
    if (m->bytes.len % item != 0) pack_reader_fail(r, ERR_INVALID);
    if (m->bytes.len / item > max) pack_reader_fail(r, ERR_TOO_LARGE);
}

static void read_refs(struct pack_reader *r, struct sync_message *m)
{
    m->root.gen = pack_read_u64(r);
    pack_read_bin_exact(r, m->root.hash.byte, MANIFEST_HASH_BYTES);
    m->head.gen = pack_read_u64(r);
    pack_read_bin_exact(r, m->head.hash.byte, MANIFEST_HASH_BYTES);
}

static uint32_t read_bins(struct pack_reader *r, struct span *out, uint32_t max)
{
    uint32_t outer;
    uint32_t count = pack_read_array(r, 0, &outer);
    if (count > max) {
        pack_reader_fail(r, ERR_TOO_LARGE);
        return 0;
    }
    for (uint32_t i = 0; i < count; i++)
        out[i] = pack_read_bin(r);
    pack_read_array_end(r, outer);
    return count;
}

static void read_body(struct pack_reader *r, struct sync_message *m, uint32_t items)
{
    switch (m->kind) {
    case SYNC_HELLO:
        offer_read(r, &m->offer);
        break;
    case SYNC_PROBE:
    case SYNC_PONG:
        m->seq = (uint32_t)pack_read_u64_max(r, UINT32_MAX);
        if (m->kind == SYNC_PONG && items > 2)
            m->wall_ms = (int64_t)pack_read_u64_max(r, SYNC_WALL_MS_MAX);
        break;
    case SYNC_VECTOR:
        m->bytes = pack_read_bin(r);
        if (m->bytes.len != DIGEST_VECTOR_BYTES) pack_reader_fail(r, ERR_INVALID);
        break;
    case SYNC_LIST:
        m->last = pack_read_bool(r);
        pack_read_bin_exact(r, m->bitmap, sizeof(m->bitmap));
        read_items(r, m, SYNC_PRINT_BYTES, SYNC_PRINTS_MAX);
        break;
    case SYNC_WANT:
        read_items(r, m, NODE_ID_SHORT_BYTES, SYNC_WANTS_MAX);
        break;
    case SYNC_KEY_WANT:
        m->bytes = pack_read_bin(r);
        if (m->bytes.len != SEAL_KEY_HASH_BYTES) pack_reader_fail(r, ERR_INVALID);
        break;
    case SYNC_KEY:
        m->bytes = pack_read_bin(r);
        if (m->bytes.len != SEAL_KEY_BYTES && m->bytes.len != 0) pack_reader_fail(r, ERR_INVALID);
        break;
    case SYNC_BUSY:
        read_alternates(r, m);
        break;
    case SYNC_ACCUSED:
        offer_read_accusation(r, &m->accusation);
        break;
    case SYNC_POLICY_HEADS:
        read_refs(r, m);
        m->last = pack_read_bool(r);
        break;
    case SYNC_POLICY_ASK:
        read_refs(r, m);
        read_items(r, m, MANIFEST_HASH_BYTES, MANIFEST_TEXTS_MAX);
        break;
    case SYNC_POLICY_HAVE:
        m->last = pack_read_bool(r);
        m->item_count = read_bins(r, m->item, SYNC_ITEMS_MAX);
        m->text_count = read_bins(r, m->item + m->item_count, SYNC_ITEMS_MAX - m->item_count);
        break;
    case SYNC_RECORDS:
    case SYNC_DONE:
    case SYNC_CONFLICT:
    case SYNC_UNKNOWN:
    case SYNC_KINDS:
        break;
    }
}

/* Stops in front of the first record. */
static void open_records(struct pack_reader *r, struct sync_message *m)
{
    uint32_t outer;
    m->last = pack_read_bool(r);
    m->record_count = pack_read_array(r, 0, &outer);
    if (m->record_count > SYNC_RECORDS_MAX) pack_reader_fail(r, ERR_TOO_LARGE);
}

/* A bad record must not be found when those before it are already taken (law 7). */
static enum err check_records(const struct sync_message *m)
{
    struct sync_message copy = *m;
    struct offer o;
    while (sync_message_record(&copy, &o))
        ;
    return copy.record_count == 0 ? ERR_OK : ERR_INVALID;
}

enum err sync_message_read(struct span bytes, struct sync_message *out)
{
    uint32_t outer;
    struct pack_reader r;
    enum err err = pack_reader_init(&r, bytes, SYNC_MESSAGE_DEPTH_MAX, SYNC_MESSAGE_ITEMS_MAX);
    if (err != ERR_OK) return err;
    *out = (struct sync_message){0};
    uint32_t items = pack_read_array(&r, 1, &outer);
    uint64_t kind = pack_read_u64(&r);
    out->kind = kind < SYNC_KINDS ? (enum sync_message_kind)kind : SYNC_UNKNOWN;
    if (out->kind == SYNC_RECORDS) {
        open_records(&r, out);
        out->records = r;
        err = pack_reader_err(&r);
        return err == ERR_OK ? check_records(out) : err;
    }
    read_body(&r, out, items);
    pack_read_array_end(&r, outer);
    return pack_reader_err(&r);
}

bool sync_message_record(struct sync_message *m, struct offer *out)
{
    if (m->record_count == 0) return false;
    offer_read(&m->records, out);
    if (pack_reader_err(&m->records) != ERR_OK) return false;
    m->record_count--;
    return true;
}
