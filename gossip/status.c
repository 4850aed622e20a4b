#include "gossip/status.h"

#include "core/wire/pack.h"

#define ENVELOPE_ITEMS 2u
#define STATUS_ITEMS   3u
#define POLICY_ITEMS   6u
#define ROOT_ITEMS     2u
#define DEPTH_MAX      3u
#define VALUES_MAX     64u

static void write_status(struct pack_writer *w, const struct status *s)
{
    pack_write_array(w, STATUS_ITEMS + (s->placed ? 1u : 0u));
    pack_write_array(w, POLICY_ITEMS);
    pack_write_u64(w, s->policy_gen);
    pack_write_bin(w, s->policy_hash, STATUS_HASH_BYTES);
    pack_write_u64(w, (uint64_t)s->state);
    pack_write_str(w, span_str(s->reason));
    pack_write_u64(w, s->active_gen);
    pack_write_bin(w, s->active_hash, STATUS_HASH_BYTES);
    pack_write_array(w, ROOT_ITEMS);
    pack_write_u64(w, s->root_gen);
    pack_write_bin(w, s->root_hash, STATUS_HASH_BYTES);
    pack_write_array(w, s->key_count);
    for (uint32_t i = 0; i < s->key_count; i++)
        pack_write_bin(w, s->key[i], sizeof(s->key[i]));
    if (s->placed) pack_write_bin(w, s->place, sizeof(s->place));
}

enum err status_seal(struct span driver, const struct status *s, void *dst, size_t cap, size_t *len)
{
    uint8_t status[STATUS_BYTES_MAX];
    struct pack_writer inner, w;
    pack_writer_init(&inner, status, sizeof(status));
    bool says = s->policy_gen != 0 || s->root_gen != 0 || s->key_count != 0 || s->placed;
    if (says) write_status(&inner, s);
    pack_writer_init(&w, dst, cap);
    pack_write_array(&w, ENVELOPE_ITEMS);
    pack_write_bin(&w, driver.p, driver.len);
    pack_write_bin(&w, status, inner.len);
    if (!pack_writer_ok(&inner) || !pack_writer_ok(&w)) return ERR_TOO_LARGE;
    *len = w.len;
    return ERR_OK;
}

enum err status_open(struct span body, struct span *driver, struct span *status)
{
    struct pack_reader r;
    uint32_t outer;
    enum err err = pack_reader_init(&r, body, DEPTH_MAX, VALUES_MAX);
    if (err != ERR_OK) return ERR_INVALID;
    (void)pack_read_array(&r, ENVELOPE_ITEMS, &outer);
    struct span first = pack_read_bin(&r);
    struct span second = pack_read_bin(&r);
    pack_read_array_end(&r, outer);
    if (pack_reader_err(&r) != ERR_OK) return ERR_INVALID;
    *driver = first;
    *status = second;
    return ERR_OK;
}

static void read_policy(struct pack_reader *r, struct status *out)
{
    uint32_t outer;
    (void)pack_read_array(r, POLICY_ITEMS, &outer);
    out->policy_gen = pack_read_u64(r);
    pack_read_bin_exact(r, out->policy_hash, STATUS_HASH_BYTES);
    out->state = (enum status_state)pack_read_u64_max(r, STATUS_STATES - 1);
    struct span reason = pack_read_str(r);
    if (reason.len > STATUS_REASON_BYTES_MAX) pack_reader_fail(r, ERR_TOO_LARGE);
    if (pack_reader_err(r) == ERR_OK) status_set_reason(out, reason);
    out->active_gen = pack_read_u64(r);
    pack_read_bin_exact(r, out->active_hash, STATUS_HASH_BYTES);
    pack_read_array_end(r, outer);
}

static void read_keys(struct pack_reader *r, struct status *out)
{
    uint32_t outer;
    uint32_t count = pack_read_array(r, 0, &outer);
    if (count > STATUS_KEYS_MAX) pack_reader_fail(r, ERR_TOO_LARGE);
    for (uint32_t i = 0; i < count && i < STATUS_KEYS_MAX; i++)
        pack_read_bin_exact(r, out->key[i], sizeof(out->key[i]));
    out->key_count = count;
    pack_read_array_end(r, outer);
}

/* Of another length it is of a later version. */
static void read_place(struct pack_reader *r, struct status *out)
{
    struct span bytes = pack_read_bin(r);
    out->placed = pack_reader_err(r) == ERR_OK && bytes.len == sizeof(out->place);
    if (out->placed) memcpy(out->place, bytes.p, sizeof(out->place));
}

enum err status_decode(struct span status, struct status *out)
{
    struct pack_reader r;
    uint32_t outer, root;
    *out = (struct status){0};
    if (status.len == 0) return ERR_OK;
    enum err err = pack_reader_init(&r, status, DEPTH_MAX, VALUES_MAX);
    if (err != ERR_OK) return err;
    uint32_t items = pack_read_array(&r, STATUS_ITEMS, &outer);
    read_policy(&r, out);
    (void)pack_read_array(&r, ROOT_ITEMS, &root);
    out->root_gen = pack_read_u64(&r);
    pack_read_bin_exact(&r, out->root_hash, STATUS_HASH_BYTES);
    pack_read_array_end(&r, root);
    read_keys(&r, out);
    if (items > STATUS_ITEMS) read_place(&r, out);
    pack_read_array_end(&r, outer);
    err = pack_reader_err(&r);
    if (err != ERR_OK) *out = (struct status){0};
    return err;
}

const char *status_word(enum status_state s)
{
#define STATUS_STATE_WORD(code, word) word,
    static const char *const words[STATUS_STATES] = {STATUS_STATE_LIST(STATUS_STATE_WORD)};
#undef STATUS_STATE_WORD
    return (unsigned)s < STATUS_STATES ? words[s] : "unknown";
}

void status_set_reason(struct status *s, struct span reason)
{
    size_t len = reason.len < STATUS_REASON_BYTES_MAX ? reason.len : STATUS_REASON_BYTES_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = reason.p[i];
        s->reason[i] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    s->reason[len] = '\0';
}
