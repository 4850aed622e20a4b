#include "core/wire/pack_manifest.h"

#include "core/crypto/sign_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct mesh_id mesh = {{4, 2}}, other_mesh = {{4, 3}};

struct fixture {
    struct sign_key *key[2];
    struct manifest policy, root, out;
    uint8_t wire[MANIFEST_BYTES_MAX];
    size_t len;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    uint8_t seed[SIGN_SEED_BYTES];
    if (f == NULL) return -1;
    *state = f;
    memset(seed, 1, sizeof(seed));
    assert_int_equal(sign_key_new(seed, &f->key[0]), ERR_OK);
    memset(seed, 2, sizeof(seed));
    assert_int_equal(sign_key_new(seed, &f->key[1]), ERR_OK);
    f->policy = (struct manifest){.scope = MANIFEST_POLICY,
                                  .gen = 7,
                                  .parent = {{1, 2, 3}},
                                  .hlc = UINT64_C(1767225600000) << 16 | 5,
                                  .root_gen = 2,
                                  .author = {"ada"},
                                  .signer_count = 1,
                                  .signer = {sign_manifest_key_id(sign_key_public(f->key[0]))},
                                  .message = "allow w\xc3\xa9"
                                             "b to api",
                                  .confirm_within_ms = 60000,
                                  .plan = manifest_plan_default(),
                                  .text_count = 1};
    f->policy.text[0] = (struct manifest_text){.name = {"authz"}, .hash = {{9}}, .bytes = 40};
    f->root = f->policy;
    f->root.scope = MANIFEST_ROOT;
    f->root.plan = (struct manifest_plan){0};
    f->root.text_count = 0;
    f->root.text[0] = (struct manifest_text){0};
    f->root.operator_count = 2;
    f->root.op[0] = (struct manifest_operator){.name = {"ada"}, .role = MANIFEST_ROLE_ADMIN};
    f->root.op[1] = (struct manifest_operator){.name = {"bob"}, .public_key = {4}};
    f->root.key_count = 1;
    f->root.key[0] =
        (struct manifest_key){.id = {1, 2, 3, 4}, .hash = {{5}}, .stage = MANIFEST_KEY_USE};
    f->root.pinned = (struct manifest_ref){.gen = 3, .hash = {{7}}};
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sign_key_free(f->key[0]);
    sign_key_free(f->key[1]);
    free(f);
    return 0;
}

static enum err make(struct fixture *f, const struct manifest *m)
{
    const struct sign_key *keys[2] = {f->key[0], f->key[1]};
    return sign_manifest_make(&mesh, m, keys, f->wire, &f->len);
}

static struct span wire(const struct fixture *f)
{
    return span_of(f->wire, f->len);
}

static void test_policy_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(make(f, &f->policy), ERR_OK);
    assert_int_equal(pack_manifest_decode(wire(f), &f->out), ERR_OK);
    assert_memory_equal(&f->out, &f->policy, sizeof(f->out));
}

static void test_root_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(make(f, &f->root), ERR_OK);
    assert_int_equal(pack_manifest_decode(wire(f), &f->out), ERR_OK);
    assert_memory_equal(&f->out, &f->root, sizeof(f->out));
}

