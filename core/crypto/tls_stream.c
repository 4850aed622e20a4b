#include "core/crypto/tls_stream.h"

#include "core/base/check.h"
#include "core/crypto/tls_alert.h"

#include <stdlib.h>
#include <string.h>

#define ALERT_BYTES 2u
/* Memory for a record in parts is of one of two sizes. */
#define PART_BYTES_SMALL 4096u
/* Bulk brings a part with every read; once so many records came whole that is over. */
#define WHOLE_MAX 16u

void tls_stream_init(struct tls_stream *s, const br_ssl_engine_context *eng, struct held *held)
{
    memset(s, 0, sizeof(*s));
    s->held = held;
    tls_record_take_keys(&s->keys, eng);
}

static uint8_t *hold(struct tls_stream *s, size_t bytes)
{
    if (s->held != NULL && !held_take(s->held, bytes)) return NULL;
    uint8_t *p = malloc(bytes);
    if (p == NULL && s->held != NULL) held_give(s->held, bytes);
    return p;
}

static void let_go(struct tls_stream *s, uint8_t *p, size_t bytes)
{
    if (p != NULL && s->held != NULL) held_give(s->held, bytes);
    free(p);
}

static void drop_out(struct tls_stream *s)
{
    if (s->out_owned) let_go(s, s->out, s->out_cap);
    s->out = NULL;
    s->out_owned = false;
    s->out_cap = s->out_gone = s->out_sealed = s->out_plain = 0;
}

static void drop_part(struct tls_stream *s)
{
    let_go(s, s->part, s->part_cap);
    s->part = NULL;
    s->part_cap = 0;
}

void tls_stream_fini(struct tls_stream *s)
{
    drop_out(s);
    drop_part(s);
}

/* --- out --- */

/* What is sealed and not gone moves into memory of our own, `more` bytes larger. */
static enum err own_out(struct tls_stream *s, size_t more)
{
    size_t waits = s->out_sealed - s->out_gone;
    uint8_t *p = hold(s, waits + more);
    CHECK(s->out_plain == 0);
    if (p == NULL) return ERR_NOMEM;
    if (waits > 0) memcpy(p, s->out + s->out_gone, waits);
    drop_out(s);
    s->out = p;
    s->out_owned = true;
    s->out_cap = waits + more;
    s->out_sealed = waits;
    return ERR_OK;
}

void tls_stream_flush(struct tls_stream *s)
{
    if (s->out_plain == 0) return;
    s->out_sealed += tls_record_seal(&s->keys, TLS_DATA, s->out + s->out_sealed, s->out_plain);
    s->out_plain = 0;
}

static enum err queue_alert(struct tls_stream *s, uint8_t level, uint8_t what)
{
    const size_t bytes = s->keys.head_bytes + ALERT_BYTES + TLS_RECORD_TAG_BYTES;
    tls_stream_flush(s);
    enum err err = s->out_cap - s->out_sealed < bytes ? own_out(s, bytes) : ERR_OK;
    if (err != ERR_OK) return err;
    uint8_t *record = s->out + s->out_sealed;
    record[s->keys.head_bytes] = level;
    record[s->keys.head_bytes + 1] = what;
    s->out_sealed += tls_record_seal(&s->keys, TLS_ALERT, record, ALERT_BYTES);
    return ERR_OK;
}

bool tls_stream_lend(struct tls_stream *s, uint8_t *buf, size_t cap)
{
    CHECK(cap >= TLS_RECORD_BYTES_MAX);
    if (s->out != NULL) return false;
    s->out = buf;
    s->out_cap = cap;
    return true;
}

enum err tls_stream_take_back(struct tls_stream *s)
{
    if (s->out_owned) return ERR_OK;
    tls_stream_flush(s);
    enum err err = s->out_sealed > s->out_gone ? own_out(s, 0) : ERR_OK;
    if (!s->out_owned) drop_out(s);
    return err;
}

/* Content that the records which still fit can take, the open one among them. */
size_t tls_stream_room(const struct tls_stream *s)
{
    if (s->out == NULL || s->out_owned || s->closing) return 0;
    size_t record = s->keys.head_bytes + TLS_RECORD_PLAIN_MAX + TLS_RECORD_TAG_BYTES;
    size_t fit = (s->out_cap - s->out_sealed) / record;
    return fit * TLS_RECORD_PLAIN_MAX - s->out_plain;
}

size_t tls_stream_write(struct tls_stream *s, const void *p, size_t len)
{
    size_t done = 0, room = tls_stream_room(s);
    if (len > room) len = room;
    while (done < len) {
        size_t n = TLS_RECORD_PLAIN_MAX - s->out_plain;
        if (n > len - done) n = len - done;
        memcpy(s->out + s->out_sealed + s->keys.head_bytes + s->out_plain,
               (const uint8_t *)p + done, n);
        s->out_plain += n;
        done += n;
        if (s->out_plain == TLS_RECORD_PLAIN_MAX) tls_stream_flush(s);
    }
    return done;
}

struct span tls_stream_out(const struct tls_stream *s)
{
    if (s->out_sealed == s->out_gone) return span_of(NULL, 0);
    return span_of(s->out + s->out_gone, s->out_sealed - s->out_gone);
}

void tls_stream_sent(struct tls_stream *s, size_t len)
{
    s->out_gone += len;
    if (s->out_gone < s->out_sealed || s->out_plain > 0) return;
    s->out_gone = s->out_sealed = 0;
    if (s->out_owned) drop_out(s);
}

