#include "cmd/daemon/admin_route.h"

#include "cmd/daemon/mesh.h"
#include "gossip/gossip_keyring.h"

#include <stdio.h>

#define KEY_ID_TEXT   9u
#define MISSING_NAMED 16u
#define ENTRIES_MAX   (MANIFEST_KEYS_MAX + SEAL_KEYS_MAX)

static const char *id_text(uint32_t id, char out[KEY_ID_TEXT])
{
    (void)snprintf(out, KEY_ID_TEXT, "%08x", id);
    return out;
}

/* The live members that have not announced the key; enough of them to go and look. */
static void missing(struct json *j, const struct gossip *g, uint32_t id)
{
    struct gossip_member m;
    size_t pos = 0, named = 0;
    json_key(j, "missing");
    json_array(j);
    while (named < MISSING_NAMED && gossip_member_next(g, &pos, &m)) {
        if (m.state > MEMBER_SUSPECT || gossip_keyring_holds(g, &m.id, id)) continue;
        json_cstr(j, m.name.text);
        named++;
    }
    json_array_end(j);
}

static void entry(struct json *j, const struct gossip *g, const struct gossip_keyring_entry *e)
{
    char id[KEY_ID_TEXT];
    json_object(j);
    json_member_cstr(j, "id", id_text(e->id, id));
    json_member_cstr(j, "phase", gossip_keyring_word(e->phase));
    json_member_u64(j, "holders", e->holders);
    json_member_u64(j, "alive", e->alive);
    admin_route_time(j, "until", e->until_s);
    missing(j, g, e->id);
    json_object_end(j);
}

/* What happens next, for people, by the newest key that is not yet done with. */
static void next_step(struct admin_call *call, const struct gossip_keyring_entry *e, size_t count)
{
    struct json *j = &call->json;
    const char *text = "nothing: one key, and it seals";
    char id[KEY_ID_TEXT];
    for (size_t i = 0; i < count; i++) {
        (void)id_text(e[i].id, id);
        if (e[i].phase == GOSSIP_KEYRING_LACKING)
            text = arena_fmt(call->arena, "this node fetches key %s from a member that has it", id);
        else if (e[i].phase == GOSSIP_KEYRING_SPREADS && (uint64_t)e[i].alive * 2 < e[i].known)
            text = arena_fmt(call->arena,
                             "key %s waits: only %u of %u known nodes are in sight; forget those "
                             "that will not return",
                             id, e[i].alive, e[i].known);
        else if (e[i].phase == GOSSIP_KEYRING_SPREADS)
            text = arena_fmt(call->arena,
                             "key %s seals as soon as 99 %% of the alive nodes have it (%u of %u)",
                             id, e[i].holders, e[i].alive);
        else if (e[i].phase == GOSSIP_KEYRING_RETIRES)
            text = arena_fmt(call->arena,
                             "key %s is kept to open only, and dropped when its time "
                             "is over",
                             id);
        else if (e[i].phase == GOSSIP_KEYRING_UNLISTED)
            text = arena_fmt(call->arena, "key %s is in no root: it is dropped unless one lists it",
                             id);
        else
            continue;
        break;
    }
    json_member_cstr(j, "next", text != NULL ? text : "");
}

static size_t collect(const struct gossip *g, struct gossip_keyring_entry e[ENTRIES_MAX])
{
    size_t pos = 0, n = 0;
    while (n < ENTRIES_MAX && gossip_keyring_next(g, &pos, &e[n]))
        n++;
    return n;
}

enum admin_progress admin_keyring_view(struct admin_call *call)
{
    const struct gossip *g = mesh_gossip(call->daemon->mesh);
    struct json *j = &call->json;
    struct gossip_keyring_entry e[ENTRIES_MAX];
    size_t n = collect(g, e);
    json_object(j);
    json_member_u64(j, "root_generation", gossip_keyring_root(g));
    json_key(j, "keys");
    json_array(j);
    for (size_t i = 0; i < n; i++)
        if (e[i].phase != GOSSIP_KEYRING_RETIRED) entry(j, g, &e[i]);
    json_array_end(j);
    next_step(call, e, n);
    json_object_end(j);
    return ADMIN_DONE;
}

/* What stands in the way of one more key; false and said. */
static bool may_rotate(struct admin_call *call, const struct gossip_keyring_entry *e, size_t count)
{
    char id[KEY_ID_TEXT];
    size_t here = 0;
    for (size_t i = 0; i < count; i++) {
        enum gossip_keyring_phase p = e[i].phase;
        here += p == GOSSIP_KEYRING_SEALS || p == GOSSIP_KEYRING_RETIRES;
        /* Nobody in sight has it: it died with the host that made it. */
        bool lost = p == GOSSIP_KEYRING_LACKING && e[i].holders == 0;
        if ((p != GOSSIP_KEYRING_LACKING && p != GOSSIP_KEYRING_SPREADS) || lost) continue;
        admin_route_fail(call, 409,
                         "a rotation is under way: key %s is with %u of %u alive nodes; see: "
                         "parley keyring status",
                         id_text(e[i].id, id), e[i].holders, e[i].alive);
        return false;
    }
    if (here < SEAL_KEYS_MAX) return true;
    admin_route_fail(call, 409,
                     "there are %u keys already: rotate again when the oldest is dropped; see: "
                     "parley keyring status",
                     SEAL_KEYS_MAX);
    return false;
}

static void drafted(struct json *j, const struct manifest_hash *hash, const char *stage)
{
    json_object(j);
    json_member_hex(j, "hash", hash->byte, MANIFEST_HASH_BYTES);
    json_member_cstr(j, "stage", stage);
    json_object_end(j);
}

/* One that an earlier command made and did not get listed, or a fresh one. */
static enum err new_key(struct admin_call *call, const struct gossip_keyring_entry *e, size_t n,
                        struct manifest_hash *hash)
{
    for (size_t i = 0; i < n; i++)
        if (e[i].phase == GOSSIP_KEYRING_UNLISTED) {
            *hash = e[i].hash;
            return ERR_OK;
        }
    struct diag diag;
    diag_init(&diag);
    enum err err = mesh_make_key(call->daemon->mesh, &diag, hash);
    if (err != ERR_OK)
        admin_route_fail(call, 500, "%s", diag.count > 0 ? diag.entry[0].message : err_text(err));
    diag_fini(&diag);
    return err;
}

/* Makes a key and says what the next root is to list, oldest first: what is held, then the new one.
 * The command that asked signs it; a key that no root lists is dropped again. */
enum admin_progress admin_keyring_make(struct admin_call *call)
{
    struct json *j = &call->json;
    struct gossip_keyring_entry e[ENTRIES_MAX];
    struct manifest_hash hash;
    size_t n = collect(mesh_gossip(call->daemon->mesh), e);
    if (!may_rotate(call, e, n)) return ADMIN_DONE;
    if (new_key(call, e, n, &hash) != ERR_OK) return ADMIN_DONE;
    json_object(j);
    json_key(j, "keys");
    json_array(j);
    for (size_t i = n; i-- > 0;)
        if (e[i].phase == GOSSIP_KEYRING_RETIRES) drafted(j, &e[i].hash, "use");
    for (size_t i = 0; i < n; i++)
        if (e[i].phase == GOSSIP_KEYRING_SEALS) drafted(j, &e[i].hash, "use");
    drafted(j, &hash, "install");
    json_array_end(j);
    json_object_end(j);
    return ADMIN_DONE;
}
