#include "core/wire/proxy_proto.h"

#include "core/base/check.h"

#include <arpa/inet.h>
#include <stdio.h>

#define V2_HEAD_BYTES     16u
#define V2_INET_BYTES     12u
#define V2_INET6_BYTES    36u
#define V2_UNIX_BYTES     216u
#define TLV_CRC32C        0x03u
#define CRC32C_POLYNOMIAL 0x82f63b78u /* RFC 3720 B.4, reflected */

enum v2_family { V2_UNSPEC, V2_INET, V2_INET6, V2_UNIX };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* A listener of both families sees IPv4 clients as ::ffff:a.b.c.d; here each has one form. */
static void unmap(struct addr *a)
{
    if (a->family != ADDR_IP6 || memcmp(a->ip, mapped_prefix, sizeof mapped_prefix) != 0) return;
    struct addr ip4 = {.family = ADDR_IP4, .port = a->port};
    memcpy(ip4.ip, a->ip + sizeof mapped_prefix, 4);
    *a = ip4;
}

/* --- version 1 --- */

/* One field and the single space behind it. */
static bool next_field(struct span *line, struct span *out)
{
    struct span rest;
    *out = span_cut(*line, ' ', &rest);
    *line = rest;
    return out->len > 0;
}

static bool parse_ip(struct span text, enum addr_family family, struct addr *out)
{
    char ip[INET6_ADDRSTRLEN];
    *out = (struct addr){.family = (uint8_t)family};
    if (!span_to_cstr(text, ip, sizeof ip)) return false;
    return inet_pton(family == ADDR_IP4 ? AF_INET : AF_INET6, ip, out->ip) == 1;
}

static bool parse_port(struct span text, uint16_t *out)
{
    uint64_t port;
    if (text.len > 5 || (text.len > 1 && text.p[0] == '0')) return false;
    if (!span_u64(text, &port) || port > UINT16_MAX) return false;
    *out = (uint16_t)port;
    return true;
}

static enum err parse_line(struct span line, struct proxy_proto *p)
{
    struct span word, from, to, from_port, to_port;
    if (!next_field(&line, &word)) return ERR_PROTOCOL;
    /* Section 2.1: what follows UNKNOWN is ignored. */
    if (span_eq_str(word, "UNKNOWN")) return ERR_OK;
    enum addr_family family = span_eq_str(word, "TCP4") ? ADDR_IP4 : ADDR_IP6;
    if (family == ADDR_IP6 && !span_eq_str(word, "TCP6")) return ERR_PROTOCOL;
    bool four = next_field(&line, &from) && next_field(&line, &to) &&
                next_field(&line, &from_port) && next_field(&line, &to_port);
    if (!four || line.p != NULL) return ERR_PROTOCOL;
    bool good = parse_ip(from, family, &p->from) && parse_ip(to, family, &p->to) &&
                parse_port(from_port, &p->from.port) && parse_port(to_port, &p->to.port);
    return good ? ERR_OK : ERR_PROTOCOL;
}

static enum err parse_v1(struct span bytes, struct proxy_proto *p)
{
    size_t look = bytes.len < PROXY_PROTO_V1_BYTES_MAX ? bytes.len : PROXY_PROTO_V1_BYTES_MAX;
    const char *cr = memchr(bytes.p, '\r', look);
    if (cr == NULL && look < PROXY_PROTO_V1_BYTES_MAX) return ERR_MORE;
    if (cr == NULL) return ERR_PROTOCOL;
    size_t len = (size_t)(cr - bytes.p);
    if (len + 1 == bytes.len && len + 1 < PROXY_PROTO_V1_BYTES_MAX) return ERR_MORE;
    if (len + 2 > look || cr[1] != '\n') return ERR_PROTOCOL;
    p->version = PROXY_PROTO_V1;
    p->bytes = len + 2;
    return parse_line(span_of(bytes.p + 6, len - 6), p);
}

/* --- version 2 --- */

static unsigned byte_at(struct span s, size_t at)
{
    return (unsigned char)s.p[at];
}

static unsigned u16_at(struct span s, size_t at)
{
    return byte_at(s, at) << 8 | byte_at(s, at + 1);
}

/* Of the whole header, the four bytes at `hole` counted as zero (section 2.2.4). */
static uint32_t crc32c(struct span header, size_t hole)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < header.len; i++) {
        crc ^= i >= hole && i < hole + 4 ? 0 : byte_at(header, i);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? CRC32C_POLYNOMIAL : 0);
    }
    return ~crc;
}

static enum err check_tlvs(struct span header, size_t at)
{
    while (at < header.len) {
        if (header.len - at < 3) return ERR_PROTOCOL;
        size_t len = u16_at(header, at + 1), value = at + 3;
        if (len > header.len - value) return ERR_PROTOCOL;
        if (byte_at(header, at) == TLV_CRC32C) {
            if (len != 4) return ERR_PROTOCOL;
            uint32_t said = (uint32_t)u16_at(header, value) << 16 | u16_at(header, value + 2);
            if (said != crc32c(header, value)) return ERR_PROTOCOL;
        }
        at = value + len;
    }
    return ERR_OK;
}

static void take_addr(struct addr *a, enum addr_family family, const char *ip, unsigned port)
{
    *a = (struct addr){.family = (uint8_t)family, .port = (uint16_t)port};
    memcpy(a->ip, ip, family == ADDR_IP4 ? 4 : 16);
}

