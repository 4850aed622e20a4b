#include "cmd/daemon/admin_route.h"

#include "cmd/daemon/mesh.h"
#include "cmd/daemon/policy_run.h"
#include "cmd/daemon/store_state.h"
#include "cmd/operator_key.h"
#include "core/base/check.h"
#include "core/crypto/sign_manifest.h"

#include <sodium.h>
#include <stdlib.h>

#define HISTORY_MAX              1024u
#define HTTP_PRECONDITION_FAILED 412u /* taken as a plain failure by the client */

static const struct gossip *machine(const struct admin_call *call)
{
    return mesh_gossip(call->daemon->mesh);
}

static void ref_members(struct json *j, const struct manifest_ref *ref)
{
    json_member_u64(j, "gen", ref->gen);
    json_member_hex(j, "hash", ref->hash.byte, MANIFEST_HASH_BYTES);
}

/* "KEY": { gen, hash, manifest }, null where there is none. */
static void key_generation(struct admin_call *call, const char *key, enum manifest_scope scope,
                           const struct manifest_ref *ref)
{
    struct json *j = &call->json;
    struct gossip_policy_entry e;
    json_key(j, key);
    if (ref->gen == 0) {
        json_null(j);
        return;
    }
    json_object(j);
    ref_members(j, ref);
    if (gossip_policy_get(machine(call), scope, ref, &e) == ERR_OK &&
        e.bytes.len <= MANIFEST_BYTES_MAX)
        json_member_base64(j, "manifest", e.bytes.p, e.bytes.len);
    json_object_end(j);
}

static bool decode(struct admin_call *call, enum manifest_scope scope,
                   const struct manifest_ref *ref, struct manifest *m)
{
    struct gossip_policy_entry e;
    return ref->gen > 0 && gossip_policy_get(machine(call), scope, ref, &e) == ERR_OK &&
           pack_manifest_decode(e.bytes, m) == ERR_OK;
}

/* The newest that is no trial, or one that was confirmed; gen 0: none. */
static struct manifest_ref settled(struct admin_call *call)
{
    struct gossip_policy_entry e;
    struct manifest m;
    for (size_t pos = 0; gossip_policy_next(machine(call), MANIFEST_POLICY, &pos, &e);)
        if (!e.sibling && pack_manifest_decode(e.bytes, &m) == ERR_OK &&
            (m.confirm_within_ms == 0 || e.confirm.len > 0))
            return e.ref;
    return (struct manifest_ref){.gen = 0};
}

/* The newest root that the issuer signed. */
static struct manifest_ref issued(struct admin_call *call)
{
    const uint8_t *issuer = mesh_info(call->daemon->mesh)->issuer_pk;
    struct manifest_key_id id = sign_manifest_key_id(issuer);
    struct gossip_policy_entry e;
    struct manifest m;
    for (size_t pos = 0; gossip_policy_next(machine(call), MANIFEST_ROOT, &pos, &e);)
        if (pack_manifest_decode(e.bytes, &m) == ERR_OK && manifest_key_id_eq(&m.signer[0], &id))
            return e.ref;
    return (struct manifest_ref){.gen = 0};
}

enum admin_progress admin_policy_view(struct admin_call *call)
{
    struct json *j = &call->json;
    struct manifest_ref root = gossip_policy_head(machine(call), MANIFEST_ROOT);
    struct manifest_ref head = gossip_policy_head(machine(call), MANIFEST_POLICY);
    struct manifest_ref active = policy_run_active(call->daemon->policy);
    struct manifest_ref kept = settled(call), by_issuer = issued(call);
    json_object(j);
    json_member_hex(j, "mesh_id", mesh_info(call->daemon->mesh)->id.byte, MESH_ID_BYTES);
    key_generation(call, "root", MANIFEST_ROOT, &root);
    key_generation(call, "head", MANIFEST_POLICY, &head);
    key_generation(call, "active", MANIFEST_POLICY, &active);
    key_generation(call, "settled", MANIFEST_POLICY, &kept);
    key_generation(call, "issued", MANIFEST_ROOT, &by_issuer);
    json_object_end(j);
    return ADMIN_DONE;
}

