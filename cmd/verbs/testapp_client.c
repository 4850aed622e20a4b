#include "cmd/verbs/testapp_client.h"

#include "cmd/verbs/testapp_reader.h"
#include "core/base/check.h"
#include "core/io/conn.h"
#include "core/wire/h1_emit.h"

#include <stdlib.h>

#define CLIENT_MAGIC     0x74636c69u
#define BODY_PIECE_BYTES 8192u
#define BODY_QUEUED_MAX  (2u * BODY_LOW_WATER_BYTES)
#define HEAD_BYTES_MAX   4096u

struct testapp_client {
    uint32_t magic;
    struct testapp_client_options o;
    struct conn *conn; /* NULL: none */
    struct testapp_reader reader;
    struct loop_timer timer;
    struct strbuf body; /* owned: of the response */
    uint64_t body_left; /* of the request */
    bool busy;
    bool open;     /* on_open has come */
    bool hopeless; /* no connection could be started */
};

const char *testapp_client_word(enum testapp_client_end end)
{
#define CLIENT_WORD(code, word, text) [code] = word,
    static const char *const words[] = {TESTAPP_CLIENT_LIST(CLIENT_WORD)};
#undef CLIENT_WORD
    return words[end];
}

static void drop_conn(struct testapp_client *c, bool abort)
{
    if (c->conn) conn_close(c->conn, abort);
    c->conn = NULL;
    c->open = false;
}

/* The application that was called may itself have met the mesh: it says so by `call-reason`. */
static struct span reason_of(const struct headers *h)
{
    const struct header *field = headers_find(h, "parley-reason");
    if (!field) field = headers_find(h, "call-reason");
    return field ? field->value : SPAN_LIT("");
}

static void finish(struct testapp_client *c, enum testapp_client_end end)
{
    struct testapp_client_result result = {
        .end = end, .reason = SPAN_LIT(""), .body = strbuf_view(&c->body)};
    loop_timer_clear(c->o.loop, &c->timer);
    c->busy = false;
    if (end == TESTAPP_CLIENT_ANSWERED) {
        result.status = c->reader.head.status;
        result.reason = reason_of(&c->reader.headers);
        if (!c->reader.head.keep_alive || c->body_left > 0) drop_conn(c, false);
    } else {
        drop_conn(c, true);
    }
    c->o.on_result(c->o.owner, &result);
}

static void send_body(struct testapp_client *c)
{
    char piece[BODY_PIECE_BYTES];
    memset(piece, 'x', sizeof piece);
    while (c->conn && c->body_left > 0 && conn_queued(c->conn) < BODY_QUEUED_MAX) {
        size_t len = c->body_left < sizeof piece ? (size_t)c->body_left : sizeof piece;
        /* A connection that has failed says so by on_error. */
        if (conn_write(c->conn, span_of(piece, len)) != ERR_OK) return;
        c->body_left -= len;
    }
}

static void on_content(void *owner, struct span data)
{
    struct testapp_client *c = owner;
    size_t room = c->o.body_keep - c->body.len;
    strbuf_add(&c->body, data.p, data.len < room ? data.len : room);
}

static void on_open(struct conn *conn, void *owner)
{
    struct testapp_client *c = owner;
    (void)conn;
    c->open = true;
}

/* Interim responses are passed over; what stands behind the final one answers nothing we asked. */
static size_t on_data(struct conn *conn, void *owner, struct span data)
{
    struct testapp_client *c = owner;
    struct span in = data;
    (void)conn;
    if (!c->busy) {
        drop_conn(c, true);
        return data.len;
    }
    for (;;) {
        enum testapp_read read = testapp_reader_feed(&c->reader, &in);
        if (read == TESTAPP_READ_MORE) return data.len;
        if (read == TESTAPP_READ_HEAD) continue;
        if (read == TESTAPP_READ_FAULT) {
            finish(c, TESTAPP_CLIENT_PROTOCOL);
            return data.len;
        }
        if (c->reader.head.status >= 200 || c->reader.head.status == 101) break;
        testapp_reader_next(&c->reader);
    }
    if (in.len > 0 || c->reader.head.status == 101) c->reader.head.keep_alive = false;
    finish(c, TESTAPP_CLIENT_ANSWERED);
    return data.len;
}

