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
        json_key(j, "name");
        json_cstr(j, f->name);
        json_key(j, "value");
        json_cstr(j, f->meta);
        json_key(j, "help");
        json_cstr(j, f->help);
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
    json_key(&j, "schema");
    json_cstr(&j, "parley.help.v1");
    json_key(&j, "data");
    json_array(&j);
    for (const struct verb *v = verb_table(); v->name; v++) {
        json_object(&j);
        json_key(&j, "verb");
        json_cstr(&j, v->name);
        json_key(&j, "noun");
        json_cstr(&j, v->noun);
        json_key(&j, "args");
        json_cstr(&j, v->args);
        json_key(&j, "summary");
        json_cstr(&j, v->summary);
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
