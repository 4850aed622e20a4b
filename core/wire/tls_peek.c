#include "core/wire/tls_peek.h"

#include "core/base/check.h"

#define RECORDS_MAX         4u
#define RECORD_HEADER       5u
#define RECORD_HANDSHAKE    22u
#define RECORD_BYTES_MAX    16384u
#define MESSAGE_HEADER      4u
#define CLIENT_HELLO        1u
#define RANDOM_BYTES        32u
#define SESSION_ID_MAX      32u
#define EXTENSION_SNI       0u
#define EXTENSION_ALPN      16u
#define EXTENSIONS_MAX      64u
#define SNI_HOST_NAME       0u
#define SNI_NAMES_MAX       4u
#define ALPN_NAMES_SEEN_MAX 64u

/* The hello's bytes, taken out of their records. */
struct hello {
    char bytes[TLS_PEEK_BYTES_MAX];
    size_t len;
};

static unsigned u8(struct span s, size_t at)
{
    return (unsigned char)s.p[at];
}

static size_t u16(struct span s, size_t at)
{
    return (size_t)u8(s, at) << 8 | u8(s, at + 1);
}

static bool take(struct span *in, size_t len, struct span *out)
{
    if (len > in->len) return false;
    *out = span_of(in->p, len);
    *in = span_skip(*in, len);
    return true;
}

static bool take_u8(struct span *in, size_t *v)
{
    struct span s;
    if (!take(in, 1, &s)) return false;
    *v = u8(s, 0);
    return true;
}

static bool take_u16(struct span *in, size_t *v)
{
    struct span s;
    if (!take(in, 2, &s)) return false;
    *v = u16(s, 0);
    return true;
}

/* A vector with a length of one or two bytes in front (RFC 8446 3.4). */
static bool take_vector8(struct span *in, struct span *out)
{
    size_t len;
    return take_u8(in, &len) && take(in, len, out);
}

static bool take_vector16(struct span *in, struct span *out)
{
    size_t len;
    return take_u16(in, &len) && take(in, len, out);
}

/* How long the hello is, when its header is there. ERR_PROTOCOL: another message. */
static enum err message_length(const struct hello *h, size_t *len)
{
    struct span s = span_of(h->bytes, h->len);
    if (s.len > 0 && u8(s, 0) != CLIENT_HELLO) return ERR_PROTOCOL;
    if (s.len < MESSAGE_HEADER) return ERR_MORE;
    size_t body = (size_t)u8(s, 1) << 16 | u16(s, 2);
    if (body > sizeof(h->bytes) - MESSAGE_HEADER) return ERR_TOO_LARGE;
    *len = MESSAGE_HEADER + body;
    return ERR_OK;
}

static enum err record_length(struct span in, size_t *len)
{
    /* Refuse as soon as a byte is wrong, so that plaintext need not be 5 bytes long. */
    if (in.len > 0 && u8(in, 0) != RECORD_HANDSHAKE) return ERR_PROTOCOL;
    if (in.len > 1 && u8(in, 1) != 3) return ERR_PROTOCOL;
    if (in.len < RECORD_HEADER) return ERR_MORE;
    *len = u16(in, 3);
    /* RFC 8446 5.1: no empty handshake fragments. */
    return *len == 0 || *len > RECORD_BYTES_MAX ? ERR_PROTOCOL : ERR_OK;
}

/* Collects the first handshake message. */
static enum err collect(struct span in, struct hello *h, size_t *message)
{
    h->len = 0;
    for (unsigned records = 0; records < RECORDS_MAX; records++) {
        size_t len, room = sizeof(h->bytes) - h->len;
        enum err err = record_length(in, &len);
        if (err != ERR_OK) return err;
        in = span_skip(in, RECORD_HEADER);
        size_t there = len < in.len ? len : in.len;
        size_t n = there < room ? there : room;
        if (n > 0) memcpy(h->bytes + h->len, in.p, n);
        h->len += n;
        err = message_length(h, message);
        if (err == ERR_OK && h->len >= *message) return ERR_OK;
        if (err != ERR_OK && err != ERR_MORE) return err;
        if (there < len) return ERR_MORE;
        in = span_skip(in, len);
    }
    return ERR_TOO_LARGE;
}

