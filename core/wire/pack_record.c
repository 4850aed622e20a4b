#include "core/wire/pack_record.h"

#include "core/wire/pack.h"
#include "core/wire/utf8.h"

#define RECORD_ITEMS  6u
#define SERVICE_ITEMS 6u
#define FLAG_DRAINING 1u
#define FLAG_SIGNER   2u
#define FLAG_DEFAULT  2u /* of a service: where its protocol is from; else configured */
#define FLAG_LEARNED  4u
#define WEIGHT_MAX    1000u
/* Record, services, service, tags: 4, and one for what newer versions append. */
#define RECORD_DEPTH  5u
#define RECORD_VALUES (NODE_SERVICES_MAX * (2 * NODE_TAGS_MAX + SERVICE_ITEMS + 16) + 64)

/* `len` of a NUL-terminated text in storage of `cap` bytes; cap when it is not terminated. */
static size_t text_len(const char *text, size_t cap)
{
    const char *end = memchr(text, '\0', cap);
    return end != NULL ? (size_t)(end - text) : cap;
}

/* Valid UTF-8 without control characters: it is shown in tables and logs. */
static bool text_clean(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f) return false;
    return utf8_valid_len(s) == s.len;
}

static bool instance_valid(const struct service_instance *s)
{
    if (!name_valid(span_of(s->service.text, text_len(s->service.text, sizeof(s->service.text)))))
        return false;
    if (s->protocol > PROTOCOL_GRPC || s->health > HEALTH_DOWN) return false;
    if (s->weight < 1 || s->weight > WEIGHT_MAX || s->tag_count > NODE_TAGS_MAX) return false;
    for (size_t i = 0; i < s->tag_count; i++) {
        struct span key = span_of(s->tag[i].key, text_len(s->tag[i].key, TAG_BYTES_MAX + 1));
        struct span value = span_of(s->tag[i].value, text_len(s->tag[i].value, TAG_BYTES_MAX + 1));
        if (key.len == 0 || key.len > TAG_BYTES_MAX || !text_clean(key)) return false;
        if (value.len > TAG_BYTES_MAX || !text_clean(value)) return false;
        for (size_t j = 0; j < i; j++)
            if (span_eq_str(key, s->tag[j].key)) return false;
    }
    return true;
}

/* NODE_SERVICES_MAX bounds the square. */
static bool service_known(const struct node_record *r, size_t count, const struct name *service)
{
    for (size_t i = 0; i < count; i++)
        if (name_eq(&r->service[i].service, service)) return true;
    return false;
}

static bool record_valid(const struct node_record *r)
{
    struct span node = span_of(r->node.text, text_len(r->node.text, sizeof(r->node.text)));
    struct span zone = span_of(r->zone.text, text_len(r->zone.text, sizeof(r->zone.text)));
    struct span version = span_of(r->version, text_len(r->version, sizeof(r->version)));
    if (!name_valid(node) || (zone.len > 0 && !name_valid(zone))) return false;
    if (version.len > VERSION_BYTES_MAX || !text_clean(version)) return false;
    if (r->service_count > NODE_SERVICES_MAX) return false;
    for (size_t i = 0; i < r->service_count; i++)
        if (!instance_valid(&r->service[i]) || service_known(r, i, &r->service[i].service))
            return false;
    return true;
}

static void write_instance(struct pack_writer *w, const struct service_instance *s)
{
    pack_write_array(w, SERVICE_ITEMS);
    pack_write_str(w, span_str(s->service.text));
    pack_write_u64(w, (uint64_t)s->protocol);
    pack_write_u64(w, (uint64_t)s->health);
    uint64_t flags = s->draining ? FLAG_DRAINING : 0;
    if (s->origin == ORIGIN_DEFAULT) flags |= FLAG_DEFAULT;
    if (s->origin == ORIGIN_LEARNED) flags |= FLAG_LEARNED;
    pack_write_u64(w, flags);
    pack_write_u64(w, s->weight);
    pack_write_array(w, s->tag_count * 2);
    for (size_t i = 0; i < s->tag_count; i++) {
        pack_write_str(w, span_str(s->tag[i].key));
        pack_write_str(w, span_str(s->tag[i].value));
    }
}

enum err pack_record_encode(const struct node_record *r, void *dst, size_t cap, size_t *len)
{
    struct pack_writer w;
    if (!record_valid(r)) return ERR_INVALID;
    pack_writer_init(&w, dst, cap < RECORD_BODY_BYTES_MAX ? cap : RECORD_BODY_BYTES_MAX);
    pack_write_array(&w, RECORD_ITEMS);
    pack_write_str(&w, span_str(r->node.text));
    pack_write_str(&w, span_str(r->zone.text));
    pack_write_str(&w, span_str(r->version));
    pack_write_i64(&w, r->cert_not_after_s);
    pack_write_u64(&w, (r->draining ? FLAG_DRAINING : 0) | (r->signer ? FLAG_SIGNER : 0));
    pack_write_array(&w, r->service_count);
    for (size_t i = 0; i < r->service_count; i++)
        write_instance(&w, &r->service[i]);
    if (!pack_writer_ok(&w)) return ERR_TOO_LARGE;
    *len = pack_writer_view(&w).len;
    return ERR_OK;
}

