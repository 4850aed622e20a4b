#include "core/wire/headers.h"

#include "core/base/check.h"
#include "core/base/uncleared.h"

enum err headers_add(struct headers *h, struct span name, struct span value)
{
    /* Names and values are bounded by their head, so the sum cannot wrap. */
    size_t bytes = h->bytes + name.len + value.len;
    if (h->count == HEADER_FIELDS_MAX || bytes > HEADER_BYTES_MAX) return ERR_FULL;
    if (h->count == 0) h->seen = 0;
    h->seen |= headers_bits(name);
    h->field[h->count++] = (struct header){name, value};
    h->bytes = bytes;
    return ERR_OK;
}

const struct header *headers_look(const struct headers *h, struct span name)
{
    for (size_t i = 0; i < h->count; i++)
        if (span_eq(h->field[i].name, name)) return &h->field[i];
    return NULL;
}

/* Keeps, in order, the fields that `drop` does not want. */
static size_t remove_where(struct headers *h, bool (*drop)(const struct header *f, struct span arg),
                           struct span arg)
{
    size_t kept = 0, before = h->count;
    for (size_t i = 0; i < before; i++) {
        struct header *f = &h->field[i];
        if (drop(f, arg)) {
            h->bytes -= f->name.len + f->value.len;
            continue;
        }
        if (kept != i) h->field[kept] = *f;
        kept++;
    }
    h->count = kept;
    return before - kept;
}