enum err tls_stream_close(struct tls_stream *s)
{
    if (s->closing) return ERR_OK;
    s->closing = true;
    s->plain = span_of(NULL, 0);
    return queue_alert(s, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
}

/* --- in --- */

static enum err refuse(struct tls_stream *s, int detail)
{
    s->detail = detail;
    return detail > BR_ERR_RECV_FATAL_ALERT ? ERR_RESET : ERR_PROTOCOL;
}

static enum err take_alert(struct tls_stream *s, struct span content)
{
    if (content.len != ALERT_BYTES) return refuse(s, BR_ERR_UNEXPECTED);
    uint8_t level = (uint8_t)content.p[0], what = (uint8_t)content.p[1];
    if (what == ALERT_CLOSE_NOTIFY) {
        s->peer_closed = true;
        /* RFC 5246 7.2.1: answered at once, whatever was still to be said. */
        s->out_plain = 0;
        return tls_stream_close(s);
    }
    if (level == ALERT_FATAL) return refuse(s, BR_ERR_RECV_FATAL_ALERT + what);
    return level == ALERT_WARNING ? ERR_OK : refuse(s, BR_ERR_BAD_ALERT);
}

static enum err take_content(struct tls_stream *s, enum tls_content type, struct span content)
{
    switch (type) {
    case TLS_DATA:
        if (!s->closing) s->plain = content;
        return ERR_OK;
    case TLS_ALERT:
        return take_alert(s, content);
    case TLS_HANDSHAKE:
        /* RFC 5246 7.4.1.1: who does not want to negotiate again says so. */
        if (content.len == 0 || ++s->hellos > TLS_HELLOS_MAX) break;
        return s->closing ? ERR_OK : queue_alert(s, ALERT_WARNING, ALERT_NO_RENEGOTIATION);
    case TLS_CHANGE_CIPHER_SPEC:
        break;
    }
    return refuse(s, BR_ERR_UNEXPECTED);
}

static enum err open_record(struct tls_stream *s, uint8_t *record)
{
    struct span content;
    if (!tls_record_open(&s->keys, record, &content)) return refuse(s, BR_ERR_BAD_MAC);
    enum err err = take_content(s, (enum tls_content)record[0], content);
    if (err != ERR_OK || s->closing) return err;
    if (content.len > 0 && record[0] == TLS_DATA)
        s->barren = 0;
    else if (++s->barren > TLS_BARREN_RECORDS_MAX)
        return refuse(s, BR_ERR_UNEXPECTED);
    return ERR_OK;
}

static enum err part_room(struct tls_stream *s, size_t bytes)
{
    if (s->part_cap >= bytes) return ERR_OK;
    size_t cap = bytes <= PART_BYTES_SMALL ? PART_BYTES_SMALL : TLS_RECORD_BYTES_MAX;
    uint8_t *p = hold(s, cap);
    if (p == NULL) return ERR_NOMEM;
    drop_part(s);
    s->part = p;
    s->part_cap = cap;
    return ERR_OK;
}

/* Takes bytes of the record that comes in parts, up to its end. */
static enum err feed_part(struct tls_stream *s, const uint8_t *p, size_t len, size_t *used)
{
    while (s->part_len < TLS_RECORD_HEADER_BYTES && len > 0) {
        s->header[s->part_len++] = *p++;
        len--;
        ++*used;
    }
    if (s->part_len < TLS_RECORD_HEADER_BYTES) return ERR_OK;
    size_t bytes = tls_record_bytes(&s->keys, s->header);
    if (bytes == 0) return refuse(s, BR_ERR_BAD_LENGTH);
    enum err err = part_room(s, bytes);
    if (err != ERR_OK) return err;
    size_t n = bytes - s->part_len < len ? bytes - s->part_len : len;
    if (n > 0) memcpy(s->part + s->part_len, p, n);
    s->part_len += n;
    *used += n;
    if (s->part_len < bytes) return ERR_OK;
    memcpy(s->part, s->header, TLS_RECORD_HEADER_BYTES);
    s->part_len = 0;
    return open_record(s, s->part);
}

enum err tls_stream_feed(struct tls_stream *s, const uint8_t *p, size_t len, size_t *used)
{
    enum err err = ERR_OK;
    *used = 0;
    s->whole = 0;
    while (err == ERR_OK && *used < len && s->plain.len == 0 && !s->peer_closed)
        err = feed_part(s, p + *used, len - *used, used);
    return err;
}

enum err tls_stream_open(struct tls_stream *s, uint8_t *p, size_t len, size_t *used)
{
    *used = 0;
    if (s->part_len > 0 || s->plain.len > 0 || s->peer_closed) return ERR_OK;
    if (len < TLS_RECORD_HEADER_BYTES) return ERR_OK;
    size_t bytes = tls_record_bytes(&s->keys, p);
    if (bytes == 0) return refuse(s, BR_ERR_BAD_LENGTH);
    if (len < bytes) return ERR_OK;
    *used = bytes;
    if (++s->whole > WHOLE_MAX) drop_part(s);
    return open_record(s, p);
}

enum err tls_stream_keep(struct tls_stream *s)
{
    const char *part = (const char *)s->part;
    bool own = part != NULL && s->plain.p >= part && s->plain.p < part + s->part_cap;
    if (s->plain.len == 0 || own) return ERR_OK;
    CHECK(s->part_len == 0);
    enum err err = part_room(s, s->plain.len);
    if (err != ERR_OK) return err;
    memcpy(s->part, s->plain.p, s->plain.len);
    s->plain = span_of(s->part, s->plain.len);
    return ERR_OK;
}

void tls_stream_read(struct tls_stream *s, size_t len)
{
    s->plain = span_skip(s->plain, len);
}
