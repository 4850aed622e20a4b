#define _GNU_SOURCE
#include "core/io/log.h"

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/io/clock.h"
#include "core/wire/json.h"
#include "core/wire/utf8.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct {
    const char *word;
    char priority; /* syslog(3) */
} levels[] = {[LOG_LEVEL_DEBUG] = {"debug", '7'},
              [LOG_LEVEL_INFO] = {"info", '6'},
              [LOG_LEVEL_WARN] = {"warn", '4'},
              [LOG_LEVEL_ERROR] = {"error", '3'}};

void log_init(struct log *l, int fd, enum config_log_level level, enum config_log_format format)
{
    struct stat st;
    memset(l, 0, sizeof(*l));
    l->fd = fd;
    l->level = (int)level;
    l->format = (int)format;
    l->kind = LOG_KIND_OTHER;
    if (fstat(fd, &st) != 0) return;
    if (S_ISSOCK(st.st_mode)) l->kind = LOG_KIND_SOCKET;
    if (S_ISREG(st.st_mode)) l->kind = LOG_KIND_FILE;
}

/* O_NONBLOCK would change the descriptor for everybody who shares it, a shell for example. */
static bool write_now(const struct log *l, struct span line)
{
    struct iovec iov = {.iov_len = line.len};
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    if (l->kind == LOG_KIND_SOCKET)
        return send(l->fd, line.p, line.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)line.len;
    if (l->kind == LOG_KIND_FILE) return write(l->fd, line.p, line.len) == (ssize_t)line.len;
    memcpy(&iov.iov_base, &line.p, sizeof(iov.iov_base));
    ssize_t n = pwritev2(l->fd, &iov, 1, -1, RWF_NOWAIT);
    if (n >= 0 || errno == EAGAIN || errno == EPIPE) return n == (ssize_t)line.len;
    /* Terminals, and pipes of older kernels. A pipe that polls writable has room for PIPE_BUF. */
    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0) return false;
    return write(l->fd, line.p, line.len) == (ssize_t)line.len;
}

