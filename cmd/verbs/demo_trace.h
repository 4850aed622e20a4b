/* Trace: what the nodes' access logs say of the demo's traffic.
 *
 * Main thread of a command. Follows a growing file; a line that is still being written waits for
 * its end.
 */
#ifndef CMD_VERBS_DEMO_TRACE_H
#define CMD_VERBS_DEMO_TRACE_H

#include <sys/types.h>

#include "core/base/limits.h"
#include "core/base/span.h"

struct demo_trace {
    uint64_t crossing;                    /* exchanges that left a node for another one */
    uint64_t mtls;                        /* of these, over mutual TLS */
    uint64_t retried;                     /* exchanges that took more than one try */
    uint64_t unread;                      /* lines that are no access record */
    off_t offset;                         /* of the file: read so far */
    char line[ACCESS_LOG_LINE_BYTES_MAX]; /* the beginning of the next */
    size_t line_len;
};

/* Counts one record, without its newline. */
void demo_trace_line(struct demo_trace *t, struct span line);
/* Counts bytes of the file in the order they stand there. */
void demo_trace_feed(struct demo_trace *t, struct span bytes);
/* Reads what was added to the file. A file that is not there yet holds nothing. */
void demo_trace_follow(struct demo_trace *t, const char *path);

#endif
