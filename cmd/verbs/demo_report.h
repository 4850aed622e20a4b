/* Report: what the demo says while it runs, and its document at the end.
 *
 * Main thread of a command. With --json nothing is printed but the document.
 */
#ifndef CMD_VERBS_DEMO_REPORT_H
#define CMD_VERBS_DEMO_REPORT_H

#include "cmd/verbs/demo.h"

void demo_report_started(const struct demo *d);
void demo_report_second(const struct demo *d);
void demo_report_killed(const struct demo *d);
void demo_report_ejected(const struct demo *d);
void demo_report_revived(const struct demo *d);
/* A process of `n` has ended as it should not: on stderr, with the end of the node's log. */
void demo_report_lost(const struct demo_node *n, const struct demo_child *lost);
/* The summary, or with --json {"schema":"parley.demo.v1","data":{...}}. */
void demo_report_end(const struct demo *d);

/* Exchanges that took more than one try, as far as the logs were read. */
uint64_t demo_report_retried(const struct demo *d);
/* Of the exchanges that crossed nodes, those over mutual TLS; -1 when none crossed. */
double demo_report_mtls_share(const struct demo *d);
/* No request failed, everything crossed nodes over mutual TLS, and a kill was seen by all. */
bool demo_report_good(const struct demo *d);
/* The last lines of a file, on stderr. */
void demo_report_log(const char *path);

#endif
