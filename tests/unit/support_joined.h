/* A client and a server of wire/mux.h joined in memory, by either codec.
 *
 * One thread. Fails the test that uses it rather than returning errors, but for what is tested.
 */
#ifndef TESTS_UNIT_SUPPORT_JOINED_H
#define TESTS_UNIT_SUPPORT_JOINED_H

#include "core/wire/mux.h"

struct support_side {
    struct mux *mux;
    struct iobuf wire; /* what it wrote */
    struct arena arena;
    struct headers fields;
    struct mux_stream stream[4];
    struct iobuf out[4];
    size_t begun;
    unsigned heads, interims, ends, closes, goaways, sent_ends;
    bool refuse, keep; /* refuses streams; does not consume */
    enum mux_close how;
    struct mux_head last;
    char path[300], value[300];
    size_t cookie_bytes;
    size_t data_bytes, sent_bytes, trailers;
};

struct support_joined {
    enum err (*codec)(const struct mux_options *o, struct mux **out);
    struct iobuf_pool pool;
    struct mux_alloc alloc;
    struct support_side client, server;
    uint64_t now_ms;
};

/* For cmocka: a pair that has said its settings. */
int support_joined_setup_h2(void **state);
int support_joined_setup_link(void **state);
int support_joined_teardown(void **state);
#define SUPPORT_JOINED_BOTH(name)                                                                  \
    {#name " (h2)", name, support_joined_setup_h2, support_joined_teardown, NULL},                 \
    {                                                                                              \
#name " (link)", name, support_joined_setup_link, support_joined_teardown, NULL            \
    }

void support_joined_side_init(struct support_joined *j, struct support_side *s, bool server);
void support_joined_side_fini(struct support_side *s);
/* One side's frames to the other; false: nothing to move. */
bool support_joined_move(struct support_joined *j, struct support_side *from,
                         struct support_side *to, enum err *result);
/* All of both to each other; the last error, or ERR_OK. */
enum err support_joined_pump(struct support_joined *j);
/* The client asks by its stream `i`; the server's stream `i` answers. */
enum err support_joined_request(struct support_joined *j, size_t i, struct headers *fields,
                                bool body);
void support_joined_respond(struct support_joined *j, size_t i, unsigned status, bool body);
/* So many bytes more, each 0. */
void support_joined_put(struct iobuf *b, size_t bytes);

#endif
