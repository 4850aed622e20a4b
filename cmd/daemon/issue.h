/* Issue: gets this host's leaves signed, and renewed at half life (gossip.md 3.4; security.md N40).
 *
 * Control thread; owned by enroll. Wanted leaves follow from the running configuration
 * (identities_wanted). What is missing is asked for at once, what is past half its life (+-10 %, by
 * identity) soon; all due ones go in one request: signed here on a signer, else by a random live
 * signer over an 'I' stream. Failures back off 1 s doubling to 30 s with jitter and never touch
 * what is in use.
 */
#ifndef CMD_DAEMON_ISSUE_H
#define CMD_DAEMON_ISSUE_H

#include "cmd/daemon/enroll.h"

struct issue;

struct issue_status {
    uint64_t renewed_total, failed_total;
    char last_error[96]; /* "" after a success */
    bool waiting;        /* something is due and not yet signed */
};

enum err issue_new(struct daemon *d, struct issue **out) MUST_USE;
void issue_free(struct issue *is);
/* Looks at once: the wanted identities may have changed. */
void issue_kick(struct issue *is);
void issue_status(const struct issue *is, struct issue_status *out);
/* When this leaf will be renewed (Unix seconds). */
int64_t issue_renew_due_s(const struct issue *is, const struct identity *id);

#endif
