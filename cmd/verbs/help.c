#include "cmd/verbs/verbs.h"

#include "core/base/strbuf.h"
#include "core/wire/json.h"

#include <stdio.h>

static void flag_json(struct json *j, const struct verb_flag *f)
{
    json_key(j, "flags");
    json_array(j);
    for (; f && f->name; f++) {
        json_object(j);
        json_member_cstr(j, "name", f->name);
        json_member_cstr(j, "value", f->meta);
        json_member_cstr(j, "help", f->help);
        json_object_end(j);
    }
    json_array_end(j);
}

static enum verb_exit print_tree(void)
{
    struct strbuf text;
    struct json j;
    strbuf_init(&text, 1u << 20);
    json_init(&j, &text);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.help.v1");
    json_key(&j, "data");
    json_array(&j);
    for (const struct verb *v = verb_table(); v->name; v++) {
        json_object(&j);
        json_member_cstr(&j, "verb", v->name);
        json_member_cstr(&j, "noun", v->noun);
        json_member_cstr(&j, "args", v->args);
        json_member_cstr(&j, "summary", v->summary);
        flag_json(&j, v->flag);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    puts(text.p);
    strbuf_fini(&text);
    return EXIT_DONE;
}

enum verb_exit help_run(struct verb_ctx *ctx)
{
    if (ctx->json) return print_tree();
    const char *name = ctx->arg_count > 0 ? ctx->arg[0] : NULL;
    const char *noun = ctx->arg_count > 1 ? ctx->arg[1] : NULL;
    if (verb_help(stdout, name, noun)) return EXIT_DONE;
    return verb_fail(EXIT_USAGE, "no verb \"%s%s%s\"; see: parley help", name, noun ? " " : "",
                     noun ? noun : "");
}
