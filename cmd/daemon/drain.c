#include "cmd/daemon/drain.h"

#include <stdlib.h>

#include "cmd/daemon/compile.h"
#include "cmd/daemon/fd_store.h"
#include "cmd/daemon/control.h"
#include "cmd/daemon/mesh.h"
#include "proxy/net/worker.h"

#define DRAIN_MAGIC 0x64726e31u
/* Peers hear the mark within D(N), 0.63 s at 100 nodes (gossip.md 3.2), and build their snapshot at
 * most 250 ms later. */
#define DRAIN_SPREAD_MS 1000u
#define DRAIN_POLL_MS   50u
#define DRAIN_QUIET     2u   /* polls in a row without an exchange: between two there may be one */
#define DRAIN_LEAVE_MS  500u /* LEFT is sent three times over 300 ms (gossip.md 3.5) */
/* For connections that are accepted and have not said anything; requests get the whole timeout. */
#define DRAIN_SILENT_MS 1000u
/* For what was accepted before a socket was left to the next process, also behind the timeout: the
 * unit's TimeoutStopSec has room for it (packaging/parley.service). */
#define DRAIN_DEAF_MS 5000u

struct drain {
    uint32_t magic;
    struct daemon *d;
    struct drain_status status; /* in_flight is filled when asked */
    bool closing, deaf;
    unsigned quiet;
    uint64_t deaf_ms;            /* since when */
    uint64_t deaf_generation;    /* the first snapshot that is deaf comes behind it */
    uint64_t closing_generation; /* and so the first that asks connections to close */
    uint64_t spread_ms;          /* until when peers may still send us new work */
    struct loop_timer timer;
};

static void timer_due(struct loop_timer *t);

enum err drain_new(struct daemon *d, struct drain **out)
{
    struct drain *dr = calloc(1, sizeof *dr);
    if (dr == NULL) return ERR_NOMEM;
    dr->magic = DRAIN_MAGIC;
    dr->d = d;
    dr->timer.on_expire = timer_due;
    *out = dr;
    return ERR_OK;
}

void drain_free(struct drain *dr)
{
    if (dr == NULL) return;
    CHECK_OBJ(dr, DRAIN_MAGIC);
    loop_timer_clear(dr->d->loop, &dr->timer);
    dr->magic = MAGIC_POISON;
    free(dr);
}

static uint64_t in_flight(const struct drain *dr)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < dr->d->worker_count; i++)
        n += worker_in_flight(dr->d->worker[i].worker);
    return n;
}

static bool alone(const struct drain *dr)
{
    return mesh_reachable(dr->d->mesh) <= 1;
}

void drain_start(struct drain *dr, uint32_t timeout_ms)
{
    CHECK_OBJ(dr, DRAIN_MAGIC);
    struct drain_status *st = &dr->status;
    struct daemon *d = dr->d;
    uint64_t now_ms = loop_now_ms(d->loop);
    if (st->state == DRAIN_LEAVING) return;
    st->deadline_ms = now_ms + timeout_ms;
    if (st->state != DRAIN_SERVING) return;
    st->state = DRAIN_DRAINING;
    st->since_ms = now_ms;
    st->drained_ms = 0;
    st->timed_out = false;
    dr->quiet = 0;
    dr->spread_ms = alone(dr) ? now_ms : now_ms + DRAIN_SPREAD_MS;
    log_info(&d->log, "drain", "in_flight=%llu timeout_ms=%u", (unsigned long long)in_flight(dr),
             timeout_ms);
    mesh_announce(d->mesh);
    compile_request(d->compile);
    loop_timer_set(d->loop, &dr->timer, dr->spread_ms);
}

static void leave_now(struct drain *dr)
{
    dr->status.state = DRAIN_LEAVING;
    mesh_leave(dr->d->mesh);
    uint64_t wait_ms = alone(dr) ? 0 : DRAIN_LEAVE_MS;
    loop_timer_set(dr->d->loop, &dr->timer, loop_now_ms(dr->d->loop) + wait_ms);
}

static void drained(struct drain *dr, uint64_t left)
{
    struct drain_status *st = &dr->status;
    st->state = DRAIN_DRAINED;
    st->drained_ms = loop_now_ms(dr->d->loop);
    st->timed_out = left > 0 && st->drained_ms >= st->deadline_ms;
    log_event(&dr->d->log, st->timed_out ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "drained",
              "after_ms=%llu left=%llu", (unsigned long long)(st->drained_ms - st->since_ms),
              (unsigned long long)left);
    if (dr->d->ready) control_status(dr->d->control);
    if (st->leaving) leave_now(dr);
}

