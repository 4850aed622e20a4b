#include "gossip/policy_news.h"

#include "core/crypto/sign_manifest.h"
#include "gossip/packet.h"
#include "gossip/policy_head.h"
#include "gossip/policy_root.h"
#include "gossip/state.h"

#include <stdlib.h>

#define PULL_SOON_MS   5u
#define PULL_AGAIN_MS  1000u
#define PULL_TRIES_MAX 6u
#define ASKS_ANYWAY    3u
#define PULLS_A_SEC    2u
#define PULLS_BURST    10u
#define ROOTS_A_REPLY  64u
#define REPLY_HEADING  64u
#define REPLY_BYTES    (GOSSIP_STREAM_MESSAGE_BYTES_MAX - REPLY_HEADING)
#define BIN_HEADING    5u
#define ANSWERS_RATE   (2u * 1024 * 1024) /* bytes a second */
#define ANSWERS_BURST  GOSSIP_STREAM_MESSAGE_BYTES_MAX
#define ANSWER_LEAST   4096u /* what one costs, however short: it must be put together, too */

/* Of another, as it waits for its answer. */
struct policy_ask {
    uint64_t number;
    struct manifest_ref root, head;
    size_t len;
    char hashes[];
};

void policy_news_init(struct policy_news *n)
{
    bucket_init(&n->pulls, PULLS_A_SEC, PULLS_BURST, 0);
    bucket_init(&n->answers, ANSWERS_RATE, ANSWERS_BURST, 0);
    n->answer_ms = UINT64_MAX;
}

void policy_news_tell(struct gossip *g, enum policy_news_kind kind, const struct manifest_ref *ref)
{
    g->policy.news.rumour[kind] = (struct policy_rumour){.active = true, .ref = *ref};
    g->counters.rumours_queued++;
    broadcast_hurry(g);
}

void policy_news_drop(struct gossip *g, enum policy_news_kind kind)
{
    g->policy.news.rumour[kind].active = false;
}

bool policy_news_active(const struct gossip *g)
{
    for (size_t i = 0; i < NEWS_KINDS; i++)
        if (g->policy.news.rumour[i].active) return true;
    return false;
}

bool policy_news_enough(uint32_t sends, uint32_t duplicates, uint32_t limit)
{
    return sends >= limit || (sends >= POLICY_NEWS_SENDS && duplicates >= POLICY_NEWS_DUPLICATES);
}

static bool is_fresh(const struct policy_rumour *r)
{
    return r->active && r->sends < TUNING_FANOUT;
}

bool policy_news_fresh(const struct gossip *g)
{
    for (size_t i = 0; i < NEWS_KINDS; i++)
        if (is_fresh(&g->policy.news.rumour[i])) return true;
    return false;
}

static const struct policy_item *find(const struct policy *p, enum policy_news_kind kind,
                                      const struct manifest_ref *ref)
{
    if (kind != NEWS_ROOT) return policy_find(p, &ref->hash);
    return policy_root_has(p, ref) ? &p->root[ref->gen - 1] : NULL;
}

/* The whole, with all its texts, if a datagram may hold that; else its name, to be pulled. */
static bool describe(const struct policy *p, const struct policy_item *i, struct message *out)
{
    struct manifest m;
    out->kind = MESSAGE_POLICY;
    out->policy = span_of(i->bytes, i->len);
    out->text_count = 0;
    size_t bytes = i->len;
    if (pack_manifest_decode(out->policy, &m) != ERR_OK) return false;
    if (m.text_count > MESSAGE_TEXTS_MAX) bytes = MESSAGE_POLICY_BYTES_MAX + 1;
    for (uint32_t t = 0; t < m.text_count && bytes <= MESSAGE_POLICY_BYTES_MAX; t++) {
        const struct policy_text *text = policy_text_find(&p->texts, &m.text[t].hash);
        if (text == NULL) return false;
        out->text[out->text_count++] = span_of(text->bytes, text->len);
        bytes += text->len + BIN_HEADING;
    }
    if (bytes <= MESSAGE_POLICY_BYTES_MAX) return true;
    *out = (struct message){.kind = MESSAGE_POLICY_HEAD, .scope = m.scope, .ref = i->ref};
    return true;
}

