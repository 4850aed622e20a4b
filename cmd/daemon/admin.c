#include "cmd/daemon/admin.h"

#include "cmd/daemon/admin_role.h"
#include "cmd/daemon/admin_route.h"
#include "cmd/daemon/mesh.h"
#include "core/base/check.h"
#include "core/io/conn.h"
#include "core/io/sock.h"
#include "core/wire/h1.h"
#include "core/wire/h1_emit.h"
#include "gossip/gossip.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ADMIN_MAGIC          0x61646d69u
#define ACCEPT_BATCH         8u
#define PAUSE_MS             100u
#define CALL_ARENA_BYTES_MAX (8u * 1024 * 1024)

struct admin_listener {
    struct loop_io io;
    struct loop_timer pause; /* after running out of descriptors */
    struct admin *admin;
    struct addr at;
    int fd; /* -1: none */
    bool metrics_only;
};

struct admin {
    uint32_t magic;
    struct daemon *daemon; /* borrowed */
    struct admin_listener local, metrics;
    struct list clients;
    unsigned client_count, open_count; /* all, and those without a role */
    char path[STORE_PATH_MAX];
};

enum client_stage { CLIENT_HEAD, CLIENT_BODY, CLIENT_RUNNING, CLIENT_ANSWERED };

struct client {
    struct list node;
    struct admin *admin;
    struct conn *conn;
    struct loop_timer limit; /* whole life */
    struct loop_timer poll;  /* ADMIN_LATER */
    enum client_stage stage;
    struct h1_scan scan;
    struct h1 parser;
    struct strbuf in;   /* head, then reused for the body */
    struct strbuf data; /* the handler's JSON, or its text */
    struct arena arena;
    struct headers headers;
    struct admin_call call;
};

/* An answer may hold a join token: what is freed is wiped. */
static void wipe(struct strbuf *sb)
{
    if (sb->p) sodium_memzero(sb->p, sb->cap);
    strbuf_fini(sb);
}

static void client_end(struct client *cl, bool abort)
{
    struct loop *l = cl->admin->daemon->loop;
    loop_timer_clear(l, &cl->limit);
    loop_timer_clear(l, &cl->poll);
    list_remove(&cl->node);
    cl->admin->client_count--;
    if (cl->call.role == ADMIN_OPEN) cl->admin->open_count--;
    conn_close(cl->conn, abort);
    strbuf_fini(&cl->in);
    wipe(&cl->data);
    strbuf_fini(&cl->call.warnings);
    strbuf_fini(&cl->call.error);
    arena_fini(&cl->arena);
    free(cl);
}

static void add_document(struct client *cl, struct json *j)
{
    struct daemon *d = cl->admin->daemon;
    const struct gossip *g = mesh_gossip(d->mesh);
    struct span lines = strbuf_view(&cl->call.warnings);
    char now[32], hash[17];
    struct tm tm;
    time_t wall = (time_t)loop_wall_s(d->loop);
    uint32_t agreeing, alive;
    gmtime_r(&wall, &tm);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)gossip_view_hash(g));
    gossip_agreement(g, &agreeing, &alive);
    json_member_cstr(j, "node", d->config->node.name.text);
    json_member_cstr(j, "generated_at", now);
    json_key(j, "view");
    json_object(j);
    json_member_cstr(j, "hash", hash);
    json_member_u64(j, "agreeing", agreeing);
    json_member_u64(j, "alive", alive);
    json_object_end(j);
    json_key(j, "data");
    json_raw(j, strbuf_view(&cl->data));
    json_key(j, "warnings");
    json_array(j);
    while (lines.len > 0)
        json_str(j, span_cut(lines, '\n', &lines));
    json_array_end(j);
}

/* The handler's output as a whole document. */
static void make_body(struct client *cl, struct strbuf *out)
{
    struct json j;
    if (cl->call.status < 400 && cl->call.content_type) {
        strbuf_span(out, strbuf_view(&cl->data));
        return;
    }
    json_init(&j, out);
    json_object(&j);
    json_member_cstr(&j, "schema", cl->call.status < 400 ? cl->call.schema : "parley.error.v1");
    if (cl->call.status < 400) {
        add_document(cl, &j);
    } else {
        json_key(&j, "error");
        json_str(&j, strbuf_view(&cl->call.error));
    }
    json_object_end(&j);
    strbuf_char(out, '\n');
}

