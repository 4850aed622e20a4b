#include "cmd/daemon/enroll_message.h"

#include "core/base/check.h"
#include "core/wire/pack.h"

#include <string.h>

#define VERSION     1u
#define ITEMS_MAX   1024u
#define DEPTH_MAX   4u
#define PROOF_BYTES 64u
#define PROOF_LEAF  "parley-proof-leaf-1"
#define PROOF_NODE  "parley-proof-node-1"

static struct span written(const struct pack_writer *w)
{
    return span_of(w->p, w->len);
}

static void write_addr(struct pack_writer *w, const struct addr *a)
{
    pack_write_bin(w, a->ip, a->family == ADDR_IP6 ? 16 : 4);
    pack_write_u64(w, a->port);
}

static void read_addr(struct pack_reader *r, struct addr *a)
{
    struct span ip = pack_read_bin(r);
    *a = (struct addr){.family = ip.len == 16 ? ADDR_IP6 : ADDR_IP4};
    if (ip.len == 4 || ip.len == 16)
        memcpy(a->ip, ip.p, ip.len);
    else
        pack_reader_fail(r, ERR_INVALID);
    a->port = (uint16_t)pack_read_u64_max(r, UINT16_MAX);
}

static void read_name(struct pack_reader *r, struct name *n)
{
    enum err err = name_set(n, pack_read_str(r));
    if (err != ERR_OK) pack_reader_fail(r, err);
}

/* Opens a message: its array and its version. */
static enum err open_message(struct pack_reader *r, struct span doc, uint32_t items,
                             uint32_t *outer)
{
    enum err err = pack_reader_init(r, doc, DEPTH_MAX, ITEMS_MAX);
    if (err != ERR_OK) return err;
    pack_read_array(r, items, outer);
    if (pack_read_u64(r) != VERSION) pack_reader_fail(r, ERR_UNSUPPORTED);
    return pack_reader_err(r);
}

static enum err finish(const struct pack_writer *w, size_t *len)
{
    if (!pack_writer_ok(w)) return ERR_TOO_LARGE;
    *len = w->len;
    return ERR_OK;
}

enum err enroll_message_request(const struct enroll_request *q, const struct enroll_proofs *by,
                                uint8_t *out, size_t cap, size_t *len)
{
    struct pack_writer w;
    uint8_t proof[PROOF_BYTES], sig[SIGN_BYTES];
    if (cap < TOKEN_MAC_BYTES) return ERR_TOO_LARGE;
    pack_writer_init(&w, out, cap - TOKEN_MAC_BYTES);
    pack_write_array(&w, 10);
    pack_write_u64(&w, VERSION);
    pack_write_u64(&w, q->token_id);
    pack_write_str(&w, span_str(q->node.text));
    write_addr(&w, &q->addr);
    pack_write_bin(&w, q->public_key, sizeof q->public_key);
    pack_write_bin(&w, q->sign_public, sizeof q->sign_public);
    pack_write_i64(&w, q->wall_s);
    if (!pack_writer_ok(&w)) return ERR_TOO_LARGE;
    x509_mint_prove(by->secret, PROOF_LEAF, written(&w), proof);
    pack_write_bin(&w, proof, sizeof proof);
    if (!pack_writer_ok(&w)) return ERR_TOO_LARGE;
    sign_make(by->key, PROOF_NODE, written(&w), sig);
    pack_write_bin(&w, sig, sizeof sig);
    enum err err = finish(&w, len);
    if (err != ERR_OK) return err;
    token_mac(by->token, span_of(out, *len), out + *len);
    *len += TOKEN_MAC_BYTES;
    return ERR_OK;
}

enum err enroll_message_request_read(struct span frame, struct enroll_request *q, struct span *body,
                                     const uint8_t **mac)
{
    struct pack_reader r;
    uint8_t proof[PROOF_BYTES], sig[SIGN_BYTES];
    uint32_t outer;
    if (frame.len < TOKEN_MAC_BYTES) return ERR_INVALID;
    *body = span_of(frame.p, frame.len - TOKEN_MAC_BYTES);
    *mac = (const uint8_t *)frame.p + body->len;
    enum err err = open_message(&r, *body, 10, &outer);
    if (err != ERR_OK) return err;
    q->token_id = (uint32_t)pack_read_u64_max(&r, UINT32_MAX);
    read_name(&r, &q->node);
    read_addr(&r, &q->addr);
    pack_read_bin_exact(&r, q->public_key, sizeof q->public_key);
    pack_read_bin_exact(&r, q->sign_public, sizeof q->sign_public);
    q->wall_s = pack_read_i64(&r);
    struct span before_proof = span_of(body->p, body->len - r.rest.len);
    pack_read_bin_exact(&r, proof, sizeof proof);
    struct span before_sig = span_of(body->p, body->len - r.rest.len);
    pack_read_bin_exact(&r, sig, sizeof sig);
    pack_read_array_end(&r, outer);
    if (pack_reader_err(&r) != ERR_OK) return pack_reader_err(&r);
    if (!x509_mint_prove_verify(q->public_key, PROOF_LEAF, before_proof, proof)) return ERR_AUTH;
    return sign_verify(q->sign_public, PROOF_NODE, before_sig, sig) ? ERR_OK : ERR_AUTH;
}

