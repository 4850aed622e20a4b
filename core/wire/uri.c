#include "core/wire/uri.h"

#include "core/base/limits.h"

#define HOST_BYTES_MAX 255u /* RFC 1035 2.3.4 */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 3986 2.3. */
static bool is_unreserved(char c)
{
    return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* RFC 9112 3.2: no white space, no control, nothing but ASCII in a target (B18). */
static bool is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The escape at the start of `s`, normalised into `dst`: one byte when it is unreserved, three
 * otherwise; 0 when it is refused. An escaped '/', '\' or NUL has no reading on which all servers
 * agree. */
static size_t put_escape(struct span s, char *dst)
{
    static const char digit[] = "0123456789ABCDEF";
    int high = s.len >= 3 ? hex_value(s.p[1]) : -1;
    int low = s.len >= 3 ? hex_value(s.p[2]) : -1;
    if (high < 0 || low < 0) return 0;
    int byte = high * 16 + low;
    if (byte == 0 || byte == '/' || byte == '\\') return 0;
    if (byte < 0x80 && is_unreserved((char)byte)) {
        dst[0] = (char)byte;
        return 1;
    }
    dst[0] = '%';
    dst[1] = digit[high];
    dst[2] = digit[low];
    return 3;
}

/* One segment of the path, up to '/' or the end, into `dst`. False: refused. */
static bool put_segment(struct span *rest, char *dst, size_t *dst_len)
{
    size_t from = 0, to = 0;
    while (from < rest->len && rest->p[from] != '/') {
        char c = rest->p[from];
        if (c == '%') {
            size_t len = put_escape(span_skip(*rest, from), dst + to);
            if (len == 0) return false;
            to += len;
            from += 3;
        } else if (is_visible(c) && c != '#' && c != '\\') {
            dst[to++] = c;
            from++;
        } else {
            return false;
        }
    }
    *dst_len = to;
    *rest = span_skip(*rest, from);
    return true;
}

enum segment_kind {
    SEGMENT_ORDINARY,
    SEGMENT_EMPTY,
    SEGMENT_DOT,
    SEGMENT_DOT_DOT,
    SEGMENT_REFUSED
};

/* "..;x" is ".." to a server that cuts parameters first, and "..%3Bx" to one that decodes first. */
static enum segment_kind segment_kind(struct span s)
{
    size_t dots = 0;
    if (s.len == 0) return SEGMENT_EMPTY;
    while (dots < s.len && s.p[dots] == '.')
        dots++;
    if (dots == 0 || dots > 2) return SEGMENT_ORDINARY;
    struct span rest = span_skip(s, dots);
    if (rest.len == 0) return dots == 1 ? SEGMENT_DOT : SEGMENT_DOT_DOT;
    if (rest.p[0] == ';' || span_starts(rest, SPAN_LIT("%3B"))) return SEGMENT_REFUSED;
    return SEGMENT_ORDINARY;
}

/* `out` is always "/" or "/seg/.../seg/" between segments, so a ".." goes back to the slash before
 * the last one. Output never overtakes input: every rule shortens or keeps. */
static enum err put_path(struct span path, char *out, size_t *out_len)
{
    size_t len = 1;
    out[0] = '/';
    while (path.len > 0) {
        size_t segment_len;
        path = span_skip(path, 1); /* the '/' */
        if (!put_segment(&path, out + len, &segment_len)) return ERR_INVALID;
        switch (segment_kind(span_of(out + len, segment_len))) {
        case SEGMENT_REFUSED:
            return ERR_INVALID;
        case SEGMENT_EMPTY:
        case SEGMENT_DOT:
            break;
        case SEGMENT_DOT_DOT:
            if (len == 1) return ERR_INVALID;
            for (len--; out[len - 1] != '/'; len--)
                continue;
            break;
        case SEGMENT_ORDINARY:
            len += segment_len;
            if (path.len > 0) out[len++] = '/';
            break;
        }
    }
    *out_len = len;
    return ERR_OK;
}

enum err uri_canonical(struct span target, bool options, char *out, size_t cap,
                       struct uri_target *t)
{
    if (target.len > TARGET_BYTES_MAX || target.len > cap) return ERR_TOO_LARGE;
    if (target.len == 0) return ERR_INVALID;
    if (options && span_eq_str(target, "*")) {
        out[0] = '*';
        *t = (struct uri_target){.path = span_of(out, 1), .query = span_of(out + 1, 0)};
        return ERR_OK;
    }
    if (target.p[0] != '/') return ERR_INVALID;
    struct span query;
    struct span path = span_cut(target, '?', &query);
    size_t path_len;
    enum err err = put_path(path, out, &path_len);
    if (err != ERR_OK) return err;
    size_t query_len = target.len - path.len; /* with its '?' */
    for (size_t i = 0; i < query_len; i++) {
        char c = target.p[path.len + i];
        if (!is_visible(c) || c == '#') return ERR_INVALID;
        out[path_len + i] = c;
    }
    t->path = span_of(out, path_len);
    t->query = span_of(out + path_len, query_len);
    return ERR_OK;
}

enum err uri_absolute(struct span target, struct span *authority, struct span *rest)
{
    static const char scheme[] = "http://";
    struct span head = span_of(target.p, sizeof(scheme) - 1);
    if (target.len <= head.len || !span_eq_nocase(head, SPAN_LIT("http://"))) return ERR_INVALID;
    struct span tail = span_skip(target, head.len);
    size_t len = 0;
    while (len < tail.len && tail.p[len] != '/' && tail.p[len] != '?' && tail.p[len] != '#') {
        if (tail.p[len] == '@') return ERR_INVALID;
        len++;
    }
    if (len == 0 || (len < tail.len && tail.p[len] != '/')) return ERR_INVALID;
    *authority = span_of(tail.p, len);
    *rest = len < tail.len ? span_skip(tail, len) : SPAN_LIT("/");
    return ERR_OK;
}

/* "[" hex, ':' and '.' "]". Two colons are the least an IPv6 address has. */
static bool is_bracketed(struct span host)
{
    unsigned colons = 0;
    if (host.len < 4 || host.p[host.len - 1] != ']') return false;
    for (size_t i = 1; i + 1 < host.len; i++) {
        if (host.p[i] == ':')
            colons++;
        else if (host.p[i] != '.' && hex_value(host.p[i]) < 0)
            return false;
    }
    return colons >= 2;
}

/* Labels of letters, digits, '-' and '_' with single dots between them. RFC 3986 allows more in a
 * reg-name; none of it can name a host, and "a,b" is two hosts to some servers. */
static bool is_named(struct span host)
{
    /* One bit a character below 0x80. */
    static const uint32_t set[8] = {0, 0x03ff6000u, 0x87fffffeu, 0x07fffffeu};
    uint32_t all = 1;
    char before = '.';
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.p[i];
        if (c == '.' && before == '.') return false;
        all &= set[c / 32] >> (c % 32);
        before = (char)c;
    }
    return all != 0 && before != '.';
}

