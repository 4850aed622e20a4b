/* The nemesis: does the faults of a schedule to a world, when they are due, and ends those that
 * last.
 *
 *   schedule -> begin at base + at -> world, network, measure
 *            -> end at base + at + for
 *
 * One world, one thread. Also knows since when nothing has been done, which is when convergence and
 * the bounds of detection begin to count.
 */
#ifndef TESTS_SIM_NEMESIS_H
#define TESTS_SIM_NEMESIS_H

#include "tests/sim/byzantine.h"
#include "tests/sim/network.h"
#include "tests/sim/script.h"

struct campaign;
struct world;
struct measure;

#define NEMESIS_RUNNING_MAX 4096u

struct nemesis {
    const struct script *schedule; /* borrowed */
    struct world *world;           /* borrowed */
    struct measure *measure;       /* borrowed */
    struct byzantine byzantine;
    struct campaign *campaign; /* borrowed; NULL: nobody applies anything */
    uint64_t base_us;          /* time 0 of the schedule */
    size_t next;               /* of its faults */
    size_t running_count;
    struct {
        size_t fault;
        uint64_t until_us;
    } running[NEMESIS_RUNNING_MAX]; /* over it, a fault is not begun */
    struct network_profile normal;  /* what the network is like when no fault says otherwise */
    uint64_t changed_us;            /* something was last begun or ended */
    bool healed;                    /* that was the end of a cut */
};

/* False: no memory. */
bool nemesis_init(struct nemesis *n, const struct script *s, struct world *w, struct measure *m);
void nemesis_fini(struct nemesis *n);
/* When it next has to act; UINT64_MAX: never. */
uint64_t nemesis_due_us(const struct nemesis *n);
/* Begins and ends what is due. ERR_NOMEM. */
enum err nemesis_act(struct nemesis *n) MUST_USE;

#endif
