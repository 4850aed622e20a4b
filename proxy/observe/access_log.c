#include "proxy/observe/access_log.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/uncleared.h"
#include "core/wire/json.h"

#include <assert.h>

#define INLINED static inline __attribute__((always_inline))

/* Shares of a line in bytes as written, escapes included. */
#define SHARE_NAME   160u /* ids, names, SPIFFE IDs, addresses, words */
#define SHARE_METHOD 64u
#define SHARE_HOST   256u
#define SHARE_RULE   256u
#define SHARE_PATH   3072u /* with the query */
#define SHARE_AGENT  1024u
#define SHARE_FIXED  1024u /* keys, quotes, numbers */

static_assert(11 * SHARE_NAME + SHARE_METHOD + SHARE_HOST + SHARE_RULE + SHARE_PATH + SHARE_AGENT +
                      SHARE_FIXED + 192 /* peer_id */
                  < ACCESS_LOG_LINE_BYTES_MAX,
              "a line holds all its texts at their longest");

/* Most bytes that one byte of a text becomes: \u00XX, or U+FFFD for each byte of no character. */
static size_t written_bytes(char c)
{
    if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f) return 6;
    return c == '"' || c == '\\' ? 2 : 1;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Has one of eight bytes to be escaped? Exact for each byte below 0x80, and for the others too:
 * their own top bit says so. */
