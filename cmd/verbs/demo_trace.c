#include "cmd/verbs/demo_trace.h"

#include "core/base/arena.h"
#include "core/wire/json_read.h"

#include <fcntl.h>
#include <unistd.h>

#define ARENA_BYTES_MAX 262144u

void demo_trace_line(struct demo_trace *t, struct span line)
{
    const struct json_value *doc = NULL;
    struct arena arena;
    arena_init(&arena, 16384, ARENA_BYTES_MAX);
    if (json_read(line, &arena, &doc, NULL) != ERR_OK || doc->kind != JSON_OBJECT) {
        t->unread++;
    } else if (span_eq_str(json_read_str(doc, "dir", SPAN_LIT("")), "outbound")) {
        /* Each exchange is logged at both ends; the caller's end knows where it went. */
        struct span from = json_read_str(doc, "node", SPAN_LIT(""));
        struct span to = json_read_str(doc, "endpoint", SPAN_LIT(""));
        bool crosses = to.len > 0 && !span_eq(from, to);
        t->crossing += crosses;
        t->mtls += crosses && json_read_bool(doc, "tls", false);
        t->retried += json_read_u64(doc, "tries", 0) > 1;
    }
    arena_fini(&arena);
}

void demo_trace_feed(struct demo_trace *t, struct span bytes)
{
    while (bytes.len > 0) {
        struct span rest, piece = span_cut(bytes, '\n', &rest);
        bool ended = piece.len < bytes.len;
        size_t room = sizeof t->line - t->line_len;
        size_t len = piece.len < room ? piece.len : room;
        memcpy(t->line + t->line_len, piece.p, len);
        t->line_len += len;
        bytes = rest;
        if (!ended) return;
        /* A node that was killed while it wrote leaves half a line. */
        demo_trace_line(t, span_of(t->line, t->line_len));
        t->line_len = 0;
    }
}

void demo_trace_follow(struct demo_trace *t, const char *path)
{
    char buffer[16384];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    while ((n = pread(fd, buffer, sizeof buffer, t->offset)) > 0) {
        t->offset += n;
        demo_trace_feed(t, span_of(buffer, (size_t)n));
    }
    close(fd);
}
