#include "cmd/daemon/health_probe.h"

#include <stdio.h>
#include <string.h>

#include "cmd/daemon/health_exec.h"
#include "cmd/daemon/health_h2.h"
#include "core/base/check.h"
#include "core/io/conn.h"
#include "core/wire/proxy_proto.h"
#include "proxy/net/detect.h"

static void let_go(struct health_probe *p, bool ok)
{
    struct conn *conn = p->conn;
    p->conn = NULL;
    p->plan = NULL;
    health_h2_free(p->h2);
    p->h2 = NULL;
    /* A reset of what passed would stand in the logs of many applications as an error. */
    if (conn != NULL && ok) conn_close_last(conn);
    if (conn != NULL && !ok) conn_close(conn, true);
}

static void end(struct health_probe *p, bool ok, const char *why)
{
    let_go(p, ok);
    p->on_end(p, ok, why);
}

/* --- by a connection --- */

static const char *host_of(const struct health_probe *p, char text[ADDR_TEXT_MAX])
{
    return p->plan->local.path[0] == '\0' ? addr_format(&p->plan->local.addr, text) : "localhost";
}

static enum err send_proxy_line(struct health_probe *p)
{
    static const struct addr nobody = {.family = ADDR_NONE};
    enum proxy_proto_version version = p->plan->proxy_protocol;
    char line[PROXY_PROTO_EMIT_MAX];
    if (version == PROXY_PROTO_NONE) return ERR_OK;
    size_t len = proxy_proto_emit(version, &nobody, &nobody, line);
    return conn_write(p->conn, span_of(line, len));
}

static enum err send_get(struct health_probe *p)
{
    char host[ADDR_TEXT_MAX];
    struct strbuf sb;
    strbuf_init(&sb, TARGET_BYTES_MAX + 512u);
    strbuf_fmt(&sb,
               "GET %s HTTP/1.1\r\nhost: %s\r\nuser-agent: parley-health/" PARLEY_VERSION
               "\r\nconnection: close\r\n\r\n",
               p->plan->how.text, host_of(p, host));
    enum err err = strbuf_ok(&sb) ? conn_write(p->conn, strbuf_view(&sb)) : ERR_NOMEM;
    strbuf_fini(&sb);
    return err;
}

static void on_h2_write(void *owner, struct span bytes)
{
    struct health_probe *p = owner;
    /* A write that fails has an end of the connection behind it, which is told, or is over a bound
     * that one request does not reach. */
    (void)!conn_write(p->conn, bytes);
}

static enum err send_h2(struct health_probe *p)
{
    char host[ADDR_TEXT_MAX];
    const struct health_h2_options o = {.plan = p->plan,
                                        .host = host_of(p, host),
                                        .pool = loop_pool(p->loop),
                                        .on_write = on_h2_write,
                                        .owner = p,
                                        .now_ms = loop_now_ms(p->loop)};
    return health_h2_new(&o, &p->h2);
}

static void on_open(struct conn *conn, void *owner)
{
    struct health_probe *p = owner;
    (void)conn;
    if (p->plan->how.kind == CONFIG_HEALTH_TCP) {
        end(p, true, "");
        return;
    }
    enum err err = send_proxy_line(p);
    bool h2 = p->plan->h2 || p->plan->how.kind == CONFIG_HEALTH_GRPC;
    if (err == ERR_OK) err = h2 ? send_h2(p) : send_get(p);
    if (err != ERR_OK) end(p, false, err_text(err));
}

/* "HTTP/1.x NNN": 0 when it is not that. */
static unsigned status_of(const char head[HEALTH_STATUS_LINE_BYTES])
{
    if (memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ') return 0;
    unsigned status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9') return 0;
        status = status * 10 + (unsigned)(head[i] - '0');
    }
    return status;
}

static void hear_http(struct health_probe *p, struct span data)
{
    size_t take = sizeof p->head - p->head_len;
    if (take > data.len) take = data.len;
    memcpy(p->head + p->head_len, data.p, take);
    p->head_len += take;
    if (p->head_len < sizeof p->head) return;
    unsigned status = status_of(p->head);
    char why[HEALTH_WHY_BYTES] = "not an HTTP response";
    if (detect_answer(span_of(p->head, p->head_len), false) == DETECT_H2)
        (void)snprintf(why, sizeof why, "it speaks HTTP/2: say protocol = \"h2\"");
    if (status != 0) (void)snprintf(why, sizeof why, "status %u", status);
    end(p, status >= 200 && status < 400, why);
}

static void hear_h2(struct health_probe *p, struct span data)
{
    char why[HEALTH_WHY_BYTES] = "";
    enum health_verdict v = health_h2_feed(p->h2, data, loop_now_ms(p->loop), why);
    if (v != HEALTH_PENDING) end(p, v == HEALTH_PASSED, why);
}

static size_t on_data(struct conn *conn, void *owner, struct span data)
{
    struct health_probe *p = owner;
    (void)conn;
    if (p->h2 != NULL)
        hear_h2(p, data);
    else
        hear_http(p, data);
    return data.len;
}

static void on_eof(struct conn *conn, void *owner)
{
    (void)conn;
    end(owner, false, "closed without a response");
}

static void on_error(struct conn *conn, void *owner, enum err err)
{
    (void)conn;
    end(owner, false, err_text(err));
}

static const struct conn_events events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_error = on_error};

static void start_conn(struct health_probe *p)
{
    const struct conn_options o = {.loop = p->loop,
                                   .events = &events,
                                   .owner = p,
                                   .phase = LOOP_FLUSH_PLAIN,
                                   .open_deadline_ms =
                                       loop_now_ms(p->loop) + p->plan->how.timeout_ms};
    p->head_len = 0;
    enum err err = conn_connect(&o, &p->plan->local, NULL, &p->conn);
    if (err == ERR_OK) return;
    p->conn = NULL;
    end(p, false, err_text(err));
}

/* --- by a program --- */

static void on_exec_end(void *owner, bool ok, const char *why)
{
    struct health_probe *p = owner;
    p->exec = NULL;
    if (p->plan != NULL && p->plan->how.kind == CONFIG_HEALTH_EXEC) end(p, ok, why);
}

static void start_exec(struct health_probe *p)
{
    const struct health_exec_options o = {
        .loop = p->loop, .argv = p->plan->how.argv, .on_end = on_exec_end, .owner = p};
    char why[HEALTH_WHY_BYTES];
    if (p->exec != NULL) {
        end(p, false, "its last run was killed and has not ended");
        return;
    }
    enum err err = health_exec_start(&o, &p->exec);
    if (err == ERR_OK) return;
    (void)snprintf(why, sizeof why, "its program cannot be started: %s", err_text(err));
    end(p, false, why);
}

/* --- both --- */

void health_probe_start(struct health_probe *p, const struct health_plan *plan)
{
    CHECK(p->plan == NULL);
    p->plan = plan;
    if (plan->how.kind == CONFIG_HEALTH_EXEC)
        start_exec(p);
    else
        start_conn(p);
}

void health_probe_stop(struct health_probe *p)
{
    if (p->plan == NULL) return;
    if (p->exec != NULL) health_exec_kill(p->exec);
    let_go(p, false);
}

void health_probe_fini(struct health_probe *p)
{
    health_probe_stop(p);
    health_exec_free(p->exec);
    p->exec = NULL;
}