static bool add(const struct gossip *g, struct packet *p, enum policy_news_kind kind,
                const struct policy_item *i)
{
    struct message m = {.kind = MESSAGE_POLICY_CONFIRM,
                        .policy = span_of(i->confirm, sizeof(i->confirm))};
    if (kind != NEWS_CONFIRM && !describe(&g->policy, i, &m)) return false;
    return packet_add(p, &m);
}

void policy_news_fill(struct gossip *g, struct packet *p, bool fresh)
{
    uint32_t limit = tuning_retransmits(state_live(g));
    for (size_t k = 0; k < NEWS_KINDS; k++) {
        struct policy_rumour *r = &g->policy.news.rumour[k];
        if (!r->active || (fresh && !is_fresh(r))) continue;
        const struct policy_item *i = find(&g->policy, (enum policy_news_kind)k, &r->ref);
        if (i == NULL) {
            r->active = false;
            continue;
        }
        if (!add(g, p, (enum policy_news_kind)k, i)) continue;
        p->rumours++;
        g->counters.rumours_sent++;
        r->sends++;
        r->active = !policy_news_enough(r->sends, r->duplicates, limit);
    }
}

bool policy_news_add_head(const struct gossip *g, struct packet *p)
{
    const struct policy_item *head = g->policy.head;
    return head != NULL && add(g, p, NEWS_HEAD, head);
}

static void heard(struct gossip *g, const struct manifest_hash *hash, bool confirm)
{
    for (size_t k = 0; k < NEWS_KINDS; k++) {
        struct policy_rumour *r = &g->policy.news.rumour[k];
        if (!r->active || (k == NEWS_CONFIRM) != confirm) continue;
        if (!manifest_hash_eq(&r->ref.hash, hash)) continue;
        if (r->duplicates < UINT8_MAX) r->duplicates++;
        r->active = !policy_news_enough(r->sends, r->duplicates, UINT32_MAX);
    }
}

static void receive_whole(struct gossip *g, const struct message *m, struct member *from)
{
    enum policy_refusal r = policy_take(g, m->policy, from);
    if (r == POLICY_KNOWN) {
        struct manifest_hash hash = sign_manifest_hash(m->policy);
        heard(g, &hash, false);
    }
    if (r != POLICY_KNOWN && r != POLICY_ACCEPTED) return;
    for (uint32_t i = 0; i < m->text_count; i++)
        (void)policy_take_text(g, m->text[i]);
}

static void receive_confirm(struct gossip *g, const struct message *m, struct member *from)
{
    struct manifest_confirm c;
    if (policy_take_confirm(g, m->policy, from) == POLICY_KNOWN &&
        pack_manifest_confirm_decode(m->policy, &c) == ERR_OK)
        heard(g, &c.ref.hash, true);
}

/* Whether it may be worth asking for. */
static bool is_new(const struct policy *p, enum manifest_scope scope,
                   const struct manifest_ref *ref)
{
    const struct manifest_ref head = policy_head_ref(p);
    if (ref->gen == 0) return false;
    if (scope == MANIFEST_ROOT) return !policy_root_has(p, ref);
    if (ref->gen + POLICY_HISTORY <= head.gen) return false;
    const struct policy_item *i = policy_find(p, &ref->hash);
    return i == NULL || !i->complete || !i->connected;
}

void policy_news_receive(struct gossip *g, const struct message *m, struct member *from)
{
    if (m->kind == MESSAGE_POLICY) receive_whole(g, m, from);
    if (m->kind == MESSAGE_POLICY_CONFIRM) receive_confirm(g, m, from);
    if (m->kind != MESSAGE_POLICY_HEAD) return;
    if (is_new(&g->policy, m->scope, &m->ref))
        policy_news_lack(g, from);
    else
        heard(g, &m->ref.hash, false);
}

