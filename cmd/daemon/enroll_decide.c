#include "cmd/daemon/enroll_decide.h"

#include "cmd/daemon/enroll.h"
#include "core/base/check.h"

#include <sodium.h>
#include <string.h>

static bool refuse(struct enroll_reply *reply, struct span word, struct span text)
{
    *reply = (struct enroll_reply){.word = word, .text = text};
    return false;
}
#define REFUSE(reply, word, text) refuse((reply), SPAN_LIT(word), SPAN_LIT(text))

/* A live member with that name and another key keeps it; a dead or left one may be replaced
 * (security.md N08). */
static bool name_taken(const struct gossip *g, const struct name *name, const struct node_id *id)
{
    struct gossip_member m;
    size_t pos = 0;
    while (g && gossip_member_next(g, &pos, &m)) {
        bool gone = m.state == MEMBER_DEAD || m.state == MEMBER_LEFT || m.state == MEMBER_BANNED;
        if (!gone && name_eq(&m.name, name) && name_node_id_cmp(&m.id, id) != 0) return true;
    }
    return false;
}

static bool just_given(const struct enroll_recent *r, const struct name *name, int64_t now_s)
{
    for (size_t i = 0; i < ENROLL_RECENT_MAX; i++)
        if (r->row[i].until_s > now_s && name_eq(&r->row[i].name, name)) return true;
    return false;
}

static void note_given(struct enroll_recent *r, const struct name *name, int64_t now_s)
{
    size_t oldest = 0;
    for (size_t i = 1; i < ENROLL_RECENT_MAX; i++)
        if (r->row[i].until_s < r->row[oldest].until_s) oldest = i;
    r->row[oldest].name = *name;
    r->row[oldest].until_s = now_s + ENROLL_RECENT_S;
}

static bool addr_allowed(const struct addr *a, const struct addr *ours)
{
    if (a->port == 0 || addr_is_forbidden(a)) return false;
    return !addr_is_loopback(a) || addr_is_loopback(ours);
}

static bool check_token(const struct enroll_world *w, const struct enroll_request *q,
                        struct span body, const uint8_t *mac, struct enroll_reply *reply,
                        const struct token_entry **out)
{
    const struct token_entry *t = token_book_find(w->book, q->token_id);
    if (!t)
        return REFUSE(reply, "token_unknown",
                      "the token was used, revoked or never issued here; make a new one: parley "
                      "token create");
    if (!token_mac_verify(t->key, body, mac))
        return REFUSE(reply, "token_wrong", "the token's secret is not the one issued");
    if (t->expires_s <= w->now_s)
        return REFUSE(reply, "token_expired",
                      "the token has expired; make a new one: parley token create");
    if (!name_glob(span_str(t->glob), span_str(q->node.text)))
        return REFUSE(reply, "name_not_allowed", "the token is for nodes of another name");
    *out = t;
    return true;
}

static void add_peers(const struct enroll_world *w, struct enroll_reply *reply)
{
    struct gossip_member m;
    size_t pos = 0;
    reply->peer[reply->peer_count++] = w->addr;
    while (w->gossip && reply->peer_count < ENROLL_PEERS_MAX &&
           gossip_member_next(w->gossip, &pos, &m))
        if (!m.self && m.state == MEMBER_ALIVE) reply->peer[reply->peer_count++] = m.addr;
}

static bool grant(const struct enroll_world *w, const struct enroll_request *q,
                  const struct token_entry *t, struct enroll_reply *reply,
                  struct enroll_scratch *scratch)
{
    struct spiffe_id id = {.mesh = w->mesh, .name = q->node, .kind = IDENTITY_NODE};
    struct sign_admission a = {
        .mesh = w->mesh_id, .name = q->node, .roles = t->roles, .service_count = t->service_count};
    size_t admission_len;
    bool signer = t->roles & ADMISSION_ROLE_SIGNER;
    memcpy(a.service, t->service, sizeof a.service);
    memcpy(a.public_key, q->sign_public, sizeof a.public_key);
    if (signer_leaf(w->signer, &id, q->public_key, w->now_s, &scratch->leaf) != ERR_OK ||
        signer_admission(w->signer, &a, span_of(scratch->leaf.data, scratch->leaf.len), w->now_s,
                         scratch->admission, &admission_len) != ERR_OK)
        return REFUSE(reply, "bad_key", "the public keys are not valid");
    /* The book may move its entries: `t` is not used after this. */
    if (token_book_take(w->book, q->token_id, w->now_s) != ERR_OK)
        return REFUSE(reply, "store_failed", "the issuer could not store that the token is used");
    *reply = (struct enroll_reply){.mesh = w->mesh,
                                   .mesh_id = w->mesh_id,
                                   .ca = {signer_ca_der(w->signer)},
                                   .ca_count = 1,
                                   .leaf = span_of(scratch->leaf.data, scratch->leaf.len),
                                   .admission = span_of(scratch->admission, admission_len)};
    memcpy(reply->issuer_public, signer_issuer_public(w->signer), sizeof reply->issuer_public);
    for (size_t i = 0; i < SEAL_KEYS_MAX; i++) {
        uint32_t key_id;
        const uint8_t *key = seal_ring_key(w->ring, i, &key_id);
        if (key) reply->group_key[reply->group_key_count++] = span_of(key, SEAL_KEY_BYTES);
    }
    add_peers(w, reply);
    if (signer) {
        reply->ca_secret = span_of(signer_ca_secret(w->signer), P256_SECRET_BYTES);
        reply->issuer_seed = span_of(signer_issuer_seed(w->signer), SIGN_SEED_BYTES);
    }
    return true;
}

