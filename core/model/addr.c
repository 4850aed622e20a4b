#include "core/model/addr.h"

#include "core/base/check.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

static_assert(INET6_ADDRSTRLEN + sizeof("[]:65535") <= ADDR_TEXT_MAX, "an address has room");
static_assert(sizeof("unix:") + ADDR_UNIX_PATH_MAX <= ADDR_TEXT_MAX, "a path has room");

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return addr_same_ip(a, b) && a->port == b->port;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != 0) return false;
    return true;
}

/* ::ffff:a.b.c.d (RFC 4291 2.5.5.2): a second spelling of an IPv4 address. */
static bool is_mapped(const struct addr *a)
{
    return a->family == ADDR_IP6 && all_zero(a->ip, 10) && a->ip[10] == 0xff && a->ip[11] == 0xff;
}

/* One spelling for each port: "7400", never "+7400", "07400" or "0". */
static enum err parse_port(struct span text, uint16_t *out)
{
    uint64_t port;
    if (text.len == 0 || text.len > 5 || text.p[0] == '0') return ERR_INVALID;
    if (!span_u64(text, &port) || port > UINT16_MAX) return ERR_INVALID;
    *out = (uint16_t)port;
    return ERR_OK;
}

static enum err parse_ip(struct span text, int family, struct addr *out)
{
    char ip[INET6_ADDRSTRLEN];
    struct addr a = {.family = family == AF_INET ? ADDR_IP4 : ADDR_IP6};
    if (!span_to_cstr(text, ip, sizeof(ip))) return ERR_INVALID;
    if (inet_pton(family, ip, a.ip) != 1) return ERR_INVALID;
    if (is_mapped(&a)) return ERR_INVALID;
    *out = a;
    return ERR_OK;
}

enum err addr_parse(struct span text, uint16_t default_port, struct addr *out)
{
    struct span ip = text, port = {NULL, 0};
    int family = AF_INET6;
    bool has_port = false;
    if (text.len > 0 && text.p[0] == '[') {
        const char *end = memchr(text.p, ']', text.len);
        if (end == NULL) return ERR_INVALID;
        ip = span_of(text.p + 1, (size_t)(end - text.p) - 1);
        struct span after = span_skip(text, ip.len + 2);
        has_port = after.len > 0;
        if (has_port && after.p[0] != ':') return ERR_INVALID;
        port = span_skip(after, 1);
    } else {
        struct span rest;
        struct span first = span_cut(text, ':', &rest);
        /* Two colons without brackets: an IPv6 address that has no port. */
        if (rest.p == NULL || memchr(rest.p, ':', rest.len) == NULL) {
            family = AF_INET;
            ip = first;
            has_port = rest.p != NULL;
            port = rest;
        }
    }
    struct addr a;
    uint16_t number = default_port;
    enum err err = parse_ip(ip, family, &a);
    if (err == ERR_OK && has_port) err = parse_port(port, &number);
    if (err != ERR_OK || number == 0) return ERR_INVALID;
    a.port = number;
    *out = a;
    return ERR_OK;
}

/* Of an octet or a port. */
static char *put_number(char *at, unsigned v)
{
    if (v >= 10000) *at++ = (char)('0' + v / 10000 % 10);
    if (v >= 1000) *at++ = (char)('0' + v / 1000 % 10);
    if (v >= 100) *at++ = (char)('0' + v / 100 % 10);
    if (v >= 10) *at++ = (char)('0' + v / 10 % 10);
    *at++ = (char)('0' + v % 10);
    return at;
}

/* By hand: every inbound request carries its client's. Where the ':' stands. */
static char *format_ip4(const struct addr *a, char *at)
{
    for (size_t i = 0; i < 4; i++) {
        at = put_number(at, a->ip[i]);
        *at++ = i < 3 ? '.' : ':';
    }
    *put_number(at, a->port) = '\0';
    return at - 1;
}

char *addr_format(const struct addr *a, char dst[ADDR_TEXT_MAX])
{
    if (a->family == ADDR_IP4) {
        format_ip4(a, dst);
        return dst;
    }
    char ip[INET6_ADDRSTRLEN];
    if (a->family == ADDR_NONE || inet_ntop(AF_INET6, a->ip, ip, sizeof(ip)) == NULL)
        snprintf(dst, ADDR_TEXT_MAX, "none");
    else
        snprintf(dst, ADDR_TEXT_MAX, "[%s]:%u", ip, (unsigned)a->port);
    return dst;
}

struct span addr_format_ip(const struct addr *a, char text[ADDR_TEXT_MAX])
{
    if (a->family == ADDR_IP4) return span_of(text, (size_t)(format_ip4(a, text) - text));
    const char *port = strrchr(addr_format(a, text), ':');
    size_t len = port != NULL ? (size_t)(port - text) : strlen(text);
    return a->family == ADDR_IP6 ? span_of(text + 1, len - 2) : span_of(text, len);
}

bool addr_is_loopback(const struct addr *a)
{
    if (a->family == ADDR_IP4) return a->ip[0] == 127;
    if (a->family != ADDR_IP6) return false;
    return is_mapped(a) ? a->ip[12] == 127 : all_zero(a->ip, 15) && a->ip[15] == 1;
}

bool addr_is_any(const struct addr *a)
{
    if (a->family == ADDR_IP4) return all_zero(a->ip, 4);
    if (a->family != ADDR_IP6) return false;
    return is_mapped(a) ? all_zero(a->ip + 12, 4) : all_zero(a->ip, 16);
}

/* 0/8 "this network", 224/4 multicast, 240/4 reserved with the broadcast address (RFC 6890). */
static bool forbidden_ip4(const uint8_t ip[4])
{
    return ip[0] == 0 || ip[0] >= 224 || (ip[0] == 169 && ip[1] == 254);
}

bool addr_is_forbidden(const struct addr *a)
{
    if (a->family == ADDR_IP4) return forbidden_ip4(a->ip);
    if (a->family != ADDR_IP6 || a->ip[0] == 0xff) return true;
    if (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80) return true;
    /* An IPv4 address in IPv6 clothes would slip past the IPv4 rules: mapped, and the obsolete
     * compatible form ::a.b.c.d (RFC 4291 2.5.5.1), which only ::1 shares its prefix with. */
    return is_mapped(a) || (all_zero(a->ip, 12) && !addr_is_loopback(a));
}

enum err addr_target_parse(struct span text, struct target *out)
{
    struct target t = {.path = ""};
    if (!span_starts(text, SPAN_LIT("unix:"))) {
        enum err err = addr_parse(text, 0, &t.addr);
        if (err == ERR_OK) *out = t;
        return err;
    }
    struct span path = span_skip(text, 5);
    if (path.len < 2 || path.p[0] != '/' || path.p[path.len - 1] == '/') return ERR_INVALID;
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f) return ERR_INVALID;
    if (!span_to_cstr(path, t.path, sizeof(t.path))) return ERR_INVALID;
    *out = t;
    return ERR_OK;
}

char *addr_target_format(const struct target *t, char dst[ADDR_TEXT_MAX])
{
    if (t->path[0] == '\0') return addr_format(&t->addr, dst);
    snprintf(dst, ADDR_TEXT_MAX, "unix:%s", t->path);
    return dst;
}

bool addr_target_eq(const struct target *a, const struct target *b)
{
    if (a->path[0] != '\0' || b->path[0] != '\0') return strcmp(a->path, b->path) == 0;
    return addr_eq(&a->addr, &b->addr);
}
