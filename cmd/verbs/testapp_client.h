/* Client of the sample applications: one keep-alive HTTP/1.1 connection, one request at a time.
 *
 * Belongs to its loop's thread. A client connects when it has something to ask and none is open.
 * Nothing is retried: what went wrong is the result, so that a load counts what an application
 * would have seen.
 */
#ifndef CMD_VERBS_TESTAPP_CLIENT_H
#define CMD_VERBS_TESTAPP_CLIENT_H

#include "core/io/loop.h"
#include "core/model/addr.h"

/* How a request ended: constant, word, one sentence. */
#define TESTAPP_CLIENT_LIST(X)                                                                     \
    X(TESTAPP_CLIENT_ANSWERED, "answered", "a whole response came, whatever its status")           \
    X(TESTAPP_CLIENT_CONNECT, "connect", "no connection could be made")                            \
    X(TESTAPP_CLIENT_RESET, "reset", "the connection ended before the whole response")             \
    X(TESTAPP_CLIENT_TIMEOUT, "timeout", "the whole response did not come in time")                \
    X(TESTAPP_CLIENT_PROTOCOL, "protocol", "what came is not HTTP")

#define TESTAPP_CLIENT_ENUM(code, word, text) code,
enum testapp_client_end { TESTAPP_CLIENT_LIST(TESTAPP_CLIENT_ENUM) TESTAPP_CLIENT_ENDS };
#undef TESTAPP_CLIENT_ENUM

struct testapp_client;
struct testapp_client_result {
    enum testapp_client_end end;
    unsigned status;    /* of the response; 0: none */
    struct span reason; /* why the mesh failed it, "" when it did not; borrowed */
    struct span body;   /* the first `body_keep` bytes; borrowed during the call */
};

struct testapp_client_options {
    struct loop *loop;
    struct target to;      /* an address or a unix socket */
    const char *authority; /* the Host field; borrowed */
    size_t body_keep;      /* bytes of a response's body that are kept */
    /* A request has ended. Comes last: it may start the next one or free the client. */
    void (*on_result)(void *owner, const struct testapp_client_result *result);
    void *owner;
};
struct testapp_client_request {
    const char *method; /* borrowed, as all texts, until the result */
    const char *path;
    uint64_t body_bytes;
    uint64_t timeout_ms; /* for all of it */
};

/* Connects to nobody yet. ERR_NOMEM. */
enum err testapp_client_new(const struct testapp_client_options *o,
                            struct testapp_client **out) MUST_USE;
/* Closes; the request in progress has no result. NULL is fine. */
void testapp_client_free(struct testapp_client *c);
/* Starts a request; there must be none in progress. Its result comes later, never in this call. */
void testapp_client_start(struct testapp_client *c, const struct testapp_client_request *r);
/* "connect" and so on, static. */
const char *testapp_client_word(enum testapp_client_end end);

#endif
