#include "cmd/daemon/learn.h"

#include <stdlib.h>

#include "core/base/list.h"
#include "core/io/conn.h"
#include "core/wire/proxy_proto.h"
#include "proxy/net/detect.h"

#define LEARN_MAGIC        0x6c726e31u
#define QUESTION_BYTES_MAX 256u

struct pupil { /* an application that is asked */
    struct list node;
    struct learn *learn; /* borrowed */
    struct name service;
    struct target local;
    enum proxy_proto_version proxy_protocol;
    struct conn *conn;       /* owned while a question is open */
    bool open;               /* it is connected */
    struct loop_timer timer; /* the next try, or the end of the question */
    enum detect_question question;
    enum detect_answer answer[DETECT_QUESTIONS];
    char seen[DETECT_BYTES_MAX];
    size_t seen_len;
    unsigned tries;
    uint32_t pause_ms;
    bool known, was_down;
    enum service_protocol protocol; /* when known */
};

struct learn {
    uint32_t magic;
    struct learn_options o;
    struct list pupil;
};

static void pupil_due(struct loop_timer *t);

enum err learn_new(const struct learn_options *o, struct learn **out)
{
    struct learn *l = calloc(1, sizeof *l);
    if (l == NULL) return ERR_NOMEM;
    l->magic = LEARN_MAGIC;
    l->o = *o;
    list_init(&l->pupil);
    *out = l;
    return ERR_OK;
}

static void pupil_free(struct pupil *p)
{
    loop_timer_clear(p->learn->o.loop, &p->timer);
    if (p->conn != NULL) conn_close(p->conn, true);
    list_remove(&p->node);
    free(p);
}

void learn_free(struct learn *l)
{
    if (l == NULL) return;
    CHECK_OBJ(l, LEARN_MAGIC);
    LIST_EACH(pos, tmp, &l->pupil)
    pupil_free(LIST_ENTRY(pos, struct pupil, node));
    l->magic = MAGIC_POISON;
    free(l);
}

static struct pupil *find(const struct learn *l, const struct name *service)
{
    LIST_EACH(pos, tmp, &l->pupil)
    {
        struct pupil *p = LIST_ENTRY(pos, struct pupil, node);
        if (name_eq(&p->service, service)) return p;
    }
    return NULL;
}

/* --- one question --- */

static void wait_ms(struct pupil *p, uint32_t ms)
{
    struct loop *loop = p->learn->o.loop;
    loop_timer_set(loop, &p->timer, loop_now_ms(loop) + ms);
}

/* From the first question on. */
static void ask_in(struct pupil *p, uint32_t ms)
{
    p->question = DETECT_ASK_H2;
    p->answer[DETECT_ASK_H2] = p->answer[DETECT_ASK_H1] = DETECT_MORE;
    wait_ms(p, ms);
}

static void start(struct pupil *p)
{
    if (p->conn != NULL) conn_close(p->conn, true);
    p->conn = NULL;
    p->tries = 0;
    p->pause_ms = LEARN_LEAST_MS;
    ask_in(p, 0);
}

static void try_later(struct pupil *p)
{
    ask_in(p, p->pause_ms);
    p->pause_ms = p->pause_ms * 2 < LEARN_MOST_MS ? p->pause_ms * 2 : LEARN_MOST_MS;
}

static const char *protocol_word(enum service_protocol protocol)
{
    if (protocol == PROTOCOL_TCP) return "tcp";
    return protocol == PROTOCOL_H2 ? "h2" : "http";
}

static void found(struct pupil *p, enum service_protocol protocol)
{
    struct learn *l = p->learn;
    bool same = p->known && p->protocol == protocol;
    char local[ADDR_TEXT_MAX];
    p->known = true;
    p->was_down = false;
    p->protocol = protocol;
    if (same) return;
    log_event(l->o.log, LOG_LEVEL_INFO, "learn", "service=%s local=%s speaks=%s", p->service.text,
              addr_target_format(&p->local, local), protocol_word(protocol));
    l->o.on_change(l->o.owner);
}

static void answered(struct pupil *p, enum detect_answer answer)
{
    enum service_protocol protocol;
    struct conn *conn = p->conn;
    p->conn = NULL;
    /* Without a reset, which would stand in the logs of many applications as an error. */
    if (conn != NULL) conn_close(conn, false);
    loop_timer_clear(p->learn->o.loop, &p->timer);
    p->answer[p->question] = answer;
    switch (detect_judge(p->answer[DETECT_ASK_H2], p->answer[DETECT_ASK_H1], &protocol)) {
    case DETECT_ASK_ON:
        p->question = DETECT_ASK_H1;
        wait_ms(p, 0);
        break;
    case DETECT_KNOWN:
        found(p, protocol);
        break;
    case DETECT_UNKNOWN:
        if (++p->tries < LEARN_TRIES_MAX) try_later(p);
        break;
    }
}