static void texts(struct admin_call *call, const struct manifest *m)
{
    struct json *j = &call->json;
    json_key(j, "texts");
    json_array(j);
    for (uint32_t i = 0; i < m->text_count; i++) {
        struct span text = gossip_policy_text(machine(call), &m->text[i].hash);
        json_object(j);
        json_member_cstr(j, "name", m->text[i].name.text);
        json_member_hex(j, "hash", m->text[i].hash.byte, MANIFEST_HASH_BYTES);
        json_key(j, "text");
        if (text.p != NULL)
            json_str(j, text);
        else
            json_null(j);
        json_object_end(j);
    }
    json_array_end(j);
}

enum admin_progress admin_policy_texts(struct admin_call *call)
{
    struct manifest_ref active = policy_run_active(call->daemon->policy);
    struct manifest m = {.text_count = 0};
    json_object(&call->json);
    key_generation(call, "active", MANIFEST_POLICY, &active);
    if (!decode(call, MANIFEST_POLICY, &active, &m)) m.text_count = 0;
    texts(call, &m);
    json_object_end(&call->json);
    return ADMIN_DONE;
}

enum admin_progress admin_policy_generation(struct admin_call *call)
{
    struct gossip_policy_entry e;
    struct manifest m;
    uint64_t gen = 0;
    size_t pos = 0;
    bool found = false;
    if (!span_u64(call->argument, &gen)) gen = 0;
    while (!found && gossip_policy_next(machine(call), MANIFEST_POLICY, &pos, &e))
        found = e.ref.gen == gen && !e.sibling;
    if (!found || pack_manifest_decode(e.bytes, &m) != ERR_OK) {
        admin_route_fail(call, 404,
                         "generation %.*s is not held any more; see: parley config history",
                         SPAN_ARG(call->argument));
        return ADMIN_DONE;
    }
    if (!e.complete) {
        admin_route_fail(call, HTTP_PRECONDITION_FAILED,
                         "not all texts of generation %llu are held here", (unsigned long long)gen);
        return ADMIN_DONE;
    }
    json_object(&call->json);
    key_generation(call, "generation", MANIFEST_POLICY, &e.ref);
    texts(call, &m);
    json_object_end(&call->json);
    return ADMIN_DONE;
}

/* --- History --- */

static const char *state_of(const struct admin_call *call, const struct gossip_policy_entry *e,
                            const struct manifest *m)
{
    struct status s;
    struct manifest_ref active = policy_run_active(call->daemon->policy);
    bool unconfirmed = m->confirm_within_ms > 0 && e->confirm.len == 0;
    if (e->sibling) return "sibling";
    if (manifest_ref_eq(&e->ref, &active))
        return unconfirmed ? "active, to be confirmed" : "active";
    gossip_policy_status(machine(call), &s);
    if (s.policy_gen == e->ref.gen &&
        memcmp(s.policy_hash, e->ref.hash.byte, STATUS_HASH_BYTES) == 0)
        return status_word(s.state);
    if (e->head) return "waiting";
    return unconfirmed ? "not confirmed" : "superseded";
}

static void history_row(struct admin_call *call, const struct gossip_policy_entry *e)
{
    struct json *j = &call->json;
    struct manifest m;
    if (pack_manifest_decode(e->bytes, &m) != ERR_OK) return;
    json_object(j);
    ref_members(j, &e->ref);
    admin_route_time(j, "signed_at", (int64_t)((m.hlc >> 16) / 1000));
    json_member_cstr(j, "author", m.author.text);
    json_member_cstr(j, "state", state_of(call, e, &m));
    json_member_cstr(j, "message", m.message);
    json_key(j, "confirm_by");
    if (e->confirm_by_ms > 0 && e->confirm.len == 0)
        json_u64(j, e->confirm_by_ms / 1000);
    else
        json_null(j);
    json_key(j, "texts");
    json_array(j);
    for (uint32_t i = 0; i < m.text_count; i++)
        json_cstr(j, m.text[i].name.text);
    json_array_end(j);
    json_object_end(j);
}

