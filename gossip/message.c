#include "gossip/message.h"

#include "core/base/check.h"

static void write_standing(struct pack_writer *w, uint64_t epoch, uint32_t inc)
{
    pack_write_u64(w, epoch);
    pack_write_u64(w, inc);
}

static void write_policy(struct pack_writer *w, const struct message *m)
{
    pack_write_bin(w, m->policy.p, m->policy.len);
    pack_write_array(w, m->text_count);
    for (uint32_t i = 0; i < m->text_count; i++)
        pack_write_bin(w, m->text[i].p, m->text[i].len);
}

void message_write(struct pack_writer *w, const struct message *m)
{
    static const uint8_t padding[MESSAGE_PADDING_MAX];
    CHECK(m->padding <= sizeof(padding));
    static const uint8_t items[MESSAGE_KINDS] = {
        [MESSAGE_PING] = 2,           [MESSAGE_ACK] = 2,        [MESSAGE_PING_REQ] = 3,
        [MESSAGE_NACK] = 2,           [MESSAGE_CONFIRM] = 2,    [MESSAGE_REACHED] = 4,
        [MESSAGE_ACCUSED] = 2,        [MESSAGE_RECORD] = 2,     [MESSAGE_ACCUSE] = 2,
        [MESSAGE_CONFLICT] = 1,       [MESSAGE_POLICY] = 3,     [MESSAGE_POLICY_HEAD] = 4,
        [MESSAGE_POLICY_CONFIRM] = 2, [MESSAGE_STATUS_ASK] = 1, [MESSAGE_BALLOT] = 2};
    pack_write_array(w, items[m->kind] + (m->placed || m->padding > 0 ? 1u : 0u));
    pack_write_u64(w, (uint64_t)m->kind);
    switch (m->kind) {
    case MESSAGE_PING:
        pack_write_u64(w, m->seq);
        if (m->padding > 0) pack_write_bin(w, padding, m->padding);
        break;
    case MESSAGE_ACK:
        pack_write_u64(w, m->seq);
        if (m->placed) pack_write_bin(w, m->place, sizeof(m->place));
        break;
    case MESSAGE_NACK:
        pack_write_u64(w, m->seq);
        break;
    case MESSAGE_PING_REQ:
        pack_write_u64(w, m->seq);
        pack_write_bin(w, m->target.byte, NODE_ID_BYTES);
        break;
    case MESSAGE_CONFIRM:
    case MESSAGE_ACCUSED:
    case MESSAGE_ACCUSE:
        offer_write_accusation(w, &m->accusation);
        break;
    case MESSAGE_REACHED:
        pack_write_bin(w, m->target.byte, NODE_ID_BYTES);
        write_standing(w, m->epoch, m->inc);
        break;
    case MESSAGE_RECORD:
        offer_write(w, &m->offer);
        break;
    case MESSAGE_POLICY:
        write_policy(w, m);
        break;
    case MESSAGE_POLICY_HEAD:
        pack_write_u64(w, (uint64_t)m->scope);
        pack_write_u64(w, m->ref.gen);
        pack_write_bin(w, m->ref.hash.byte, MANIFEST_HASH_BYTES);
        break;
    case MESSAGE_BALLOT:
        pack_write_bin(w, m->ballot, sizeof(m->ballot));
        break;
    case MESSAGE_POLICY_CONFIRM:
        pack_write_bin(w, m->policy.p, m->policy.len);
        break;
    case MESSAGE_CONFLICT:
    case MESSAGE_STATUS_ASK:
    case MESSAGE_UNKNOWN:
    case MESSAGE_KINDS:
        break;
    }
}

enum err message_reader_init(struct message_reader *mr, struct span plain, uint64_t *summary)
{
    uint32_t outer;
    enum err err = pack_reader_init(&mr->reader, plain, MESSAGE_DEPTH_MAX, MESSAGE_ITEMS_MAX);
    if (err != ERR_OK) return err;
    uint32_t items = pack_read_array(&mr->reader, 1, &outer);
    uint64_t value = pack_read_u64(&mr->reader);
    if (pack_reader_err(&mr->reader) != ERR_OK) return ERR_INVALID;
    mr->left = items - 1;
    *summary = value;
    return ERR_OK;
}

static void read_standing(struct pack_reader *r, struct message *m)
{
    m->epoch = pack_read_u64(r);
    m->inc = (uint32_t)pack_read_u64_max(r, UINT32_MAX);
}

