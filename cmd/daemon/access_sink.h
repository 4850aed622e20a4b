/* Access sink: moves the workers' access-log lines to stdout or a file.
 *
 * Control thread. Drains the rings on a timer while lines come, the sooner the more they are, and
 * sleeps until access_sink_wake while none do; never blocks: what the descriptor does not take
 * stays in one buffer, then in the rings, where the workers drop and count (security.md N37). The
 * file is reopened by every reload, so that log rotation needs no signal of its own.
 */
#ifndef CMD_DAEMON_ACCESS_SINK_H
#define CMD_DAEMON_ACCESS_SINK_H

#include "core/base/byte_ring.h"
#include "core/base/diag.h"
#include "core/base/limits.h"
#include "core/io/log.h"
#include "core/io/loop.h"
#include "core/model/config.h"

struct access_sink;

struct access_sink_options {
    struct loop *loop;
    struct log *log;
    struct byte_ring *ring[WORKERS_MAX]; /* borrowed */
    unsigned ring_count;
};

enum err access_sink_new(const struct access_sink_options *o, struct access_sink **out) MUST_USE;
/* Drains once more, then closes. */
void access_sink_free(struct access_sink *s);

/* Opens what `c` names. What open(2) refuses (ERR_PERM, ERR_NOT_FOUND, ERR_IO, ..) is said in
 * `diag`, the present sink stays. Then either commit (switches over) or abort. */
enum err access_sink_prepare(struct access_sink *s, const struct config_log *c,
                             struct diag *diag) MUST_USE;
void access_sink_commit(struct access_sink *s);
void access_sink_abort(struct access_sink *s);

/* A worker was told by byte_ring_wakes to wake us: lines are drained soon. */
void access_sink_wake(struct access_sink *s);
/* Drains now; the lines moved. */
size_t access_sink_drain(struct access_sink *s);
/* How long lines may gather after `bytes` of them came in `in_ms`, so that a drain is short and no
 * ring fills meanwhile: 1 to 25 ms. */
uint64_t access_sink_pause_ms(uint64_t bytes, uint64_t in_ms);
/* Lines lost since the start: dropped by the workers' full rings, and given up because the
 * descriptor refused them. */
struct access_sink_lost {
    uint64_t ring_full, unwritten;
};
void access_sink_lost(const struct access_sink *s, struct access_sink_lost *out);

#endif
