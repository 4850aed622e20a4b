#include "core/wire/link_head.h"

#include <assert.h>

#include "core/base/check.h"
#include "core/base/uncleared.h"
#include "core/wire/mux_head.h"
#include "core/wire/link_names.h"

#define OP_SLOT   0xc0u
#define OP_KEEP   0x80u
#define OP_MASK   0xc0u
#define OP_NUMBER 0x3fu

#define BIT_LENGTH     0x04u
#define SCHEME_MASK    0x03u
#define SCHEME_HTTP    1u
#define SCHEME_HTTPS   2u
#define SCHEME_SPELLED 3u

#define SLOT_EMPTY 0u
#define SLOT_FULL  1u
#define SLOT_BAD   2u /* malformed: so is each head that uses it */

#define FIELD_OVERHEAD 16u /* op, slot, two varints of a length */
#define HEAD_OVERHEAD  32u

static_assert(sizeof(struct link_slot) == 128, "two cache lines");
static_assert(LINK_SLOTS == 64, "the mask of a head has as many bits");

static const struct span methods[] = {{NULL, 0},      {"GET", 3},  {"POST", 4},  {"PUT", 3},
                                      {"DELETE", 6},  {"HEAD", 4}, {"PATCH", 5}, {"OPTIONS", 7},
                                      {"CONNECT", 7}, {"TRACE", 5}};

/* --- writing --- */

struct writer {
    struct link_dict *dict;
    uint64_t touched; /* slots of this head */
    char *p;
};

static void put_varint(struct writer *w, uint64_t v)
{
    for (; v > 0x7f; v >>= 7)
        *w->p++ = (char)(v | 0x80);
    *w->p++ = (char)v;
}

static void put_text(struct writer *w, struct span s)
{
    put_varint(w, s.len);
    if (s.len > 0) memcpy(w->p, s.p, s.len);
    w->p += s.len;
}