void policy_news_lack(struct gossip *g, const struct member *from)
{
    struct policy_news *n = &g->policy.news;
    uint64_t soon = g->now_ms + PULL_SOON_MS;
    bool other = from != NULL && !head_is(from->head, n->from);
    /* Hints are not signed: one that leads nowhere must not put off the next one's. */
    if (n->lacking && (!other || n->due_ms <= soon)) return;
    if (other) head_short_id(from->head, n->from);
    n->lacking = true;
    n->tries = 0;
    n->due_ms = g->now_ms + rng_below(&g->rng, PULL_SOON_MS);
    policy_arm(g, n->due_ms);
}

uint64_t policy_news_due_ms(const struct gossip *g)
{
    const struct policy_news *n = &g->policy.news;
    uint64_t pull = n->lacking && n->stream == 0 ? n->due_ms : UINT64_MAX;
    return pull < n->answer_ms ? pull : n->answer_ms;
}

static struct member *source(struct gossip *g)
{
    struct policy_news *n = &g->policy.news;
    struct member *m = n->tries % 2 == 0 ? member_find_short(&g->members, n->from) : NULL;
    if (m == NULL || m->self || !member_is_live(m)) m = gossip_random_member(g, g->self.member);
    return m;
}

static void look_for_pull(struct gossip *g)
{
    struct policy_news *n = &g->policy.news;
    if (!n->lacking || n->stream != 0 || n->due_ms > g->now_ms) return;
    if (!bucket_take(&n->pulls, g->now_ms, 1, 0)) {
        n->due_ms = bucket_ready_ms(&n->pulls, g->now_ms, 1);
        return;
    }
    struct member *from = source(g);
    n->due_ms =
        g->now_ms + ((uint64_t)PULL_AGAIN_MS << n->tries) + rng_below(&g->rng, PULL_AGAIN_MS);
    if (++n->tries > PULL_TRIES_MAX) n->lacking = false; /* the digests differ: it comes back */
    struct stream *s = from != NULL ? stream_dial(g, from, NULL, STREAM_POLICY) : NULL;
    if (s == NULL) return;
    n->stream = s->id;
    g->counters.syncs_started++;
}

static bool ask(struct gossip *g, struct stream *s)
{
    const struct policy *p = &g->policy;
    const struct manifest_ref *told = &p->news.told;
    struct manifest_hash missing[MANIFEST_TEXTS_MAX];
    size_t count = 0;
    g->policy.news.asked++;
    for (size_t i = 0; i < p->held_count && count == 0; i++)
        if (!p->held[i]->complete)
            count = policy_missing(p, p->held[i], missing, MANIFEST_TEXTS_MAX);
    struct sync_message m = {.kind = SYNC_POLICY_ASK,
                             .root = told->gen > 0 ? *told : policy_root_ref(p),
                             .head = policy_head_ref(p),
                             .bytes = span_of(missing, count * sizeof(missing[0]))};
    return stream_send(g, s, &m);
}

void policy_news_opened(struct gossip *g, struct stream *s)
{
    g->policy.news.asked = 0;
    g->policy.news.told = (struct manifest_ref){0};
    policy_root_gather(g, s->peer);
    (void)ask(g, s);
}

void policy_news_closed(struct gossip *g, uint32_t stream)
{
    struct policy_news *n = &g->policy.news;
    if (n->stream == 0 || n->stream != stream) return;
    n->stream = 0;
    if (n->lacking) policy_arm(g, n->due_ms);
}

bool policy_news_send_heads(struct gossip *g, struct stream *s)
{
    const struct policy *p = &g->policy;
    struct sync_message m = {.kind = SYNC_POLICY_HEADS,
                             .root = policy_root_ref(p),
                             .head = policy_head_ref(p),
                             .last = p->head != NULL && p->head->confirmed};
    if (m.root.gen == 0) return true; /* nothing to say */
    return stream_send(g, s, &m);
}

