/* Any bytes as a host configuration, cut at the first 0xff into two files. What loads has no rule
 * that is open by omission, every default filled in, and a text of effective values; what does not
 * says why. */
#include "core/base/check.h"
#include "core/wire/config_load.h"

#include <stdlib.h>

#define PRINTED_BYTES_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_policy(const struct policy *p)
{
    for (size_t i = 0; i < p->rule_count; i++) {
        const struct policy_rule *rule = &p->rule[i];
        CHECK(rule->name[0] != '\0' && rule->file != NULL && rule->line > 0);
        CHECK(rule->action == POLICY_DENY || rule->from_count > 0);
        for (size_t j = 0; j < rule->path_count; j++) {
            CHECK(rule->path[j].text.len > 0 && rule->path[j].text.p[0] == '/');
            CHECK(memchr(rule->path[j].text.p, '*', rule->path[j].text.len) == NULL);
        }
    }
}

static void check_config(const struct config *c)
{
    struct strbuf out;
    CHECK(name_valid(span_str(c->node.name.text)) && name_valid(span_str(c->node.mesh.text)));
    CHECK(!addr_is_forbidden(&c->node.addr) && c->node.addr.port > 0);
    for (size_t i = 0; i < c->service_count; i++) {
        const struct config_service *s = &c->service[i];
        CHECK(config_service(c, span_str(s->name.text)) == s);
        CHECK(s->health.kind == CONFIG_HEALTH_NONE ||
              s->health.timeout_ms <= s->health.interval_ms);
        CHECK(s->weight > 0 && s->connect_timeout_ms > 0);
        check_policy(&s->policy);
    }
    for (size_t i = 0; i < c->upstream_count; i++) {
        const struct config_upstream *u = &c->upstream[i];
        CHECK(config_upstream(c, span_str(u->name.text)) == u);
        CHECK(u->listen.path[0] != '\0' || u->listen.addr.port > 0);
        CHECK(u->as.name.text[0] != '\0' && u->retry.tries > 0);
        CHECK(u->connect_timeout_ms > 0 && u->idle_timeout_ms > 0);
    }
    strbuf_init(&out, PRINTED_BYTES_MAX);
    config_load_show(c, &out);
    CHECK(strbuf_ok(&out));
    strbuf_reset(&out);
    CHECK(config_restart_needed(c, c, &out) == 0);
    strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest, first = span_cut(span_of(data, size), (char)0xff, &rest);
    struct config_text text[2] = {{"parley.toml", first}, {"conf.d/a.toml", rest}};
    struct config *c = NULL;
    struct strbuf out;
    struct diag d;
    diag_init(&d);
    enum err err = config_load(text, rest.p != NULL ? 2 : 1, &d, &c);
    CHECK((err == ERR_OK) == (c != NULL));
    CHECK(err == ERR_OK ? d.errors == 0 : d.errors > 0 || err == ERR_NOMEM);
    if (c != NULL) check_config(c);
    strbuf_init(&out, PRINTED_BYTES_MAX);
    diag_print(&d, &out);
    CHECK(strbuf_ok(&out));
    strbuf_fini(&out);
    config_free(c);
    diag_fini(&d);
    return 0;
}