static uint64_t mixed(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* Not against attackers: who makes values collide only spells them. */
static uint64_t hash_text(uint64_t h, struct span s)
{
    uint64_t v;
    size_t at = 0;
    for (; s.len - at >= sizeof v; at += sizeof v) {
        memcpy(&v, s.p + at, sizeof v);
        h = mixed(h, v);
    }
    v = s.len;
    for (; at < s.len; at++)
        v = v << 8 | (unsigned char)s.p[at];
    return mixed(h, v);
}

static bool holds(const struct link_slot *e, unsigned number, struct span name, struct span value)
{
    return e->name == number && e->name_len == name.len && e->value_len == value.len &&
           (name.len == 0 || memcmp(e->text, name.p, name.len) == 0) &&
           (value.len == 0 || memcmp(e->text + name.len, value.p, value.len) == 0);
}

static void fill(struct link_slot *e, unsigned number, struct span name, struct span value)
{
    e->name = (uint8_t)number;
    e->name_len = (uint8_t)name.len;
    e->value_len = (uint8_t)value.len;
    if (name.len > 0) memcpy(e->text, name.p, name.len);
    if (value.len > 0) memcpy(e->text + name.len, value.p, value.len);
}

/* What nobody else on the connection shall be able to ask for (RFC 7541 7.1). */
static bool is_secret(struct span name)
{
    return span_eq(name, SPAN_LIT("authorization")) || span_eq(name, SPAN_LIT("cookie")) ||
           span_eq(name, SPAN_LIT("set-cookie"));
}

/* Slots are chosen by hash. What is met once is only remembered by it: values that differ in every
 * message neither cost a copy nor drive out those that do not. True: written. */
static bool put_slot(struct writer *w, unsigned number, struct span name, struct span value)
{
    uint64_t hash = hash_text(hash_text(number, name), value);
    unsigned at = (unsigned)(hash >> 58);
    struct link_slot *e = &w->dict->slot[at];
    uint64_t bit = UINT64_C(1) << at;
    uint16_t mark = (uint16_t)hash;
    if (e->state == SLOT_FULL && e->hash == (uint32_t)hash && holds(e, number, name, value)) {
        w->touched |= bit;
        *w->p++ = (char)(OP_SLOT | at);
        return true;
    }
    if (e->seen != mark || (w->touched & bit) != 0) {
        e->seen = mark;
        return false;
    }
    w->touched |= bit;
    e->hash = (uint32_t)hash;
    e->state = SLOT_FULL;
    fill(e, number, name, value);
    *w->p++ = (char)(OP_KEEP | number);
    *w->p++ = (char)at;
    if (number == LINK_NAME_NONE) put_text(w, name);
    put_text(w, value);
    return true;
}

static void put_named(struct writer *w, unsigned number, struct span name, struct span value)
{
    if (number != LINK_NAME_NONE) name.len = 0;
    if (name.len + value.len <= LINK_TEXT_MAX && put_slot(w, number, name, value)) return;
    *w->p++ = (char)number;
    if (number == LINK_NAME_NONE) put_text(w, name);
    put_text(w, value);
}

static void put_field(struct writer *w, const struct header *f)
{
    unsigned number = f->name.len > 0 ? link_names_find(f->name) : LINK_NAME_NONE;
    if (!is_secret(f->name)) {
        put_named(w, number, f->name, f->value);
        return;
    }
    *w->p++ = (char)number;
    put_text(w, f->value);
}

static unsigned method_number(struct span method)
{
    for (unsigned i = 1; i < ARRAY_LEN(methods); i++)
        if (span_eq(methods[i], method)) return i;
    return 0;
}

static unsigned scheme_bits(struct span scheme)
{
    if (scheme.len == 0) return 0;
    if (span_eq(scheme, SPAN_LIT("http"))) return SCHEME_HTTP;
    return span_eq(scheme, SPAN_LIT("https")) ? SCHEME_HTTPS : SCHEME_SPELLED;
}

static void put_request(struct writer *w, const struct mux_head *head)
{
    unsigned method = method_number(head->method), scheme = scheme_bits(head->scheme);
    *w->p++ = (char)method;
    *w->p++ = (char)(scheme | (head->content_length >= 0 ? BIT_LENGTH : 0));
    if (method == 0) put_text(w, head->method);
    if (scheme == SCHEME_SPELLED) put_text(w, head->scheme);
    if (head->content_length >= 0) put_varint(w, (uint64_t)head->content_length);
    const struct span empty = {"", 0};
    if (head->authority.len > 0) put_named(w, LINK_NAME_AUTHORITY, empty, head->authority);
    if (head->path.len > 0) put_named(w, LINK_NAME_PATH, empty, head->path);
    if (head->protocol.len > 0) put_named(w, LINK_NAME_PROTOCOL, empty, head->protocol);
}

static void put_response(struct writer *w, const struct mux_head *head)
{
    *w->p++ = (char)(head->status >> 8);
    *w->p++ = (char)head->status;
    *w->p++ = (char)(head->content_length >= 0 ? BIT_LENGTH : 0);
    if (head->content_length >= 0) put_varint(w, (uint64_t)head->content_length);
}

size_t link_head_bound(const struct mux_head *head)
{
    size_t bytes = HEAD_OVERHEAD + head->method.len + head->scheme.len + head->authority.len +
                   head->path.len + head->protocol.len + 5 * FIELD_OVERHEAD;
    if (head->headers == NULL) return bytes;
    for (size_t i = 0; i < head->headers->count; i++)
        bytes +=
            head->headers->field[i].name.len + head->headers->field[i].value.len + FIELD_OVERHEAD;
    return bytes;
}

size_t link_head_write(struct link_dict *d, enum link_head_kind kind, const struct mux_head *head,
                       char *out)
{
    struct writer w = {.dict = d, .p = out};
    if (kind == LINK_HEAD_REQUEST) put_request(&w, head);
    if (kind == LINK_HEAD_RESPONSE) put_response(&w, head);
    for (size_t i = 0; head->headers != NULL && i < head->headers->count; i++)
        put_field(&w, &head->headers->field[i]);
    return (size_t)(w.p - out);
}

/* --- reading --- */

struct piece {
    unsigned number;
    struct span name, value; /* of the payload or a slot; `name` when number is 0 */
};

/* Made by the compiler as UNCLEARED; begins with reader_begin. */
struct reader {
    struct link_dict *dict;
    const char *p, *end;
    uint64_t touched;
    enum link_head_kind kind;
    bool broken, malformed, too_large;
    bool regular; /* a field that is no pseudo field has come */
    unsigned status;
    struct span method, scheme;
    int64_t content_length;
    size_t count, text_bytes, head_bytes;
    struct piece piece[HEADER_FIELDS_MAX + LINK_NAME_PROTOCOL];
};

static unsigned get_byte(struct reader *r)
{
    if (r->p == r->end) {
        r->broken = true;
        return 0;
    }
    return (unsigned char)*r->p++;
}

static uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        unsigned byte = get_byte(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) return v;
    }
    r->broken = true;
    return 0;
}

static struct span get_text(struct reader *r)
{
    uint64_t len = get_varint(r);
    if (r->broken || len > (size_t)(r->end - r->p)) {
        r->broken = true;
        return span_of("", 0);
    }
    struct span text = span_of(r->p, (size_t)len);
    r->p += len;
    return text;
}

static bool is_visible(struct span s)
{
    bool fine = s.len > 0;
    for (size_t i = 0; i < s.len; i++)
        fine &= (unsigned char)s.p[i] > 0x20 && s.p[i] != 0x7f;
    return fine;
}