static void on_heads(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    const struct policy *p = &g->policy;
    const struct policy_item *i = policy_find(p, &m->head.hash);
    bool confirm = m->last && i != NULL && !i->confirmed;
    if (confirm || is_new(p, MANIFEST_ROOT, &m->root) || is_new(p, MANIFEST_POLICY, &m->head))
        policy_news_lack(g, s->peer);
}

/* What fits into one message goes in; the asker asks again for the rest. */
static bool put(struct sync_message *m, struct span bytes, bool text, size_t *room)
{
    uint32_t n = m->item_count + m->text_count;
    if (n == SYNC_ITEMS_MAX || bytes.len + BIN_HEADING > *room) return false;
    *room -= bytes.len + BIN_HEADING;
    m->item[n] = bytes;
    m->item_count += !text;
    m->text_count += text;
    return true;
}

static void put_roots(const struct policy *p, const struct manifest_ref *have,
                      struct sync_message *m, size_t *room)
{
    size_t from = policy_root_has(p, have) ? (size_t)have->gen : 0;
    for (size_t i = from; i < p->root_count; i++) {
        m->last = i - from < ROOTS_A_REPLY &&
                  put(m, span_of(p->root[i].bytes, p->root[i].len), false, room);
        if (!m->last) return;
    }
}

/* Newest first: what the root pins makes the older ones good. */
static void put_policies(const struct policy *p, const struct manifest_ref *have,
                         struct sync_message *m, size_t *room)
{
    for (size_t i = 0; i < p->held_count; i++) {
        const struct policy_item *item = p->held[i];
        if (item->connected && !manifest_hash_eq(&item->ref.hash, &have->hash))
            (void)put(m, span_of(item->bytes, item->len), false, room);
    }
    for (size_t i = 0; i < p->held_count; i++)
        if (p->held[i]->confirmed)
            (void)put(m, span_of(p->held[i]->confirm, sizeof(p->held[i]->confirm)), false, room);
}

static void put_texts(const struct policy *p, struct span hashes, struct sync_message *m,
                      size_t *room)
{
    for (size_t at = 0; at < hashes.len; at += MANIFEST_HASH_BYTES) {
        struct manifest_hash hash;
        memcpy(hash.byte, hashes.p + at, sizeof(hash.byte));
        const struct policy_text *t = policy_text_find(&p->texts, &hash);
        if (t != NULL) (void)put(m, span_of(t->bytes, t->len), true, room);
    }
}

static void put_answer(const struct policy *p, const struct policy_ask *ask,
                       struct sync_message *have, size_t *room)
{
    *have = (struct sync_message){.kind = SYNC_POLICY_HAVE, .last = true};
    *room = REPLY_BYTES;
    put_roots(p, &ask->root, have, room);
    if (!have->last) return;
    put_policies(p, &ask->head, have, room);
    put_texts(p, span_of(ask->hashes, ask->len), have, room);
}

static struct stream *longest_waiting(struct gossip *g)
{
    struct stream *first = NULL;
    for (size_t i = 0; i < g->streams.made; i++) {
        struct stream *s = g->streams.slot[i];
        if (!s->used || s->session.ask == NULL) continue;
        if (first == NULL || s->session.ask->number < first->session.ask->number) first = s;
    }
    return first;
}

