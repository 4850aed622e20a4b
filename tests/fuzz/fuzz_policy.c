/* Any bytes as a mesh policy, cut at the first 0xff into two texts. What loads has no rule that is
 * open by omission and no name twice; what does not says why. */
#include "core/base/check.h"
#include "core/wire/config_policy.h"

#define PRINTED_BYTES_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mesh(const struct policy_mesh *m)
{
    for (size_t i = 0; i < m->rule_count; i++) {
        const struct policy_rule *rule = &m->rule[i];
        CHECK(rule->layer == POLICY_LAYER_MESH && rule->file != NULL && rule->line > 0);
        CHECK(name_valid(span_str(rule->name)));
        CHECK(rule->action == POLICY_DENY || rule->from_count > 0);
        CHECK(policy_covers(rule, rule));
        for (size_t k = 0; k < rule->to_count; k++)
            CHECK(policy_applies(rule, &rule->to[k]));
        for (size_t k = 0; k < i && m->rule_count < 64; k++)
            CHECK(strcmp(m->rule[k].name, rule->name) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest, first = span_cut(span_of(data, size), (char)0xff, &rest);
    struct config_text text[2] = {{"a.toml", first}, {"b.toml", rest}};
    struct policy_mesh *m = NULL;
    struct strbuf out;
    struct diag d;
    diag_init(&d);
    enum err err = config_policy_load(text, rest.p != NULL ? 2 : 1, &d, &m);
    CHECK((err == ERR_OK) == (m != NULL));
    CHECK(err == ERR_OK ? d.errors == 0 : d.errors > 0 || err == ERR_NOMEM);
    if (m != NULL) check_mesh(m);
    strbuf_init(&out, PRINTED_BYTES_MAX);
    diag_print(&d, &out);
    CHECK(strbuf_ok(&out));
    strbuf_fini(&out);
    policy_mesh_free(m);
    diag_fini(&d);
    return 0;
}