static void client_answer(struct client *cl)
{
    struct strbuf out, body;
    const char *type =
        cl->call.content_type && cl->call.status < 400 ? cl->call.content_type : "application/json";
    strbuf_init(&body, ADMIN_ANSWER_BYTES_MAX);
    strbuf_init(&out, ADMIN_ANSWER_BYTES_MAX + 4096);
    if (!strbuf_ok(&cl->data))
        admin_route_fail(&cl->call, 500, "the answer is over the size limit");
    make_body(cl, &body);
    h1_emit_status_line(&out, cl->call.status);
    h1_emit_field(&out, SPAN_LIT("content-type"), span_str(type));
    h1_emit_field(&out, SPAN_LIT("cache-control"), SPAN_LIT("no-store"));
    h1_emit_field(&out, SPAN_LIT("connection"), SPAN_LIT("close"));
    h1_emit_length(&out, body.len);
    h1_emit_end(&out);
    strbuf_span(&out, strbuf_view(&body));
    cl->stage = CLIENT_ANSWERED;
    bool sent = strbuf_ok(&out) && conn_write(cl->conn, strbuf_view(&out)) == ERR_OK;
    wipe(&out);
    wipe(&body);
    client_end(cl, !sent);
}

static void client_refuse(struct client *cl, unsigned status, const char *why)
{
    admin_route_fail(&cl->call, status, "%s", why);
    client_answer(cl);
}

static void client_run(struct client *cl)
{
    struct loop *l = cl->admin->daemon->loop;
    if (cl->call.turn == 0) cl->call.started_ms = loop_now_ms(l);
    enum admin_progress progress = admin_route_run(&cl->call);
    cl->call.turn++;
    if (progress == ADMIN_DONE)
        client_answer(cl);
    else
        loop_timer_set(l, &cl->poll, loop_now_ms(l) + ADMIN_POLL_MS);
}

static void on_poll(struct loop_timer *t)
{
    client_run(CONTAINER_OF(t, struct client, poll));
}

static void on_limit(struct loop_timer *t)
{
    struct client *cl = CONTAINER_OF(t, struct client, limit);
    if (cl->stage == CLIENT_RUNNING)
        client_refuse(cl, 504, "not finished within the time limit");
    else
        client_end(cl, true);
}

static void body_complete(struct client *cl)
{
    struct span text = strbuf_view(&cl->in);
    cl->stage = CLIENT_RUNNING;
    if (text.len > 0 && json_read(text, &cl->arena, &cl->call.body, NULL) != ERR_OK)
        client_refuse(cl, 400, "the body is not JSON");
    else
        client_run(cl);
}

/* security.md X02: a browser sends Origin, and cannot send x-parley without asking first. */
static const char *head_fault(const struct client *cl, const struct h1_head *head)
{
    bool change = !span_eq_str(head->method, "GET");
    const struct header *mark = headers_find(&cl->headers, "x-parley");
    if (headers_find(&cl->headers, "origin")) return "requests with an Origin are not served here";
    if (change && (!mark || !span_eq_str(mark->value, "1")))
        return "changes need the header x-parley: 1";
    return NULL;
}

/* True: a body is to come; otherwise the client was answered, runs, or is gone. */
static bool head_complete(struct client *cl)
{
    struct h1_head head = {.headers = &cl->headers};
    size_t skipped = cl->scan.skipped, len = cl->in.len - skipped;
    char *copy = arena_dup(&cl->arena, cl->in.p + skipped, len);
    strbuf_reset(&cl->in);
    if (!copy || h1_request(&cl->parser, copy, len, &head) != ERR_OK) {
        client_refuse(cl, 400, "the request is malformed");
        return false;
    }
    const char *fault = head_fault(cl, &head);
    if (fault) {
        client_refuse(cl, 403, fault);
        return false;
    }
    if (head.body_length > (int64_t)ADMIN_REQUEST_BYTES_MAX) {
        client_refuse(cl, 413, "the body is over 1 MiB");
        return false;
    }
    struct span query, path = span_cut(head.target, '?', &query);
    cl->call.method = head.method;
    cl->call.path = path;
    cl->call.query = query;
    cl->stage = CLIENT_BODY;
    if (!cl->parser.done) return true;
    body_complete(cl);
    return false;
}

