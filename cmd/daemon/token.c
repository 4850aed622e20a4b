#include "cmd/daemon/token.h"

#include "core/base/check.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PREFIX      "pj1_"
#define RAW_MAX     128u
#define GROUP       24u
#define SUM_BYTES   4u
#define FIXED_BYTES 42u /* up to and including the number of seeds */

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sum_of(const uint8_t *p, size_t len, uint8_t sum[SUM_BYTES])
{
    uint8_t hash[crypto_generichash_BYTES];
    crypto_generichash(hash, sizeof hash, p, len, NULL, 0);
    memcpy(sum, hash, SUM_BYTES);
}

enum err token_format(const struct token *t, char out[TOKEN_TEXT_MAX])
{
    uint8_t raw[RAW_MAX];
    size_t len = FIXED_BYTES, at = 0;
    int64_t minutes = t->expires_s / 60;
    if (t->seed_count == 0 || t->seed_count > TOKEN_SEEDS_MAX) return ERR_RANGE;
    if (minutes < 0 || minutes > UINT32_MAX) return ERR_RANGE;
    put_u32(raw + 1, t->id);
    memcpy(raw + 5, t->secret, sizeof t->secret);
    memcpy(raw + 21, t->ca_pin, sizeof t->ca_pin);
    put_u32(raw + 37, (uint32_t)minutes);
    raw[41] = (uint8_t)t->seed_count;
    for (size_t i = 0; i < t->seed_count; i++) {
        const struct addr *a = &t->seed[i];
        size_t ip = a->family == ADDR_IP6 ? 16 : 4;
        raw[len++] = a->family;
        memcpy(raw + len, a->ip, ip);
        len += ip;
        raw[len++] = (uint8_t)(a->port >> 8);
        raw[len++] = (uint8_t)a->port;
    }
    raw[0] = (uint8_t)(len + SUM_BYTES);
    sum_of(raw, len, raw + len);
    len += SUM_BYTES;
    memcpy(out, PREFIX, sizeof PREFIX - 1);
    at = sizeof PREFIX - 1;
    size_t digits = (len * 8 + 4) / 5;
    for (size_t i = 0; i < digits; i++) {
        size_t bit = i * 5;
        unsigned pair = (unsigned)raw[bit / 8] << 8 | (bit / 8 + 1 < len ? raw[bit / 8 + 1] : 0u);
        if (i > 0 && i % GROUP == 0) out[at++] = '-';
        out[at++] = alphabet[pair >> (11 - bit % 8) & 31u];
    }
    out[at] = 0;
    sodium_memzero(raw, sizeof raw);
    return ERR_OK;
}

/* Base32 digits to bytes; the count of whole bytes, or 0 for a character that is none. */
static size_t decode(struct span text, uint8_t raw[RAW_MAX])
{
    size_t len = 0;
    unsigned bits = 0;
    uint32_t acc = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '-') continue;
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        const char *digit = c ? strchr(alphabet, c) : NULL;
        if (!digit || len == RAW_MAX) return 0;
        acc = acc << 5 | (uint32_t)(digit - alphabet);
        bits += 5;
        if (bits < 8) continue;
        bits -= 8;
        raw[len++] = (uint8_t)(acc >> bits);
        acc &= (1u << bits) - 1;
    }
    return len;
}

static enum err read_seeds(const uint8_t *raw, size_t end, struct token *t)
{
    size_t at = FIXED_BYTES;
    t->seed_count = raw[41];
    if (t->seed_count == 0 || t->seed_count > TOKEN_SEEDS_MAX) return ERR_INVALID;
    for (size_t i = 0; i < t->seed_count; i++) {
        if (at >= end) return ERR_INVALID;
        uint8_t family = raw[at++];
        size_t ip = family == ADDR_IP6 ? 16 : 4;
        if ((family != ADDR_IP4 && family != ADDR_IP6) || end - at < ip + 2) return ERR_INVALID;
        t->seed[i].family = family;
        memcpy(t->seed[i].ip, raw + at, ip);
        t->seed[i].port = (uint16_t)(raw[at + ip] << 8 | raw[at + ip + 1]);
        at += ip + 2;
    }
    return at == end ? ERR_OK : ERR_INVALID;
}

