/* Mesh streams: control-plane connections between nodes, ALPN parley-sync/1, mutual TLS with node
 * identities.
 *
 *   first byte of the opener        then, both ways
 *   +-----+   +---------------+-----------------+
 *   | 'G' |   | length u32 BE | 1 B to 1 MiB    | *   gossip messages
 *   | 'I' |   | length u32 BE | bytes           |     one certificate request, one reply, close
 *   +-----+   +---------------+-----------------+
 *
 * Control thread. Inbound connections come from the workers' mailboxes (descriptor and the hello's
 * bytes). At most MESH_STREAM_INBOUND_MAX at once, MESH_STREAM_HANDSHAKES_MAX from one address that
 * have not opened, and MESH_STREAM_PEER_MAX of one node that have; each must open, and then move,
 * within MESH_STREAM_LIMIT_MS (security.md M14).
 */
#ifndef CMD_DAEMON_MESH_STREAM_H
#define CMD_DAEMON_MESH_STREAM_H

#include "cmd/daemon/daemon.h"
#include "core/crypto/x509_check.h"

#define MESH_STREAM_ALPN           "parley-sync/1"
#define MESH_STREAM_FRAME_MAX      (1024u * 1024)
#define MESH_STREAM_INBOUND_MAX    32u
#define MESH_STREAM_HANDSHAKES_MAX 8u
#define MESH_STREAM_PEER_MAX       4u
#define MESH_STREAM_OUTBOUND_MAX   32u
#define MESH_STREAM_LIMIT_MS       10000u

struct mesh_stream;

/* What the gossip driver hears; `stream` is its id (bit 31: inbound). */
struct mesh_stream_events {
    void (*on_opened)(void *owner, uint32_t stream, bool inbound, const struct x509_leaf *peer);
    void (*on_message)(void *owner, uint32_t stream, struct span message);
    /* ERR_OK: clean end. Not called after mesh_stream_close. */
    void (*on_closed)(void *owner, uint32_t stream, enum err err);
};

enum err mesh_stream_new(struct daemon *d, const struct mesh_stream_events *events, void *owner,
                         struct mesh_stream **out) MUST_USE;
void mesh_stream_free(struct mesh_stream *ms);

/* Gossip side. `name` "": any node of the mesh. Failures come later by on_closed. */
void mesh_stream_open(struct mesh_stream *ms, uint32_t stream, const struct addr *to,
                      const struct name *name);
void mesh_stream_send(struct mesh_stream *ms, uint32_t stream, struct span message);
void mesh_stream_close(struct mesh_stream *ms, uint32_t stream);
/* An inbound connection: takes the descriptor (also when it is refused for lack of room). */
void mesh_stream_accept(struct mesh_stream *ms, int take_fd, const struct addr *from,
                        struct span seen);

/* Certificate requests, the server's side: registered once by the enroll code. `on_request` answers
 * in the call by appending to `reply` (at most MESH_STREAM_FRAME_MAX); an error closes the stream
 * without a reply. `peer` is what mutual TLS proved: a node of this mesh. */
struct mesh_stream_issue {
    enum err (*on_request)(void *owner, const struct x509_leaf *peer, const struct addr *from,
                           struct span request, struct strbuf *reply);
    void *owner;
};
void mesh_stream_serve_issue(struct mesh_stream *ms, const struct mesh_stream_issue *serve);

/* The asking side: one request to one node over a connection of its own, embedded by its owner;
 * zero-initialise, set `done`. `done` comes exactly once, later, unless cancelled, and may free the
 * call's owner; `reply` is borrowed for the call and empty on an error. */
struct mesh_stream_call {
    void (*done)(struct mesh_stream_call *call, enum err err, struct span reply);
    void *stream; /* private */
};
/* `name` "": any node of the mesh. ERR_FULL: too many streams; ERR_TOO_LARGE; ERR_NOMEM: `done`
 * will not come. */
enum err mesh_stream_call_start(struct mesh_stream *ms, struct mesh_stream_call *call,
                                const struct addr *to, const struct name *name,
                                struct span request) MUST_USE;
void mesh_stream_call_cancel(struct mesh_stream_call *call);

#endif
