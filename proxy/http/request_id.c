#include "proxy/http/request_id.h"

static const char alphabet[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void request_id_make(uint64_t wall_us, struct rng *rng, char out[REQUEST_ID_BYTES + 1])
{
    uint64_t time_ms = wall_us / 1000;
    uint64_t high = rng_u64(rng), low = rng_u64(rng);
    for (unsigned i = 10; i-- > 0; time_ms >>= 5)
        out[i] = alphabet[time_ms & 31];
    for (unsigned i = 10; i < 18; i++, high >>= 5)
        out[i] = alphabet[high & 31];
    for (unsigned i = 18; i < REQUEST_ID_BYTES; i++, low >>= 5)
        out[i] = alphabet[low & 31];
    out[REQUEST_ID_BYTES] = '\0';
}

bool request_id_valid(struct span s)
{
    /* The alphabet, one bit a character below 0x80. */
    static const uint32_t set[8] = {0, 0x03ff0000u, 0x07df6dfeu, 0};
    uint32_t all = 1;
    if (s.len != REQUEST_ID_BYTES) return false;
    for (size_t i = 0; i < s.len; i++)
        all &= set[(unsigned char)s.p[i] / 32] >> ((unsigned char)s.p[i] % 32);
    return all != 0;
}
