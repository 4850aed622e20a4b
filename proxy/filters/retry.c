#include "proxy/filters/retry.h"

#include "core/model/config.h"

struct retry_state {
    bool replayed;
};

/* Is the endpoint, or the way to it, to blame? Another one may then do better. */
static bool endpoint_failed(enum reason reason)
{
    return reason == REASON_CONN_REFUSED || reason == REASON_CONN_TIMEOUT ||
           reason == REASON_UPSTREAM_RESET || reason == REASON_PROTOCOL_ERROR ||
           reason == REASON_POOL_FULL || reason == REASON_DRAINING ||
           reason == REASON_PEER_CERT_EXPIRED || reason == REASON_PEER_CA_UNKNOWN ||
           reason == REASON_PEER_IDENTITY_MISMATCH || reason == REASON_PEER_NO_CERT;
}

static enum err retry_compile(const struct filter_config *config, struct arena *arena,
                              const void **conf, struct diag *d)
{
    (void)d;
    struct config_retry *copy = arena_alloc(arena, sizeof(*copy));
    if (copy == NULL) return ERR_NOMEM;
    *copy = *config->retry;
    *conf = copy;
    return ERR_OK;
}

static bool status_wanted(const struct config_retry *conf, unsigned status)
{
    for (uint32_t i = 0; i < conf->status_count; i++)
        if (conf->status[i] == status) return true;
    return conf->on_5xx && status >= 500 && status <= 599;
}

/* Of an attempt that an application may have seen. */
static bool repeats_reached(const struct config_retry *conf, struct retry_state *state,
                            const struct filter_attempt *a)
{
    if (a->forbidden || !(a->replay_safe || conf->any_method)) return false;
    if (a->status != 0) return status_wanted(conf, a->status);
    if (a->failure == REASON_UPSTREAM_TIMEOUT) return conf->on_timeout && a->try_expired;
    /* RFC 9110 9.2.2: only when the connection is gone; a broken answer would break again. */
    if (a->failure != REASON_UPSTREAM_RESET || !conf->on_reset || state->replayed) return false;
    state->replayed = true;
    return true;
}

static enum filter_verdict retry_attempt_end(struct filter_ctx *ctx, const struct filter_attempt *a)
{
    const struct config_retry *conf = ctx->conf;
    bool again = false;
    if (a->failure == REASON_NONE && a->status == 0) return FILTER_NEXT;
    if (a->response_begun || a->attempts >= conf->tries) return FILTER_NEXT;
    if (a->reached_application)
        again = repeats_reached(conf, ctx->state, a);
    else
        again = conf->on_connect && endpoint_failed(a->failure);
    return again ? FILTER_RETRY : FILTER_NEXT;
}

const struct filter_ops retry_filter = {
    .name = "retry",
    .state_size = sizeof(struct retry_state),
    .compile = retry_compile,
    .attempt_end = retry_attempt_end,
};
