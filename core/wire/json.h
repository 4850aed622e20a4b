/* JSON writer (RFC 8259) onto a strbuf: commas, colons and escapes are its business.
 *
 * Any thread. Owns nothing; a strbuf that is full says so by strbuf_ok. Strings may hold any bytes:
 * what is not UTF-8 becomes U+FFFD, control characters, quotes and backslashes are escaped, and so
 * are U+2028 and U+2029, which older JavaScript takes for line ends. The caller keeps the grammar
 * (a key before each value of an object, ends that match beginnings): a breach is a CHECK.
 */
#ifndef CORE_WIRE_JSON_H
#define CORE_WIRE_JSON_H

#include "core/base/strbuf.h"

#define JSON_DEPTH_MAX 64u

struct json {
    struct strbuf *out; /* borrowed */
    uint64_t object;    /* a bit a level: 1 object, 0 array */
    uint64_t filled;    /* a bit a level: a comma is due */
    unsigned depth;
    bool after_key;
};

void json_init(struct json *j, struct strbuf *out);
void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, struct span s);
/* NULL gives null. */
void json_cstr(struct json *j, const char *s);
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
/* With `decimals` (0 to 9) digits behind the point; null when `v` is not finite. */
void json_f64(struct json *j, double v, int decimals);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* `text` is one JSON value already. */
void json_raw(struct json *j, struct span text);

/* A key and its value. */
void json_member_cstr(struct json *j, const char *key, const char *value);
void json_member_u64(struct json *j, const char *key, uint64_t value);
void json_member_bool(struct json *j, const char *key, bool value);
/* `len` bytes as a string of lower-case hex digits. */
void json_member_hex(struct json *j, const char *key, const void *bytes, size_t len);
/* The same as base64. */
void json_member_base64(struct json *j, const char *key, const void *bytes, size_t len);

#endif
