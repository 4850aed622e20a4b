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

static enum filter_verdict retry_attempt_end(struct filter_ctx *ctx, const struct filter_attempt *a)
{
    const struct config_retry *conf = ctx->conf;
    struct retry_state *state = ctx->state;
    if (a->failure == REASON_NONE || a->response_begun) return FILTER_NEXT;
    if (a->attempts >= conf->tries) return FILTER_NEXT;
    if (!a->reached_application)
        return conf->on_connect && endpoint_failed(a->failure) ? FILTER_RETRY : FILTER_NEXT;
    /* RFC 9110 9.2.2: only what is safe to repeat, and only when the connection is gone; a broken
     * answer (protocol_error) would break again. */
    if (!conf->on_reset || !a->replay_safe || a->failure != REASON_UPSTREAM_RESET)
        return FILTER_NEXT;
    if (state->replayed) return FILTER_NEXT;
    state->replayed = true;
    return FILTER_RETRY;
}

const struct filter_ops retry_filter = {
    .name = "retry",
    .state_size = sizeof(struct retry_state),
    .compile = retry_compile,
    .attempt_end = retry_attempt_end,
};