static uint64_t sessions(const struct drain *dr)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < dr->d->worker_count; i++)
        n += worker_sessions(dr->d->worker[i].worker);
    return n;
}

/* Every worker has stopped accepting and what it had accepted is over, or will never be. */
static bool emptied(struct drain *dr, uint64_t now_ms)
{
    const struct compile *c = dr->d->compile;
    bool reached = compile_generation(c) > dr->deaf_generation && compile_settled(c);
    bool silent = sessions(dr) == 0 || now_ms - dr->deaf_ms >= DRAIN_SILENT_MS;
    dr->quiet = reached && silent && in_flight(dr) == 0 ? dr->quiet + 1 : 0;
    uint64_t limit_ms = dr->deaf_ms + DRAIN_DEAF_MS;
    if (limit_ms < dr->status.deadline_ms) limit_ms = dr->status.deadline_ms;
    return dr->quiet >= DRAIN_QUIET || now_ms >= limit_ms;
}

static void end_step(struct drain *dr, uint64_t now_ms)
{
    struct daemon *d = dr->d;
    if (!fd_store_keeps(d->fd_store) || (dr->deaf && emptied(dr, now_ms))) {
        daemon_quit(d, 0);
        return;
    }
    if (!dr->deaf) {
        dr->deaf = true;
        dr->deaf_ms = now_ms;
        dr->deaf_generation = compile_generation(d->compile);
        dr->quiet = 0;
        compile_request(d->compile);
    }
    loop_timer_set(d->loop, &dr->timer, now_ms + DRAIN_POLL_MS);
}

/* Whether only such work is left as began while this host was closing: local callers come anew all
 * the time, and from here on they may as well queue for the next process. */
static bool only_new_work(struct drain *dr)
{
    struct daemon *d = dr->d;
    if (!dr->status.leaving || !fd_store_keeps(d->fd_store)) return false;
    compile_reclaim(d->compile);
    return compile_settled(d->compile) && compile_oldest(d->compile) > dr->closing_generation;
}

static void timer_due(struct loop_timer *t)
{
    struct drain *dr = CONTAINER_OF(t, struct drain, timer);
    struct daemon *d = dr->d;
    uint64_t now_ms = loop_now_ms(d->loop);
    if (dr->status.state == DRAIN_LEAVING) {
        end_step(dr, now_ms);
        return;
    }
    if (!dr->closing) {
        dr->closing = true;
        dr->closing_generation = compile_generation(d->compile);
        compile_request(d->compile);
    }
    uint64_t left = in_flight(dr);
    dr->quiet = left == 0 ? dr->quiet + 1 : 0;
    if (dr->quiet >= DRAIN_QUIET || now_ms >= dr->status.deadline_ms || only_new_work(dr))
        drained(dr, left);
    else
        loop_timer_set(d->loop, t, now_ms + DRAIN_POLL_MS);
}

enum err drain_undo(struct drain *dr)
{
    CHECK_OBJ(dr, DRAIN_MAGIC);
    if (dr->status.leaving) return ERR_BUSY;
    if (dr->status.state == DRAIN_SERVING) return ERR_OK;
    dr->status = (struct drain_status){.state = DRAIN_SERVING};
    dr->closing = false;
    loop_timer_clear(dr->d->loop, &dr->timer);
    log_info(&dr->d->log, "undrain", "serving again");
    mesh_announce(dr->d->mesh);
    compile_request(dr->d->compile);
    return ERR_OK;
}

void drain_leave(struct drain *dr, uint32_t timeout_ms)
{
    CHECK_OBJ(dr, DRAIN_MAGIC);
    dr->status.leaving = true;
    if (dr->status.state == DRAIN_DRAINED)
        leave_now(dr);
    else
        drain_start(dr, timeout_ms);
}

void drain_status(const struct drain *dr, struct drain_status *out)
{
    CHECK_OBJ(dr, DRAIN_MAGIC);
    *out = dr->status;
    out->in_flight = in_flight(dr);
}

const char *drain_word(enum drain_state s)
{
    static const char *const word[] = {"serving", "draining", "drained", "leaving"};
    return word[s];
}

bool drain_active(const struct drain *dr)
{
    CHECK_OBJ(dr, DRAIN_MAGIC);
    return dr->status.state != DRAIN_SERVING;
}

bool drain_closing(const struct drain *dr)
{
    CHECK_OBJ(dr, DRAIN_MAGIC);
    return dr->closing;
}

bool drain_deaf(const struct drain *dr)
{
    CHECK_OBJ(dr, DRAIN_MAGIC);
    return dr->deaf;
}
