/* A mesh peer for tests that says what it likes: TLS with a client certificate of the mesh over a
 * blocking socket, HTTP/2 or the link frame on top, as its ALPN says.
 *
 * One thread. Fails the test that uses it rather than returning errors, but for what is tested.
 */
#ifndef TESTS_UNIT_SUPPORT_PEER_H
#define TESTS_UNIT_SUPPORT_PEER_H

#include "core/wire/mux.h"
#include "tests/unit/support_mesh.h"

struct support_peer {
    int fd;
    struct tls_engine *tls;
    struct mux_alloc alloc;
    struct iobuf_pool pool;
    struct iobuf out;
    struct arena arena;
    struct headers fields;
    struct mux *mux;
    struct mux_stream stream;
    bool endless; /* requests with a body never end */
    /* of the last request */
    unsigned status;
    char reason[64]; /* parley-reason */
    char load[16];   /* parley-load */
    char retry[8];   /* parley-retry */
    char body[4096];
    size_t body_len;
    bool ended, closed;
    enum mux_close how;
    bool goaway;
};

/* Connects as `who` of `mesh` with this SNI and ALPN. False: the handshake was refused. */
bool support_peer_open(struct support_peer *p, struct support_mesh *mesh, const char *who,
                       const char *addr, const char *sni, const char *alpn);
void support_peer_close(struct support_peer *p);
/* Sends a request with what is in `head` (headers may be NULL) and `body`, and waits for its end.
 */
void support_peer_request(struct support_peer *p, const struct mux_head *head, const char *body);
/* The ClientHello that a client of this mesh would send. */
size_t support_peer_hello(struct support_mesh *mesh, const char *sni, const char *alpn,
                          uint8_t *out, size_t cap);

/* An application for support_app_start that is a mesh host gone deaf: it completes the handshake as
 * `api` of the mesh `arg`, then takes bytes and says nothing. */
void support_peer_mute(int fd, void *arg);
/* As that, by the link frame: not even HELLO comes. */
void support_peer_mute_link(int fd, void *arg);
/* As support_peer_mute, after its SETTINGS. */
void support_peer_settings_only(int fd, void *arg);
/* As support_peer_mute_link, after the first bytes of a record. */
void support_peer_part_of_a_record(int fd, void *arg);
/* Ends the connection at once. */
void support_peer_hang_up(int fd, void *arg);

#endif
