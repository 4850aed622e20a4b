#include "core/wire/grpc_health.h"

#include "core/base/check.h"

#define PREFIX_BYTES 5u
#define FIELD_TEXT   0x0a /* field 1, length-delimited */

size_t grpc_health_request(struct span service, char out[GRPC_HEALTH_REQUEST_MAX])
{
    CHECK(service.len <= GRPC_HEALTH_SERVICE_MAX);
    /* proto3 leaves an empty string out. */
    size_t message = service.len > 0 ? 2 + service.len : 0;
    memset(out, 0, PREFIX_BYTES);
    out[4] = (char)message;
    if (message == 0) return PREFIX_BYTES;
    out[5] = FIELD_TEXT;
    out[6] = (char)service.len;
    memcpy(out + PREFIX_BYTES + 2, service.p, service.len);
    return PREFIX_BYTES + message;
}

/* A base-128 number off the front of `s`. */
static bool read_varint(struct span *s, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && s->len > 0; shift += 7) {
        uint8_t byte = (uint8_t)s->p[0];
        *s = span_skip(*s, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) != 0) continue;
        *out = value;
        return true;
    }
    return false;
}

/* A field's value off the front of `s`; `*value` of a number. */
static bool read_value(struct span *s, unsigned type, uint64_t *value)
{
    uint64_t len = type == 1 ? 8 : 4;
    if (type == 0) return read_varint(s, value);
    if (type == 2 && !read_varint(s, &len)) return false;
    if ((type != 1 && type != 2 && type != 5) || len > s->len) return false;
    *s = span_skip(*s, (size_t)len);
    return true;
}

enum err grpc_health_response(struct span body, enum grpc_health_status *out)
{
    uint64_t status = GRPC_HEALTH_UNKNOWN, tag, value = 0;
    uint32_t len = 0;
    if (body.len < PREFIX_BYTES || body.p[0] != 0) return ERR_PROTOCOL;
    for (size_t i = 1; i < PREFIX_BYTES; i++)
        len = len << 8 | (uint8_t)body.p[i];
    struct span s = span_skip(body, PREFIX_BYTES);
    if (len != s.len) return ERR_PROTOCOL;
    while (s.len > 0) {
        if (!read_varint(&s, &tag) || tag >> 3 == 0) return ERR_PROTOCOL;
        unsigned type = (unsigned)(tag & 7);
        if (!read_value(&s, type, &value)) return ERR_PROTOCOL;
        /* The last one counts, as protobuf has it. */
        if (tag >> 3 == 1 && type != 0) return ERR_PROTOCOL;
        if (tag >> 3 == 1) status = value;
    }
    *out = status <= GRPC_HEALTH_SERVICE_UNKNOWN ? (enum grpc_health_status)status
                                                 : GRPC_HEALTH_UNKNOWN;
    return ERR_OK;
}
