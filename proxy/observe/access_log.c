#include "proxy/observe/access_log.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/json.h"

#include <assert.h>

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

/* As much of `s` as is written in at most `share` bytes. `*plain`: nothing in it needs an escape.
 */
static struct span cut(struct span s, size_t share, bool *plain)
{
    size_t used = 0, len = 0;
    *plain = true;
    while (len < s.len) {
        size_t bytes = written_bytes(s.p[len]);
        if (used + bytes > share) break;
        *plain = *plain && bytes == 1;
        used += bytes;
        len++;
    }
    return span_of(s.p, len);
}

static void put_str(struct strbuf *out, struct span s, size_t share)
{
    struct json j;
    bool plain;
    s = cut(s, share, &plain);
    if (plain) {
        strbuf_char(out, '"');
        strbuf_span(out, s);
        strbuf_char(out, '"');
        return;
    }
    json_init(&j, out);
    json_str(&j, s);
}

/* `key` with its comma and colon: the first field is always there, so a comma always is too. */
static void put_field(struct strbuf *out, struct span key, struct span value, size_t share)
{
    if (value.len == 0) return;
    strbuf_span(out, key);
    put_str(out, value, share);
}

static void put_word(struct strbuf *out, struct span key, const char *value, size_t share)
{
    if (value != NULL && value[0] != '\0') put_field(out, key, span_str(value), share);
}

static void put_number(struct strbuf *out, struct span key, uint64_t v)
{
    strbuf_span(out, key);
    strbuf_u64(out, v);
}

/* `width` digits, zeros in front. */
static void put_digits(struct strbuf *out, uint64_t v, unsigned width)
{
    char digit[8];
    CHECK(width <= sizeof(digit));
    for (unsigned i = width; i-- > 0; v /= 10)
        digit[i] = (char)('0' + v % 10);
    strbuf_add(out, digit, width);
}

/* Microseconds as milliseconds with three decimals. */
static void put_ms(struct strbuf *out, struct span key, uint64_t us)
{
    strbuf_span(out, key);
    strbuf_u64(out, us / 1000);
    strbuf_char(out, '.');
    put_digits(out, us % 1000, 3);
}

/* RFC 3339 in UTC. By hand: gmtime_r takes a lock that all threads share. Days are counted from
 * 1 March of year 0, so that leap days come last (Hinnant, chrono-compatible date algorithms). */
static void put_time(struct strbuf *out, uint64_t wall_us)
{
    uint64_t seconds = wall_us / 1000000, days = seconds / 86400 + 719468;
    uint64_t era = days / 146097, of_era = days % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153; /* from March */
    uint64_t day = of_year - (153 * month + 2) / 5 + 1;
    year += era * 400 + (month >= 10 ? 1 : 0);
    put_digits(out, year, 4);
    strbuf_char(out, '-');
    put_digits(out, month < 10 ? month + 3 : month - 9, 2);
    strbuf_char(out, '-');
    put_digits(out, day, 2);
    strbuf_char(out, 'T');
    put_digits(out, seconds / 3600 % 24, 2);
    strbuf_char(out, ':');
    put_digits(out, seconds / 60 % 60, 2);
    strbuf_char(out, ':');
    put_digits(out, seconds % 60, 2);
    strbuf_char(out, '.');
    put_digits(out, wall_us % 1000000, 6);
    strbuf_char(out, 'Z');
}

static void put_path(struct strbuf *out, const struct access_record *r, bool with_query)
{
    bool plain;
    if (r->path.len == 0) return;
    if (!with_query || r->query.len == 0) {
        put_field(out, SPAN_LIT(",\"path\":"), r->path, SHARE_PATH);
        return;
    }
    /* Two JSON strings become one: the quote between them is taken back. */
    struct span path = cut(r->path, SHARE_PATH / 2, &plain);
    put_field(out, SPAN_LIT(",\"path\":"), path, SHARE_PATH / 2);
    size_t joint = out->len - 1;
    put_str(out, r->query, SHARE_PATH / 2);
    if (!strbuf_ok(out)) return;
    memmove(out->p + joint, out->p + joint + 2, out->len - joint - 2);
    out->len -= 2;
    out->p[out->len] = '\0';
}