static void read_policy(struct pack_reader *r, struct message *m)
{
    uint32_t outer;
    m->policy = pack_read_bin(r);
    m->text_count = pack_read_array(r, 0, &outer);
    if (m->text_count > MESSAGE_TEXTS_MAX) {
        pack_reader_fail(r, ERR_TOO_LARGE);
        m->text_count = 0;
    }
    for (uint32_t i = 0; i < m->text_count; i++)
        m->text[i] = pack_read_bin(r);
    pack_read_array_end(r, outer);
}

/* Of another length it is of a later version. */
static void read_place(struct pack_reader *r, struct message *m)
{
    struct span bytes = pack_read_bin(r);
    m->placed = pack_reader_err(r) == ERR_OK && bytes.len == sizeof(m->place);
    if (m->placed) memcpy(m->place, bytes.p, sizeof(m->place));
}

static void read_items(struct pack_reader *r, struct message *m, uint32_t items)
{
    m->placed = false;
    switch (m->kind) {
    case MESSAGE_PING:
    case MESSAGE_ACK:
    case MESSAGE_NACK:
        m->seq = (uint32_t)pack_read_u64_max(r, UINT32_MAX);
        if (m->kind == MESSAGE_ACK && items > 2) read_place(r, m);
        break;
    case MESSAGE_PING_REQ:
        m->seq = (uint32_t)pack_read_u64_max(r, UINT32_MAX);
        pack_read_bin_exact(r, m->target.byte, NODE_ID_BYTES);
        break;
    case MESSAGE_CONFIRM:
    case MESSAGE_ACCUSED:
    case MESSAGE_ACCUSE:
        offer_read_accusation(r, &m->accusation);
        break;
    case MESSAGE_REACHED:
        pack_read_bin_exact(r, m->target.byte, NODE_ID_BYTES);
        read_standing(r, m);
        break;
    case MESSAGE_RECORD:
        offer_read(r, &m->offer);
        break;
    case MESSAGE_POLICY:
        read_policy(r, m);
        break;
    case MESSAGE_POLICY_HEAD:
        m->scope = (enum manifest_scope)pack_read_u64_max(r, MANIFEST_SCOPES - 1);
        m->ref.gen = pack_read_u64(r);
        pack_read_bin_exact(r, m->ref.hash.byte, MANIFEST_HASH_BYTES);
        break;
    case MESSAGE_BALLOT:
        pack_read_bin_exact(r, m->ballot, sizeof(m->ballot));
        break;
    case MESSAGE_POLICY_CONFIRM:
        m->policy = pack_read_bin(r);
        break;
    case MESSAGE_CONFLICT:
    case MESSAGE_STATUS_ASK:
    case MESSAGE_UNKNOWN:
    case MESSAGE_KINDS:
        break;
    }
}

bool message_next(struct message_reader *mr, struct message *out)
{
    struct pack_reader *r = &mr->reader;
    uint32_t outer;
    if (mr->left == 0 || pack_reader_err(r) != ERR_OK) return false;
    mr->left--;
    uint32_t items = pack_read_array(r, 1, &outer);
    uint64_t kind = pack_read_u64(r);
    out->kind = kind < MESSAGE_KINDS ? (enum message_kind)kind : MESSAGE_UNKNOWN;
    read_items(r, out, items);
    pack_read_array_end(r, outer);
    return pack_reader_err(r) == ERR_OK;
}

enum err message_reader_err(const struct message_reader *mr)
{
    return pack_reader_err(&mr->reader);
}

const char *message_word(enum message_kind k)
{
    static const char *const word[MESSAGE_KINDS] = {
        [MESSAGE_UNKNOWN] = "unknown",
        [MESSAGE_PING] = "ping",
        [MESSAGE_ACK] = "ack",
        [MESSAGE_PING_REQ] = "ping_req",
        [MESSAGE_NACK] = "nack",
        [MESSAGE_CONFIRM] = "confirm",
        [MESSAGE_REACHED] = "reached",
        [MESSAGE_ACCUSED] = "accused",
        [MESSAGE_RECORD] = "record",
        [MESSAGE_ACCUSE] = "accuse",
        [MESSAGE_CONFLICT] = "conflict",
        [MESSAGE_POLICY] = "policy",
        [MESSAGE_POLICY_HEAD] = "policy_head",
        [MESSAGE_POLICY_CONFIRM] = "policy_confirm",
        [MESSAGE_STATUS_ASK] = "status_ask",
        [MESSAGE_BALLOT] = "ballot",
    };
    return (unsigned)k < MESSAGE_KINDS ? word[k] : word[MESSAGE_UNKNOWN];
}
