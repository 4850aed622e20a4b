/* Clocks: the one place that reads them.
 *
 * Any thread, pure system calls through the vDSO. Monotonic time starts anywhere and never goes
 * back; it does not count suspend. Wall time is Unix time and may jump.
 */
#ifndef CORE_IO_CLOCK_H
#define CORE_IO_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Seconds and microseconds since 1970; 0 before it. */
int64_t clock_wall_s(void);
uint64_t clock_wall_us(void);

#define CLOCK_TEXT_BYTES 28u /* "2026-01-02T03:04:05.678901Z" and its NUL */
/* RFC 3339 with microseconds, UTC, NUL-terminated; returns `dst`. Years past 9999 show as 9999. */
char *clock_format_us(uint64_t wall_us, char dst[CLOCK_TEXT_BYTES]);

#endif
