/* Any bytes as a node record. What is accepted keeps its promises and comes back the same when it
 * is encoded and read again. */
#include "core/base/check.h"
#include "core/wire/pack_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_instance(const struct service_instance *a, const struct service_instance *b)
{
    CHECK(name_valid(span_str(a->service.text)) && name_eq(&a->service, &b->service));
    CHECK(a->weight >= 1 && a->weight <= 1000 && a->weight == b->weight);
    CHECK(a->protocol == b->protocol && a->origin == b->origin && a->health == b->health &&
          a->draining == b->draining);
    CHECK(a->tag_count <= NODE_TAGS_MAX && a->tag_count == b->tag_count);
    for (size_t i = 0; i < a->tag_count; i++) {
        CHECK(strcmp(a->tag[i].key, b->tag[i].key) == 0);
        CHECK(strcmp(a->tag[i].value, b->tag[i].value) == 0);
    }
}

static void check_record(const struct node_record *a, const struct node_record *b)
{
    CHECK(name_valid(span_str(a->node.text)) && name_eq(&a->node, &b->node));
    CHECK(name_eq(&a->zone, &b->zone) && strcmp(a->version, b->version) == 0);
    CHECK(a->cert_not_after_s == b->cert_not_after_s);
    CHECK(a->draining == b->draining && a->signer == b->signer);
    CHECK(a->service_count <= NODE_SERVICES_MAX && a->service_count == b->service_count);
    for (size_t i = 0; i < a->service_count; i++)
        check_instance(&a->service[i], &b->service[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node_record *record = malloc(2 * sizeof(*record));
    char *body = malloc(RECORD_BODY_BYTES_MAX);
    size_t len = 0;
    CHECK(record != NULL && body != NULL);
    if (pack_record_decode(span_of(data, size), &record[0]) == ERR_OK) {
        CHECK(pack_record_encode(&record[0], body, RECORD_BODY_BYTES_MAX, &len) == ERR_OK);
        CHECK(len <= size);
        CHECK(pack_record_decode(span_of(body, len), &record[1]) == ERR_OK);
        check_record(&record[0], &record[1]);
    } else {
        CHECK(record[0].service_count == 0 && record[0].node.text[0] == '\0');
    }
    free(body);
    free(record);
    return 0;
}