static bool host_byte(char c)
{
    return c > 0x20 && c < 0x7f;
}

static bool read_sni(struct span body, struct tls_peek *out)
{
    struct span list, name;
    size_t type, names = 0;
    if (!take_vector16(&body, &list) || body.len != 0 || list.len == 0) return false;
    while (list.len > 0) {
        if (++names > SNI_NAMES_MAX || !take_u8(&list, &type) || !take_vector16(&list, &name))
            return false;
        if (type != SNI_HOST_NAME) continue;
        /* RFC 6066 3: one name of a type. */
        if (out->sni[0] != '\0' || name.len == 0 || name.len >= sizeof(out->sni)) return false;
        for (size_t i = 0; i < name.len; i++) {
            char c = name.p[i];
            if (!host_byte(c)) return false;
            out->sni[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
    }
    return true;
}

static bool read_alpn(struct span body, struct tls_peek *out)
{
    struct span list, name;
    unsigned names = 0;
    if (!take_vector16(&body, &list) || body.len != 0 || list.len == 0) return false;
    while (list.len > 0) {
        if (++names > ALPN_NAMES_SEEN_MAX || !take_vector8(&list, &name) || name.len == 0)
            return false;
        if (out->alpn_count == TLS_PEEK_ALPN_MAX) continue;
        if (span_to_cstr(name, out->alpn[out->alpn_count], sizeof(out->alpn[0]))) out->alpn_count++;
    }
    return true;
}

static bool read_extensions(struct span in, struct tls_peek *out)
{
    struct span body;
    size_t type;
    unsigned count = 0, seen_sni = 0, seen_alpn = 0;
    while (in.len > 0) {
        if (++count > EXTENSIONS_MAX || !take_u16(&in, &type) || !take_vector16(&in, &body))
            return false;
        /* RFC 8446 4.2: no extension twice, lest we read one and the engine the other. */
        if (type == EXTENSION_SNI && (seen_sni++ > 0 || !read_sni(body, out))) return false;
        if (type == EXTENSION_ALPN && (seen_alpn++ > 0 || !read_alpn(body, out))) return false;
    }
    return true;
}

static bool read_hello(struct span in, struct tls_peek *out)
{
    struct span random, session, suites, compressions, extensions;
    size_t version;
    if (!take_u16(&in, &version) || version >> 8 != 3) return false;
    if (!take(&in, RANDOM_BYTES, &random)) return false;
    if (!take_vector8(&in, &session) || session.len > SESSION_ID_MAX) return false;
    if (!take_vector16(&in, &suites) || suites.len == 0 || suites.len % 2 != 0) return false;
    if (!take_vector8(&in, &compressions) || compressions.len == 0) return false;
    if (in.len == 0) return true;
    if (!take_vector16(&in, &extensions) || in.len != 0) return false;
    return read_extensions(extensions, out);
}

enum err tls_peek_hello(struct span bytes, struct tls_peek *out)
{
    struct hello h;
    struct tls_peek peek = {.alpn_count = 0};
    size_t message;
    bool over = bytes.len > TLS_PEEK_BYTES_MAX;
    if (over) bytes.len = TLS_PEEK_BYTES_MAX;
    enum err err = collect(bytes, &h, &message);
    if (err == ERR_MORE && (over || bytes.len == TLS_PEEK_BYTES_MAX)) return ERR_TOO_LARGE;
    if (err != ERR_OK) return err;
    struct span body = span_of(h.bytes + MESSAGE_HEADER, message - MESSAGE_HEADER);
    if (!read_hello(body, &peek)) return ERR_PROTOCOL;
    *out = peek;
    return ERR_OK;
}

bool tls_peek_offers(const struct tls_peek *p, const char *alpn)
{
    CHECK(p->alpn_count <= TLS_PEEK_ALPN_MAX);
    for (unsigned i = 0; i < p->alpn_count; i++)
        if (strcmp(p->alpn[i], alpn) == 0) return true;
    return false;
}
