/* Client: one question to the local agent over its unix socket, HTTP/1.1 (interface.md 2.1, 5).
 *
 * Main thread of a command; blocking, with a deadline. The socket is --socket (a socket, a --root
 * folder, or demo.N), else ROOT/run/parley/parley.sock.
 */
#ifndef CMD_CLIENT_H
#define CMD_CLIENT_H

#include "cmd/verb.h"
#include "core/base/arena.h"
#include "core/base/strbuf.h"
#include "core/wire/json_read.h"

#define CLIENT_ANSWER_BYTES_MAX (64u * 1024 * 1024)

struct client_answer {
    unsigned status;
    struct strbuf body;           /* owned */
    struct arena arena;           /* owned: holds `doc` */
    const struct json_value *doc; /* the parsed body, NULL when it is not JSON */
};

/* Where the agent listens for this command; written into `out`. */
void client_socket_path(const struct verb_ctx *ctx, char *out, size_t cap);
/* Sends METHOD PATH with an optional JSON body and reads the answer. EXIT_DONE on a 2xx; otherwise
 * the failure has been said on stderr and the verb returns the code: EXIT_NO_AGENT,
 * EXIT_NOT_PERMITTED (403), EXIT_TIMED_OUT, EXIT_CONFIG (422), EXIT_NO (409), EXIT_FAILED. `a` is
 * always initialised: end it with client_answer_fini. */
enum verb_exit client_call(const struct verb_ctx *ctx, const char *method, const char *path,
                           struct span body, struct client_answer *a);
/* As client_call, silent: nothing is said on failure. */
enum verb_exit client_try(const struct verb_ctx *ctx, const char *method, const char *path,
                          struct span body, struct client_answer *a);
void client_answer_fini(struct client_answer *a);
/* GET `path`; with --json the document is printed as it came, else `render` prints `data`. */
enum verb_exit client_show(const struct verb_ctx *ctx, const char *path,
                           enum verb_exit (*render)(const struct verb_ctx *,
                                                    const struct json_value *doc));
/* Percent-encodes one path segment into `out`; false when it does not fit. */
bool client_segment(const char *text, char *out, size_t cap);

#endif
