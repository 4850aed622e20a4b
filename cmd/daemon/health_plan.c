#include "cmd/daemon/health_plan.h"

#include <stdlib.h>
#include <string.h>

#define PLAN_BYTES_MAX ((size_t)256 * 1024) /* 32 words of 4 KiB, and more */

static const char *const *copy_words(struct arena *a, const struct config_health *how)
{
    const char **argv = arena_array(a, (size_t)how->argc + 1, sizeof *argv);
    if (argv == NULL) return NULL;
    for (uint32_t i = 0; i < how->argc; i++) {
        argv[i] = arena_dup(a, how->argv[i], strlen(how->argv[i]));
        if (argv[i] == NULL) return NULL;
    }
    return argv;
}

enum err health_plan_new(const struct config_service *s, struct health_plan **out)
{
    const char *text = s->health.text != NULL ? s->health.text : "";
    struct health_plan *p = calloc(1, sizeof *p);
    if (p == NULL) return ERR_NOMEM;
    arena_init(&p->arena, 512, PLAN_BYTES_MAX);
    p->local = s->local;
    p->proxy_protocol = s->proxy_protocol;
    p->h2 = s->protocol == PROTOCOL_H2 || s->protocol == PROTOCOL_GRPC;
    p->how = s->health;
    p->how.text = arena_dup(&p->arena, text, strlen(text));
    p->how.argv = copy_words(&p->arena, &s->health);
    if (p->how.text == NULL || p->how.argv == NULL) {
        health_plan_free(p);
        return ERR_NOMEM;
    }
    *out = p;
    return ERR_OK;
}

void health_plan_free(struct health_plan *p)
{
    if (p == NULL) return;
    arena_fini(&p->arena);
    free(p);
}

bool health_plan_same(const struct health_plan *a, const struct health_plan *b)
{
    bool same = a->how.kind == b->how.kind && a->proxy_protocol == b->proxy_protocol &&
                a->h2 == b->h2 && addr_target_eq(&a->local, &b->local) &&
                strcmp(a->how.text, b->how.text) == 0 && a->how.argc == b->how.argc;
    for (uint32_t i = 0; same && i < a->how.argc; i++)
        same = strcmp(a->how.argv[i], b->how.argv[i]) == 0;
    return same;
}