/* The bytes are a contract: hashes and signatures of stored generations depend on each of them. */
static void test_golden_bytes(void **state)
{
    struct fixture *f = *state;
    static const char golden[] =
        "9b0107c4200102030000000000000000000000000000000000000000000000000000000000cf019b76daa800"
        "000502a361646191c410c5e21ab1c9f6022d81c3b25e3436cb7fb1616c6c6f772077c3a96220746f20617069"
        "cdea6095009200cd2710cc9600cd2710919193a5617574687ac4200900000000000000000000000000000000"
        "000000000000000000000000000000"
        "28";
    uint8_t body[PACK_MANIFEST_BODY_MAX];
    char hex[2 * PACK_MANIFEST_BODY_MAX + 1];
    size_t len;
    assert_int_equal(pack_manifest_body(&f->policy, body, sizeof(body), &len), ERR_OK);
    for (size_t i = 0; i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", body[i]);
    assert_string_equal(hex, golden);
}

static bool holds(const uint8_t *pk, const char *domain, const struct mesh_id *of, struct span part,
                  const uint8_t *signature)
{
    uint8_t storage[SIGN_MANIFEST_TEXT_MAX];
    return sign_verify(pk, domain, sign_manifest_text(of, part, storage), signature);
}

static void test_signature_covers_the_mesh_and_every_byte_of_the_body(void **state)
{
    struct fixture *f = *state;
    struct pack_manifest_parts parts;
    const uint8_t *pk = sign_key_public(f->key[0]);
    assert_int_equal(make(f, &f->policy), ERR_OK);
    assert_int_equal(pack_manifest_split(wire(f), &parts), ERR_OK);
    assert_true(holds(pk, SIGN_MANIFEST_DOMAIN, &mesh, parts.body, parts.signature));
    assert_false(holds(pk, SIGN_MANIFEST_DOMAIN, &other_mesh, parts.body, parts.signature));
    assert_false(sign_verify(pk, SIGN_MANIFEST_DOMAIN, parts.body, parts.signature));
    size_t heading = f->len - parts.body.len;
    for (size_t i = heading; i < f->len; i++) {
        f->wire[i] ^= 1;
        assert_false(holds(pk, SIGN_MANIFEST_DOMAIN, &mesh, parts.body, parts.signature));
        f->wire[i] ^= 1;
    }
}

static void test_every_prefix_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(make(f, &f->policy), ERR_OK);
    for (size_t len = 0; len < f->len; len++)
        assert_int_not_equal(pack_manifest_decode(span_of(f->wire, len), &f->out), ERR_OK);
    f->wire[f->len] = 0;
    assert_int_not_equal(pack_manifest_decode(span_of(f->wire, f->len + 1), &f->out), ERR_OK);
}

static void test_signers_and_signatures_must_be_as_many(void **state)
{
    struct fixture *f = *state;
    struct pack_manifest_parts parts;
    uint8_t twice[2 * SIGN_BYTES], out[MANIFEST_BYTES_MAX];
    size_t len;
    assert_int_equal(make(f, &f->policy), ERR_OK);
    assert_int_equal(pack_manifest_split(wire(f), &parts), ERR_OK);
    memcpy(twice, parts.signature, SIGN_BYTES);
    memcpy(twice + SIGN_BYTES, parts.signature, SIGN_BYTES);
    assert_int_equal(pack_manifest_join(parts.body, twice, 2, out, sizeof(out), &len), ERR_OK);
    assert_int_equal(pack_manifest_decode(span_of(out, len), &f->out), ERR_INVALID);
}

static void test_immediate_needs_two_different_signers(void **state)
{
    struct fixture *f = *state;
    f->policy.plan = (struct manifest_plan){.immediate = true};
    assert_int_equal(make(f, &f->policy), ERR_INVALID);
    f->policy.signer_count = 2;
    f->policy.signer[1] = f->policy.signer[0];
    assert_int_equal(make(f, &f->policy), ERR_INVALID);
    f->policy.signer[1] = sign_manifest_key_id(sign_key_public(f->key[1]));
    assert_int_equal(make(f, &f->policy), ERR_OK);
    assert_int_equal(pack_manifest_decode(wire(f), &f->out), ERR_OK);
    assert_true(f->out.plan.immediate);
}

static void test_a_key_that_is_no_signer_signs_nothing(void **state)
{
    struct fixture *f = *state;
    f->policy.signer[0].byte[0] ^= 1;
    assert_int_equal(make(f, &f->policy), ERR_MISMATCH);
}

static void expect_invalid(struct fixture *f, const struct manifest *m)
{
    size_t len;
    assert_int_equal(pack_manifest_body(m, f->wire, sizeof(f->wire), &len), ERR_INVALID);
}

