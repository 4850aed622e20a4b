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
    json_key(&j, "schema");
    json_cstr(&j, "parley.version.v1");
    json_key(&j, "data");
    json_object(&j);
    json_key(&j, "version");
    json_cstr(&j, PARLEY_VERSION);
    json_key(&j, "compiler");
    json_cstr(&j, "gcc " __VERSION__);
    json_key(&j, "tls");
    json_cstr(&j, "BearSSL, TLS 1.2");
    json_object_end(&j);
    json_object_end(&j);
    puts(storage);
    return EXIT_DONE;
}
