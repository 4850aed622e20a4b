#include "cmd/daemon/admin_route.h"

#include "cmd/daemon/mesh.h"
#include "cmd/daemon/mesh_ask.h"
#include "gossip/gossip.h"

#define COUNT_DEFAULT 4u
#define COUNT_MAX     100u
#define ROUND_MS      200u

/* One way of asking, over all rounds. */
struct way {
    uint32_t token; /* of the one under way; 0: none */
    uint32_t sent, received;
    uint64_t sum_us;
    uint32_t min_us, max_us, connect_us;
    enum err err; /* of the last that was not answered */
};

struct ping {
    struct gossip_member member;
    uint32_t count, round;
    uint64_t round_ms;
    struct way udp, tcp;
    bool has_skew;
    int64_t skew_ms;
};

bool admin_ping_member(struct admin_call *call, struct span name, struct gossip_member *out)
{
    const struct gossip *g = mesh_gossip(call->daemon->mesh);
    const char *names[64];
    struct name kept[64];
    size_t pos = 0, count = 0;
    struct gossip_member m;
    bool found = false;
    while (gossip_member_next(g, &pos, &m)) {
        if (count < sizeof kept / sizeof *kept) {
            kept[count] = m.name;
            names[count] = kept[count].text;
            count++;
        }
        if (!span_eq_str(name, m.name.text)) continue;
        /* A name may stand for a live node and for dead ones it replaced. */
        if (!found || m.state < out->state) *out = m;
        found = true;
    }
    if (found && !out->self) return true;
    const char *near = diag_did_you_mean(name, names, count);
    if (found)
        admin_route_fail(call, 400, "\"%.*s\" is this node itself", SPAN_ARG(name));
    else
        admin_route_fail(call, 400, "no member is called \"%.*s\"%s%s%s", SPAN_ARG(name),
                         near ? "; did you mean \"" : "; see: parley members", near ? near : "",
                         near ? "\"?" : "");
    return false;
}

static void ask(struct admin_call *call, struct ping *p, struct way *w, bool by_stream)
{
    struct mesh_ask_options o = {.node = p->member.id, .by_stream = by_stream};
    w->token = mesh_ping(call->daemon->mesh, &o);
    w->sent++;
}

static void take(struct admin_call *call, struct ping *p, struct way *w)
{
    struct mesh_ask a;
    if (w->token == 0 || !mesh_ping_take(call->daemon->mesh, w->token, &a)) return;
    w->token = 0;
    if (a.err != ERR_OK) {
        w->err = a.err;
        return;
    }
    if (w->received == 0 || a.rtt_us < w->min_us) w->min_us = a.rtt_us;
    if (a.rtt_us > w->max_us) w->max_us = a.rtt_us;
    w->sum_us += a.rtt_us;
    w->connect_us = a.connect_us;
    w->received++;
    if (!a.has_skew) return;
    p->has_skew = true;
    p->skew_ms = a.skew_ms;
}

static void report_way(struct json *j, const char *key, const struct way *w, bool by_stream)
{
    json_key(j, key);
    json_object(j);
    json_member_u64(j, "sent", w->sent);
    json_member_u64(j, "received", w->received);
    json_member_u64(j, "loss_permille",
                    w->sent > 0 ? (w->sent - w->received) * 1000u / w->sent : 0);
    json_member_u64(j, "min_us", w->min_us);
    json_member_u64(j, "avg_us", w->received > 0 ? w->sum_us / w->received : 0);
    json_member_u64(j, "max_us", w->max_us);
    if (by_stream) json_member_u64(j, "connect_us", w->connect_us);
    json_member_cstr(j, "error", w->received < w->sent ? err_text(w->err) : "");
    json_object_end(j);
}

static void report(struct admin_call *call, const struct ping *p)
{
    struct json *j = &call->json;
    char text[ADDR_TEXT_MAX];
    json_object(j);
    json_member_cstr(j, "node", p->member.name.text);
    json_member_cstr(j, "address", addr_format(&p->member.addr, text));
    json_member_cstr(j, "status", gossip_state_word(p->member.state));
    json_member_u64(j, "estimate_us", p->member.estimate_us);
    report_way(j, "udp", &p->udp, false);
    report_way(j, "tcp", &p->tcp, true);
    json_key(j, "skew_ms");
    if (p->has_skew)
        json_i64(j, p->skew_ms);
    else
        json_cstr(j, NULL);
    json_object_end(j);
}

static bool begin(struct admin_call *call)
{
    struct ping *p = arena_alloc(call->arena, sizeof *p);
    struct span count = admin_route_query(call, "count");
    uint64_t n = COUNT_DEFAULT;
    if (p == NULL) {
        admin_route_fail(call, 500, "out of memory");
        return false;
    }
    *p = (struct ping){0};
    if (count.len > 0 && (!span_u64(count, &n) || n == 0 || n > COUNT_MAX)) {
        admin_route_fail(call, 400, "the count is 1 to %u", COUNT_MAX);
        return false;
    }
    p->count = (uint32_t)n;
    call->state = p;
    return admin_ping_member(call, call->argument, &p->member);
}

enum admin_progress admin_ping_run(struct admin_call *call)
{
    if (call->turn == 0 && !begin(call)) return ADMIN_DONE;
    struct ping *p = call->state;
    uint64_t now_ms = loop_now_ms(call->daemon->loop);
    take(call, p, &p->udp);
    take(call, p, &p->tcp);
    bool waits = p->udp.token != 0 || p->tcp.token != 0;
    if (!waits && p->round == p->count) {
        report(call, p);
        return ADMIN_DONE;
    }
    if (waits || now_ms < p->round_ms) return ADMIN_LATER;
    p->round++;
    p->round_ms = now_ms + ROUND_MS;
    ask(call, p, &p->udp, false);
    /* Who does not answer a stream once is not dialled again: that takes seconds each time. */
    if (p->tcp.received == p->tcp.sent) ask(call, p, &p->tcp, true);
    return ADMIN_LATER;
}