static void on_body_data(void *owner, struct span data)
{
    struct client *cl = owner;
    strbuf_span(&cl->in, data);
}

static void take_body(struct client *cl, struct span data)
{
    struct h1_sink sink = {.on_data = on_body_data, .owner = cl};
    size_t used;
    if (h1_body(&cl->parser, &cl->arena, data, &sink, &used) != ERR_OK)
        client_refuse(cl, 400, "the body is malformed");
    else if (!strbuf_ok(&cl->in))
        client_refuse(cl, 413, "the body is over 1 MiB");
    else if (cl->parser.done)
        body_complete(cl);
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct client *cl = owner;
    size_t used;
    (void)c;
    if (cl->stage == CLIENT_BODY) {
        take_body(cl, data);
        return data.len;
    }
    if (cl->stage != CLIENT_HEAD) return data.len;
    enum err err = h1_scan(&cl->scan, H1_REQUEST, data, &used);
    if (err == ERR_INVALID) {
        client_refuse(cl, reason_status(cl->scan.fault), reason_word(cl->scan.fault));
        return data.len;
    }
    strbuf_add(&cl->in, data.p, err == ERR_OK ? used : data.len);
    if (err != ERR_OK) return data.len;
    if (head_complete(cl) && used < data.len) take_body(cl, span_skip(data, used));
    return data.len;
}

static void on_open(struct conn *c, void *owner)
{
    (void)c;
    (void)owner;
}

static void on_eof(struct conn *c, void *owner)
{
    struct client *cl = owner;
    (void)c;
    /* A caller that half-closes still gets its answer. */
    if (cl->stage != CLIENT_RUNNING) client_end(cl, true);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    (void)c;
    (void)err;
    client_end(owner, true);
}

static const struct conn_events client_events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_error = on_error};

/* Those who may only look, over TCP too, never hold the places that drain and reload need. */
static bool has_room(const struct admin *a, enum admin_role role)
{
    if (a->client_count == ADMIN_CLIENTS_MAX) return false;
    return role != ADMIN_OPEN || a->open_count < ADMIN_OPEN_CLIENTS_MAX;
}

static void client_new(struct admin_listener *from, int take_fd)
{
    struct admin *a = from->admin;
    struct daemon *d = a->daemon;
    enum admin_role role = from->metrics_only ? ADMIN_OPEN : admin_role_of(take_fd);
    struct client *cl = has_room(a, role) ? calloc(1, sizeof *cl) : NULL;
    if (!cl) {
        close(take_fd);
        return;
    }
    struct conn_options o = {.loop = d->loop,
                             .events = &client_events,
                             .owner = cl,
                             .phase = LOOP_FLUSH_PLAIN,
                             .out_max = ADMIN_ANSWER_BYTES_MAX + 8192};
    if (conn_accept(&o, take_fd, NULL, (struct span){0}, &cl->conn) != ERR_OK) {
        free(cl);
        return;
    }
    cl->admin = a;
    cl->limit.on_expire = on_limit;
    cl->poll.on_expire = on_poll;
    strbuf_init(&cl->in, ADMIN_REQUEST_BYTES_MAX + 1);
    strbuf_init(&cl->data, ADMIN_ANSWER_BYTES_MAX);
    arena_init(&cl->arena, 16384, CALL_ARENA_BYTES_MAX);
    cl->call = (struct admin_call){.daemon = d,
                                   .role = role,
                                   .metrics_only = from->metrics_only,
                                   .arena = &cl->arena,
                                   .raw = &cl->data,
                                   .status = 200};
    json_init(&cl->call.json, &cl->data);
    strbuf_init(&cl->call.warnings, 65536);
    strbuf_init(&cl->call.error, 65536);
    list_push_back(&a->clients, &cl->node);
    a->client_count++;
    if (role == ADMIN_OPEN) a->open_count++;
    uint64_t limit_ms = role == ADMIN_OPEN ? ADMIN_OPEN_LIMIT_MS : ADMIN_LIMIT_MS;
    loop_timer_set(d->loop, &cl->limit, loop_now_ms(d->loop) + limit_ms);
}

