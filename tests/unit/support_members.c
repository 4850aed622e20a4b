#include "tests/unit/support_members.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

void support_members_fill(struct member_table *t, const struct hash_key *key, uint32_t count)
{
    struct archive *archive;
    assert_int_equal(archive_new(key, &archive), ERR_OK);
    member_table_init(t, archive, NULL);
    archive_unref(archive); /* the table holds it */
    for (uint32_t i = 0; i < count; i++) {
        struct head h = {0};
        uint64_t bits = hash_mix(i + 1);
        struct member *m;
        memcpy(h.owner.byte, &bits, sizeof(bits));
        memcpy(h.sig, &bits, sizeof(bits));
        assert_int_equal(member_add(t, &h, &m), ERR_OK);
    }
}
