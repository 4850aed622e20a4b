/* An open connection's records, sealed by a peer whose keys we know, in any order of calls and in
 * any pieces: what is read is what was sealed, in order and no more; what is sent opens with the
 * keys of the peer; memory that was given or lent is not used after the call that ends it. The
 * first byte chooses the cipher, then each operation is a byte with what it needs behind it. */
#include "core/crypto/tls_stream.h"

#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE  4u
#define WIRE_MAX (AT_ONCE * TLS_RECORD_BYTES_MAX)
/* Beside what was lent: an answer to each hello and a goodbye. */
#define ALERTS_MAX ((TLS_HELLOS_MAX + 1u) * 64u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
    const uint8_t *in; /* what is left of the input */
    size_t in_len;
    struct tls_stream s;
    struct held held;
    struct tls_record_keys peer;
    bool over;
    uint64_t sealed, read, written, opened; /* bytes of pattern */
    size_t wire_len, sent_len;
    uint8_t wire[WIRE_MAX];              /* sealed, not given to the stream yet */
    uint8_t sent[WIRE_MAX + ALERTS_MAX]; /* sent by the stream, no whole record yet */
    uint8_t lent[WIRE_MAX];
};

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 131u + (at >> 8) * 7u);
}

static size_t next(struct rig *r)
{
    if (r->in_len == 0) return 0;
    r->in_len--;
    return *r->in++;
}

static size_t count(struct rig *r, size_t max)
{
    size_t high = next(r);
    return (high << 8 | next(r)) % (max + 1);
}

static void start(struct rig *r, bool gcm)
{
    static const uint8_t key[32] = {1}, iv[12] = {2};
    br_ssl_engine_context eng;
    memset(&eng, 0, sizeof(eng));
    if (gcm) {
        br_sslrec_in_gcm_vtable.init(&eng.in.gcm.vtable.in, &br_aes_ct64_ctr_vtable, key, 16,
                                     br_ghash_ctmul64, iv);
        br_sslrec_out_gcm_vtable.init(&eng.out.gcm.vtable.out, &br_aes_ct64_ctr_vtable, key, 16,
                                      br_ghash_ctmul64, iv);
    } else {
        br_sslrec_in_chapol_vtable.init(&eng.in.chapol.vtable.in, br_chacha20_ct_run,
                                        br_poly1305_ctmul_run, key, iv);
        br_sslrec_out_chapol_vtable.init(&eng.out.chapol.vtable.out, br_chacha20_ct_run,
                                         br_poly1305_ctmul_run, key, iv);
    }
    r->held.waiting_max = SIZE_MAX;
    tls_stream_init(&r->s, &eng, &r->held);
    tls_record_take_keys(&r->peer, &eng);
}

/* The peer seals a record of any type; alerts and hellos have what the input says. */
static void seal(struct rig *r)
{
    enum tls_content type = TLS_CHANGE_CIPHER_SPEC + next(r) % 4;
    size_t len = type == TLS_DATA ? count(r, TLS_RECORD_PLAIN_MAX) : next(r) % 5;
    size_t bytes = r->peer.head_bytes + len + TLS_RECORD_TAG_BYTES;
    if (bytes > WIRE_MAX - r->wire_len) return;
    uint8_t *record = r->wire + r->wire_len;
    for (size_t i = 0; i < len; i++)
        record[r->peer.head_bytes + i] = type == TLS_DATA ? pattern(r->sealed++) : (uint8_t)next(r);
    r->wire_len += tls_record_seal(&r->peer, type, record, len);
}

static void spoil(struct rig *r)
{
    if (r->wire_len == 0) return;
    r->wire[count(r, r->wire_len - 1)] ^= (uint8_t)(1u << next(r) % 8);
}

static void check_plain(const struct rig *r)
{
    struct span plain = r->s.plain;
    CHECK(plain.len <= TLS_RECORD_PLAIN_MAX);
    /* A spoilt record is none, so this holds whatever came. */
    for (size_t i = 0; i < plain.len; i++)
        CHECK((uint8_t)plain.p[i] == pattern(r->read + i));
}

