#include "cmd/daemon/own_record.h"

#include <stdio.h>

#include "cmd/daemon/drain.h"
#include "cmd/daemon/health_run.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/learn.h"
#include "core/wire/pack_record.h"

static void fill_service(const struct daemon *d, const struct config_service *s,
                         struct service_instance *out)
{
    out->service = s->name;
    out->origin = learn_of(d->learn, s, &out->protocol);
    out->health = d->health != NULL ? health_run_of(d->health, &s->name) : HEALTH_UNKNOWN;
    out->weight = s->weight;
    out->tag_count = s->tag_count < NODE_TAGS_MAX ? s->tag_count : NODE_TAGS_MAX;
    for (uint32_t i = 0; i < out->tag_count; i++)
        out->tag[i] = s->tag[i];
}

void own_record_build(const struct daemon *d, const struct config *c, struct node_record *out)
{
    memset(out, 0, sizeof *out);
    out->node = c->node.name;
    out->zone = c->node.zone;
    (void)snprintf(out->version, sizeof out->version, "%s", PARLEY_VERSION);
    const struct identity *leaf = identities_node(d->identities);
    out->cert_not_after_s = leaf != NULL ? identity_not_after_s(leaf) : 0;
    out->draining = d->drain != NULL && drain_active(d->drain);
    out->signer = store_exists(&d->store, STORE_CA_KEY);
    for (size_t i = 0; i < c->service_count && out->service_count < NODE_SERVICES_MAX; i++) {
        struct service_instance *s = &out->service[out->service_count++];
        fill_service(d, &c->service[i], s);
        s->draining = out->draining;
    }
}

size_t own_record_pack(struct daemon *d, struct node_record *out, uint8_t *body)
{
    size_t len = 0;
    own_record_build(d, d->config, out);
    enum err err = pack_record_encode(out, body, RECORD_BODY_BYTES_MAX, &len);
    if (err == ERR_OK) return len;
    log_error(&d->log, "record", "this host's record does not fit: %s", err_text(err));
    return 0;
}
