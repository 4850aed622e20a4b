/* Logger: one line an event, for people, for the journal or as JSON, usually on descriptor 2.
 *
 *   journal   <6>join node=a tries=2
 *   text      2026-01-02T03:04:05.678901Z info join node=a tries=2
 *   JSON      {"ts":"2026-01-02T..Z","level":"info","event":"join","msg":"node=a tries=2"}
 *
 * Any thread: each call formats into its own stack buffer and makes one write that does not wait; a
 * line that the descriptor does not take at once is dropped and counted (security.md N37). Lines
 * are at most PIPE_BUF bytes, so that a pipe takes them whole. Repeats of peers' mistakes are
 * rate-limited by key: log_limited. Control bytes and what is not UTF-8 are escaped as \xNN. Never
 * secrets, tokens, bodies.
 */
#ifndef CORE_IO_LOG_H
#define CORE_IO_LOG_H

#include <stdatomic.h>

#include "core/model/config.h"

#define LOG_LIMIT_SLOTS       64u
#define LOG_LIMIT_BURST       3u
#define LOG_LIMIT_INTERVAL_MS 10000u
#define LOG_MESSAGE_BYTES_MAX 2048u /* longer ones end in "..." */

enum log_kind { LOG_KIND_SOCKET, LOG_KIND_FILE, LOG_KIND_OTHER };

struct log {
    int fd;             /* borrowed */
    enum log_kind kind; /* of `fd`: how to write without waiting */
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

/* `journal` starts as false. The descriptor's flags stay as they are: others share them. */
void log_init(struct log *l, int fd, enum config_log_level level, enum config_log_format format);
/* `event` is a short word ("join", "cert", "deny"); `fmt` gives key=value pairs or a sentence. `l`
 * NULL: nothing. */
void log_event(struct log *l, enum config_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same, at most LOG_LIMIT_BURST lines and then one in LOG_LIMIT_INTERVAL_MS for each `key` (not
 * 0); a line after a silence ends in "suppressed=N". Keys that share a slot share its bucket. */
void log_limited(struct log *l, enum config_log_level level, uint64_t key, const char *event,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#define log_debug(l, event, ...) log_event((l), LOG_LEVEL_DEBUG, (event), __VA_ARGS__)
#define log_info(l, event, ...)  log_event((l), LOG_LEVEL_INFO, (event), __VA_ARGS__)
#define log_warn(l, event, ...)  log_event((l), LOG_LEVEL_WARN, (event), __VA_ARGS__)
#define log_error(l, event, ...) log_event((l), LOG_LEVEL_ERROR, (event), __VA_ARGS__)

#endif
