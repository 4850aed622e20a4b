/* Store, mesh state: which mesh this host belongs to, its admission, group keys, epoch and peers.
 *
 * Control thread and offline verbs. Errors as in store.h. The epoch is on disk before the first
 * packet leaves, and only grows, so that a gossip nonce never repeats (gossip.md 3.1, 3.4).
 */
#ifndef CMD_DAEMON_STORE_STATE_H
#define CMD_DAEMON_STORE_STATE_H

#include "cmd/daemon/store.h"
#include "core/crypto/seal.h"
#include "core/crypto/sign.h"

#define STORE_PEERS_BYTES_MAX (64u * 1024 * 1024)

struct store_mesh {
    struct name name;
    struct mesh_id id;
    uint8_t issuer_pk[SIGN_PUBLIC_BYTES];
};
enum err store_state_mesh(const struct store *s, struct diag *d, struct store_mesh *out) MUST_USE;
enum err store_state_mesh_save(const struct store *s, const struct store_mesh *m,
                               struct diag *d) MUST_USE;

/* Admission certificate bytes; not verified here. */
enum err store_state_admission(const struct store *s, struct diag *d,
                               uint8_t out[ADMISSION_BYTES_MAX], size_t *len) MUST_USE;
enum err store_state_admission_save(const struct store *s, struct span cert,
                                    struct diag *d) MUST_USE;

/* All group keys, the first one seals. The caller frees the ring. */
enum err store_state_keyring(const struct store *s, struct diag *d,
                             struct seal_ring **out) MUST_USE;
enum err store_state_keyring_save(const struct store *s, const struct seal_ring *r,
                                  struct diag *d) MUST_USE;

/* Raises the epoch for this start to max(stored + 1, wall_ms), stores it and gives it out. On any
 * error nothing may be sent. ERR_CORRUPT: the file is damaged (said in `d`). */
enum err store_state_epoch_next(const struct store *s, uint64_t wall_ms, struct diag *d,
                                uint64_t *epoch) MUST_USE;

/* What gossip persisted, opaque. A damaged file is ERR_CORRUPT: start without it. */
enum err store_state_peers(const struct store *s, struct diag *d, struct strbuf *out) MUST_USE;
enum err store_state_peers_save(const struct store *s, struct span blob, struct diag *d) MUST_USE;

#endif