enum admin_progress admin_policy_history(struct admin_call *call)
{
    struct gossip_policy_entry e;
    uint64_t most = HISTORY_MAX;
    size_t pos = 0;
    struct span n = admin_route_query(call, "n");
    if (n.len > 0 && (!span_u64(n, &most) || most > HISTORY_MAX)) most = HISTORY_MAX;
    json_array(&call->json);
    for (uint64_t i = 0; i < most && gossip_policy_next(machine(call), MANIFEST_POLICY, &pos, &e);
         i++)
        history_row(call, &e);
    json_array_end(&call->json);
    return ADMIN_DONE;
}

/* --- Progress --- */

/* What it says of `ref`; "silent": nothing, for so long that the rollout counts it as failed. */
static const char *word_of(const struct gossip *g, const struct gossip_member *m,
                           const struct status *s, const struct manifest_ref *ref)
{
    struct manifest_ref head = gossip_policy_head(g, MANIFEST_POLICY);
    if (manifest_ref_eq(&head, ref) && gossip_policy_is_mute(g, &m->id)) return "silent";
    return status_is_about(s, ref) ? status_word(s->state) : "stale";
}

static void progress_row(struct admin_call *call, const struct gossip_member *m,
                         const struct status *s, const struct manifest_ref *ref)
{
    struct json *j = &call->json;
    bool about = status_is_about(s, ref);
    json_object(j);
    json_member_cstr(j, "node", m->name.text);
    json_member_cstr(j, "status", gossip_state_word(m->state));
    json_member_u64(j, "gen", s->policy_gen);
    json_member_cstr(j, "state", word_of(machine(call), m, s, ref));
    json_member_cstr(j, "reason", about ? s->reason : "");
    json_member_bool(j, "self", m->self);
    json_object_end(j);
}

/* Of what generation: the query's, or the newest. */
static struct manifest_ref asked(const struct admin_call *call)
{
    struct manifest_ref ref = {.gen = 0};
    struct span gen = admin_route_query(call, "gen"), hash = admin_route_query(call, "hash");
    if (span_u64(gen, &ref.gen) && span_hex(hash, ref.hash.byte, sizeof ref.hash.byte)) return ref;
    return gossip_policy_head(machine(call), MANIFEST_POLICY);
}

enum admin_progress admin_policy_progress(struct admin_call *call)
{
    const struct gossip *g = machine(call);
    struct json *j = &call->json;
    struct manifest_ref ref = asked(call), head = gossip_policy_head(g, MANIFEST_POLICY);
    struct manifest_ref active = policy_run_active(call->daemon->policy);
    struct gossip_member m;
    struct status own, s;
    struct manifest newest;
    size_t pos = 0;
    gossip_policy_status(g, &own);
    json_object(j);
    ref_members(j, &ref);
    json_member_cstr(j, "state", status_is_about(&own, &ref) ? status_word(own.state) : "stale");
    json_member_cstr(j, "waits_for", gossip_policy_waits_for(g));
    json_member_cstr(j, "head_author",
                     decode(call, MANIFEST_POLICY, &head, &newest) ? newest.author.text : "");
    key_generation(call, "head", MANIFEST_POLICY, &head);
    key_generation(call, "active", MANIFEST_POLICY, &active);
    json_key(j, "nodes");
    json_array(j);
    while (gossip_member_next(g, &pos, &m)) {
        if (m.state != MEMBER_ALIVE && m.state != MEMBER_SUSPECT && !m.self) continue;
        if (m.self)
            s = own;
        else if (gossip_policy_member_status(g, &m.id, &s) != ERR_OK)
            s = (struct status){.policy_gen = 0};
        progress_row(call, &m, &s, &ref);
    }
    json_array_end(j);
    json_object_end(j);
    return ADMIN_DONE;
}

/* --- Operators --- */

