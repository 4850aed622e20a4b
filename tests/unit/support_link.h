/* One end of a link for tests, and frames as their bytes: what it is fed is what a test wrote out,
 * what it says is looked at.
 *
 * One thread. Fails the test that uses it rather than returning errors, but for what is tested.
 */
#ifndef TESTS_UNIT_SUPPORT_LINK_H
#define TESTS_UNIT_SUPPORT_LINK_H

#include "core/wire/link.h"

/* clang-format off */
#define HELLO                                                                                      \
    "\0\0\x0a\0\0\0\0\0"                                                                           \
    "\0\x04"                                                                                       \
    "\0\x01\0\0"                                                                                   \
    "\0\x10\0\0" /* 4, 64 KiB, 1 MiB */
#define GET                                                                                        \
    "\x01\x01\x01\x01"                                                                             \
    "a\x02\x01/"                             /* http, :authority a, :path / */
#define ID                      "\0\0\x01\0" /* place 0 for the first time */
#define FRAME(length, type, id) "\0\0" length type id
#define OPEN                    FRAME("\x08", "\x11", ID) GET /* ended */
#define POST                    FRAME("\x08", "\x01", ID) GET /* not */
/* clang-format on */

struct support_link {
    struct mux *mux;
    struct iobuf_pool pool;
    struct iobuf wire, out;
    struct mux_alloc alloc; /* unless it was given another */
    struct arena arena;
    struct headers fields;
    struct mux_stream stream[4];
    unsigned begun, heads, interims, ends, closes, goaways;
    size_t data_bytes;
    bool keep, refuse, too_large;
    enum mux_close how;
};

struct support_link *support_link_new(bool server);
/* Of an allocator that others have too, and a peer's count of it; NULL: there is no room. */
struct support_link *support_link_of(bool server, struct mux_alloc *alloc, _Atomic uint32_t *peer);
void support_link_free(struct support_link *e);
/* Feeds in pieces of `step` bytes; the first error, or ERR_OK. */
enum err support_link_feed(struct support_link *e, struct span in, size_t step);
/* Client: asks for / without a body, by stream `i`. */
void support_link_ask(struct support_link *e, size_t i, const char *method);
/* All it has to say, into `wire`; the last frame's type and the first byte of its payload. */
void support_link_said(struct support_link *e, unsigned *type, unsigned *byte);

#endif