static void read_text(struct pack_reader *r, char *dst, size_t cap)
{
    if (!span_to_cstr(pack_read_str(r), dst, cap)) pack_reader_fail(r, ERR_INVALID);
}

static void read_name(struct pack_reader *r, struct name *out, bool may_be_empty)
{
    struct span text = pack_read_str(r);
    *out = (struct name){.text = ""};
    if (text.len == 0 && may_be_empty) return;
    if (name_set(out, text) != ERR_OK) pack_reader_fail(r, ERR_INVALID);
}

/* False: of a protocol this version does not know. */
static bool read_instance(struct pack_reader *r, struct service_instance *out)
{
    uint32_t outer, tags;
    struct service_instance *s = out;
    *s = (struct service_instance){.weight = 0};
    pack_read_array(r, SERVICE_ITEMS, &outer);
    read_name(r, &s->service, false);
    uint64_t protocol = pack_read_u64(r);
    if (protocol > PROTOCOL_GRPC) {
        pack_read_array_end(r, outer);
        return false;
    }
    s->protocol = (enum service_protocol)protocol;
    s->health = (enum service_health)pack_read_u64_max(r, HEALTH_DOWN);
    uint64_t flags = pack_read_u64(r);
    s->draining = (flags & FLAG_DRAINING) != 0;
    if ((flags & FLAG_DEFAULT) != 0)
        s->origin = ORIGIN_DEFAULT;
    else if ((flags & FLAG_LEARNED) != 0)
        s->origin = ORIGIN_LEARNED;
    s->weight = (uint32_t)pack_read_u64_max(r, WEIGHT_MAX);
    uint32_t texts = pack_read_array(r, 0, &tags);
    if (texts % 2 != 0 || texts > 2 * NODE_TAGS_MAX) {
        pack_reader_fail(r, ERR_INVALID);
        texts = 0;
    }
    for (uint32_t i = 0; i < texts / 2; i++) {
        read_text(r, s->tag[i].key, sizeof(s->tag[i].key));
        read_text(r, s->tag[i].value, sizeof(s->tag[i].value));
    }
    s->tag_count = texts / 2;
    pack_read_array_end(r, tags);
    pack_read_array_end(r, outer);
    if (pack_reader_err(r) == ERR_OK && !instance_valid(s)) pack_reader_fail(r, ERR_INVALID);
    return true;
}

static void read_services(struct pack_reader *r, struct node_record *out)
{
    uint32_t outer;
    uint32_t count = pack_read_array(r, 0, &outer);
    uint32_t kept = 0;
    if (count > NODE_SERVICES_MAX) pack_reader_fail(r, ERR_INVALID);
    for (uint32_t i = 0; i < count && pack_reader_err(r) == ERR_OK; i++) {
        struct service_instance *s = &out->service[kept];
        bool known = read_instance(r, s);
        if (pack_reader_err(r) != ERR_OK || !known) continue;
        if (service_known(out, kept, &s->service)) pack_reader_fail(r, ERR_INVALID);
        kept++;
    }
    pack_read_array_end(r, outer);
    out->service_count = kept;
}

enum err pack_record_decode(struct span body, struct node_record *out)
{
    struct pack_reader r;
    uint32_t outer;
    out->service_count = 0;
    out->node = out->zone = (struct name){.text = ""};
    if (body.len > RECORD_BODY_BYTES_MAX) return ERR_TOO_LARGE;
    enum err err = pack_reader_init(&r, body, RECORD_DEPTH, RECORD_VALUES);
    if (err != ERR_OK) return err;
    pack_read_array(&r, RECORD_ITEMS, &outer);
    read_name(&r, &out->node, false);
    read_name(&r, &out->zone, true);
    read_text(&r, out->version, sizeof(out->version));
    out->cert_not_after_s = pack_read_i64(&r);
    uint64_t flags = pack_read_u64(&r);
    out->draining = (flags & FLAG_DRAINING) != 0;
    out->signer = (flags & FLAG_SIGNER) != 0;
    read_services(&r, out);
    pack_read_array_end(&r, outer);
    err = pack_reader_err(&r);
    if (err == ERR_OK && !text_clean(span_str(out->version))) err = ERR_INVALID;
    if (err == ERR_OK) return ERR_OK;
    out->service_count = 0;
    out->node = out->zone = (struct name){.text = ""};
    return err;
}
