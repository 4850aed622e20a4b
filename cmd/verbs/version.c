#include "cmd/verbs/verbs.h"

#include "core/base/strbuf.h"
#include "core/wire/json.h"

#include <stdio.h>

enum verb_exit version_run(struct verb_ctx *ctx)
{
    if (!ctx->json) {
        printf("parley %s\n", PARLEY_VERSION);
        return EXIT_DONE;
    }
    char storage[512];
    struct strbuf text;
    struct json j;
    strbuf_init_fixed(&text, storage, sizeof storage);
    json_init(&j, &text);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.version.v1");
    json_key(&j, "data");
    json_object(&j);
    json_member_cstr(&j, "version", PARLEY_VERSION);
    json_member_cstr(&j, "compiler", "gcc " __VERSION__);
    json_member_cstr(&j, "tls", "BearSSL, TLS 1.2");
    json_object_end(&j);
    json_object_end(&j);
    puts(storage);
    return EXIT_DONE;
}