/* ":443" to 0, ":8080" to 8080. */
static bool parse_port(struct span text, uint16_t *port)
{
    uint64_t value;
    if (text.len < 2 || text.len > 6 || !span_u64(span_skip(text, 1), &value)) return false;
    if (value == 0 || value > UINT16_MAX) return false;
    *port = value == 80 || value == 443 ? 0 : (uint16_t)value;
    return true;
}

enum err uri_authority(struct span authority, char *out, size_t cap, struct span *host,
                       uint16_t *port)
{
    if (authority.len > cap) return ERR_TOO_LARGE;
    if (authority.len == 0) return ERR_INVALID;
    bool bracketed = authority.p[0] == '[';
    const char *colon = NULL;
    if (bracketed) {
        const char *end = memchr(authority.p, ']', authority.len);
        while (end != NULL && end + 1 < authority.p + authority.len && end[1] != ':')
            end = memchr(end + 1, ']', (size_t)(authority.p + authority.len - end) - 1);
        colon = end != NULL && end + 1 < authority.p + authority.len ? end + 1 : NULL;
    } else {
        colon = memchr(authority.p, ':', authority.len);
    }
    size_t len = colon != NULL ? (size_t)(colon - authority.p) : authority.len;
    uint16_t number = 0;
    struct span rest = span_skip(authority, len);
    if (rest.len > 0 && !parse_port(rest, &number)) return ERR_INVALID;
    struct span name = span_of(authority.p, len);
    if (!bracketed && name.len > 1 && name.p[name.len - 1] == '.') name.len--;
    if (name.len > HOST_BYTES_MAX) return ERR_INVALID;
    if (bracketed ? !is_bracketed(name) : !is_named(name)) return ERR_INVALID;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *host = span_of(out, name.len);
    *port = number;
    return ERR_OK;
}

enum err uri_tunnel(struct span authority, char *out, size_t cap, struct span *host)
{
    uint16_t port;
    enum err err = uri_authority(authority, out, cap, host, &port);
    if (err != ERR_OK) return err;
    /* What may follow a host is a port that was checked; an address in brackets has its colons. */
    bool said =
        authority.p[authority.len - 1] != ']' && memchr(authority.p, ':', authority.len) != NULL;
    return said ? ERR_OK : ERR_INVALID;
}