/* The addresses of a relayed connection; `*used`: their bytes. */
static enum err take_addrs(struct span header, unsigned how, struct proxy_proto *p, size_t *used)
{
    static const size_t need[] = {0, V2_INET_BYTES, V2_INET6_BYTES, V2_UNIX_BYTES};
    unsigned family = how >> 4, transport = how & 15;
    const char *at = header.p + V2_HEAD_BYTES;
    if (family > V2_UNIX || transport > 1) return ERR_PROTOCOL;
    if (family != V2_UNSPEC && transport != 1) return ERR_PROTOCOL;
    if (header.len - V2_HEAD_BYTES < need[family]) return ERR_PROTOCOL;
    if (family == V2_INET) {
        take_addr(&p->from, ADDR_IP4, at, u16_at(header, V2_HEAD_BYTES + 8));
        take_addr(&p->to, ADDR_IP4, at + 4, u16_at(header, V2_HEAD_BYTES + 10));
    } else if (family == V2_INET6) {
        take_addr(&p->from, ADDR_IP6, at, u16_at(header, V2_HEAD_BYTES + 32));
        take_addr(&p->to, ADDR_IP6, at + 16, u16_at(header, V2_HEAD_BYTES + 34));
    }
    *used = need[family];
    return ERR_OK;
}

static enum err parse_v2(struct span bytes, struct proxy_proto *p)
{
    size_t used = 0;
    if (bytes.len < V2_HEAD_BYTES) return ERR_MORE;
    unsigned command = byte_at(bytes, 12);
    if (command != 0x20 && command != 0x21) return ERR_PROTOCOL;
    size_t len = V2_HEAD_BYTES + u16_at(bytes, 14);
    if (len > PROXY_PROTO_V2_BYTES_MAX) return ERR_TOO_LARGE;
    if (bytes.len < len) return ERR_MORE;
    struct span header = span_of(bytes.p, len);
    p->version = PROXY_PROTO_V2;
    p->bytes = len;
    /* LOCAL: the relay speaks for itself, and all else is to be skipped. */
    if (command == 0x20) return ERR_OK;
    enum err err = take_addrs(header, byte_at(bytes, 13), p, &used);
    /* Section 2.2: of an unspecified family nothing behind the head may be looked at. */
    if (err != ERR_OK || used == 0) return err;
    return check_tlvs(header, V2_HEAD_BYTES + used);
}

static bool begins(struct span bytes, const char *with, size_t len)
{
    return memcmp(bytes.p, with, bytes.len < len ? bytes.len : len) == 0;
}

enum err proxy_proto_parse(struct span bytes, struct proxy_proto *out)
{
    struct proxy_proto p = {.version = PROXY_PROTO_NONE};
    enum err err = ERR_PROTOCOL;
    if (bytes.len == 0) return ERR_MORE;
    if (begins(bytes, "PROXY ", 6))
        err = bytes.len <= 6 ? ERR_MORE : parse_v1(bytes, &p);
    else if (begins(bytes, v2_signature, sizeof v2_signature))
        err = parse_v2(bytes, &p);
    if (err != ERR_OK) return err;
    unmap(&p.from);
    unmap(&p.to);
    *out = p;
    return ERR_OK;
}

/* --- emitting --- */

static size_t emit_v1(const struct addr *from, const struct addr *to, char *dst)
{
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
    if (from->family == ADDR_NONE)
        return (size_t)snprintf(dst, PROXY_PROTO_EMIT_MAX, "PROXY UNKNOWN\r\n");
    struct span from_ip = addr_format_ip(from, a), to_ip = addr_format_ip(to, b);
    return (size_t)snprintf(dst, PROXY_PROTO_EMIT_MAX, "PROXY %s %.*s %.*s %u %u\r\n",
                            from->family == ADDR_IP4 ? "TCP4" : "TCP6", SPAN_ARG(from_ip),
                            SPAN_ARG(to_ip), (unsigned)from->port, (unsigned)to->port);
}

static void put_u16(char *dst, size_t v)
{
    dst[0] = (char)(v >> 8);
    dst[1] = (char)v;
}

static size_t emit_v2(const struct addr *from, const struct addr *to, char *dst)
{
    size_t ip = from->family == ADDR_IP4 ? 4 : 16, len = 2 * ip + 4;
    memcpy(dst, v2_signature, sizeof v2_signature);
    bool local = from->family == ADDR_NONE;
    dst[12] = local ? 0x20 : 0x21;
    dst[13] = local ? 0 : from->family == ADDR_IP4 ? 0x11 : 0x21;
    put_u16(dst + 14, local ? 0 : len);
    if (local) return V2_HEAD_BYTES;
    memcpy(dst + V2_HEAD_BYTES, from->ip, ip);
    memcpy(dst + V2_HEAD_BYTES + ip, to->ip, ip);
    put_u16(dst + V2_HEAD_BYTES + 2 * ip, from->port);
    put_u16(dst + V2_HEAD_BYTES + 2 * ip + 2, to->port);
    return V2_HEAD_BYTES + len;
}

static void map(struct addr *a)
{
    if (a->family == ADDR_IP6) return;
    struct addr ip6 = {.family = ADDR_IP6, .port = a->port};
    memcpy(ip6.ip, mapped_prefix, sizeof mapped_prefix);
    memcpy(ip6.ip + sizeof mapped_prefix, a->ip, 4);
    *a = ip6;
}

size_t proxy_proto_emit(enum proxy_proto_version version, const struct addr *from,
                        const struct addr *to, char dst[PROXY_PROTO_EMIT_MAX])
{
    struct addr a = *from, b = *to;
    CHECK(version != PROXY_PROTO_NONE);
    if (a.family == ADDR_NONE || b.family == ADDR_NONE) {
        a.family = ADDR_NONE;
    } else if (a.family != b.family) {
        map(&a);
        map(&b);
    }
    return version == PROXY_PROTO_V1 ? emit_v1(&a, &b, dst) : emit_v2(&a, &b, dst);
}