/* As a connection does, in memory that is gone afterwards. */
static void give(struct rig *r)
{
    size_t len = count(r, r->wire_len), used = 0, n;
    bool whole = next(r) % 4 != 0;
    uint8_t *p = malloc(len > 0 ? len : 1);
    CHECK(p != NULL);
    memcpy(p, r->wire, len);
    enum err err = whole ? tls_stream_open(&r->s, p, len, &used) : ERR_OK;
    if (err == ERR_OK) check_plain(r);
    if (err == ERR_OK && used == 0) {
        err = tls_stream_feed(&r->s, p, len, &n);
        used = n;
    }
    CHECK(used <= len);
    bool may_stop = r->s.plain.len > 0 || r->s.peer_closed;
    CHECK(err != ERR_OK || used > 0 || len == 0 || may_stop);
    if (err == ERR_OK) CHECK(tls_stream_keep(&r->s) == ERR_OK);
    free(p);
    r->over = err != ERR_OK || r->s.peer_closed;
    memmove(r->wire, r->wire + used, r->wire_len - used);
    r->wire_len -= used;
    if (err == ERR_OK) check_plain(r);
}

static void read_some(struct rig *r)
{
    size_t n = count(r, r->s.plain.len);
    tls_stream_read(&r->s, n);
    r->read += n;
    check_plain(r);
}

/* The kernel takes some; whole records are opened by the peer. */
static void send_some(struct rig *r)
{
    struct span out = tls_stream_out(&r->s);
    size_t n = count(r, out.len), at = 0, bytes;
    CHECK(out.len <= WIRE_MAX + ALERTS_MAX);
    if (n > sizeof(r->sent) - r->sent_len) n = sizeof(r->sent) - r->sent_len;
    if (n == 0) return;
    memcpy(r->sent + r->sent_len, out.p, n);
    r->sent_len += n;
    tls_stream_sent(&r->s, n);
    while (r->sent_len - at >= TLS_RECORD_HEADER_BYTES) {
        struct span content;
        bytes = tls_record_bytes(&r->peer, r->sent + at);
        CHECK(bytes > 0);
        if (bytes > r->sent_len - at) break;
        CHECK(tls_record_open(&r->peer, r->sent + at, &content));
        CHECK(r->sent[at] == TLS_DATA || r->sent[at] == TLS_ALERT);
        for (size_t i = 0; r->sent[at] == TLS_DATA && i < content.len; i++)
            CHECK((uint8_t)content.p[i] == pattern(r->opened++));
        at += bytes;
    }
    memmove(r->sent, r->sent + at, r->sent_len - at);
    r->sent_len -= at;
}

static void write_some(struct rig *r)
{
    uint8_t data[4096];
    bool lent = tls_stream_lend(&r->s, r->lent, sizeof(r->lent));
    for (size_t rounds = next(r) % 20; rounds > 0; rounds--) {
        size_t len = count(r, sizeof(data)), room = tls_stream_room(&r->s);
        CHECK(lent || room == 0);
        for (size_t i = 0; i < len; i++)
            data[i] = pattern(r->written + i);
        size_t n = tls_stream_write(&r->s, data, len);
        CHECK(n == (len < room ? len : room));
        r->written += n;
        if (next(r) % 4 == 0) tls_stream_flush(&r->s);
        if (next(r) % 4 == 0) send_some(r);
    }
    CHECK(tls_stream_take_back(&r->s) == ERR_OK);
    memset(r->lent, 0xee, sizeof(r->lent));
}

static void step(struct rig *r)
{
    switch (next(r) % 8) {
    case 0:
    case 1:
        seal(r);
        break;
    case 2:
    case 3:
        give(r);
        break;
    case 4:
        read_some(r);
        break;
    case 5:
        write_some(r);
        break;
    case 6:
        send_some(r);
        break;
    default:
        if (next(r) % 8 == 0)
            CHECK(tls_stream_close(&r->s) == ERR_OK);
        else
            spoil(r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *r = calloc(1, sizeof(*r));
    CHECK(r != NULL);
    r->in = data;
    r->in_len = size;
    start(r, next(r) % 2 == 0);
    while (r->in_len > 0 && !r->over)
        step(r);
    CHECK(r->read <= r->sealed && r->opened <= r->written);
    tls_stream_fini(&r->s);
    CHECK(r->held.bytes == 0 && r->held.waiting == 0);
    free(r);
    return 0;
}
