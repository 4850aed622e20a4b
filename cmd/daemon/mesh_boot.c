#include "cmd/daemon/mesh_boot.h"

#include "cmd/daemon/policy_run.h"
#include "cmd/daemon/store_identity.h"
#include "core/io/clock.h"

#define POLICY_ADVICE  "the mesh policy comes again from the others"
#define EPOCH_AHEAD_MS (10u * 60 * 1000) /* what peers allow (gossip.md 3.1) */

/* Before anything is stored: a start with a wrong clock must not leave its epoch behind. */
static enum err check_dates(const struct mesh_boot *b, struct span admission, int64_t now_s,
                            struct diag *diag)
{
    struct sign_admission a;
    enum err err = sign_admission_open(admission, b->info.issuer_pk, &b->info.id, now_s, &a);
    if (err == ERR_EXPIRED)
        diag_error(diag, NULL,
                   "the admission certificate of this host has expired: set the clock if it is "
                   "wrong, else get a new identity with parley join");
    else if (err == ERR_NOT_YET_VALID)
        diag_error(diag, NULL,
                   "the admission certificate of this host is not yet valid: set the clock");
    else
        return ERR_OK; /* anything else the machine says */
    return err;
}

/* security.md N38: a start with a clock far ahead. What is stored cannot go back, for a sealed
 * packet's nonce begins with it. */
static void warn_epoch(struct daemon *d, uint64_t epoch, uint64_t wall_ms)
{
    char path[STORE_PATH_MAX];
    if (epoch <= wall_ms + EPOCH_AHEAD_MS) return;
    log_warn(&d->log, "store",
             "%s is %llu minutes ahead of this host's clock: until then peers refuse this host; if "
             "the clock is right, get a new identity with parley join",
             store_path(&d->store, STORE_EPOCH, path),
             (unsigned long long)((epoch - wall_ms) / 60000u));
}

/* A damaged one comes again from the others; until then nothing of it is in force, so this is an
 * error and not a warning. */
static void load_policy(struct daemon *d, struct strbuf *out)
{
    struct diag diag;
    diag_init(&diag);
    enum err err = store_read_checked(&d->store, STORE_POLICY, POLICY_ADVICE, &diag, out);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        log_error(&d->log, "store", "%s", diag.count > 0 ? diag.entry[0].message : err_text(err));
        strbuf_reset(out);
    }
    diag_fini(&diag);
}

static enum err machine_new(struct daemon *d, struct diag *diag, struct mesh_boot *b)
{
    uint8_t admission[ADMISSION_BYTES_MAX];
    size_t admission_len = 0;
    enum err err = store_state_admission(&d->store, diag, admission, &admission_len);
    if (err != ERR_OK) return err;
    struct gossip_options o = {.mesh = b->info.id,
                               .key = b->key,
                               .admission = span_of(admission, admission_len),
                               .ring = b->ring,
                               .addr = d->config->node.addr,
                               .period_ms = d->config->gossip_period_ms,
                               .datagram_bytes = d->config->datagram_bytes,
                               .key_hold_ms = d->config->key_hold_ms,
                               .seed = rng_u64(&d->rng)};
    memcpy(o.issuer_pk, b->info.issuer_pk, sizeof o.issuer_pk);
    uint64_t wall_ms = clock_wall_us() / 1000u;
    o.wall_ms = (int64_t)wall_ms;
    err = check_dates(b, o.admission, o.wall_ms / 1000, diag);
    if (err != ERR_OK) return err;
    err = store_state_epoch_next(&d->store, wall_ms, diag, &o.epoch);
    if (err != ERR_OK) return err;
    warn_epoch(d, o.epoch, wall_ms);
    struct strbuf persisted;
    strbuf_init(&persisted, STORE_PEERS_BYTES_MAX);
    struct diag peers_diag;
    diag_init(&peers_diag);
    enum err peers = store_state_peers(&d->store, &peers_diag, &persisted);
    if (peers == ERR_OK)
        o.persisted = strbuf_view(&persisted);
    else if (peers != ERR_NOT_FOUND)
        log_warn(&d->log, "store", "%s; starting without it",
                 peers_diag.count > 0 ? peers_diag.entry[0].message : err_text(peers));
    struct strbuf policy;
    strbuf_init(&policy, POLICY_STORE_BYTES_MAX);
    load_policy(d, &policy);
    o.policy = strbuf_view(&policy);
    err = gossip_new(&o, &b->gossip);
    strbuf_fini(&policy);
    if (err == ERR_INVALID || err == ERR_MISMATCH)
        diag_error(diag, NULL,
                   "the admission certificate and gossip.key of this host do not belong together: "
                   "get a new identity with parley join");
    diag_fini(&peers_diag);
    strbuf_fini(&persisted);
    return err;
}

enum err mesh_boot_load(struct daemon *d, struct diag *diag, struct mesh_boot *b)
{
    const struct store *s = &d->store;
    enum err err = store_state_mesh(s, diag, &b->info);
    if (err != ERR_OK) return err;
    if (!name_eq(&b->info.name, &d->config->node.mesh)) {
        diag_error(diag, NULL,
                   "this host's identity is of mesh \"%s\", the configuration says \"%s\"",
                   b->info.name.text, d->config->node.mesh.text);
        return ERR_MISMATCH;
    }
    err = store_identity_sign_key(s, STORE_GOSSIP_KEY, diag, &b->key);
    if (err != ERR_OK) return err;
    b->id = sign_node_id(sign_key_public(b->key));
    err = store_state_keyring(s, diag, &b->ring);
    return err != ERR_OK ? err : machine_new(d, diag, b);
}

void mesh_boot_fini(struct mesh_boot *b)
{
    gossip_free(b->gossip);
    seal_ring_free(b->ring);
    sign_key_free(b->key);
    *b = (struct mesh_boot){0};
}
