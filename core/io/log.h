/* Logger: one line an event, text for the journal ("<6>word key=value ...") or JSON lines, on
 * descriptor 2.
 *
 * Any thread: each call formats into its own stack buffer and makes one write(2) to a non-blocking
 * pipe-safe descriptor; a line that cannot be written at once is dropped and counted (N37). Repeats
 * of peers' mistakes are rate-limited by key: log_limited. Control bytes are escaped. Never
 * secrets, tokens, bodies.
 */
#ifndef CORE_IO_LOG_H
#define CORE_IO_LOG_H

#include <stdatomic.h>

#include "core/model/config.h"

#define LOG_LIMIT_SLOTS 64u
struct log {
    int fd;
    _Atomic int level;  /* enum config_log_level */
    _Atomic int format; /* enum config_log_format */
    bool journal;       /* write "<N>" priorities */
    _Atomic uint64_t dropped;
    struct log_limit { /* token bucket a key: 3 lines, then 1 a 10 s with "suppressed=N" */
        _Atomic uint64_t key;
        _Atomic uint64_t next_ms;
        _Atomic uint32_t burst;
        _Atomic uint32_t suppressed;
    } limit[LOG_LIMIT_SLOTS];
};

void log_init(struct log *l, int fd, enum config_log_level level, enum config_log_format format);
/* `event` is a short word ("join", "cert", "deny"); `fmt` gives key=value pairs or a sentence. `l`
 * NULL: nothing. */
void log_event(struct log *l, enum config_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void log_limited(struct log *l, enum config_log_level level, uint64_t key, const char *event,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#define log_debug(l, event, ...) log_event((l), LOG_LEVEL_DEBUG, (event), __VA_ARGS__)
#define log_info(l, event, ...)  log_event((l), LOG_LEVEL_INFO, (event), __VA_ARGS__)
#define log_warn(l, event, ...)  log_event((l), LOG_LEVEL_WARN, (event), __VA_ARGS__)
#define log_error(l, event, ...) log_event((l), LOG_LEVEL_ERROR, (event), __VA_ARGS__)

#endif
