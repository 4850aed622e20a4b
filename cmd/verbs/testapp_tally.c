#include "cmd/verbs/testapp_tally.h"

static size_t reason_of(struct span word)
{
    for (unsigned r = 0; r < REASON_COUNT; r++)
        if (span_eq_str(word, reason_word((enum reason)r))) return r;
    return REASON_COUNT;
}

static const char *word_of(size_t reason)
{
    return reason < REASON_COUNT ? reason_word((enum reason)reason) : "other";
}

bool testapp_tally_failed(const struct testapp_client_result *result)
{
    return result->end != TESTAPP_CLIENT_ANSWERED || result->status < 200 || result->status > 299;
}

void testapp_tally_add(struct testapp_tally *t, const struct testapp_client_result *result,
                       uint64_t latency_us)
{
    t->requests++;
    t->failed += testapp_tally_failed(result);
    t->end[result->end]++;
    if (result->end == TESTAPP_CLIENT_ANSWERED && result->status < TESTAPP_TALLY_STATUS_MAX)
        t->status[result->status]++;
    if (result->reason.len > 0) t->reason[reason_of(result->reason)]++;
    hist_add(&t->latency_us, latency_us);
}

double testapp_tally_ms(const struct testapp_tally *t, double quantile)
{
    return (double)hist_quantile(&t->latency_us, quantile) / 1e3;
}

void testapp_tally_reasons(const struct testapp_tally *t, struct json *j)
{
    json_object(j);
    for (size_t r = 0; r <= REASON_COUNT; r++) {
        if (t->reason[r] == 0) continue;
        json_key(j, word_of(r));
        json_u64(j, t->reason[r]);
    }
    json_object_end(j);
}

static void key_ms(struct json *j, const char *key, double ms)
{
    json_key(j, key);
    json_f64(j, ms, 3);
}

void testapp_tally_json(const struct testapp_tally *t, struct json *j)
{
    json_member_u64(j, "requests", t->requests);
    json_member_u64(j, "ok", t->requests - t->failed);
    json_member_u64(j, "failed", t->failed);
    json_key(j, "status");
    json_object(j);
    for (unsigned s = 0; s < TESTAPP_TALLY_STATUS_MAX; s++) {
        char text[16];
        if (t->status[s] == 0) continue;
        snprintf(text, sizeof text, "%u", s);
        json_member_u64(j, text, t->status[s]);
    }
    json_object_end(j);
    json_key(j, "errors");
    json_object(j);
    for (unsigned e = TESTAPP_CLIENT_ANSWERED + 1; e < TESTAPP_CLIENT_ENDS; e++)
        json_member_u64(j, testapp_client_word((enum testapp_client_end)e), t->end[e]);
    json_object_end(j);
    json_key(j, "mesh_errors");
    testapp_tally_reasons(t, j);
    key_ms(j, "p50_ms", testapp_tally_ms(t, 0.5));
    key_ms(j, "p99_ms", testapp_tally_ms(t, 0.99));
    key_ms(j, "max_ms", (double)t->latency_us.max / 1e3);
}

void testapp_tally_print(const struct testapp_tally *t, FILE *out)
{
    fprintf(out, "requests   %llu  ok %llu  failed %llu\n", (unsigned long long)t->requests,
            (unsigned long long)(t->requests - t->failed), (unsigned long long)t->failed);
    for (unsigned s = 0; s < TESTAPP_TALLY_STATUS_MAX; s++)
        if (t->status[s] > 0) fprintf(out, "status %u %llu\n", s, (unsigned long long)t->status[s]);
    for (unsigned e = TESTAPP_CLIENT_ANSWERED + 1; e < TESTAPP_CLIENT_ENDS; e++)
        if (t->end[e] > 0)
            fprintf(out, "error      %s %llu\n", testapp_client_word((enum testapp_client_end)e),
                    (unsigned long long)t->end[e]);
    for (size_t r = 0; r <= REASON_COUNT; r++)
        if (t->reason[r] > 0)
            fprintf(out, "mesh       %s %llu\n", word_of(r), (unsigned long long)t->reason[r]);
    fprintf(out, "latency    p50 %.1fms  p99 %.1fms  max %.1fms\n", testapp_tally_ms(t, 0.5),
            testapp_tally_ms(t, 0.99), (double)t->latency_us.max / 1e3);
}