/* False: there is no room yet. In turn, or small answers would keep a large one waiting. */
static bool answer(struct gossip *g, struct stream *s)
{
    struct policy_news *n = &g->policy.news;
    struct sync_message have;
    struct pack_writer w;
    size_t room;
    put_answer(&g->policy, s->session.ask, &have, &room);
    size_t cap = REPLY_BYTES - room + REPLY_HEADING;
    size_t cost = cap > ANSWER_LEAST ? cap : ANSWER_LEAST;
    if (!bucket_take(&n->answers, g->now_ms, cost, 0)) {
        n->answer_ms = bucket_ready_ms(&n->answers, g->now_ms, cost);
        policy_arm(g, n->answer_ms);
        return false;
    }
    free(s->session.ask);
    s->session.ask = NULL;
    uint8_t *bytes = arena_alloc(&g->fx->arena, cap);
    if (bytes == NULL) {
        stream_close(g, s);
        return true;
    }
    pack_writer_init(&w, bytes, cap);
    sync_message_write(&w, &have);
    CHECK(pack_writer_ok(&w));
    (void)stream_send_raw(g, s, pack_writer_view(&w));
    return true;
}

static void answer_look(struct gossip *g)
{
    struct stream *s;
    g->policy.news.answer_ms = UINT64_MAX;
    while ((s = longest_waiting(g)) != NULL && answer(g, s))
        continue;
}

void policy_news_look(struct gossip *g)
{
    if (g->policy.news.answer_ms <= g->now_ms) answer_look(g);
    look_for_pull(g);
}

static void on_ask(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    struct policy_ask *ask = NULL;
    if (s->session.ask == NULL) ask = malloc(sizeof(*ask) + m->bytes.len);
    if (ask == NULL) {
        g->counters.dropped_quota++;
        stream_close(g, s);
        return;
    }
    *ask = (struct policy_ask){
        .number = g->policy.news.asks++, .root = m->root, .head = m->head, .len = m->bytes.len};
    if (m->bytes.len > 0) memcpy(ask->hashes, m->bytes.p, m->bytes.len);
    s->session.ask = ask;
    answer_look(g);
}

/* True: its roots go on, be they new or not; a chain of many comes in several messages. */
static bool goes_on(struct gossip *g, const struct sync_message *m)
{
    struct manifest_ref *told = &g->policy.news.told;
    const struct manifest_ref before = *told;
    struct manifest root;
    for (uint32_t i = 0; i < m->item_count; i++) {
        if (pack_manifest_decode(m->item[i], &root) != ERR_OK || root.scope != MANIFEST_ROOT)
            continue;
        struct manifest_ref ref = {.gen = root.gen, .hash = sign_manifest_hash(m->item[i])};
        if (ref.gen > told->gen && policy_root_knows(&g->policy, &ref)) *told = ref;
    }
    return told->gen > before.gen;
}

/* True: something of it was new. */
static bool take_all(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    bool news = false;
    for (uint32_t i = 0; i < m->item_count; i++) {
        bool confirm = m->item[i].len == PACK_MANIFEST_CONFIRM_BYTES;
        enum policy_refusal r = confirm ? policy_take_confirm(g, m->item[i], s->peer)
                                        : policy_take(g, m->item[i], s->peer);
        news = news || r == POLICY_ACCEPTED;
    }
    for (uint32_t i = 0; i < m->text_count; i++)
        news = policy_take_text(g, m->item[m->item_count + i]) == POLICY_ACCEPTED || news;
    return news;
}

static void on_have(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    if (s->purpose != STREAM_POLICY) return; /* nobody asked */
    bool news = take_all(g, s, m);
    news = goes_on(g, m) || news;
    policy_settle(g);
    bool lacks = policy_head_lacks(&g->policy);
    /* Rumours may have made us lack other things since we asked. */
    if ((news || g->policy.news.asked < ASKS_ANYWAY) && (!m->last || lacks)) {
        (void)ask(g, s);
        return;
    }
    g->policy.news.lacking = lacks;
    stream_close(g, s);
}

void policy_news_message(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    if (m->kind == SYNC_POLICY_HEADS) on_heads(g, s, m);
    if (m->kind == SYNC_POLICY_ASK) on_ask(g, s, m);
    if (m->kind == SYNC_POLICY_HAVE) on_have(g, s, m);
}
