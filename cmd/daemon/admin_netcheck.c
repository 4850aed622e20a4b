#include "cmd/daemon/admin_route.h"

#include "cmd/daemon/member_page.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/mesh_ask.h"
#include "core/base/check.h"
#include "core/wire/pack_record.h"
#include "gossip/gossip.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX    64u /* on a page */
#define AT_A_TIME    8u
#define TRIES        3u   /* of a datagram: one may be lost */
#define SKEW_WARN_MS 2000 /* a person should mend it; policy bears 60 s */

/* Longest first: the largest that passes. */
static const uint32_t sizes[] = {1400, 1200, 1000, 576};

enum stage { STAGE_WAITS, STAGE_BOTH, STAGE_SIZES, STAGE_DONE };

struct peer {
    struct gossip_member member;
    enum stage stage;
    uint32_t udp_token, tcp_token; /* 0: none under way */
    unsigned tries, size;
    bool udp, tcp, has_skew;
    enum err udp_err, tcp_err;
    uint32_t udp_us, tcp_us, connect_us, datagram_max;
    int64_t skew_ms;
    char version[32];
};

struct netcheck {
    size_t count, left_out;
    struct peer peer[PEERS_MAX];
};

static uint32_t ask(struct admin_call *call, const struct peer *p, bool by_stream, uint32_t bytes)
{
    struct mesh_ask_options o = {.node = p->member.id, .by_stream = by_stream, .bytes = bytes};
    return mesh_ping(call->daemon->mesh, &o);
}

/* Whether an answer came; then the token is spent. */
static bool take(struct admin_call *call, uint32_t *token, struct mesh_ask *out)
{
    if (*token == 0 || !mesh_ping_take(call->daemon->mesh, *token, out)) return false;
    *token = 0;
    return true;
}

static void start(struct admin_call *call, struct peer *p)
{
    p->stage = STAGE_BOTH;
    p->udp_token = ask(call, p, false, 0);
    p->tcp_token = ask(call, p, true, 0);
    p->tries = 1;
}

static void both(struct admin_call *call, struct peer *p)
{
    struct mesh_ask a;
    if (take(call, &p->udp_token, &a)) {
        p->udp = a.err == ERR_OK;
        p->udp_err = a.err;
        p->udp_us = a.rtt_us;
        if (!p->udp && p->tries++ < TRIES) p->udp_token = ask(call, p, false, 0);
    }
    if (take(call, &p->tcp_token, &a)) {
        p->tcp = a.err == ERR_OK;
        p->tcp_err = a.err;
        p->tcp_us = a.rtt_us;
        p->connect_us = a.connect_us;
        p->has_skew = a.has_skew;
        p->skew_ms = a.skew_ms;
    }
    if (p->udp_token != 0 || p->tcp_token != 0) return;
    p->stage = p->udp ? STAGE_SIZES : STAGE_DONE;
    p->tries = 0;
}

static void try_sizes(struct admin_call *call, struct peer *p)
{
    struct mesh_ask a;
    if (p->udp_token != 0) {
        if (!take(call, &p->udp_token, &a)) return;
        if (a.err == ERR_OK) {
            p->datagram_max = sizes[p->size];
            p->stage = STAGE_DONE;
            return;
        }
        if (p->tries == TRIES) {
            p->tries = 0;
            p->size++;
        }
    }
    if (p->size == ARRAY_LEN(sizes)) {
        p->stage = STAGE_DONE;
        return;
    }
    p->tries++;
    p->udp_token = ask(call, p, false, sizes[p->size]);
}

static void __attribute__((format(printf, 4, 5)))
find(struct admin_call *call, const char *id, const char *hint, const char *fmt, ...)
{
    char text[256];
    struct strbuf sb;
    struct json *j = &call->json;
    va_list ap;
    strbuf_init_fixed(&sb, text, sizeof text);
    va_start(ap, fmt);
    strbuf_vfmt(&sb, fmt, ap);
    va_end(ap);
    json_object(j);
    json_member_cstr(j, "id", id);
    json_member_cstr(j, "text", text);
    json_member_cstr(j, "hint", hint);
    json_object_end(j);
}

