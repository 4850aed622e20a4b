#include "proxy/traffic/keepalive.h"

#define SECOND_MS 1000u

void keepalive_said(struct keepalive *k, struct span field, uint64_t now_ms)
{
    struct span rest = field;
    while (rest.p != NULL && rest.len > 0) {
        struct span value, name = span_trim(span_cut(span_cut(rest, ',', &rest), '=', &value));
        uint64_t seconds;
        if (value.p == NULL || !span_eq_nocase(name, SPAN_LIT("timeout"))) continue;
        if (!span_u64(span_trim(value), &seconds)) return;
        uint64_t most = KEEPALIVE_MOST_MS / SECOND_MS;
        k->heard_ms = now_ms;
        /* 0 would be "nothing said"; 1 ms is as good as not at all. */
        k->said_ms = seconds == 0 ? 1 : (uint32_t)((seconds < most ? seconds : most) * SECOND_MS);
        return;
    }
}

/* What an observation is still worth; 0: nothing. */
static uint64_t observed(const struct keepalive *k, uint64_t now_ms)
{
    if (k->closed_ms == 0) return 0;
    uint64_t doublings = (now_ms - k->observed_ms) / KEEPALIVE_FADE_MS;
    uint64_t ms = doublings < 16 ? (uint64_t)k->closed_ms << doublings : KEEPALIVE_MOST_MS;
    return ms < KEEPALIVE_MOST_MS ? ms : 0;
}

void keepalive_closed(struct keepalive *k, uint64_t rest_ms, uint64_t now_ms)
{
    uint64_t before = observed(k, now_ms);
    if (rest_ms < KEEPALIVE_LEAST_MS || rest_ms >= KEEPALIVE_MOST_MS) return;
    if (before != 0 && before < rest_ms) return;
    k->closed_ms = (uint32_t)rest_ms;
    k->observed_ms = now_ms;
}

uint64_t keepalive_limit_ms(const struct keepalive *k, bool repeatable, uint64_t now_ms)
{
    uint64_t usual = repeatable ? KEEPALIVE_UNKNOWN_MS : KEEPALIVE_RISKY_MS;
    /* Who serves there now may be another who says nothing. */
    uint64_t said = now_ms - k->heard_ms < KEEPALIVE_FADE_MS ? k->said_ms : 0;
    uint64_t seen = observed(k, now_ms);
    if (said == 0 && seen == 0) return usual;
    uint64_t least = said == 0 || (seen != 0 && seen < said) ? seen : said;
    uint64_t limit = repeatable ? least * 3 / 4 : least / 2;
    /* One close speaks for short rests being wrong, not for long ones being right. */
    return said != 0 || limit < usual ? limit : usual;
}
