#include "core/wire/config_tags.h"

static bool tag_good(struct config_read *r, const struct config_read_item *item)
{
    struct span key = item->v->key;
    if (!config_read_is(r, item, "a tag", TOML_STRING)) return false;
    struct span value = item->v->u.text;
    bool clean = key.len > 0;
    for (size_t i = 0; i < key.len; i++)
        clean = clean && (uint8_t)key.p[i] >= 0x20 && key.p[i] != 0x7f;
    for (size_t i = 0; i < value.len; i++)
        clean = clean && (uint8_t)value.p[i] >= 0x20 && value.p[i] != 0x7f;
    if (clean && key.len <= TAG_BYTES_MAX && value.len <= TAG_BYTES_MAX) return true;
    config_read_bad(r, item, "a tag and its value are at most %u printable bytes each",
                    TAG_BYTES_MAX);
    return false;
}

struct config_tags config_tags_read(const struct config_read_table *t, const char *key)
{
    struct config_read *r = t->read;
    struct config_read_item list = config_read_find(t, key);
    struct config_tags tags = {.count = 0};
    config_read_note(t, key, &list, "{}");
    if (list.v == NULL || !config_read_is(r, &list, key, TOML_TABLE)) return tags;
    if (list.v->u.node.count > NODE_TAGS_MAX) {
        config_read_bad(r, &list, "a service has at most %u tags", NODE_TAGS_MAX);
        return tags;
    }
    tags.tag = config_read_alloc(r, true, list.v->u.node.count, sizeof(*tags.tag));
    if (tags.tag == NULL) return tags;
    for (const struct toml_value *v = list.v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list.src, .v = v};
        struct service_tag *tag = &tags.tag[tags.count];
        if (!tag_good(r, &item)) continue;
        *tag = (struct service_tag){.key = ""};
        memcpy(tag->key, v->key.p, v->key.len);
        memcpy(tag->value, v->u.text.p, v->u.text.len);
        tags.count++;
    }
    return tags;
}