static void findings(struct admin_call *call, const struct peer *p)
{
    const char *name = p->member.name.text;
    char hint[192];
    unsigned port = p->member.addr.port;
    json_key(&call->json, "findings");
    json_array(&call->json);
    snprintf(hint, sizeof hint, "is it up? is port %u open on it and between, tcp and udp?", port);
    if (!p->udp && !p->tcp) find(call, "P061", hint, "%s answers neither by UDP nor by TCP", name);
    snprintf(hint, sizeof hint, "on %s: sudo ufw allow %u/udp, or what your firewall calls that",
             name, port);
    if (!p->udp && p->tcp)
        find(call, "P062", hint, "UDP %u of %s is blocked (TCP works): gossip falls back to TCP",
             port, name);
    snprintf(hint, sizeof hint, "on %s: sudo ufw allow %u/tcp, or what your firewall calls that",
             name, port);
    if (p->udp && !p->tcp)
        find(call, "P063", hint, "TCP %u of %s is blocked (UDP works): no requests, no sync: %s",
             port, name, err_text(p->tcp_err));
    if (p->udp && p->datagram_max < DATAGRAM_BYTES_MAX)
        find(call, "P064", "what limits the MTU between them, or drops fragments?",
             "datagrams over %u bytes do not reach %s; gossip needs %u", p->datagram_max, name,
             DATAGRAM_BYTES_MAX);
    if (p->has_skew && llabs(p->skew_ms) > SKEW_WARN_MS)
        find(call, "P065", "set the clocks: timedatectl set-ntp true",
             "the clock of %s is %lld.%llds %s", name, llabs(p->skew_ms) / 1000,
             llabs(p->skew_ms) % 1000 / 100, p->skew_ms > 0 ? "ahead" : "behind");
    if (p->version[0] && strcmp(p->version, PARLEY_VERSION) != 0)
        find(call, "P066", "upgrade the older one", "%s runs parley %s, this node %s", name,
             p->version, PARLEY_VERSION);
    json_array_end(&call->json);
}

static void number_if(struct json *j, const char *key, bool known, int64_t value)
{
    json_key(j, key);
    if (known)
        json_i64(j, value);
    else
        json_cstr(j, NULL);
}

static void row(struct admin_call *call, const struct peer *p)
{
    struct json *j = &call->json;
    char text[ADDR_TEXT_MAX];
    json_object(j);
    json_member_cstr(j, "node", p->member.name.text);
    json_member_cstr(j, "address", addr_format(&p->member.addr, text));
    json_member_cstr(j, "status", gossip_state_word(p->member.state));
    json_member_bool(j, "udp", p->udp);
    json_member_bool(j, "tcp", p->tcp);
    json_member_cstr(j, "udp_error", p->udp ? "" : err_text(p->udp_err));
    json_member_cstr(j, "tcp_error", p->tcp ? "" : err_text(p->tcp_err));
    number_if(j, "udp_rtt_us", p->udp, p->udp_us);
    number_if(j, "tcp_rtt_us", p->tcp, p->tcp_us);
    number_if(j, "connect_us", p->tcp, p->connect_us);
    number_if(j, "datagram_bytes_max", p->udp, p->datagram_max);
    number_if(j, "skew_ms", p->has_skew, p->skew_ms);
    json_member_cstr(j, "version", p->version);
    findings(call, p);
    json_object_end(j);
}

static void add(struct admin_call *call, struct netcheck *n, const struct gossip_member *m,
                struct node_record *scratch)
{
    struct peer *p = &n->peer[n->count++];
    *p = (struct peer){.member = *m};
    if (mesh_record(call->daemon->mesh, &m->id, scratch) == ERR_OK)
        snprintf(p->version, sizeof p->version, "%s", scratch->version);
}

static bool begin(struct admin_call *call)
{
    struct netcheck *n = arena_alloc(call->arena, sizeof *n);
    struct node_record *scratch = arena_alloc(call->arena, sizeof *scratch);
    struct gossip_member *m = arena_alloc(call->arena, PEERS_MAX * sizeof *m);
    struct span only = admin_route_query(call, "node");
    if (n == NULL || scratch == NULL || m == NULL) {
        admin_route_fail(call, 500, "out of memory");
        return false;
    }
    n->count = n->left_out = 0;
    call->state = n;
    if (only.len > 0) {
        if (!admin_ping_member(call, only, m)) return false;
        add(call, n, m, scratch);
        return true;
    }
    size_t count = member_page_take(mesh_gossip(call->daemon->mesh),
                                    admin_route_query(call, "after"), m, PEERS_MAX, &n->left_out);
    for (size_t i = 0; i < count; i++)
        add(call, n, &m[i], scratch);
    return true;
}

enum admin_progress admin_netcheck_run(struct admin_call *call)
{
    if (call->turn == 0 && !begin(call)) return ADMIN_DONE;
    struct netcheck *n = call->state;
    size_t running = 0;
    bool done = true;
    for (size_t i = 0; i < n->count && running < AT_A_TIME; i++) {
        struct peer *p = &n->peer[i];
        if (p->stage == STAGE_WAITS) start(call, p);
        if (p->stage == STAGE_BOTH) both(call, p);
        if (p->stage == STAGE_SIZES) try_sizes(call, p);
        running += p->stage != STAGE_DONE;
        done = done && p->stage == STAGE_DONE;
    }
    if (!done) return ADMIN_LATER;
    json_array(&call->json);
    for (size_t i = 0; i < n->count; i++)
        row(call, &n->peer[i]);
    json_array_end(&call->json);
    if (n->left_out > 0)
        strbuf_fmt(&call->warnings, "%zu more members were not asked: they come after %s\n",
                   n->left_out, n->peer[n->count - 1].member.name.text);
    return ADMIN_DONE;
}
