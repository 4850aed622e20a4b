/* Node records: what one node announces about itself and the service instances it runs. Plain data.
 *
 * Any thread. Written by the owner only and spread by gossip as an opaque, signed body
 * (wire/pack_record encodes it). All strings are inline, so a record is copied by assignment.
 */
#ifndef CORE_MODEL_RECORD_H
#define CORE_MODEL_RECORD_H

#include "core/model/addr.h"
#include "core/model/name.h"

/* On the wire too (wire/pack_record): values stay as they are. */
enum service_protocol { PROTOCOL_HTTP, PROTOCOL_TCP, PROTOCOL_H2, PROTOCOL_GRPC };

/* Where a protocol is known from. DEFAULT: from nowhere, the application has not shown it yet. */
enum protocol_origin { ORIGIN_CONFIGURED, ORIGIN_LEARNED, ORIGIN_DEFAULT };

/* Are its calls requests? Between hosts those are alike, whatever the application speaks. */
static inline bool record_speaks_http(enum service_protocol p)
{
    return p == PROTOCOL_HTTP || p == PROTOCOL_H2 || p == PROTOCOL_GRPC;
}

enum service_health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

#define TAG_BYTES_MAX 63u
struct service_tag {
    char key[TAG_BYTES_MAX + 1];
    char value[TAG_BYTES_MAX + 1];
};

struct service_instance {
    struct name service;
    enum service_protocol protocol;
    enum service_health health;  /* UNKNOWN counts as up: no check has finished yet */
    enum protocol_origin origin; /* of `protocol` */
    bool draining;
    uint32_t weight; /* 1..1000, default 100 */
    uint32_t tag_count;
    struct service_tag tag[NODE_TAGS_MAX];
};

#define VERSION_BYTES_MAX 31u
struct node_record {
    struct name node;
    struct name zone; /* text[0] == 0: none */
    char version[VERSION_BYTES_MAX + 1];
    int64_t cert_not_after_s; /* Unix time of the node leaf's end */
    bool draining;
    bool signer; /* holds the CA key */
    uint32_t service_count;
    struct service_instance service[NODE_SERVICES_MAX];
};

#endif