static bool is_edge(char c)
{
    return c == ' ' || c == '\t';
}

static bool value_fine(struct span v)
{
    if (v.len > 0 && (is_edge(v.p[0]) || is_edge(v.p[v.len - 1]))) return false;
    return headers_value_valid(v);
}

/* RFC 9113 8.2, 8.2.2. A name that has a number is never spelled. */
static bool spelled_fine(struct span name, struct span value)
{
    if (!headers_token_valid(name) || link_names_find(name) != LINK_NAME_NONE) return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z') return false;
    if (span_eq(name, SPAN_LIT("te"))) return span_eq_nocase(value, SPAN_LIT("trailers"));
    return !headers_hop_name(name) && !span_eq(name, SPAN_LIT("content-length"));
}

static bool text_fine(const struct piece *f)
{
    if (f->number != LINK_NAME_NONE && f->number < LINK_NAME_FIELD) return is_visible(f->value);
    if (f->number == LINK_NAME_NONE && !spelled_fine(f->name, f->value)) return false;
    return value_fine(f->value);
}

/* The place of a slot that may be used here; NULL: broken. */
static struct link_slot *slot_at(struct reader *r, unsigned at)
{
    if (at >= LINK_SLOTS) r->broken = true;
    return r->broken ? NULL : &r->dict->slot[at];
}

static void from_slot(struct reader *r, unsigned at, struct piece *f)
{
    const struct link_slot *e = slot_at(r, at);
    r->touched |= UINT64_C(1) << at;
    if (e->state == SLOT_EMPTY) {
        r->broken = true;
        return;
    }
    if (e->state == SLOT_BAD) r->malformed = true;
    f->number = e->name;
    f->name = span_of(e->text, e->name_len);
    f->value = span_of(e->text + e->name_len, e->value_len);
}

/* A slot used in this head stays as it is: its text is copied when the head is whole. */
static void to_slot(struct reader *r, unsigned at, const struct piece *f, bool fine)
{
    struct link_slot *e = slot_at(r, at);
    if (e == NULL) return;
    uint64_t bit = UINT64_C(1) << at;
    if ((r->touched & bit) != 0 || f->name.len + f->value.len > LINK_TEXT_MAX) {
        r->broken = true;
        return;
    }
    r->touched |= bit;
    e->state = fine ? SLOT_FULL : SLOT_BAD;
    fill(e, f->number, f->name, f->value);
}

static void spelled(struct reader *r, unsigned op, struct piece *f)
{
    bool keep = (op & OP_MASK) == OP_KEEP;
    unsigned at = keep ? get_byte(r) : 0;
    if ((op & OP_MASK) != 0 && !keep) r->broken = true;
    f->number = op & OP_NUMBER;
    f->name = f->number == LINK_NAME_NONE ? get_text(r) : span_of("", 0);
    f->value = get_text(r);
    if (r->broken) return;
    bool fine = text_fine(f);
    if (!fine) r->malformed = true;
    if (keep) to_slot(r, at, f, fine);
}

/* RFC 9113 8.3: before all others, once each, in requests alone. */
static void judge_place(struct reader *r, unsigned number)
{
    if (number == LINK_NAME_NONE || number >= LINK_NAME_FIELD) {
        r->regular = true;
        return;
    }
    if (r->regular || r->kind != LINK_HEAD_REQUEST) r->malformed = true;
    for (size_t i = 0; i < r->count && !r->malformed; i++)
        if (r->piece[i].number == number) r->malformed = true;
}

static void read_field(struct reader *r)
{
    struct piece f;
    unsigned op = get_byte(r);
    if ((op & OP_MASK) == OP_SLOT)
        from_slot(r, op & OP_NUMBER, &f);
    else
        spelled(r, op, &f);
    if (r->broken) return;
    judge_place(r, f.number);
    if (r->malformed || r->too_large) return;
    size_t name_len = f.number != LINK_NAME_NONE ? link_names_text(f.number).len : f.name.len;
    r->head_bytes += name_len + f.value.len;
    if (r->count == ARRAY_LEN(r->piece) || r->head_bytes > HEADER_BYTES_MAX ||
        name_len + f.value.len > HEADER_LINE_BYTES_MAX) {
        r->too_large = true;
        return;
    }
    if (f.number != LINK_NAME_COOKIE) r->text_bytes += f.name.len + f.value.len;
    r->piece[r->count++] = f;
}

static void read_length(struct reader *r, unsigned bits, unsigned known)
{
    if ((bits & ~known) != 0) r->broken = true;
    r->content_length = (bits & BIT_LENGTH) != 0 ? (int64_t)get_varint(r) : -1;
}

