/* Names and identities: mesh, node and service names, node ids and SPIFFE IDs.
 *
 * Any thread. Names are 1 to 63 of a-z 0-9 -, a letter or digit at both ends (interface.md 3). A
 * SPIFFE ID is spiffe://MESH/node/NAME or spiffe://MESH/service/NAME (SPIFFE-ID 2), compared byte
 * for byte.
 */
#ifndef CORE_MODEL_NAME_H
#define CORE_MODEL_NAME_H

#include "core/base/err.h"
#include "core/base/limits.h"
#include "core/base/span.h"

struct name {
    char text[NAME_BYTES_MAX + 1]; /* NUL-terminated */
};

#define NODE_ID_BYTES       16u
#define NODE_ID_SHORT_BYTES 8u /* its first ones: what datagrams and most tables name it by */
/* First 16 bytes of BLAKE2b-256 of the node's Ed25519 public key (gossip.md 3.1). */
struct node_id {
    uint8_t byte[NODE_ID_BYTES];
};
#define MESH_ID_BYTES 16u
struct mesh_id {
    uint8_t byte[MESH_ID_BYTES];
};

enum identity_kind { IDENTITY_NODE, IDENTITY_SERVICE };
struct spiffe_id {
    struct name mesh;
    struct name name;
    enum identity_kind kind;
};

bool name_valid(struct span s);
/* ERR_INVALID when it is not a name. */
enum err name_set(struct name *out, struct span s) MUST_USE;
bool name_eq(const struct name *a, const struct name *b);
/* Glob of `*` and literal characters against the whole name (token --node). */
bool name_glob(struct span glob, struct span name);

/* Strict: exactly the two forms above; upper case, ports, userinfo, query, fragment, empty or dot
 * segments, percent-encoding and trailing slashes are ERR_INVALID (T07). */
enum err name_spiffe_parse(struct span text, struct spiffe_id *out) MUST_USE;
/* Writes the URI, NUL-terminated, into SPIFFE_ID_BYTES_MAX + 1 bytes; its length. */
size_t name_spiffe_format(const struct spiffe_id *id, char dst[SPIFFE_ID_BYTES_MAX + 1]);
bool name_spiffe_eq(const struct spiffe_id *a, const struct spiffe_id *b);

/* SNI of a mesh link: SERVICE.MESH, or NODE.node.MESH (architecture.md 4). ERR_INVALID when it is
 * neither or of another mesh. */
enum err name_sni_parse(struct span sni, const struct name *mesh, enum identity_kind *kind,
                        struct name *name) MUST_USE;
#define SNI_BYTES_MAX 135u
size_t name_sni_format(const struct spiffe_id *id, char dst[SNI_BYTES_MAX + 1]);

int name_node_id_cmp(const struct node_id *a, const struct node_id *b);

#endif
