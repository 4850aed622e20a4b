#include "core/crypto/tls_record.h"

#include "core/base/check.h"

#include <string.h>

#define GCM_NONCE_BYTES 8u

void tls_record_take_keys(struct tls_record_keys *k, const br_ssl_engine_context *eng)
{
    bool gcm = eng->out.vtable == (const br_sslrec_out_class *)&br_sslrec_out_gcm_vtable;
    CHECK(gcm || eng->out.vtable == (const br_sslrec_out_class *)&br_sslrec_out_chapol_vtable);
    memset(k, 0, sizeof(*k));
    if (gcm) {
        k->in.gcm = eng->in.gcm;
        k->out.gcm = eng->out.gcm;
    } else {
        k->in.chapol = eng->in.chapol;
        k->out.chapol = eng->out.chapol;
    }
    k->head_bytes = TLS_RECORD_HEADER_BYTES + (gcm ? GCM_NONCE_BYTES : 0);
}

bool tls_record_worn(const struct tls_record_keys *k)
{
    bool gcm = k->head_bytes == TLS_RECORD_HEAD_MAX;
    return gcm && (k->in.gcm.seq >= TLS_RECORD_WORN || k->out.gcm.seq >= TLS_RECORD_WORN);
}

size_t tls_record_seal(struct tls_record_keys *k, enum tls_content type, uint8_t *record,
                       size_t len)
{
    CHECK(len <= TLS_RECORD_PLAIN_MAX);
    uint8_t *start =
        k->out.vtable->encrypt(&k->out.vtable, (int)type, BR_TLS12, record + k->head_bytes, &len);
    CHECK(start == record);
    return len;
}

size_t tls_record_bytes(const struct tls_record_keys *k,
                        const uint8_t header[TLS_RECORD_HEADER_BYTES])
{
    size_t len = (size_t)header[3] << 8 | header[4];
    bool known = header[0] >= TLS_CHANGE_CIPHER_SPEC && header[0] <= TLS_DATA;
    if (!known || header[1] != BR_TLS12 >> 8 || header[2] != (BR_TLS12 & 0xff)) return 0;
    if (!k->in.vtable->check_length(&k->in.vtable, len)) return 0;
    return TLS_RECORD_HEADER_BYTES + len;
}

bool tls_record_open(struct tls_record_keys *k, uint8_t *record, struct span *content)
{
    size_t len = (size_t)record[3] << 8 | record[4];
    const uint8_t *p = k->in.vtable->decrypt(&k->in.vtable, record[0], BR_TLS12,
                                             record + TLS_RECORD_HEADER_BYTES, &len);
    if (p == NULL) return false;
    *content = span_of(p, len);
    return true;
}