static void on_open(struct conn *conn, void *owner)
{
    static const struct addr nobody = {.family = ADDR_NONE};
    struct pupil *p = owner;
    char text[PROXY_PROTO_EMIT_MAX + QUESTION_BYTES_MAX];
    size_t len = 0;
    p->open = true;
    if (p->proxy_protocol != PROXY_PROTO_NONE)
        len = proxy_proto_emit(p->proxy_protocol, &nobody, &nobody, text);
    size_t asked =
        detect_question(p->question, span_str(p->service.text), text + len, QUESTION_BYTES_MAX);
    CHECK(asked > 0);
    if (conn_write(conn, span_of(text, len + asked)) != ERR_OK) answered(p, DETECT_NOTHING);
}

static size_t on_data(struct conn *conn, void *owner, struct span data)
{
    struct pupil *p = owner;
    size_t take = sizeof p->seen - p->seen_len;
    (void)conn;
    if (take > data.len) take = data.len;
    memcpy(p->seen + p->seen_len, data.p, take);
    p->seen_len += take;
    enum detect_answer answer = detect_answer(span_of(p->seen, p->seen_len), false);
    if (answer != DETECT_MORE) answered(p, answer);
    return data.len;
}

static void on_eof(struct conn *conn, void *owner)
{
    struct pupil *p = owner;
    (void)conn;
    answered(p, detect_answer(span_of(p->seen, p->seen_len), true));
}

static void on_error(struct conn *conn, void *owner, enum err err)
{
    struct pupil *p = owner;
    (void)err;
    if (p->open) {
        on_eof(conn, owner);
        return;
    }
    p->conn = NULL;
    conn_close(conn, true);
    try_later(p);
}

static const struct conn_events events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_error = on_error};

static void pupil_due(struct loop_timer *t)
{
    struct pupil *p = CONTAINER_OF(t, struct pupil, timer);
    struct loop *loop = p->learn->o.loop;
    if (p->conn != NULL) {
        answered(p, detect_answer(span_of(p->seen, p->seen_len), true));
        return;
    }
    struct conn_options o = {.loop = loop,
                             .events = &events,
                             .owner = p,
                             .phase = LOOP_FLUSH_PLAIN,
                             .open_deadline_ms = loop_now_ms(loop) + LEARN_ANSWER_MS};
    p->seen_len = 0;
    p->open = false;
    if (conn_connect(&o, &p->local, NULL, &p->conn) == ERR_OK) {
        wait_ms(p, 2 * LEARN_ANSWER_MS);
        return;
    }
    p->conn = NULL;
    try_later(p);
}

/* --- who is asked --- */

static bool same_place(const struct pupil *p, const struct config_service *s)
{
    return p->proxy_protocol == s->proxy_protocol && addr_target_eq(&p->local, &s->local);
}

static void go_to(struct pupil *p, const struct config_service *s)
{
    p->local = s->local;
    p->proxy_protocol = s->proxy_protocol;
    p->known = p->was_down = false;
    start(p);
}

enum err learn_sync(struct learn *l, const struct config *config)
{
    CHECK_OBJ(l, LEARN_MAGIC);
    struct list fresh;
    list_init(&fresh);
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *s = &config->service[i];
        if (!s->learn || find(l, &s->name) != NULL) continue;
        struct pupil *p = calloc(1, sizeof *p);
        if (p == NULL) goto fail;
        p->learn = l;
        p->service = s->name;
        p->timer.on_expire = pupil_due;
        list_push_back(&fresh, &p->node);
    }
    while (!list_empty(&fresh)) {
        struct list *n = list_first(&fresh);
        list_remove(n);
        list_push_back(&l->pupil, n);
    }
    LIST_EACH(pos, tmp, &l->pupil)
    {
        struct pupil *p = LIST_ENTRY(pos, struct pupil, node);
        const struct config_service *s = config_service(config, span_str(p->service.text));
        if (s == NULL || !s->learn)
            pupil_free(p);
        else if (!same_place(p, s) || p->pause_ms == 0)
            go_to(p, s);
    }
    return ERR_OK;

fail:
    LIST_EACH(pos, tmp, &fresh)
    {
        list_remove(pos);
        free(LIST_ENTRY(pos, struct pupil, node));
    }
    return ERR_NOMEM;
}

void learn_health(struct learn *l, const struct name *service, enum service_health health)
{
    CHECK_OBJ(l, LEARN_MAGIC);
    struct pupil *p = find(l, service);
    if (p == NULL) return;
    if (health == HEALTH_DOWN) p->was_down = true;
    /* What is up again may be another program. */
    if (health == HEALTH_UP && p->conn == NULL && (!p->known || p->was_down)) start(p);
}

enum protocol_origin learn_of(const struct learn *l, const struct config_service *s,
                              enum service_protocol *out)
{
    const struct pupil *p = s->learn && l != NULL ? find(l, &s->name) : NULL;
    bool known = p != NULL && p->known;
    *out = known ? p->protocol : s->protocol;
    if (!s->learn) return ORIGIN_CONFIGURED;
    return known ? ORIGIN_LEARNED : ORIGIN_DEFAULT;
}
