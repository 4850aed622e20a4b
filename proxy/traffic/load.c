#include "proxy/traffic/load.h"

#include "core/base/check.h"

#define EXACT 16u /* below it every number is a step of its own */

static const char *const step_text[] = {
    "0",     "1",     "2",     "3",     "4",     "5",     "6",     "7",     "8",     "9",
    "10",    "11",    "12",    "13",    "14",    "15",    "16",    "20",    "24",    "28",
    "32",    "40",    "48",    "56",    "64",    "80",    "96",    "112",   "128",   "160",
    "192",   "224",   "256",   "320",   "384",   "448",   "512",   "640",   "768",   "896",
    "1024",  "1280",  "1536",  "1792",  "2048",  "2560",  "3072",  "3584",  "4096",  "5120",
    "6144",  "7168",  "8192",  "10240", "12288", "14336", "16384", "20480", "24576", "28672",
    "32768", "40960", "49152", "57344", "65536",
};

struct span load_stamp(uint64_t waiting)
{
    if (waiting > LOAD_MAX) waiting = LOAD_MAX;
    if (waiting < EXACT) return span_str(step_text[waiting]);
    unsigned octave = 63u - (unsigned)__builtin_clzll(waiting); /* 4 is the first */
    size_t quarter = (size_t)(waiting >> (octave - 2)) & 3;
    return span_str(step_text[EXACT + (octave - 4) * 4 + quarter]);
}

bool load_parse(struct span text, uint32_t *waiting)
{
    uint64_t n;
    if (text.len > 5 || !span_u64(text, &n) || n > LOAD_MAX) return false;
    *waiting = (uint32_t)n;
    return true;
}