static void on_eof(struct conn *conn, void *owner)
{
    struct testapp_client *c = owner;
    (void)conn;
    if (!c->busy)
        drop_conn(c, false);
    else if (testapp_reader_eof(&c->reader) == TESTAPP_READ_END)
        finish(c, TESTAPP_CLIENT_ANSWERED);
    else
        finish(c, TESTAPP_CLIENT_RESET);
}

static void on_error(struct conn *conn, void *owner, enum err err)
{
    struct testapp_client *c = owner;
    (void)conn;
    if (!c->busy)
        drop_conn(c, true);
    else if (err == ERR_TIMEOUT)
        finish(c, TESTAPP_CLIENT_TIMEOUT);
    else
        finish(c, c->open ? TESTAPP_CLIENT_RESET : TESTAPP_CLIENT_CONNECT);
}

static void on_drain(struct conn *conn, void *owner)
{
    (void)conn;
    send_body(owner);
}

static const struct conn_events events = {.on_open = on_open,
                                          .on_data = on_data,
                                          .on_eof = on_eof,
                                          .on_error = on_error,
                                          .on_drain = on_drain};

static void on_time(struct loop_timer *t)
{
    struct testapp_client *c = CONTAINER_OF(t, struct testapp_client, timer);
    finish(c, c->hopeless ? TESTAPP_CLIENT_CONNECT : TESTAPP_CLIENT_TIMEOUT);
}

enum err testapp_client_new(const struct testapp_client_options *o, struct testapp_client **out)
{
    struct testapp_client *c = calloc(1, sizeof *c);
    if (!c) return ERR_NOMEM;
    struct h1_sink sink = {.on_data = on_content, .owner = c};
    c->magic = CLIENT_MAGIC;
    c->o = *o;
    c->timer.on_expire = on_time;
    testapp_reader_init(&c->reader, H1_RESPONSE, &sink);
    strbuf_init(&c->body, o->body_keep + 1);
    *out = c;
    return ERR_OK;
}

void testapp_client_free(struct testapp_client *c)
{
    if (!c) return;
    CHECK_OBJ(c, CLIENT_MAGIC);
    loop_timer_clear(c->o.loop, &c->timer);
    drop_conn(c, true);
    testapp_reader_fini(&c->reader);
    strbuf_fini(&c->body);
    c->magic = MAGIC_POISON;
    free(c);
}

static bool send_head(struct testapp_client *c, const struct testapp_client_request *r)
{
    char storage[HEAD_BYTES_MAX];
    struct strbuf head;
    strbuf_init_fixed(&head, storage, sizeof storage);
    h1_emit_request_line(&head, span_str(r->method), span_str(r->path), (struct span){0});
    h1_emit_field(&head, SPAN_LIT("host"), span_str(c->o.authority));
    h1_emit_field(&head, SPAN_LIT("user-agent"), SPAN_LIT("parley-testapp"));
    if (r->body_bytes > 0 || strcmp(r->method, "POST") == 0) h1_emit_length(&head, r->body_bytes);
    h1_emit_end(&head);
    return strbuf_ok(&head) && conn_write(c->conn, strbuf_view(&head)) == ERR_OK;
}

void testapp_client_start(struct testapp_client *c, const struct testapp_client_request *r)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    CHECK(!c->busy);
    struct conn_options o = {
        .loop = c->o.loop, .events = &events, .owner = c, .phase = LOOP_FLUSH_PLAIN};
    c->busy = true;
    c->body_left = r->body_bytes;
    strbuf_reset(&c->body);
    testapp_reader_next(&c->reader);
    c->reader.to_head = strcmp(r->method, "HEAD") == 0;
    c->hopeless = !c->conn && conn_connect(&o, &c->o.to, NULL, &c->conn) != ERR_OK;
    if (!c->hopeless && send_head(c, r)) send_body(c);
    loop_timer_set(c->o.loop, &c->timer,
                   loop_now_ms(c->o.loop) + (c->hopeless ? 0 : r->timeout_ms));
}
