#include "core/io/clock.h"

#include "core/base/check.h"
#include "core/base/strbuf.h"

#include <time.h>

#define SECONDS_A_DAY  86400u
#define YEAR_9999_LAST 253402300799u /* 9999-12-31T23:59:59Z */

/* A clock that Linux always has cannot fail. */
static struct timespec read_clock(clockid_t id)
{
    struct timespec ts;
    CHECK(clock_gettime(id, &ts) == 0);
    return ts;
}

uint64_t clock_mono_us(void)
{
    struct timespec ts = read_clock(CLOCK_MONOTONIC);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000u;
}

uint64_t clock_wall_us(void)
{
    struct timespec ts = read_clock(CLOCK_REALTIME);
    if (ts.tv_sec < 0) return 0;
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

int64_t clock_wall_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000u);
}

/* Days since 1970 to a civil date in the proleptic Gregorian calendar, by eras of 400 years that
 * begin in March (H. Hinnant, "chrono-compatible low-level date algorithms"). */
static void civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t shifted = days + 719468;
    uint64_t era = shifted / 146097;
    uint64_t day_of_era = shifted - era * 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t march_month = (5 * day_of_year + 2) / 153;
    *day = (unsigned)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = (unsigned)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = (unsigned)(year_of_era + era * 400 + (*month <= 2 ? 1 : 0));
}

char *clock_format_us(uint64_t wall_us, char dst[CLOCK_TEXT_BYTES])
{
    uint64_t seconds = wall_us / 1000000u;
    if (seconds > YEAR_9999_LAST) seconds = YEAR_9999_LAST;
    unsigned year, month, day;
    unsigned rest = (unsigned)(seconds % SECONDS_A_DAY);
    civil(seconds / SECONDS_A_DAY, &year, &month, &day);
    struct strbuf sb;
    strbuf_init_fixed(&sb, dst, CLOCK_TEXT_BYTES);
    strbuf_fmt(&sb, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year, month, day, rest / 3600,
               rest / 60 % 60, rest % 60, (unsigned)(wall_us % 1000000u));
    return dst;
}
