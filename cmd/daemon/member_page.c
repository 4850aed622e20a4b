#include "cmd/daemon/member_page.h"

#include <string.h>

static bool belongs(const struct gossip_member *m, struct span after)
{
    if (m->self || m->state == MEMBER_LEFT || m->state == MEMBER_BANNED) return false;
    return m->name.text[0] != '\0' && span_cmp(span_str(m->name.text), after) > 0;
}

static int compare(const struct gossip_member *a, const struct gossip_member *b)
{
    return span_cmp(span_str(a->name.text), span_str(b->name.text));
}

size_t member_page_take(const struct gossip *g, struct span after, struct gossip_member *out,
                        size_t cap, size_t *left)
{
    struct gossip_member m;
    size_t count = 0, pos = 0;
    *left = 0;
    while (gossip_member_next(g, &pos, &m)) {
        if (!belongs(&m, after)) continue;
        if (count == cap) {
            (*left)++;
            if (compare(&m, &out[cap - 1]) > 0) continue;
            count--;
        }
        size_t at = count++;
        for (; at > 0 && compare(&m, &out[at - 1]) < 0; at--)
            out[at] = out[at - 1];
        out[at] = m;
    }
    return count;
}