/* C0, DEL, C1, line and paragraph separators, and what turns the direction of text around. */
static bool unprintable(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

static void add_escaped(struct strbuf *out, struct span s)
{
    while (s.len > 0) {
        uint32_t cp = 0;
        size_t n = utf8_decode(s, &cp);
        bool plain = n > 0 && !unprintable(cp);
        if (n == 0) n = 1;
        for (size_t i = 0; i < n && !plain; i++)
            strbuf_fmt(out, "\\x%02x", (unsigned)(uint8_t)s.p[i]);
        if (plain) strbuf_add(out, s.p, n);
        s = span_skip(s, n);
    }
}

static void add_json(struct strbuf *out, const char *ts, const char *level, const char *event,
                     struct span message)
{
    struct json j;
    json_init(&j, out);
    json_object(&j);
    json_member_cstr(&j, "ts", ts);
    json_member_cstr(&j, "level", level);
    json_member_cstr(&j, "event", event);
    json_key(&j, "msg");
    json_str(&j, message);
    json_object_end(&j);
}

static void add_line(const struct log *l, enum config_log_level level, const char *event,
                     struct span message, struct strbuf *out)
{
    char ts[CLOCK_TEXT_BYTES];
    bool json = l->format == LOG_FORMAT_JSON;
    if (l->journal) strbuf_fmt(out, "<%c>", levels[level].priority);
    if (json || !l->journal) clock_format_us(clock_wall_us(), ts);
    if (json) {
        add_json(out, ts, levels[level].word, event, message);
    } else {
        if (!l->journal) strbuf_fmt(out, "%s %s ", ts, levels[level].word);
        strbuf_str(out, event);
        strbuf_char(out, ' ');
        add_escaped(out, message);
    }
    strbuf_char(out, '\n');
}

static void emit(struct log *l, enum config_log_level level, const char *event, struct span message)
{
    char line[PIPE_BUF];
    struct strbuf sb;
    for (;;) {
        strbuf_init_fixed(&sb, line, sizeof(line));
        add_line(l, level, event, message, &sb);
        if (strbuf_ok(&sb) || message.len == 0) break;
        /* Escapes have made it too long. */
        message.len /= 2;
    }
    if (!write_now(l, strbuf_view(&sb)))
        atomic_fetch_add_explicit(&l->dropped, 1, memory_order_relaxed);
}

__attribute__((format(printf, 4, 0))) static void emit_formatted(struct log *l,
                                                                 enum config_log_level level,
                                                                 const char *event, const char *fmt,
                                                                 va_list ap, uint32_t suppressed)
{
    char text[LOG_MESSAGE_BYTES_MAX + 32];
    int printed = vsnprintf(text, LOG_MESSAGE_BYTES_MAX, fmt, ap);
    size_t len = printed > 0 ? (size_t)printed : 0;
    struct strbuf tail;
    if (len >= LOG_MESSAGE_BYTES_MAX) len = LOG_MESSAGE_BYTES_MAX - 1;
    strbuf_init_fixed(&tail, text + len, sizeof(text) - len);
    if (printed >= (int)LOG_MESSAGE_BYTES_MAX) strbuf_str(&tail, "...");
    if (suppressed > 0) strbuf_fmt(&tail, " suppressed=%u", (unsigned)suppressed);
    emit(l, level, event, span_of(text, len + tail.len));
}

static bool wanted(const struct log *l, enum config_log_level level)
{
    return l != NULL && (int)level >= atomic_load_explicit(&l->level, memory_order_relaxed);
}

void log_event(struct log *l, enum config_log_level level, const char *event, const char *fmt, ...)
{
    va_list ap;
    if (!wanted(l, level)) return;
    va_start(ap, fmt);
    emit_formatted(l, level, event, fmt, ap, 0);
    va_end(ap);
}

/* Threads may race for a slot; all that can come of it is a line more or less, so every order here
 * is relaxed. */
static bool allowed(struct log *l, uint64_t key, uint64_t now_ms, uint32_t *suppressed)
{
    struct log_limit *slot = &l->limit[hash_mix(key) % LOG_LIMIT_SLOTS];
    const memory_order relaxed = memory_order_relaxed;
    uint64_t next_ms = atomic_load_explicit(&slot->next_ms, relaxed);
    bool idle = now_ms >= next_ms + LOG_LIMIT_INTERVAL_MS;
    bool ours = atomic_load_explicit(&slot->key, relaxed) == key;
    if (next_ms == 0 || (!ours && idle)) {
        atomic_store_explicit(&slot->key, key, relaxed);
        atomic_store_explicit(&slot->burst, 0, relaxed);
        atomic_store_explicit(&slot->suppressed, 0, relaxed);
    }
    if (atomic_fetch_add_explicit(&slot->burst, 1, relaxed) < LOG_LIMIT_BURST) {
        atomic_store_explicit(&slot->next_ms, now_ms + LOG_LIMIT_INTERVAL_MS, relaxed);
        return true;
    }
    /* It must not come round to zero. */
    atomic_store_explicit(&slot->burst, LOG_LIMIT_BURST, relaxed);
    if (now_ms >= next_ms &&
        atomic_compare_exchange_strong_explicit(&slot->next_ms, &next_ms,
                                                now_ms + LOG_LIMIT_INTERVAL_MS, relaxed, relaxed)) {
        *suppressed = atomic_exchange_explicit(&slot->suppressed, 0, relaxed);
        return true;
    }
    atomic_fetch_add_explicit(&slot->suppressed, 1, relaxed);
    return false;
}

void log_limited(struct log *l, enum config_log_level level, uint64_t key, const char *event,
                 const char *fmt, ...)
{
    va_list ap;
    uint32_t suppressed = 0;
    if (!wanted(l, level) || !allowed(l, key, clock_mono_ms(), &suppressed)) return;
    va_start(ap, fmt);
    emit_formatted(l, level, event, fmt, ap, suppressed);
    va_end(ap);
}