static enum err write_refusal(struct pack_writer *w, struct span word, struct span text,
                              size_t *len)
{
    pack_write_array(w, 3);
    pack_write_u64(w, VERSION);
    pack_write_str(w, word);
    pack_write_str(w, text);
    return finish(w, len);
}

static void write_bins(struct pack_writer *w, const struct span *list, size_t count)
{
    pack_write_array(w, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_write_bin(w, list[i].p, list[i].len);
}

static size_t read_bins(struct pack_reader *r, struct span *list, size_t max)
{
    uint32_t outer, count = pack_read_array(r, 0, &outer);
    if (count > max) {
        pack_reader_fail(r, ERR_TOO_LARGE);
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++)
        list[i] = pack_read_bin(r);
    pack_read_array_end(r, outer);
    return count;
}

enum err enroll_message_reply(const struct enroll_reply *a, uint8_t *out, size_t cap, size_t *len)
{
    struct pack_writer w;
    pack_writer_init(&w, out, cap);
    if (a->word.len > 0) return write_refusal(&w, a->word, a->text, len);
    pack_write_array(&w, 12);
    pack_write_u64(&w, VERSION);
    pack_write_str(&w, SPAN_LIT(""));
    pack_write_str(&w, span_str(a->mesh.text));
    pack_write_bin(&w, a->mesh_id.byte, sizeof a->mesh_id.byte);
    pack_write_bin(&w, a->issuer_public, sizeof a->issuer_public);
    write_bins(&w, a->ca, a->ca_count);
    pack_write_bin(&w, a->leaf.p, a->leaf.len);
    pack_write_bin(&w, a->admission.p, a->admission.len);
    write_bins(&w, a->group_key, a->group_key_count);
    pack_write_array(&w, (uint32_t)a->peer_count);
    for (size_t i = 0; i < a->peer_count; i++) {
        pack_write_array(&w, 2);
        write_addr(&w, &a->peer[i]);
    }
    pack_write_bin(&w, a->ca_secret.p, a->ca_secret.len);
    pack_write_bin(&w, a->issuer_seed.p, a->issuer_seed.len);
    return finish(&w, len);
}

static void read_peers(struct pack_reader *r, struct enroll_reply *a)
{
    uint32_t outer, count = pack_read_array(r, 0, &outer);
    if (count > ENROLL_PEERS_MAX) {
        pack_reader_fail(r, ERR_TOO_LARGE);
        count = 0;
    }
    for (; a->peer_count < count; a->peer_count++) {
        uint32_t inner;
        pack_read_array(r, 2, &inner);
        read_addr(r, &a->peer[a->peer_count]);
        pack_read_array_end(r, inner);
    }
    pack_read_array_end(r, outer);
}

static bool secret_shaped(struct span s, size_t len)
{
    return s.len == 0 || s.len == len;
}

enum err enroll_message_reply_read(struct span frame, struct enroll_reply *a)
{
    struct pack_reader r;
    uint32_t outer;
    *a = (struct enroll_reply){0};
    enum err err = open_message(&r, frame, 3, &outer);
    if (err != ERR_OK) return err;
    a->word = pack_read_str(&r);
    if (a->word.len > 0) {
        a->text = pack_read_str(&r);
        pack_read_array_end(&r, outer);
        return pack_reader_err(&r);
    }
    read_name(&r, &a->mesh);
    pack_read_bin_exact(&r, a->mesh_id.byte, sizeof a->mesh_id.byte);
    pack_read_bin_exact(&r, a->issuer_public, sizeof a->issuer_public);
    a->ca_count = read_bins(&r, a->ca, TRUST_ANCHORS_MAX);
    a->leaf = pack_read_bin(&r);
    a->admission = pack_read_bin(&r);
    a->group_key_count = read_bins(&r, a->group_key, SEAL_KEYS_MAX);
    read_peers(&r, a);
    a->ca_secret = pack_read_bin(&r);
    a->issuer_seed = pack_read_bin(&r);
    pack_read_array_end(&r, outer);
    if (pack_reader_err(&r) != ERR_OK) return pack_reader_err(&r);
    for (size_t i = 0; i < a->group_key_count; i++)
        if (a->group_key[i].len != SEAL_KEY_BYTES) return ERR_INVALID;
    if (a->ca_count == 0 || a->group_key_count == 0) return ERR_INVALID;
    return secret_shaped(a->ca_secret, P256_SECRET_BYTES) &&
                   secret_shaped(a->issuer_seed, SIGN_SEED_BYTES)
               ? ERR_OK
               : ERR_INVALID;
}

enum err enroll_message_issue(const struct enroll_issue *q, const uint8_t *const *secret,
                              uint8_t *out, size_t cap, size_t *len)
{
    struct pack_writer w;
    pack_writer_init(&w, out, cap);
    pack_write_array(&w, 3);
    pack_write_u64(&w, VERSION);
    pack_write_bin(&w, q->admission.p, q->admission.len);
    pack_write_array(&w, (uint32_t)q->count);
    for (size_t i = 0; i < q->count; i++) {
        char uri[SPIFFE_ID_BYTES_MAX + 1];
        uint8_t proof[PROOF_BYTES];
        size_t uri_len = name_spiffe_format(&q->leaf[i].id, uri);
        x509_mint_prove(secret[i], PROOF_LEAF, span_of(uri, uri_len), proof);
        pack_write_array(&w, 3);
        pack_write_str(&w, span_of(uri, uri_len));
        pack_write_bin(&w, q->leaf[i].public_key, P256_PUBLIC_BYTES);
        pack_write_bin(&w, proof, sizeof proof);
    }
    return finish(&w, len);
}

static enum err read_leaf(struct pack_reader *r, struct enroll_leaf *leaf)
{
    uint8_t proof[PROOF_BYTES];
    uint32_t inner;
    pack_read_array(r, 3, &inner);
    struct span uri = pack_read_str(r);
    pack_read_bin_exact(r, leaf->public_key, sizeof leaf->public_key);
    pack_read_bin_exact(r, proof, sizeof proof);
    pack_read_array_end(r, inner);
    if (pack_reader_err(r) != ERR_OK) return pack_reader_err(r);
    enum err err = name_spiffe_parse(uri, &leaf->id);
    if (err != ERR_OK) return err;
    return x509_mint_prove_verify(leaf->public_key, PROOF_LEAF, uri, proof) ? ERR_OK : ERR_AUTH;
}

enum err enroll_message_issue_read(struct span request, struct enroll_issue *q)
{
    struct pack_reader r;
    uint32_t outer, list;
    enum err err = open_message(&r, request, 3, &outer);
    if (err != ERR_OK) return err;
    q->admission = pack_read_bin(&r);
    q->count = pack_read_array(&r, 1, &list);
    if (pack_reader_err(&r) != ERR_OK) return pack_reader_err(&r);
    if (q->count > ENROLL_LEAVES_MAX) return ERR_TOO_LARGE;
    for (size_t i = 0; i < q->count; i++) {
        err = read_leaf(&r, &q->leaf[i]);
        if (err != ERR_OK) return err;
    }
    pack_read_array_end(&r, list);
    pack_read_array_end(&r, outer);
    return pack_reader_err(&r);
}

enum err enroll_message_issued(const struct enroll_issued *a, uint8_t *out, size_t cap, size_t *len)
{
    struct pack_writer w;
    pack_writer_init(&w, out, cap);
    if (a->word.len > 0) return write_refusal(&w, a->word, a->text, len);
    pack_write_array(&w, 4);
    pack_write_u64(&w, VERSION);
    pack_write_str(&w, SPAN_LIT(""));
    write_bins(&w, a->leaf, a->count);
    pack_write_bin(&w, a->admission.p, a->admission.len);
    return finish(&w, len);
}

enum err enroll_message_issued_read(struct span reply, struct enroll_issued *a)
{
    struct pack_reader r;
    uint32_t outer;
    *a = (struct enroll_issued){0};
    enum err err = open_message(&r, reply, 3, &outer);
    if (err != ERR_OK) return err;
    a->word = pack_read_str(&r);
    if (a->word.len > 0) {
        a->text = pack_read_str(&r);
    } else {
        a->count = read_bins(&r, a->leaf, ENROLL_LEAVES_MAX);
        a->admission = pack_read_bin(&r);
    }
    pack_read_array_end(&r, outer);
    return pack_reader_err(&r);
}
