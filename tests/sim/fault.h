/* Faults: what is done to a simulated world, as data: one line of text each, so that a schedule can
 * be kept, cut down and replayed.
 *
 *   12.500 pause 3-5 for 4.000            nodes 3 to 5 stand still for 4 s
 *   30.000 loss-out 7 for 60.000 with 80  80 % of what node 7 sends is lost
 *
 * The time is in seconds since all nodes had come to know each other. Every fault can be applied to
 * every world: what makes no sense (a restart of who runs) does nothing. Pure.
 */
#ifndef TESTS_SIM_FAULT_H
#define TESTS_SIM_FAULT_H

#include "core/base/err.h"
#include "core/base/span.h"
#include "core/base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

/* Name, word, what it needs: F a time for which it lasts, V a number, N it is about nodes. */
#define FAULT_LIST(X)                                                                              \
    X(CRASH, "crash", FAULT_NODES)                 /* the host is gone: silence */                 \
    X(KILL, "kill", FAULT_NODES)                   /* the process is gone: the host refuses */     \
    X(RESTART, "restart", FAULT_NODES)             /* with what it had stored */                   \
    X(RESTART_EMPTY, "restart-empty", FAULT_NODES) /* the disk is lost */                          \
    X(RESTART_OLD, "restart-old", FAULT_NODES) /* the disk is as it was before its last life */    \
    X(LEAVE, "leave", FAULT_NODES)             /* it says good-bye, and goes on answering */       \
    X(CLONE, "clone", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER) /* its host runs a copy of V */    \
    X(SWAP, "swap", FAULT_NODES | FAULT_NUMBER)  /* it and V exchange addresses and restart */     \
    X(PAUSE, "pause", FAULT_NODES | FAULT_LASTS) /* timers and inputs stand still */               \
    X(SLOW, "slow", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER) /* V ms for each event */            \
    X(SKEW, "skew", FAULT_NODES | FAULT_NUMBER)   /* its wall clock is set forward by V s */       \
    X(DRIFT, "drift", FAULT_NODES | FAULT_NUMBER) /* its clocks gain V parts in a million */       \
    X(SPLIT, "split", FAULT_NODES | FAULT_LASTS)  /* these and the others are cut off */           \
    X(DEAF, "deaf", FAULT_NODES | FAULT_LASTS)                                                     \
    X(MUTE, "mute", FAULT_NODES | FAULT_LASTS)                                                     \
    X(BLOCK, "block", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER)   /* nothing from it reaches V */  \
    X(DETACH, "detach", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER) /* it sees the V next only */    \
    X(FLIP, "flip", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER)     /* V s deaf, V s not, and on */  \
    X(LOSS_IN, "loss-in", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER)   /* V % */                    \
    X(LOSS_OUT, "loss-out", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER) /* V % */                    \
    X(DELAY, "delay", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER)       /* V ms more, each way */    \
    X(RATE, "rate", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER) /* it sends V bytes a second */      \
    X(LOSS, "loss", FAULT_LASTS | FAULT_NUMBER)               /* V % of all, besides */            \
    X(JITTER, "jitter", FAULT_LASTS | FAULT_NUMBER)           /* V ms median, of all */            \
    X(DOUBLE, "double", FAULT_LASTS | FAULT_NUMBER)           /* V % of all arrive twice */        \
    X(REORDER, "reorder", FAULT_LASTS | FAULT_NUMBER)         /* V % of all are held back */       \
    X(MTU, "mtu", FAULT_LASTS | FAULT_NUMBER)                 /* longer than V bytes is lost */    \
    X(NO_STREAMS, "no-streams", FAULT_LASTS)                  /* only datagrams get through */   \
    X(ANNOUNCE, "announce", FAULT_NODES)                      /* a new record */                   \
    X(ROTATE, "rotate", FAULT_NODES)              /* an operator makes a new group key there */    \
    X(APPLY, "apply", FAULT_NODES | FAULT_NUMBER) /* campaign.h, kind V */                         \
    X(ATTACK, "attack", FAULT_NODES | FAULT_LASTS | FAULT_NUMBER) /* byzantine.h, kind V */

#define FAULT_NODES  1u
#define FAULT_LASTS  2u
#define FAULT_NUMBER 4u

enum fault_kind {
#define FAULT_ENUM(name, word, needs) FAULT_##name,
    FAULT_LIST(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_KINDS
};

struct fault {
    enum fault_kind kind;
    uint64_t at_us, for_us;
    uint32_t first, last; /* nodes, both included */
    double number;
};

const char *fault_word(enum fault_kind kind);
/* FAULT_NODES, FAULT_LASTS, FAULT_NUMBER. */
unsigned fault_needs(enum fault_kind kind);
/* As a line, with its end. */
void fault_write(const struct fault *f, struct strbuf *out);
/* ERR_INVALID: no such line. */
enum err fault_read(struct span line, struct fault *out) MUST_USE;

#endif