enum admin_progress admin_policy_operators(struct admin_call *call)
{
    struct manifest_ref root = gossip_policy_head(machine(call), MANIFEST_ROOT);
    struct json *j = &call->json;
    char text[OPERATOR_KEY_TEXT_MAX];
    struct manifest m;
    json_array(j);
    if (decode(call, MANIFEST_ROOT, &root, &m)) {
        for (uint32_t i = 0; i < m.operator_count; i++) {
            json_object(j);
            json_member_cstr(j, "name", m.op[i].name.text);
            json_member_cstr(j, "role", m.op[i].role == MANIFEST_ROLE_ADMIN ? "admin" : "policy");
            json_member_cstr(j, "public_key", operator_key_format(m.op[i].public_key, text));
            json_object_end(j);
        }
    }
    json_array_end(j);
    return ADMIN_DONE;
}

/* --- Submit --- */

/* base64 of the body's member `key`; false: it is absent or none. */
static bool signed_bytes(struct admin_call *call, const char *key, uint8_t out[MANIFEST_BYTES_MAX],
                         size_t *len)
{
    struct span text = json_read_str(call->body, key, (struct span){0});
    return text.len > 0 && sodium_base642bin(out, MANIFEST_BYTES_MAX, text.p, text.len, NULL, len,
                                             NULL, sodium_base64_VARIANT_ORIGINAL) == 0;
}

static void say_refused(struct admin_call *call, enum err err, enum policy_refusal why)
{
    switch ((int)why) {
    case POLICY_UNKNOWN_SIGNER:
        admin_route_fail(call, 403, "the mesh refuses it: who signed it is no operator (any more)");
        return;
    case POLICY_NOT_ALLOWED:
        admin_route_fail(call, 403, "the mesh refuses it: the operator's role does not allow it");
        return;
    case POLICY_WRONG_SIGNATURE:
        admin_route_fail(call, 403, "the mesh refuses it: the signature is wrong");
        return;
    case POLICY_NOT_HEAD:
    case POLICY_WRONG_GENERATION:
    case POLICY_FORK_LOST:
        admin_route_fail(call, HTTP_PRECONDITION_FAILED,
                         "something newer was applied in between; look at it and try again: parley "
                         "config history");
        return;
    case POLICY_ROOTS_FULL:
        admin_route_fail(call, HTTP_PRECONDITION_FAILED,
                         "there have been as many generations of operators as can be kept; on a "
                         "host with the role signer: parley operator settle");
        return;
    case POLICY_FROM_THE_FUTURE:
        admin_route_fail(call, HTTP_PRECONDITION_FAILED,
                         "it is dated in the future: set this host's clock");
        return;
    case POLICY_TOO_LATE:
        admin_route_fail(call, HTTP_PRECONDITION_FAILED,
                         "the time to confirm it is over, it was taken back");
        return;
    default:
        admin_route_fail(call, err == ERR_NOMEM ? 500 : HTTP_PRECONDITION_FAILED,
                         "the mesh refuses it: %s",
                         why != POLICY_ACCEPTED ? gossip_policy_refusal_word(why) : err_text(err));
        return;
    }
}

enum admin_progress admin_policy_submit(struct admin_call *call)
{
    uint8_t wire[MANIFEST_BYTES_MAX];
    struct span text[MANIFEST_TEXTS_MAX];
    const struct json_value *list = json_read_get(call->body, "texts");
    size_t len = 0, count = 0;
    enum policy_refusal why = POLICY_ACCEPTED;
    if (!signed_bytes(call, "manifest", wire, &len) && !signed_bytes(call, "confirm", wire, &len)) {
        admin_route_fail(call, 400, "the body needs \"manifest\" or \"confirm\" in base64");
        return ADMIN_DONE;
    }
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next) {
        if (v->kind != JSON_STRING || count == MANIFEST_TEXTS_MAX) {
            admin_route_fail(call, 400, "\"texts\" is a list of at most %u strings",
                             MANIFEST_TEXTS_MAX);
            return ADMIN_DONE;
        }
        text[count++] = v->text;
    }
    enum err err = mesh_intent(call->daemon->mesh, span_of(wire, len), text, count, &why);
    if (err != ERR_OK && why != POLICY_KNOWN) { /* said twice is said */
        say_refused(call, err, why);
        return ADMIN_DONE;
    }
    struct manifest_ref head = gossip_policy_head(machine(call), MANIFEST_POLICY);
    json_object(&call->json);
    ref_members(&call->json, &head);
    json_object_end(&call->json);
    return ADMIN_DONE;
}