bool enroll_decide_join(const struct enroll_world *w, struct span frame, struct enroll_request *q,
                        struct enroll_reply *reply, struct enroll_scratch *scratch)
{
    struct span body;
    const uint8_t *mac;
    const struct token_entry *t = NULL;
    if (!w->signer) return REFUSE(reply, "not_signer", "this host does not hold the CA key");
    enum err err = enroll_message_request_read(frame, q, &body, &mac);
    if (err == ERR_UNSUPPORTED)
        return REFUSE(reply, "version", "the issuer speaks an older version of the join protocol");
    if (err != ERR_OK) return REFUSE(reply, "bad_request", "the request is malformed");
    if (!check_token(w, q, body, mac, reply, &t)) return false;
    if (q->wall_s > w->now_s + ENROLL_SKEW_S_MAX || q->wall_s < w->now_s - ENROLL_SKEW_S_MAX)
        return REFUSE(reply, "clock_skew",
                      "the clocks are more than 5 minutes apart; set this host's clock "
                      "(timedatectl) and join again");
    if (!addr_allowed(&q->addr, &w->addr))
        return REFUSE(reply, "bad_addr",
                      "the address is not one that peers could dial; give --addr IP");
    struct node_id id = sign_node_id(q->sign_public);
    if (name_taken(w->gossip, &q->node, &id))
        return REFUSE(reply, "name_taken",
                      "a live member has this name; choose another with --node, or run `parley "
                      "leave` there first");
    if (just_given(w->recent, &q->node, w->now_s))
        return REFUSE(reply, "name_taken",
                      "another host joined with this name a moment ago; choose another with "
                      "--node, or wait 2 minutes if that join failed");
    if (!grant(w, q, t, reply, scratch)) return false;
    note_given(w->recent, &q->node, w->now_s);
    return true;
}

static bool refuse_issue(struct enroll_issued *issued, struct span word, struct span text)
{
    *issued = (struct enroll_issued){.word = word, .text = text};
    return false;
}

/* One leaf, in the arena; empty when it is not granted. */
static struct span sign_one(const struct enroll_world *w, const struct sign_admission *a,
                            const struct x509_leaf *peer, const struct enroll_leaf *want,
                            struct arena *arena)
{
    struct x509_der der;
    if (!name_eq(&want->id.mesh, &w->mesh)) return (struct span){0};
    if (want->id.kind == IDENTITY_NODE) {
        /* The admission certificate names this key: a node keeps it until it joins again. */
        if (!name_eq(&want->id.name, &peer->id.name) ||
            memcmp(want->public_key, peer->public_key, P256_PUBLIC_BYTES) != 0)
            return (struct span){0};
    } else if (!sign_admission_grants(a, &want->id.name)) {
        return (struct span){0};
    }
    if (signer_leaf(w->signer, &want->id, want->public_key, w->now_s, &der) != ERR_OK)
        return (struct span){0};
    return arena_span(arena, span_of(der.data, der.len));
}

bool enroll_decide_issue(const struct enroll_world *w, const struct x509_leaf *peer,
                         const struct enroll_issue *q, struct arena *arena,
                         struct enroll_issued *issued)
{
    struct sign_admission a;
    if (!w->signer)
        return refuse_issue(issued, SPAN_LIT("not_signer"),
                            SPAN_LIT("this host does not hold the CA key"));
    if (peer->id.kind != IDENTITY_NODE ||
        sign_admission_open(q->admission, signer_issuer_public(w->signer), &w->mesh_id, w->now_s,
                            &a) != ERR_OK ||
        !name_eq(&a.name, &peer->id.name) ||
        sodium_memcmp(a.spki_sha256, peer->spki_sha256, sizeof a.spki_sha256) != 0)
        return refuse_issue(issued, SPAN_LIT("admission"),
                            SPAN_LIT("the admission certificate is not this node's; join again"));
    *issued = (struct enroll_issued){.count = q->count};
    for (size_t i = 0; i < q->count; i++) {
        issued->leaf[i] = sign_one(w, &a, peer, &q->leaf[i], arena);
        if (q->leaf[i].id.kind != IDENTITY_NODE || issued->leaf[i].len == 0) continue;
        uint8_t admission[ADMISSION_BYTES_MAX];
        size_t len;
        if (signer_admission(w->signer, &a, issued->leaf[i], w->now_s, admission, &len) == ERR_OK)
            issued->admission = arena_span(arena, span_of(admission, len));
    }
    return true;
}