static void on_accept(struct loop_io *io, bool readable, bool writable)
{
    struct admin_listener *ls = CONTAINER_OF(io, struct admin_listener, io);
    struct loop *l = ls->admin->daemon->loop;
    struct sock_accepted got[ACCEPT_BATCH];
    size_t count;
    (void)readable;
    (void)writable;
    enum err err = sock_accept(ls->fd, got, ACCEPT_BATCH, &count);
    for (size_t i = 0; i < count; i++)
        client_new(ls, got[i].fd);
    if (err == ERR_OK || err == ERR_AGAIN) return;
    loop_io_set(l, io, false, false);
    loop_timer_set(l, &ls->pause, loop_now_ms(l) + PAUSE_MS);
}

static void on_pause_over(struct loop_timer *t)
{
    struct admin_listener *ls = CONTAINER_OF(t, struct admin_listener, pause);
    if (ls->fd >= 0) loop_io_set(ls->admin->daemon->loop, &ls->io, true, false);
}

static void listener_start(struct admin_listener *ls, int fd)
{
    ls->fd = fd;
    ls->pause.on_expire = on_pause_over;
    loop_io_init(&ls->io, fd, on_accept);
    loop_io_set(ls->admin->daemon->loop, &ls->io, true, false);
}

static void listener_stop(struct admin_listener *ls)
{
    struct loop *l = ls->admin->daemon->loop;
    if (ls->fd < 0) return;
    loop_io_set(l, &ls->io, false, false);
    loop_timer_clear(l, &ls->pause);
    close(ls->fd);
    ls->fd = -1;
}

enum err admin_new(struct daemon *d, struct diag *diag, struct admin **out)
{
    struct admin *a = calloc(1, sizeof *a);
    int fd;
    if (!a) return ERR_NOMEM;
    a->magic = ADMIN_MAGIC;
    a->daemon = d;
    a->local = (struct admin_listener){.admin = a, .fd = -1};
    a->metrics = (struct admin_listener){.admin = a, .fd = -1, .metrics_only = true};
    list_init(&a->clients);
    store_path(&d->store, STORE_SOCKET, a->path);
    /* Mode 0666: roles come from the caller's credentials, not from the file (interface.md 5). */
    enum err err = sock_listen_unix(a->path, 0666, &fd);
    if (err != ERR_OK) {
        diag_error(diag, NULL, "the admin socket %s cannot be made: %s", a->path, err_text(err));
        a->magic = MAGIC_POISON;
        free(a);
        return err;
    }
    listener_start(&a->local, fd);
    *out = a;
    return ERR_OK;
}

void admin_free(struct admin *a)
{
    if (!a) return;
    CHECK_OBJ(a, ADMIN_MAGIC);
    listener_stop(&a->local);
    listener_stop(&a->metrics);
    (void)unlink(a->path);
    LIST_EACH(node, next, &a->clients) client_end(LIST_ENTRY(node, struct client, node), false);
    a->magic = MAGIC_POISON;
    free(a);
}

enum err admin_metrics_listen(struct admin *a, const struct addr *at, struct diag *diag)
{
    char text[ADDR_TEXT_MAX];
    int fd = -1;
    CHECK_OBJ(a, ADMIN_MAGIC);
    if (a->metrics.fd >= 0 && addr_eq(&a->metrics.at, at)) return ERR_OK;
    if (at->family != ADDR_NONE) {
        enum err err = sock_listen(at, 0, &fd);
        if (err != ERR_OK) {
            diag_error(diag, NULL, "[metrics] listen %s: %s", addr_format(at, text), err_text(err));
            return err;
        }
    }
    listener_stop(&a->metrics);
    a->metrics.at = *at;
    if (fd >= 0) listener_start(&a->metrics, fd);
    return ERR_OK;
}
