/* Token book: the join tokens an issuer has given out and that may still be used (gossip.md 3.5).
 *
 * Control thread. On disk under the store's `tokens`: ids, keys derived from the secrets (never the
 * secrets), expiry, uses left, and what a joiner may become. Each change is stored before it takes
 * effect, so that a token used once stays used after a crash.
 */
#ifndef CMD_DAEMON_TOKEN_BOOK_H
#define CMD_DAEMON_TOKEN_BOOK_H

#include "cmd/daemon/store.h"
#include "cmd/daemon/token.h"
#include "core/crypto/sign.h"

#define TOKEN_BOOK_MAX  1024u
#define TOKEN_GLOB_MAX  64u
#define TOKEN_TTL_S_MAX (7 * 24 * 3600)
#define TOKEN_USES_MAX  1000u

struct token_entry {
    uint32_t id;
    uint8_t key[TOKEN_KEY_BYTES];
    int64_t expires_s;
    uint32_t uses_left;
    uint32_t roles;            /* ADMISSION_ROLE_* */
    char glob[TOKEN_GLOB_MAX]; /* node names it is good for; "*" any */
    uint32_t service_count;    /* 0: any */
    struct name service[ADMISSION_SERVICES_MAX];
};

struct token_book; /* opaque */

/* A missing file is an empty book. ERR_CORRUPT said in `d`. */
enum err token_book_new(const struct store *s, struct diag *d, struct token_book **out) MUST_USE;
void token_book_free(struct token_book *b);
/* Drops what has expired, then adds. ERR_FULL: TOKEN_BOOK_MAX are open; ERR_IO: not stored, not
 * added. */
enum err token_book_add(struct token_book *b, const struct token_entry *e, int64_t now_s) MUST_USE;
/* Borrowed until the next change; NULL: unknown or used up (expired ones are found: the caller says
 * so). */
const struct token_entry *token_book_find(const struct token_book *b, uint32_t id);
/* Takes one use. ERR_NOT_FOUND, ERR_EXPIRED; ERR_IO: not stored, so not granted. */
enum err token_book_take(struct token_book *b, uint32_t id, int64_t now_s) MUST_USE;
enum err token_book_revoke(struct token_book *b, uint32_t id) MUST_USE;
/* Entry number `i`; NULL past the end. */
const struct token_entry *token_book_at(const struct token_book *b, size_t i);

#endif