static void read_request(struct reader *r)
{
    unsigned method = get_byte(r), bits = get_byte(r), scheme = bits & SCHEME_MASK;
    if (method >= ARRAY_LEN(methods)) r->broken = true;
    if (r->broken) return;
    r->method = method != 0 ? methods[method] : get_text(r);
    if (scheme == SCHEME_SPELLED) r->scheme = get_text(r);
    if (scheme == SCHEME_HTTP) r->scheme = SPAN_LIT("http");
    if (scheme == SCHEME_HTTPS) r->scheme = SPAN_LIT("https");
    if (!headers_token_valid(r->method)) r->malformed = true;
    if (scheme == SCHEME_SPELLED && !is_visible(r->scheme)) r->malformed = true;
    if (r->method.len + r->scheme.len > HEADER_LINE_BYTES_MAX) r->too_large = true;
    r->head_bytes = r->text_bytes = r->method.len + r->scheme.len;
    read_length(r, bits, SCHEME_MASK | BIT_LENGTH);
}

static void read_response(struct reader *r)
{
    r->status = get_byte(r) << 8;
    r->status |= get_byte(r);
    read_length(r, get_byte(r), BIT_LENGTH);
    /* RFC 9113 8.6: nothing is switched by 101. */
    if (r->status < 100 || r->status > 999 || r->status == 101) r->malformed = true;
}

static struct span kept(char **text, struct span s)
{
    char *at = *text;
    if (s.len > 0) memcpy(at, s.p, s.len);
    *text += s.len;
    return span_of(at, s.len);
}

static bool give_field(struct mux_stream *s, const struct piece *f, char **text)
{
    if (f->number == LINK_NAME_COOKIE) return mux_head_cookie(s, f->value);
    struct span name =
        f->number == LINK_NAME_NONE ? kept(text, f->name) : link_names_text(f->number);
    struct span value = kept(text, f->value);
    if (f->number == LINK_NAME_AUTHORITY)
        s->head.authority = value;
    else if (f->number == LINK_NAME_PATH)
        s->head.path = value;
    else if (f->number == LINK_NAME_PROTOCOL)
        s->head.protocol = value;
    else
        return headers_add(s->fields, name, value) == ERR_OK;
    return true;
}

static void give(const struct reader *r, struct mux_stream *s)
{
    struct mux_head *head = &s->head;
    mux_head_begin(s);
    head->status = r->status;
    head->content_length = r->content_length;
    head->too_large = r->too_large;
    char *text = arena_alloc(s->arena, r->text_bytes);
    if (text == NULL) {
        head->too_large = true;
        return;
    }
    head->method = kept(&text, r->method);
    head->scheme = kept(&text, r->scheme);
    for (size_t i = 0; i < r->count; i++)
        if (!give_field(s, &r->piece[i], &text)) head->too_large = true;
}

/* RFC 9113 8.3.1, 8.5; RFC 8441 4. */
static bool request_fine(const struct mux_head *head)
{
    bool connect = span_eq(head->method, SPAN_LIT("CONNECT"));
    if (connect && head->protocol.len == 0)
        return head->authority.len > 0 && head->scheme.len == 0 && head->path.len == 0;
    if (head->scheme.len == 0 || head->path.len == 0) return false;
    if (!connect && head->protocol.len > 0) return false;
    if (connect && head->authority.len == 0) return false;
    return head->path.p[0] == '/' ||
           (span_eq(head->path, SPAN_LIT("*")) && span_eq(head->method, SPAN_LIT("OPTIONS")));
}

static void reader_begin(struct reader *r, struct link_dict *d, enum link_head_kind kind,
                         struct span in)
{
    r->dict = d;
    r->p = in.p;
    r->end = in.p + in.len;
    r->touched = 0;
    r->kind = kind;
    r->broken = r->malformed = r->too_large = r->regular = false;
    r->status = 0;
    r->method = r->scheme = span_of("", 0);
    r->content_length = -1;
    r->count = r->text_bytes = r->head_bytes = 0;
}

enum err link_head_read(struct link_dict *d, enum link_head_kind kind, struct span in,
                        struct mux_stream *s)
{
    struct reader r UNCLEARED;
    reader_begin(&r, d, kind, in);
    if (kind == LINK_HEAD_REQUEST) read_request(&r);
    if (kind == LINK_HEAD_RESPONSE) read_response(&r);
    while (!r.broken && r.p < r.end)
        read_field(&r);
    if (r.broken) return ERR_PROTOCOL;
    if (r.malformed) return ERR_INVALID;
    if (s == NULL) return ERR_OK;
    give(&r, s);
    if (kind == LINK_HEAD_REQUEST && !s->head.too_large && !request_fine(&s->head))
        return ERR_INVALID;
    return ERR_OK;
}