static bool any_escaped(uint64_t eight)
{
    uint64_t quote = eight ^ EACH_BYTE('"'), slash = eight ^ EACH_BYTE('\\');
    uint64_t del = eight ^ EACH_BYTE(0x7f);
    uint64_t below = (eight - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (slash - EACH_BYTE(1)) |
                     (del - EACH_BYTE(1)) | eight;
    return (below & EACH_BYTE(0x80)) != 0;
}

/* As much of `s` as is written in at most `share` bytes. */
static struct span cut(struct span s, size_t share)
{
    size_t used = 0, len = 0;
    for (; len < s.len; len++) {
        used += written_bytes(s.p[len]);
        if (used > share) break;
    }
    return span_of(s.p, len);
}

/* A line in the making. */
struct line {
    char *at;
    char *end;
};

/* Inlined, so that a key is a few stores of constants. */
INLINED void put(struct line *l, struct span s)
{
    /* The shares leave room for every line, so this guards against our own mistake. */
    CHECK(s.len <= (size_t)(l->end - l->at));
    if (s.len > 0) memcpy(l->at, s.p, s.len);
    l->at += s.len;
}

/* The text where it shall stand, if nothing in it needs an escape: 8 bytes at a time, the last of
 * them filled up with some that need none. False: nothing is written. */
static bool put_plain(struct line *l, struct span s)
{
    static const char fill[] = "........";
    uint64_t eight;
    CHECK(s.len + sizeof fill <= (size_t)(l->end - l->at));
    memcpy(l->at, s.p, s.len);
    memcpy(l->at + s.len, fill, sizeof eight);
    for (size_t at = 0; at < s.len; at += sizeof eight) {
        memcpy(&eight, l->at + at, sizeof eight);
        if (any_escaped(eight)) return false;
    }
    l->at += s.len;
    return true;
}

static void put_str(struct line *l, struct span s, size_t share)
{
    put(l, SPAN_LIT("\""));
    if (s.len > share || !put_plain(l, s)) {
        struct json j;
        struct strbuf out;
        l->at--;
        strbuf_init_fixed(&out, l->at, (size_t)(l->end - l->at));
        json_init(&j, &out);
        json_str(&j, cut(s, share));
        CHECK(strbuf_ok(&out));
        l->at += out.len;
        return;
    }
    put(l, SPAN_LIT("\""));
}

/* `key` with its comma and colon: the first field is always there, so a comma always is too. */
INLINED void put_field(struct line *l, struct span key, struct span value, size_t share)
{
    if (value.len == 0) return;
    put(l, key);
    put_str(l, value, share);
}

INLINED void put_word(struct line *l, struct span key, const char *value, size_t share)
{
    if (value != NULL && value[0] != '\0') put_field(l, key, span_str(value), share);
}

/* `width` digits, zeros in front; a constant where it is called, so that no loop is left. */
INLINED void put_padded(struct line *l, uint32_t v, unsigned width)
{
    CHECK(width <= (size_t)(l->end - l->at));
    for (unsigned i = width; i-- > 0; v /= 10)
        l->at[i] = (char)('0' + v % 10);
    l->at += width;
}

/* As many digits as the number has. */
static void put_digits(struct line *l, uint64_t v)
{
    char digit[20] UNCLEARED; /* 2^64 - 1 has as many */
    size_t at = sizeof(digit);
    /* Most are an octet, a status or a count of few. */
    if (v < 1000) {
        uint32_t few = (uint32_t)v;
        if (few < 10)
            put_padded(l, few, 1);
        else if (few < 100)
            put_padded(l, few, 2);
        else
            put_padded(l, few, 3);
        return;
    }
    do {
        digit[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    CHECK(sizeof(digit) <= (size_t)(l->end - l->at));
    char *to = l->at;
    for (; at < sizeof(digit); at++)
        *to++ = digit[at];
    l->at = to;
}

INLINED void put_number(struct line *l, struct span key, uint64_t v)
{
    put(l, key);
    put_digits(l, v);
}

/* Microseconds as milliseconds with three decimals. */
static void put_ms(struct line *l, struct span key, uint64_t us)
{
    put_number(l, key, us / 1000);
    put(l, SPAN_LIT("."));
    put_padded(l, (uint32_t)(us % 1000), 3);
}

/* RFC 3339 in UTC. By hand: gmtime_r takes a lock that all threads share. Days are counted from
 * 1 March of year 0, so that leap days come last (Hinnant, chrono-compatible date algorithms). */
static void put_time(struct line *l, uint64_t wall_us)
{
    uint64_t seconds = wall_us / 1000000, days = seconds / 86400 + 719468;
    uint64_t era = days / 146097, of_era = days % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153; /* from March */
    uint64_t day = of_year - (153 * month + 2) / 5 + 1;
    uint32_t of_day = (uint32_t)(seconds % 86400);
    year += era * 400 + (month >= 10 ? 1 : 0);
    put_padded(l, (uint32_t)(year % 10000), 4);
    put(l, SPAN_LIT("-"));
    put_padded(l, (uint32_t)(month < 10 ? month + 3 : month - 9), 2);
    put(l, SPAN_LIT("-"));
    put_padded(l, (uint32_t)day, 2);
    put(l, SPAN_LIT("T"));
    put_padded(l, of_day / 3600, 2);
    put(l, SPAN_LIT(":"));
    put_padded(l, of_day / 60 % 60, 2);
    put(l, SPAN_LIT(":"));
    put_padded(l, of_day % 60, 2);
    put(l, SPAN_LIT("."));
    put_padded(l, (uint32_t)(wall_us % 1000000), 6);
    put(l, SPAN_LIT("Z"));
}

static void put_path(struct line *l, const struct access_record *r, bool with_query)
{
    if (r->path.len == 0) return;
    if (!with_query || r->query.len == 0) {
        put_field(l, SPAN_LIT(",\"path\":"), r->path, SHARE_PATH);
        return;
    }
    /* Two JSON strings become one: the quote between them is taken back. */
    struct span path = cut(r->path, SHARE_PATH / 2);
    put_field(l, SPAN_LIT(",\"path\":"), path, SHARE_PATH / 2);
    char *joint = l->at - 1;
    put_str(l, r->query, SHARE_PATH / 2);
    memmove(joint, joint + 2, (size_t)(l->at - joint) - 2);
    l->at -= 2;
}

static void put_client(struct line *l, const struct addr *client)
{
    char text[ADDR_TEXT_MAX];
    if (client->family == ADDR_NONE) return;
    put(l, SPAN_LIT(",\"client\":\""));
    if (client->family == ADDR_IP4) {
        for (size_t i = 0; i < 4; i++) {
            put_digits(l, client->ip[i]);
            put(l, i < 3 ? SPAN_LIT(".") : SPAN_LIT(":"));
        }
        put_digits(l, client->port);
    } else {
        put(l, span_str(addr_format(client, text)));
    }
    put(l, SPAN_LIT("\""));
}

static void put_who(const struct access_record *r, struct line *l)
{
    put(l, SPAN_LIT("{\"ts\":\""));
    put_time(l, r->wall_us);
    put(l, SPAN_LIT("\""));
    put_field(l, SPAN_LIT(",\"id\":"), r->id, SHARE_NAME);
    put(l, r->direction == DIRECTION_INBOUND ? SPAN_LIT(",\"dir\":\"inbound\"")
                                             : SPAN_LIT(",\"dir\":\"outbound\""));
    put_field(l, SPAN_LIT(",\"service\":"), r->service, SHARE_NAME);
    put_field(l, SPAN_LIT(",\"peer\":"), r->peer, SHARE_NAME);
    put_field(l, SPAN_LIT(",\"peer_id\":"), r->peer_id, SHARE_NAME);
    put_field(l, SPAN_LIT(",\"node\":"), r->node, SHARE_NAME);
    if (r->client != NULL) put_client(l, r->client);
    put_word(l, SPAN_LIT(",\"proto\":"), r->proto, SHARE_NAME);
}

static void put_outcome(const struct access_record *r, struct line *l)
{
    if (r->status != 0) put_number(l, SPAN_LIT(",\"code\":"), r->status);
    if (r->grpc) put_number(l, SPAN_LIT(",\"grpc_status\":"), r->grpc_status);
    put_word(l, SPAN_LIT(",\"reason\":"), reason_word(r->reason), SHARE_NAME);
    if (r->status != 0)
        put(l, r->origin_app ? SPAN_LIT(",\"origin\":\"app\"") : SPAN_LIT(",\"origin\":\"mesh\""));
    put_word(l, SPAN_LIT(",\"verdict\":"), r->verdict, SHARE_NAME);
    put_word(l, SPAN_LIT(",\"rule\":"), r->rule, SHARE_RULE);
    put_word(l, SPAN_LIT(",\"layer\":"), r->layer, SHARE_NAME);
    put_field(l, SPAN_LIT(",\"endpoint\":"), r->endpoint, SHARE_NAME);
    if (r->tries > 0) put_number(l, SPAN_LIT(",\"tries\":"), r->tries);
    put_ms(l, SPAN_LIT(",\"dur_ms\":"), r->duration_us);
    if (r->app_us > 0) put_ms(l, SPAN_LIT(",\"app_ms\":"), r->app_us);
    if (r->connect_us > 0) put_ms(l, SPAN_LIT(",\"conn_ms\":"), r->connect_us);
    put_number(l, SPAN_LIT(",\"rx\":"), r->rx);
    put_number(l, SPAN_LIT(",\"tx\":"), r->tx);
    put(l, r->tls ? SPAN_LIT(",\"tls\":true") : SPAN_LIT(",\"tls\":false"));
    put_number(l, SPAN_LIT(",\"gen\":"), r->generation);
}

static struct span format(const struct access_record *r, bool with_query, char *storage)
{
    struct line l = {storage, storage + ACCESS_LOG_LINE_BYTES_MAX};
    put_who(r, &l);
    put_field(&l, SPAN_LIT(",\"method\":"), r->method, SHARE_METHOD);
    put_field(&l, SPAN_LIT(",\"host\":"), r->host, SHARE_HOST);
    put_path(&l, r, with_query);
    put_outcome(r, &l);
    put_field(&l, SPAN_LIT(",\"ua\":"), r->user_agent, SHARE_AGENT);
    put_word(&l, SPAN_LIT(",\"close\":"), r->close, SHARE_NAME);
    put(&l, SPAN_LIT("}"));
    return span_of(storage, (size_t)(l.at - storage));
}

void access_log_line(const struct access_record *r, bool with_query, struct strbuf *out)
{
    char storage[ACCESS_LOG_LINE_BYTES_MAX] UNCLEARED;
    strbuf_span(out, format(r, with_query, storage));
}

static bool wanted(const struct access_record *r, enum config_access_only only)
{
    switch (only) {
    case ACCESS_ALL:
        return true;
    case ACCESS_ERRORS:
        return r->reason != REASON_NONE || r->status >= 500;
    case ACCESS_NONE:
        break;
    }
    return false;
}

bool access_log_put(struct byte_ring *ring, const struct access_record *r,
                    enum config_access_only only, bool with_query)
{
    char storage[ACCESS_LOG_LINE_BYTES_MAX] UNCLEARED;
    if (!wanted(r, only)) return true;
    return byte_ring_put(ring, format(r, with_query, storage));
}