enum err token_parse(struct span text, struct token *out)
{
    uint8_t raw[RAW_MAX] = {0}, sum[SUM_BYTES];
    struct token t = {0};
    enum err err = ERR_INVALID;
    while (text.len > 0 && strchr(" \t\r\n", text.p[text.len - 1]))
        text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.p[0]))
        text = span_skip(text, 1);
    if (text.len < sizeof PREFIX - 1)
        return span_starts(SPAN_LIT(PREFIX), text) && text.len > 0 ? ERR_MORE : ERR_INVALID;
    if (!span_starts(text, SPAN_LIT(PREFIX))) {
        bool later = text.p[0] == 'p' && text.p[1] == 'j' && text.p[3] == '_';
        return later ? ERR_UNSUPPORTED : ERR_INVALID;
    }
    text = span_skip(text, sizeof PREFIX - 1);
    size_t len = decode(text, raw);
    if (len == 0) {
        err = text.len <= 1 ? ERR_MORE : ERR_INVALID;
        goto out;
    }
    if (len < raw[0]) {
        err = ERR_MORE;
        goto out;
    }
    if (raw[0] < FIXED_BYTES + SUM_BYTES || len != raw[0]) goto out;
    sum_of(raw, len - SUM_BYTES, sum);
    err = ERR_CORRUPT;
    if (sodium_memcmp(sum, raw + len - SUM_BYTES, SUM_BYTES) != 0) goto out;
    t.id = get_u32(raw + 1);
    memcpy(t.secret, raw + 5, sizeof t.secret);
    memcpy(t.ca_pin, raw + 21, sizeof t.ca_pin);
    t.expires_s = (int64_t)get_u32(raw + 37) * 60;
    err = read_seeds(raw, len - SUM_BYTES, &t);
    if (err == ERR_OK) *out = t;
out:
    sodium_memzero(raw, sizeof raw);
    sodium_memzero(&t, sizeof t);
    return err;
}

const char *token_id_format(uint32_t id, char out[TOKEN_ID_TEXT_MAX])
{
    snprintf(out, TOKEN_ID_TEXT_MAX, "tk_%08x", id);
    return out;
}

enum err token_id_parse(struct span text, uint32_t *out)
{
    uint32_t id = 0;
    if (span_starts(text, SPAN_LIT("tk_"))) text = span_skip(text, 3);
    if (text.len != 8) return ERR_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        static const char hex[] = "0123456789abcdef";
        const char *digit = text.p[i] ? strchr(hex, text.p[i]) : NULL;
        if (!digit) return ERR_INVALID;
        id = id << 4 | (uint32_t)(digit - hex);
    }
    *out = id;
    return ERR_OK;
}

void token_key(const uint8_t secret[TOKEN_SECRET_BYTES], uint8_t key[TOKEN_KEY_BYTES])
{
    static const char domain[] = "parley-join-1";
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, TOKEN_KEY_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)domain, sizeof domain);
    crypto_generichash_update(&state, secret, TOKEN_SECRET_BYTES);
    crypto_generichash_final(&state, key, TOKEN_KEY_BYTES);
    sodium_memzero(&state, sizeof state);
}

void token_mac(const uint8_t key[TOKEN_KEY_BYTES], struct span request,
               uint8_t mac[TOKEN_MAC_BYTES])
{
    static_assert(crypto_auth_KEYBYTES == TOKEN_KEY_BYTES && crypto_auth_BYTES == TOKEN_MAC_BYTES,
                  "crypto_auth's sizes");
    crypto_auth(mac, (const uint8_t *)request.p, request.len, key);
}

bool token_mac_verify(const uint8_t key[TOKEN_KEY_BYTES], struct span request,
                      const uint8_t mac[TOKEN_MAC_BYTES])
{
    return crypto_auth_verify(mac, (const uint8_t *)request.p, request.len, key) == 0;
}
