/* Tally: what became of the requests of a load.
 *
 * One thread, no I/O but the printing. A request has failed when it got no answer or one outside
 * 200 to 299. Latencies are those of all requests, failed ones too, from the moment each was due.
 */
#ifndef CMD_VERBS_TESTAPP_TALLY_H
#define CMD_VERBS_TESTAPP_TALLY_H

#include <stdio.h>

#include "cmd/verbs/testapp_client.h"
#include "core/base/hist.h"
#include "core/model/reason.h"
#include "core/wire/json.h"

#define TESTAPP_TALLY_STATUS_MAX 600u

struct testapp_tally {
    uint64_t requests; /* ended */
    uint64_t failed;
    uint64_t status[TESTAPP_TALLY_STATUS_MAX];
    uint64_t end[TESTAPP_CLIENT_ENDS];
    uint64_t reason[REASON_COUNT + 1]; /* the last: a word this version does not know */
    struct hist latency_us;
};

/* Counts one request that ended `latency_us` after it was due. */
void testapp_tally_add(struct testapp_tally *t, const struct testapp_client_result *result,
                       uint64_t latency_us);
/* Was it counted as failed? */
bool testapp_tally_failed(const struct testapp_client_result *result);
double testapp_tally_ms(const struct testapp_tally *t, double quantile);
/* {"REASON": n, ...} of the mesh's own answers. */
void testapp_tally_reasons(const struct testapp_tally *t, struct json *j);
/* The members of an object that the caller has begun. */
void testapp_tally_json(const struct testapp_tally *t, struct json *j);
/* The same for a person. */
void testapp_tally_print(const struct testapp_tally *t, FILE *out);

#endif
