#include "core/wire/h2_session.h"

#include "core/wire/h2_impl.h"

#include <string.h>

#define RESETS_BURST           100000u /* of nghttp2, early answers' too; ours bites first */
#define RESETS_PER_S           10000u
#define SETTINGS_PER_FRAME_MAX 16u
#define SEND_HEAD_BYTES_MAX    (2u * HEADER_BYTES_MAX) /* as nghttp2 reckons, generously */

static void *mem_malloc(size_t len, void *purse)
{
    return mux_purse_get(purse, len);
}

static void mem_free(void *p, void *purse)
{
    mux_purse_put(purse, p);
}

static void *mem_calloc(size_t count, size_t size, void *purse)
{
    size_t len;
    if (!size_mul(count, size, &len)) return NULL;
    void *p = mux_purse_get(purse, len);
    return p != NULL ? memset(p, 0, len) : NULL;
}

static void *mem_realloc(void *p, size_t len, void *purse)
{
    return mux_purse_resize(purse, p, len);
}

static nghttp2_option *option_new(const struct mux_options *o)
{
    nghttp2_option *option = NULL;
    if (nghttp2_option_new(&option) != 0) return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, o->streams_max);
    nghttp2_option_set_max_reserved_remote_streams(option, 0);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_settings(option, SETTINGS_PER_FRAME_MAX);
    nghttp2_option_set_max_send_header_block_length(option, SEND_HEAD_BYTES_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_BURST, RESETS_PER_S);
    return option;
}

static int settings_submit(nghttp2_session *session, const struct mux_options *o)
{
    const nghttp2_settings_entry entry[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX},
        /* RFC 8441 for servers; RFC 9113 8.4: clients want no push. */
        {o->server ? NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL : NGHTTP2_SETTINGS_ENABLE_PUSH,
         o->server ? 1 : 0},
    };
    int code = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entry, ARRAY_LEN(entry));
    if (code != 0) return code;
    return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)o->connection_window_bytes);
}

enum err h2_session_new(const struct mux_options *o, const nghttp2_session_callbacks *callbacks,
                        struct h2 *h, nghttp2_session **out)
{
    nghttp2_mem mem = {&h->mux.purse, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session *session = NULL;
    nghttp2_option *option = option_new(o);
    if (option == NULL) return ERR_NOMEM;
    int code = o->server ? nghttp2_session_server_new3(&session, callbacks, h, option, &mem)
                         : nghttp2_session_client_new3(&session, callbacks, h, option, &mem);
    nghttp2_option_del(option);
    if (code != 0) return ERR_NOMEM;
    if (settings_submit(session, o) != 0) {
        nghttp2_session_del(session);
        return ERR_NOMEM;
    }
    *out = session;
    return ERR_OK;
}
