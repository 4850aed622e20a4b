/* UTF-8, strictly (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Any thread. Owns nothing.
 *
 *   U+0000..007F    0xxxxxxx
 *   U+0080..07FF    110xxxxx 10xxxxxx
 *   U+0800..FFFF    1110xxxx 10xxxxxx 10xxxxxx
 *   U+10000..10FFFF 11110xxx 10xxxxxx 10xxxxxx 10xxxxxx
 */
#ifndef CORE_WIRE_UTF8_H
#define CORE_WIRE_UTF8_H

#include "core/base/span.h"

/* Bytes (1 to 4) of the character that `s` starts with, its code point in `*cp`; 0 and `*cp`
 * untouched when `s` is empty or does not start with valid UTF-8. */
size_t utf8_decode(struct span s, uint32_t *cp);
/* Writes `cp` and gives the bytes written; 0 when it is no Unicode scalar value. */
size_t utf8_encode(uint32_t cp, char dst[4]);
/* Bytes at the front of `s` that are whole, valid characters: s.len when all are. */
size_t utf8_valid_len(struct span s);
/* Characters in `s`, which should be valid: each byte that continues none is one. */
size_t utf8_count(struct span s);

#endif
