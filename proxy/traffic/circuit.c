#include "proxy/traffic/circuit.h"

bool circuit_ready(const struct circuit *c, uint64_t now_ms)
{
    if (c->state == CIRCUIT_CLOSED || c->held) return true;
    return c->state == CIRCUIT_OPEN && now_ms >= c->until_ms;
}

bool circuit_picked(struct circuit *c, uint64_t now_ms)
{
    if (c->state != CIRCUIT_OPEN || c->held || now_ms < c->until_ms) return false;
    c->state = CIRCUIT_HALF_OPEN;
    return true;
}

void circuit_open(struct circuit *c, const struct config_eject *rules, enum circuit_cause cause,
                  uint64_t now_ms)
{
    if (c->opened_in_row < CIRCUIT_TIMES_MAX) c->opened_in_row++;
    c->state = CIRCUIT_OPEN;
    c->cause = cause;
    c->held = false;
    c->until_ms = now_ms + (uint64_t)rules->for_ms * c->opened_in_row;
}

static void close_it(struct circuit *c, uint64_t now_ms)
{
    c->state = CIRCUIT_CLOSED;
    c->held = false;
    c->failed_in_row = c->opened_in_row = 0;
    c->ok = c->failed = 0;
    c->window_ms = now_ms;
}

static void count(struct circuit *c, bool ok, uint64_t now_ms)
{
    if (now_ms - c->window_ms >= CIRCUIT_WINDOW_MS) {
        c->ok = c->failed = 0;
        c->window_ms = now_ms;
    }
    if (ok) {
        c->ok++;
        c->failed_in_row = 0;
    } else {
        c->failed++;
        c->failed_in_row++;
    }
}

enum circuit_change circuit_report(struct circuit *c, const struct config_eject *rules, bool ok,
                                   bool probe, uint64_t now_ms)
{
    count(c, ok, now_ms);
    if (c->state == CIRCUIT_CLOSED) {
        if (ok || rules->after == 0 || c->failed_in_row < rules->after) return CIRCUIT_SAME;
        circuit_open(c, rules, CIRCUIT_CONSECUTIVE, now_ms);
        return CIRCUIT_OPENED;
    }
    /* Whatever was sent before it opened proves nothing now. */
    if (!probe && !(c->held && ok)) return CIRCUIT_SAME;
    if (!ok) {
        circuit_open(c, rules, c->cause, now_ms);
        return CIRCUIT_SAME;
    }
    close_it(c, now_ms);
    return CIRCUIT_CLOSES;
}

void circuit_unproved(struct circuit *c)
{
    if (c->state == CIRCUIT_HALF_OPEN) c->state = CIRCUIT_OPEN;
}

const char *circuit_cause_word(enum circuit_cause cause)
{
    static const char *const word[] = {[CIRCUIT_NONE] = "",
                                       [CIRCUIT_CONSECUTIVE] = "consecutive",
                                       [CIRCUIT_RATE] = "rate",
                                       [CIRCUIT_LATENCY] = "latency"};
    return word[cause];
}
