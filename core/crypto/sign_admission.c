#include "core/crypto/sign.h"

#include "core/wire/pack.h"

#define ADMISSION_DOMAIN  "parley-admission-1"
#define ADMISSION_VERSION 1u
#define ADMISSION_FIELDS  10u
#define ADMISSION_DEPTH   4u
#define ADMISSION_ITEMS   128u
/* A join refuses clocks that are 5 minutes apart; two hosts that passed differ by twice that. */
#define ADMISSION_SKEW_S INT64_C(600)

static bool owns_key(const struct sign_admission *a)
{
    struct node_id id = sign_node_id(a->public_key);
    return name_node_id_cmp(&id, &a->node) == 0;
}

enum err sign_admission_make(const struct sign_key *issuer, const struct sign_admission *a,
                             uint8_t out[ADMISSION_BYTES_MAX], size_t *len)
{
    struct pack_writer w;
    if (a->service_count > ADMISSION_SERVICES_MAX) return ERR_RANGE;
    if (a->not_before_s > a->not_after_s) return ERR_RANGE;
    if (!owns_key(a)) return ERR_MISMATCH;
    pack_writer_init(&w, out, ADMISSION_BYTES_MAX - SIGN_BYTES);
    pack_write_array(&w, ADMISSION_FIELDS);
    pack_write_u64(&w, ADMISSION_VERSION);
    pack_write_bin(&w, a->mesh.byte, MESH_ID_BYTES);
    pack_write_bin(&w, a->node.byte, NODE_ID_BYTES);
    pack_write_bin(&w, a->public_key, SIGN_PUBLIC_BYTES);
    pack_write_bin(&w, a->spki_sha256, sizeof(a->spki_sha256));
    pack_write_str(&w, span_str(a->name.text));
    pack_write_u64(&w, a->roles);
    pack_write_i64(&w, a->not_before_s);
    pack_write_i64(&w, a->not_after_s);
    pack_write_array(&w, a->service_count);
    for (uint32_t i = 0; i < a->service_count; i++)
        pack_write_str(&w, span_str(a->service[i].text));
    if (!pack_writer_ok(&w)) return ERR_TOO_LARGE;
    struct span body = pack_writer_view(&w);
    sign_make(issuer, ADMISSION_DOMAIN, body, out + body.len);
    *len = body.len + SIGN_BYTES;
    return ERR_OK;
}

static void read_name(struct pack_reader *r, struct name *out)
{
    if (name_set(out, pack_read_str(r)) != ERR_OK) pack_reader_fail(r, ERR_INVALID);
}

static void read_services(struct pack_reader *r, struct sign_admission *a)
{
    uint32_t outer;
    uint32_t count = pack_read_array(r, 0, &outer);
    if (count > ADMISSION_SERVICES_MAX) {
        pack_reader_fail(r, ERR_INVALID);
        return;
    }
    a->service_count = count;
    for (uint32_t i = 0; i < count; i++)
        read_name(r, &a->service[i]);
    pack_read_array_end(r, outer);
}

static enum err decode(struct span body, struct sign_admission *a)
{
    struct pack_reader r;
    uint32_t outer;
    enum err err = pack_reader_init(&r, body, ADMISSION_DEPTH, ADMISSION_ITEMS);
    if (err != ERR_OK) return ERR_INVALID;
    pack_read_array(&r, ADMISSION_FIELDS, &outer);
    if (pack_read_u64(&r) != ADMISSION_VERSION) pack_reader_fail(&r, ERR_INVALID);
    pack_read_bin_exact(&r, a->mesh.byte, MESH_ID_BYTES);
    pack_read_bin_exact(&r, a->node.byte, NODE_ID_BYTES);
    pack_read_bin_exact(&r, a->public_key, SIGN_PUBLIC_BYTES);
    pack_read_bin_exact(&r, a->spki_sha256, sizeof(a->spki_sha256));
    read_name(&r, &a->name);
    a->roles = (uint32_t)pack_read_u64_max(&r, UINT32_MAX);
    a->not_before_s = pack_read_i64(&r);
    a->not_after_s = pack_read_i64(&r);
    read_services(&r, a);
    pack_read_array_end(&r, outer);
    return pack_reader_err(&r) == ERR_OK ? ERR_OK : ERR_INVALID;
}

enum err sign_admission_read(struct span cert, struct sign_admission *out)
{
    struct sign_admission a = {0};
    if (cert.len <= SIGN_BYTES || cert.len > ADMISSION_BYTES_MAX) return ERR_INVALID;
    enum err err = decode(span_of(cert.p, cert.len - SIGN_BYTES), &a);
    if (err == ERR_OK) *out = a;
    return err;
}

bool sign_admission_grants(const struct sign_admission *a, const struct name *service)
{
    for (uint32_t i = 0; i < a->service_count; i++)
        if (name_eq(&a->service[i], service)) return true;
    return a->service_count == 0;
}

enum err sign_admission_open(struct span cert, const uint8_t issuer_pk[SIGN_PUBLIC_BYTES],
                             const struct mesh_id *mesh, int64_t now_s, struct sign_admission *out)
{
    struct sign_admission a = {0};
    if (cert.len <= SIGN_BYTES || cert.len > ADMISSION_BYTES_MAX) return ERR_INVALID;
    struct span body = span_of(cert.p, cert.len - SIGN_BYTES);
    /* The signature first: nothing is decoded that the issuer did not write. */
    if (!sign_verify(issuer_pk, ADMISSION_DOMAIN, body, (const uint8_t *)cert.p + body.len))
        return ERR_AUTH;
    enum err err = decode(body, &a);
    if (err != ERR_OK) return err;
    if (memcmp(a.mesh.byte, mesh->byte, MESH_ID_BYTES) != 0 || !owns_key(&a)) return ERR_MISMATCH;
    if (now_s > a.not_after_s) return ERR_EXPIRED;
    if (a.not_before_s > now_s && a.not_before_s - now_s > ADMISSION_SKEW_S)
        return ERR_NOT_YET_VALID;
    *out = a;
    return ERR_OK;
}
