/* Any bytes as a certificate. What passes names itself by valid names, and passes again; a leaf is
 * never also a CA. */
#include "core/base/check.h"
#include "core/crypto/x509_check.h"
#include "core/crypto/x509_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct span part, struct span whole)
{
    return part.p >= whole.p && part.p + part.len <= whole.p + whole.len;
}

static void check_parts(struct span der)
{
    struct x509_cert c;
    if (x509_parse_cert(der, &c) != X509_OK) return;
    CHECK(inside(c.tbs, der) && inside(c.issuer, c.tbs) && inside(c.subject, c.tbs));
    CHECK(inside(c.spki, c.tbs) && inside(c.public_key, c.spki) && inside(c.sig, der));
    CHECK(c.public_key.len == P256_PUBLIC_BYTES && c.not_before_s <= c.not_after_s);
    CHECK(c.uri_count == 0 || inside(c.uri, c.tbs));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span der = span_of(data, size);
    struct x509_leaf leaf, again;
    struct name mesh;
    check_parts(der);
    bool is_leaf = x509_check_leaf(der, NULL, X509_SERVER, &leaf) == X509_OK;
    if (is_leaf) {
        char uri[SPIFFE_ID_BYTES_MAX + 1];
        CHECK(name_valid(span_str(leaf.id.mesh.text)) && name_valid(span_str(leaf.id.name.text)));
        CHECK(name_spiffe_format(&leaf.id, uri) <= SPIFFE_ID_BYTES_MAX);
        CHECK(x509_check_leaf(der, &leaf.id.mesh, X509_SERVER, &again) == X509_OK);
        CHECK(name_spiffe_eq(&leaf.id, &again.id));
    }
    if (x509_check_ca(der, &mesh, &again) == X509_OK) {
        CHECK(!is_leaf);
        CHECK(name_valid(span_str(mesh.text)));
    }
    return 0;
}
