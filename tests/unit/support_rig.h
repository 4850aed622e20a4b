/* A rig of two hosts: web on one calls api (HTTP) and db (TCP) on the other, and log on its own.
 *
 *      client -> @21:PORT+1 -> [ h1, web ] == mesh == [ h2 ] -> api at @22:PORT+10
 *                @21:PORT+2 ->                               -> db  at @22:PORT+11
 *                @21:PORT+3 -> [ h1, web -> log ] ------------> log at @21:PORT+12
 *
 * One thread calls it.
 */
#ifndef TESTS_UNIT_SUPPORT_RIG_H
#define TESTS_UNIT_SUPPORT_RIG_H

#include "tests/unit/support_mesh.h"

struct support_rig {
    struct support_mesh mesh;
    struct support_node web, api;
    struct support_app *api_app, *db_app, *log_app;
    char api_addr[32], db_addr[32], log_addr[32]; /* where the client connects */
    char api_local[32], db_local[32], log_local[32];
    _Atomic unsigned requests; /* that an application has read whole */
    char buf[1 << 20];
    char line[8192];
};

/* Everything published and running. `api_rules`: the TOML of service api behind `local`, NULL for
 * allow = ["web"]. */
struct support_rig *support_rig_new(unsigned port, const char *api_rules);
void support_rig_free(struct support_rig *r);
/* For cmocka: one rig for a group of tests, at this port. */
#define SUPPORT_RIG_PORT 17400u
int support_rig_setup(void **state);
int support_rig_teardown(void **state);
/* New rules for api, published. */
void support_rig_rules(struct support_rig *r, unsigned port, const char *api_rules);
/* The caller with api as its one upstream, these keys added, published. For a rig at
 * SUPPORT_RIG_PORT. */
void support_rig_web(struct support_rig *r, const char *upstream);
/* One request to api; the answer is in r->buf. Adds `connection: close`. */
const char *support_rig_get(struct support_rig *r, const char *target, const char *fields);
/* Waits until applications have read `count` requests in all. */
void support_rig_await(struct support_rig *r, unsigned count);
/* Waits until nothing is in flight and forgets the log lines so far. */
void support_rig_settle(struct support_rig *r);
/* A clean request must succeed: nothing is poisoned, nothing hangs. */
void support_rig_marker(struct support_rig *r);

/* With the host of api, at `at`, served by `mute`, a caller with these upstream keys ends with
 * `reason`, and then the link itself is given up. */
void support_rig_given_up(struct support_rig *r, const char *at, void (*mute)(int fd, void *arg),
                          const char *upstream, const char *reason);

/* The HTTP application: what it does is in the request's path (support_rig.c has the list). `arg`
 * is the rig. */
void support_rig_http(int fd, void *arg);
/* The TCP application: greets with "hello\n" at once, echoes, and when the client ends says "bye\n"
 * and ends. */
void support_rig_tcp(int fd, void *arg);
/* Answers 503 to every request. `arg` is the rig. */
void support_rig_sick(int fd, void *arg);
/* Says nothing, whatever it hears. */
void support_rig_deaf(int fd, void *arg);

#endif