static char folded(char c)
{
    if (c == '_') return '-';
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool folded_prefix(struct span name, struct span prefix)
{
    if (name.len < prefix.len) return false;
    /* Almost every one is spelled as we spell it. */
    if (memcmp(name.p, prefix.p, prefix.len) == 0) return true;
    for (size_t i = 0; i < prefix.len; i++)
        if (folded(name.p[i]) != prefix.p[i]) return false;
    return true;
}

bool headers_alias(struct span name, const char *wanted)
{
    struct span w = span_str(wanted);
    return name.len == w.len && folded_prefix(name, w);
}

static bool has_prefix(const struct header *f, struct span prefix)
{
    return folded_prefix(f->name, prefix);
}

static bool has_name(const struct header *f, struct span name)
{
    return f->name.len == name.len && folded_prefix(f->name, name);
}

/* Most heads have none of what is taken off: nothing is moved then, and little looked at. */
size_t headers_take_off(struct headers *h, struct span name)
{
    size_t i = 0;
    while (i < h->count && !has_name(&h->field[i], name))
        i++;
    return i < h->count ? remove_where(h, has_name, name) : 0;
}

size_t headers_remove_prefix(struct headers *h, const char *prefix)
{
    struct span wanted = span_str(prefix);
    size_t i = 0;
    uint64_t first = UINT64_C(1) << (32 + ((unsigned char)prefix[0] & 31));
    if (h->count == 0 || (h->seen & first) == 0) return 0;
    while (i < h->count && !has_prefix(&h->field[i], wanted))
        i++;
    return i < h->count ? remove_where(h, has_prefix, wanted) : 0;
}

/* Fields that belong to one connection, whether `connection` names them or not. By length first:
 * this runs for every field of every head. */
bool headers_hop_name(struct span n)
{
    switch (n.len) {
    case 7:
        return span_eq(n, SPAN_LIT("upgrade"));
    case 10:
        return span_eq(n, SPAN_LIT("connection")) || span_eq(n, SPAN_LIT("keep-alive"));
    case 14:
        return span_eq(n, SPAN_LIT("http2-settings"));
    case 16:
        return span_eq(n, SPAN_LIT("proxy-connection"));
    case 17:
        return span_eq(n, SPAN_LIT("transfer-encoding"));
    default:
        return false;
    }
}

/* Between a client and the proxy that it asks. */
static bool proxy_name(struct span n)
{
    return (n.len == 18 && span_eq(n, SPAN_LIT("proxy-authenticate"))) ||
           (n.len == 19 && span_eq(n, SPAN_LIT("proxy-authorization")));
}

static bool hop_field(const struct header *f, struct span unused)
{
    (void)unused;
    if (f->name.len == 2 && span_eq(f->name, SPAN_LIT("te")))
        return !span_eq_nocase(f->value, SPAN_LIT("trailers"));
    return headers_hop_name(f->name);
}

static bool proxy_field(const struct header *f, struct span unused)
{
    (void)unused;
    return proxy_name(f->name);
}

static bool named_by_connection(const struct header *f, struct span list)
{
    struct span rest = list;
    while (rest.p != NULL)
        if (span_eq_nocase(span_trim(span_cut(rest, ',', &rest)), f->name)) return true;
    return false;
}

static bool is_connection(const struct header *f)
{
    return f->name.len == 10 && span_eq(f->name, SPAN_LIT("connection"));
}

/* Names nothing but the connection itself. */
static bool plain_connection(struct span value)
{
    return span_eq_nocase(value, SPAN_LIT("keep-alive")) ||
           span_eq_nocase(value, SPAN_LIT("close"));
}

void headers_strip_hop(struct headers *h)
{
    size_t i = 0;
    while (i < h->count && !proxy_name(h->field[i].name))
        i++;
    if (i < h->count) remove_where(h, proxy_field, (struct span){NULL, 0});
    headers_strip_tunnel(h);
}

void headers_strip_tunnel(struct headers *h)
{
    /* The lists are kept before the `connection` fields go: they point into the head, not into the
     * table. */
    struct span list[HEADER_FIELDS_MAX] UNCLEARED;
    size_t lists = 0, i = 0;
    for (; i < h->count; i++)
        if (is_connection(&h->field[i]) && !plain_connection(h->field[i].value))
            list[lists++] = h->field[i].value;
    for (i = 0; i < h->count && !hop_field(&h->field[i], (struct span){NULL, 0});)
        i++;
    if (i < h->count) remove_where(h, hop_field, (struct span){NULL, 0});
    for (i = 0; i < lists; i++)
        remove_where(h, named_by_connection, list[i]);
}

bool headers_trailer_allowed(struct span name)
{
    /* RFC 9110 6.5.1: nothing that frames, routes, authenticates or describes the content. */
    static const char *const refused[] = {"authorization",
                                          "cache-control",
                                          "content-encoding",
                                          "content-length",
                                          "content-range",
                                          "content-type",
                                          "cookie",
                                          "expect",
                                          "host",
                                          "max-forwards",
                                          "set-cookie",
                                          "te",
                                          "trailer",
                                          "forwarded",
                                          "www-authenticate",
                                          "age",
                                          "date",
                                          "expires",
                                          "location",
                                          "retry-after",
                                          "vary",
                                          "warning",
                                          "if-match",
                                          "if-none-match",
                                          "if-modified-since"};
    if (headers_hop_name(name) || headers_alias(name, "transfer-encoding")) return false;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (headers_alias(name, refused[i])) return false;
    return !folded_prefix(name, SPAN_LIT("parley-")) &&
           !folded_prefix(name, SPAN_LIT("x-forwarded-"));
}

bool headers_token_valid(struct span s)
{
    /* RFC 9110 5.6.2 tchar, one bit a character below 0x80. */
    static const uint32_t set[8] = {0, 0x03ff6cfau, 0xc7fffffeu, 0x57ffffffu};
    uint32_t all = 1;
    for (size_t i = 0; i < s.len; i++)
        all &= set[(unsigned char)s.p[i] / 32] >> ((unsigned char)s.p[i] % 32);
    return all != 0 && s.len != 0;
}

bool headers_name_lower(char *name, size_t len)
{
    /* RFC 9110 5.6.2 tchar as it is in lower case, 0: none. */
    static const unsigned char lower[256] = {
        ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'',
        ['*'] = '*', ['+'] = '+', ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_',
        ['`'] = '`', ['|'] = '|', ['~'] = '~', ['0'] = '0', ['1'] = '1', ['2'] = '2',
        ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8',
        ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e',
        ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k',
        ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',
        ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w',
        ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c',
        ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i',
        ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o',
        ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',
        ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z'};
    for (size_t i = 0; i < len; i++) {
        unsigned char c = lower[(unsigned char)name[i]];
        if (c == 0) return false;
        name[i] = (char)c;
    }
    return len > 0;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* May one of eight bytes be a control byte? For those of 0x80 and over, and for HTAB, it says yes
 * too: then each is looked at. */
static bool any_control(uint64_t eight)
{
    uint64_t del = eight ^ EACH_BYTE(0x7f);
    return (((eight - EACH_BYTE(0x20)) | (del - EACH_BYTE(1)) | eight) & EACH_BYTE(0x80)) != 0;
}

static bool value_byte(unsigned char c)
{
    return (c >= 0x20 || c == '\t') && c != 0x7f;
}

bool headers_value_valid(struct span s)
{
    size_t at = 0;
    while (at < s.len) {
        uint64_t eight;
        if (s.len >= sizeof(eight)) {
            /* What is left over at the end is looked at with some bytes before it. */
            size_t from = s.len - at >= sizeof(eight) ? at : s.len - sizeof(eight);
            memcpy(&eight, s.p + from, sizeof(eight));
            if (!any_control(eight)) {
                at = from + sizeof(eight);
                continue;
            }
        }
        if (!value_byte((unsigned char)s.p[at++])) return false;
    }
    return true;
}

bool headers_list_has(struct span value, const char *token)
{
    struct span wanted = span_str(token), rest = value;
    while (rest.p != NULL)
        if (span_eq_nocase(span_trim(span_cut(rest, ',', &rest)), wanted)) return true;
    return false;
}
