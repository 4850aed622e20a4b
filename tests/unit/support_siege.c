#include "tests/unit/support_siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum err support_siege_intend(struct siege *s, const struct operators_signed *m, struct span text)
{
    struct gossip_event e = {.kind = GOSSIP_INTENT,
                             .data = span_of(m->bytes, m->len),
                             .text = &text,
                             .text_count = text.p != NULL};
    return lab_step(&s->lab, &e);
}

struct operators_order support_siege_order(const struct siege *s, uint32_t by, const char *text)
{
    return (struct operators_order){.gen = s->first.ref.gen + 1,
                                    .root_gen = 1,
                                    .parent = s->first.ref.hash,
                                    .wall_ms = LAB_WALL_MS,
                                    .by = by,
                                    .text = span_str(text)};
}

void support_siege_init(struct siege *s)
{
    struct operators_order root = {.gen = 1, .by = OPERATORS_ISSUER, .count = OPERATORS - 1};
    memset(s, 0, sizeof(*s));
    lab_init(&s->lab, 4);
    assert_int_equal(operators_init(&s->operators, &s->lab.issuer), ERR_OK);
    operators_root(&s->operators, &root, &s->root);
    assert_int_equal(support_siege_intend(s, &s->root, span_of(NULL, 0)), ERR_OK);
    struct operators_order one = support_siege_order(s, 0, "# one");
    operators_policy(&s->operators, &one, &s->first);
    assert_int_equal(support_siege_intend(s, &s->first, one.text), ERR_OK);
    lab_forget(&s->lab);
}

void support_siege_fini(struct siege *s)
{
    operators_fini(&s->operators);
    lab_fini(&s->lab);
}

void support_siege_say(struct siege *s, uint32_t peer, const struct operators_signed *m,
                       const char *text)
{
    struct message msg = {.kind = MESSAGE_POLICY, .policy = span_of(m->bytes, m->len)};
    if (text != NULL) msg.text[msg.text_count++] = span_str(text);
    lab_say(&s->lab, peer, &msg);
}

struct manifest_ref support_siege_head(const struct siege *s)
{
    return gossip_policy_head(s->lab.g, MANIFEST_POLICY);
}

void support_siege_expect(struct siege *s, enum policy_refusal why, uint64_t times)
{
    struct manifest_ref now = support_siege_head(s);
    assert_true(manifest_ref_eq(&now, &s->first.ref));
    assert_int_equal(gossip_policy_refusals(s->lab.g, why), times);
}