static void test_what_breaks_a_rule_is_not_encoded(void **state)
{
    struct fixture *f = *state;
    struct manifest m = f->policy;
    m.gen = 0;
    expect_invalid(f, &m);
    m = f->policy;
    m.gen = 1; /* with a parent */
    expect_invalid(f, &m);
    m = f->policy;
    m.plan.wave[1] = MANIFEST_WHOLE - 1; /* somebody is in no wave */
    expect_invalid(f, &m);
    m = f->policy;
    m.text_count = 2;
    m.text[1] = m.text[0];
    expect_invalid(f, &m);
    m = f->policy;
    memcpy(m.message, "a\x1b[2J", 6);
    expect_invalid(f, &m);
    m = f->root;
    m.op[1].name = m.op[0].name;
    expect_invalid(f, &m);
    m = f->root;
    m.pinned.gen = 0;
    expect_invalid(f, &m);
}

static void test_largest_manifests_fit(void **state)
{
    struct fixture *f = *state;
    struct manifest *m = &f->root;
    memset(m->message, 'm', MANIFEST_MESSAGE_BYTES_MAX);
    m->operator_count = MANIFEST_OPERATORS_MAX;
    for (uint32_t i = 0; i < MANIFEST_OPERATORS_MAX; i++) {
        memset(m->op[i].name.text, 'o', NAME_BYTES_MAX);
        m->op[i].name.text[0] = (char)('a' + i % 26);
        m->op[i].name.text[1] = (char)('a' + i / 26);
        m->op[i].public_key[0] = (uint8_t)(i + 1);
    }
    assert_int_equal(make(f, m), ERR_OK);
    m = &f->policy;
    m->text_count = MANIFEST_TEXTS_MAX;
    for (uint32_t i = 0; i < MANIFEST_TEXTS_MAX; i++) {
        memset(m->text[i].name.text, 't', NAME_BYTES_MAX);
        m->text[i].name.text[0] = (char)('a' + i);
        m->text[i].bytes = MANIFEST_TEXT_BYTES_MAX;
    }
    assert_int_equal(make(f, m), ERR_OK);
}

static void test_confirmation_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct manifest_confirm c = {
        .scope = MANIFEST_POLICY, .ref = {.gen = 7, .hash = {{8}}}, .hlc = 1234567};
    struct manifest_confirm out = {0};
    uint8_t bytes[PACK_MANIFEST_CONFIRM_BYTES + 1] = {0};
    sign_manifest_confirm(&mesh, f->key[0], &c, bytes);
    struct span text = span_of(bytes, PACK_MANIFEST_CONFIRM_BYTES);
    assert_int_equal(pack_manifest_confirm_decode(text, &out), ERR_OK);
    assert_memory_equal(&out, &c, sizeof(c));
    const uint8_t *pk = sign_key_public(f->key[0]), *signature = bytes + PACK_MANIFEST_CONFIRM_TEXT;
    struct span part = span_of(bytes, PACK_MANIFEST_CONFIRM_TEXT);
    assert_true(holds(pk, SIGN_MANIFEST_CONFIRM_DOMAIN, &mesh, part, signature));
    assert_false(holds(pk, SIGN_MANIFEST_CONFIRM_DOMAIN, &other_mesh, part, signature));
    assert_int_equal(pack_manifest_confirm_decode(span_of(bytes, sizeof(bytes)), &out),
                     ERR_INVALID);
    bytes[0] = 2;
    assert_int_equal(pack_manifest_confirm_decode(text, &out), ERR_UNSUPPORTED);
    bytes[0] = 1;
    bytes[1] = MANIFEST_SCOPES;
    assert_int_equal(pack_manifest_confirm_decode(text, &out), ERR_INVALID);
}

#define FACT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FACT(test_policy_comes_back_as_it_was),
        FACT(test_root_comes_back_as_it_was),
        FACT(test_golden_bytes),
        FACT(test_signature_covers_the_mesh_and_every_byte_of_the_body),
        FACT(test_every_prefix_is_refused),
        FACT(test_signers_and_signatures_must_be_as_many),
        FACT(test_immediate_needs_two_different_signers),
        FACT(test_a_key_that_is_no_signer_signs_nothing),
        FACT(test_what_breaks_a_rule_is_not_encoded),
        FACT(test_largest_manifests_fit),
        FACT(test_confirmation_comes_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
