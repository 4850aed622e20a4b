/* Error codes: the one list every function that can fail returns from.
 *
 * Any thread. Owns nothing. A code says what kind of thing went wrong; where a person must act, a
 * `struct diag` says where and how to mend it. errno becomes a code at the call that set it
 * (err_from_errno).
 */
#ifndef CORE_BASE_ERR_H
#define CORE_BASE_ERR_H

#define MUST_USE __attribute__((warn_unused_result))

/* code, one sentence for a person. */
#define ERR_LIST(X)                                                                                \
    X(ERR_OK, "success")                                                                           \
    X(ERR_NOMEM, "out of memory")                                                                  \
    X(ERR_FULL, "a bounded queue or table is full")                                                \
    X(ERR_AGAIN, "not now: try again when the descriptor is ready")                                \
    X(ERR_MORE, "the input is incomplete")                                                         \
    X(ERR_EOF, "the other side ended the stream")                                                  \
    X(ERR_INVALID, "the input is malformed")                                                       \
    X(ERR_TOO_LARGE, "the input is over a size limit")                                             \
    X(ERR_RANGE, "a number is out of range")                                                       \
    X(ERR_NOT_FOUND, "no such thing")                                                              \
    X(ERR_EXISTS, "it exists already")                                                             \
    X(ERR_PERM, "permission denied")                                                               \
    X(ERR_IO, "an input or output operation failed")                                               \
    X(ERR_TIMEOUT, "the time limit passed")                                                        \
    X(ERR_REFUSED, "the connection was refused")                                                   \
    X(ERR_UNREACHABLE, "the address cannot be reached")                                            \
    X(ERR_RESET, "the connection was reset")                                                       \
    X(ERR_IN_USE, "the address is in use")                                                         \
    X(ERR_PROTOCOL, "the peer broke the protocol")                                                 \
    X(ERR_AUTH, "authentication failed")                                                           \
    X(ERR_DENIED, "policy denies it")                                                              \
    X(ERR_EXPIRED, "it has expired")                                                               \
    X(ERR_NOT_YET_VALID, "it is not valid yet")                                                    \
    X(ERR_UNTRUSTED, "it is signed by nobody we trust")                                            \
    X(ERR_MISMATCH, "the identity is not the expected one")                                        \
    X(ERR_REPLAY, "it was seen before")                                                            \
    X(ERR_UNSUPPORTED, "this is not supported")                                                    \
    X(ERR_BUSY, "busy: try again later")                                                           \
    X(ERR_CORRUPT, "stored data is damaged")                                                       \
    X(ERR_NO_ENDPOINT, "no endpoint is eligible")                                                  \
    X(ERR_CANCELLED, "the operation was cancelled")                                                \
    X(ERR_INTERNAL, "an internal limit was hit")

#define ERR_ENUM(code, text) code,
enum err { ERR_LIST(ERR_ENUM) ERR_COUNT };
#undef ERR_ENUM

/* One sentence for `err`, static. */
const char *err_text(enum err err);

/* "ERR_NOMEM" and so on, static. */
const char *err_name(enum err err);

/* The code that errno value `errnum` means; ERR_IO when it has no code of its own. Never ERR_OK for
 * errnum != 0. */
enum err err_from_errno(int errnum);

#endif
