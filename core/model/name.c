#include "core/model/name.h"

#include "core/base/check.h"

#include <assert.h>

#define SCHEME          "spiffe://"
#define NODE_SEGMENT    "/node/"
#define SERVICE_SEGMENT "/service/"

static_assert(sizeof(SCHEME SERVICE_SEGMENT) - 1 + (size_t)2 * NAME_BYTES_MAX <=
                  SPIFFE_ID_BYTES_MAX,
              "every identity has room");
static_assert(sizeof(".node.") - 1 + (size_t)2 * NAME_BYTES_MAX <= SNI_BYTES_MAX,
              "every server name has room");

static bool letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool name_valid(struct span s)
{
    if (s.len == 0 || s.len > NAME_BYTES_MAX) return false;
    if (!letter_or_digit(s.p[0]) || !letter_or_digit(s.p[s.len - 1])) return false;
    for (size_t i = 1; i < s.len; i++)
        if (!letter_or_digit(s.p[i]) && s.p[i] != '-') return false;
    return true;
}

enum err name_set(struct name *out, struct span s)
{
    struct name n = {.text =
                         ""}; /* no stale bytes behind the NUL: names are copied by assignment */
    if (!name_valid(s)) return ERR_INVALID;
    memcpy(n.text, s.p, s.len);
    *out = n;
    return ERR_OK;
}

bool name_eq(const struct name *a, const struct name *b)
{
    return strcmp(a->text, b->text) == 0;
}

/* After a mismatch only the last star can take one more character: two cursors, no recursion, at
 * most glob.len * name.len steps. */
bool name_glob(struct span glob, struct span name)
{
    size_t g = 0, n = 0;
    size_t star = SIZE_MAX, star_n = 0;
    while (n < name.len) {
        if (g < glob.len && glob.p[g] == '*') {
            star = g++;
            star_n = n;
        } else if (g < glob.len && glob.p[g] == name.p[n]) {
            g++;
            n++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            n = ++star_n;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.p[g] == '*')
        g++;
    return g == glob.len;
}

enum err name_spiffe_parse(struct span text, struct spiffe_id *out)
{
    struct spiffe_id id = {.kind = IDENTITY_NODE};
    struct span name;
    if (!span_starts(text, SPAN_LIT(SCHEME))) return ERR_INVALID;
    struct span rest = span_skip(text, sizeof(SCHEME) - 1);
    const char *slash = rest.len > 0 ? memchr(rest.p, '/', rest.len) : NULL;
    if (slash == NULL) return ERR_INVALID;
    struct span mesh = span_of(rest.p, (size_t)(slash - rest.p));
    struct span path = span_skip(rest, mesh.len);
    if (span_starts(path, SPAN_LIT(NODE_SEGMENT))) {
        name = span_skip(path, sizeof(NODE_SEGMENT) - 1);
    } else if (span_starts(path, SPAN_LIT(SERVICE_SEGMENT))) {
        id.kind = IDENTITY_SERVICE;
        name = span_skip(path, sizeof(SERVICE_SEGMENT) - 1);
    } else {
        return ERR_INVALID;
    }
    /* A name holds no '/', '%', '?', '#', ':', '@' or '.', so nothing of T07 gets past here. */
    if (name_set(&id.mesh, mesh) != ERR_OK || name_set(&id.name, name) != ERR_OK)
        return ERR_INVALID;
    *out = id;
    return ERR_OK;
}

/* Appends a text with its NUL; behind the text. By hand: this is done for every request. */
static char *put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    at[len] = '\0';
    return at + len;
}

size_t name_spiffe_format(const struct spiffe_id *id, char dst[SPIFFE_ID_BYTES_MAX + 1])
{
    bool node = id->kind == IDENTITY_NODE;
    char *at = put(dst, SCHEME, sizeof(SCHEME) - 1);
    at = put(at, id->mesh.text, strlen(id->mesh.text));
    at = node ? put(at, NODE_SEGMENT, sizeof(NODE_SEGMENT) - 1)
              : put(at, SERVICE_SEGMENT, sizeof(SERVICE_SEGMENT) - 1);
    at = put(at, id->name.text, strlen(id->name.text));
    return (size_t)(at - dst);
}

bool name_spiffe_eq(const struct spiffe_id *a, const struct spiffe_id *b)
{
    return a->kind == b->kind && name_eq(&a->mesh, &b->mesh) && name_eq(&a->name, &b->name);
}

enum err name_sni_parse(struct span sni, const struct name *mesh, enum identity_kind *kind,
                        struct name *name)
{
    struct span rest;
    struct span first = span_cut(sni, '.', &rest);
    enum identity_kind found = IDENTITY_SERVICE;
    if (rest.p == NULL) return ERR_INVALID;
    if (!span_eq_str(rest, mesh->text)) {
        struct span after;
        struct span label = span_cut(rest, '.', &after);
        if (!span_eq_str(label, "node") || !span_eq_str(after, mesh->text)) return ERR_INVALID;
        found = IDENTITY_NODE;
    }
    if (name_set(name, first) != ERR_OK) return ERR_INVALID;
    *kind = found;
    return ERR_OK;
}

size_t name_sni_format(const struct spiffe_id *id, char dst[SNI_BYTES_MAX + 1])
{
    char *at = put(dst, id->name.text, strlen(id->name.text));
    at = id->kind == IDENTITY_NODE ? put(at, ".node.", 6) : put(at, ".", 1);
    at = put(at, id->mesh.text, strlen(id->mesh.text));
    return (size_t)(at - dst);
}

int name_node_id_cmp(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a->byte, b->byte, sizeof(a->byte));
}
