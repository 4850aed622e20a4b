/* Any bytes as a manifest, a confirmation and a status. What is accepted keeps its promises and
 * comes back the same when it is encoded and read again. */
#include "core/base/check.h"
#include "core/wire/pack_manifest.h"
#include "gossip/status.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_manifest(struct span in)
{
    struct manifest *m = malloc(2 * sizeof(*m));
    uint8_t body[PACK_MANIFEST_BODY_MAX], wire[MANIFEST_BYTES_MAX];
    struct pack_manifest_parts parts;
    size_t body_len, len;
    CHECK(m != NULL);
    if (pack_manifest_decode(in, &m[0]) == ERR_OK) {
        CHECK(m[0].gen > 0 && (m[0].gen == 1) == manifest_hash_is_zero(&m[0].parent));
        CHECK(m[0].signer_count >= 1 && m[0].signer_count <= MANIFEST_SIGNERS_MAX);
        CHECK(m[0].text_count <= MANIFEST_TEXTS_MAX);
        CHECK(m[0].operator_count <= MANIFEST_OPERATORS_MAX && m[0].key_count <= MANIFEST_KEYS_MAX);
        CHECK(pack_manifest_split(in, &parts) == ERR_OK);
        CHECK(pack_manifest_body(&m[0], body, sizeof(body), &body_len) == ERR_OK);
        CHECK(pack_manifest_join(span_of(body, body_len), parts.signature, parts.signature_count,
                                 wire, sizeof(wire), &len) == ERR_OK);
        CHECK(pack_manifest_decode(span_of(wire, len), &m[1]) == ERR_OK);
        CHECK(memcmp(&m[0], &m[1], sizeof(m[0])) == 0);
    }
    free(m);
}

static void try_confirm(struct span in)
{
    struct manifest_confirm c;
    uint8_t text[PACK_MANIFEST_CONFIRM_TEXT];
    if (pack_manifest_confirm_decode(in, &c) != ERR_OK) return;
    pack_manifest_confirm_text(&c, text);
    CHECK(memcmp(text, in.p, sizeof(text)) == 0);
}

static void try_status(struct span in)
{
    struct span driver, status;
    struct status s[2];
    uint8_t *body = malloc(in.len + 2 * STATUS_BYTES_MAX);
    size_t len;
    CHECK(body != NULL);
    if (status_open(in, &driver, &status) == ERR_OK && status_decode(status, &s[0]) == ERR_OK) {
        CHECK(s[0].state < STATUS_STATES && s[0].key_count <= STATUS_KEYS_MAX);
        bool says = s[0].policy_gen != 0 || s[0].root_gen != 0 || s[0].key_count != 0;
        CHECK(status_seal(driver, &s[0], body, in.len + 2 * STATUS_BYTES_MAX, &len) == ERR_OK);
        CHECK(status_open(span_of(body, len), &driver, &status) == ERR_OK);
        CHECK(status_decode(status, &s[1]) == ERR_OK);
        CHECK(!says || memcmp(&s[0], &s[1], sizeof(s[0])) == 0);
    }
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    try_manifest(in);
    try_confirm(in);
    try_status(in);
    return 0;
}