static void put_who(const struct access_record *r, struct strbuf *out)
{
    strbuf_str(out, "{\"ts\":\"");
    put_time(out, r->wall_us);
    strbuf_char(out, '"');
    put_field(out, SPAN_LIT(",\"id\":"), r->id, SHARE_NAME);
    strbuf_str(out, r->direction == DIRECTION_INBOUND ? ",\"dir\":\"inbound\""
                                                      : ",\"dir\":\"outbound\"");
    put_field(out, SPAN_LIT(",\"service\":"), r->service, SHARE_NAME);
    put_field(out, SPAN_LIT(",\"peer\":"), r->peer, SHARE_NAME);
    put_field(out, SPAN_LIT(",\"peer_id\":"), r->peer_id, SHARE_NAME);
    put_field(out, SPAN_LIT(",\"node\":"), r->node, SHARE_NAME);
    if (r->client != NULL && r->client->family != ADDR_NONE) {
        char text[ADDR_TEXT_MAX];
        put_word(out, SPAN_LIT(",\"client\":"), addr_format(r->client, text), SHARE_NAME);
    }
    put_word(out, SPAN_LIT(",\"proto\":"), r->proto, SHARE_NAME);
}

static void put_outcome(const struct access_record *r, struct strbuf *out)
{
    if (r->status != 0) put_number(out, SPAN_LIT(",\"code\":"), r->status);
    put_word(out, SPAN_LIT(",\"reason\":"), reason_word(r->reason), SHARE_NAME);
    if (r->status != 0)
        strbuf_str(out, r->origin_app ? ",\"origin\":\"app\"" : ",\"origin\":\"mesh\"");
    put_word(out, SPAN_LIT(",\"verdict\":"), r->verdict, SHARE_NAME);
    put_word(out, SPAN_LIT(",\"rule\":"), r->rule, SHARE_RULE);
    put_field(out, SPAN_LIT(",\"endpoint\":"), r->endpoint, SHARE_NAME);
    if (r->tries > 0) put_number(out, SPAN_LIT(",\"tries\":"), r->tries);
    put_ms(out, SPAN_LIT(",\"dur_ms\":"), r->duration_us);
    if (r->app_us > 0) put_ms(out, SPAN_LIT(",\"app_ms\":"), r->app_us);
    if (r->connect_us > 0) put_ms(out, SPAN_LIT(",\"conn_ms\":"), r->connect_us);
    put_number(out, SPAN_LIT(",\"rx\":"), r->rx);
    put_number(out, SPAN_LIT(",\"tx\":"), r->tx);
    strbuf_str(out, r->tls ? ",\"tls\":true" : ",\"tls\":false");
    put_number(out, SPAN_LIT(",\"gen\":"), r->generation);
}

void access_log_line(const struct access_record *r, bool with_query, struct strbuf *out)
{
    put_who(r, out);
    put_field(out, SPAN_LIT(",\"method\":"), r->method, SHARE_METHOD);
    put_field(out, SPAN_LIT(",\"host\":"), r->host, SHARE_HOST);
    put_path(out, r, with_query);
    put_outcome(r, out);
    put_field(out, SPAN_LIT(",\"ua\":"), r->user_agent, SHARE_AGENT);
    put_word(out, SPAN_LIT(",\"close\":"), r->close, SHARE_NAME);
    strbuf_char(out, '}');
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
    char line[ACCESS_LOG_LINE_BYTES_MAX];
    struct strbuf out;
    if (!wanted(r, only)) return true;
    strbuf_init_fixed(&out, line, sizeof(line));
    access_log_line(r, with_query, &out);
    return byte_ring_put(ring, strbuf_view(&out));
}
