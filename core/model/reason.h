/* Reasons: the words with which the mesh itself answers, refuses or fails (architecture.md law 5,
 * interface.md 6.1).
 *
 * Any thread. The same word goes into the `parley-reason` header, the access log, the metric and
 * `explain`. Columns: constant, word, HTTP status when the mesh answers with it.
 */
#ifndef CORE_MODEL_REASON_H
#define CORE_MODEL_REASON_H

#define REASON_LIST(X)                                                                             \
    X(REASON_NONE, "", 0)                                                                          \
    X(REASON_APP, "app", 0)                                                                        \
    X(REASON_NO_ROUTE, "no_route", 404)                                                            \
    X(REASON_NO_ENDPOINT, "no_endpoint", 503)                                                      \
    X(REASON_CONN_REFUSED, "conn_refused", 503)                                                    \
    X(REASON_CONN_TIMEOUT, "conn_timeout", 504)                                                    \
    X(REASON_UPSTREAM_RESET, "upstream_reset", 502)                                                \
    X(REASON_UPSTREAM_TIMEOUT, "upstream_timeout", 504)                                            \
    X(REASON_DEADLINE_EXPIRED, "deadline_expired", 504)                                            \
    X(REASON_PROTOCOL_ERROR, "protocol_error", 502)                                                \
    X(REASON_POOL_FULL, "pool_full", 503)                                                          \
    X(REASON_OVERLOADED, "overloaded", 503)                                                        \
    X(REASON_RATE_LIMITED, "rate_limited", 429)                                                    \
    X(REASON_RETRY_EXHAUSTED, "retry_exhausted", 503)                                              \
    X(REASON_DENIED_RULE, "denied_rule", 403)                                                      \
    X(REASON_DENIED_DEFAULT, "denied_default", 403)                                                \
    X(REASON_PEER_CERT_EXPIRED, "peer_cert_expired", 503)                                          \
    X(REASON_PEER_CA_UNKNOWN, "peer_ca_unknown", 503)                                              \
    X(REASON_PEER_IDENTITY_MISMATCH, "peer_identity_mismatch", 503)                                \
    X(REASON_PEER_NO_CERT, "peer_no_cert", 503)                                                    \
    X(REASON_CLIENT_GONE, "client_gone", 0)                                                        \
    X(REASON_CLIENT_TIMEOUT, "client_timeout", 408)                                                \
    X(REASON_BAD_REQUEST, "bad_request", 400)                                                      \
    X(REASON_HEADERS_TOO_LARGE, "headers_too_large", 431)                                          \
    X(REASON_TARGET_TOO_LONG, "target_too_long", 414)                                              \
    X(REASON_METHOD_NOT_ALLOWED, "method_not_allowed", 405)                                        \
    X(REASON_EXPECTATION_FAILED, "expectation_failed", 417)                                        \
    X(REASON_NOT_IMPLEMENTED, "not_implemented", 501)                                              \
    X(REASON_VERSION_NOT_SUPPORTED, "version_not_supported", 505)                                  \
    X(REASON_MISDIRECTED, "misdirected", 421)                                                      \
    X(REASON_DRAINING, "draining", 503)                                                            \
    X(REASON_LOOP_DETECTED, "loop_detected", 508)                                                  \
    X(REASON_IDLE_TIMEOUT, "idle_timeout", 0)                                                      \
    X(REASON_POLICY_CHANGED, "policy_changed", 0)                                                  \
    X(REASON_INTERNAL, "internal", 500)

#define REASON_ENUM(code, word, status) code,
enum reason { REASON_LIST(REASON_ENUM) REASON_COUNT };
#undef REASON_ENUM

/* The word, static; "" for REASON_NONE. */
const char *reason_word(enum reason r);
/* The HTTP status the mesh answers with; 0: no answer is possible. */
unsigned reason_status(enum reason r);

#endif
