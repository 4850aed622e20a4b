#include "core/model/manifest.h"

#include "core/base/strbuf.h"

static const char *hex(const struct manifest_hash *h, size_t bytes, char *dst)
{
    struct strbuf sb;
    strbuf_init_fixed(&sb, dst, 2 * bytes + 1);
    strbuf_hex(&sb, h->byte, bytes);
    return dst;
}

const char *manifest_hash_text(const struct manifest_hash *h, char dst[MANIFEST_HASH_TEXT_MAX])
{
    return hex(h, MANIFEST_HASH_BYTES, dst);
}

const char *manifest_hash_short(const struct manifest_hash *h, char dst[MANIFEST_HASH_SHORT_MAX])
{
    return hex(h, (MANIFEST_HASH_SHORT_MAX - 1) / 2, dst);
}
