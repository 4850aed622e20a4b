#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/daemon/enroll_client.h"
#include "cmd/verbs/setup.h"
#include "core/io/clock.h"
#include "core/model/config.h"

#include <poll.h>
#include <sodium.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYNC_POLL_MS 100

static enum err read_token(const struct verb_ctx *ctx, struct diag *d, struct token *out)
{
    char text[TOKEN_TEXT_MAX * 2] = "";
    const char *file = verb_text(ctx, "token-file"), *arg = ctx->arg_count > 0 ? ctx->arg[0] : NULL;
    if (!file == !arg) {
        diag_error(d, NULL, "give the token from `parley token create`, or --token-file FILE");
        return ERR_INVALID;
    }
    if (file) {
        FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
        if (!f || !fgets(text, sizeof text, f)) {
            diag_error(d, NULL, "the token file %s cannot be read", file);
            if (f && f != stdin) fclose(f);
            return ERR_IO;
        }
        if (f != stdin) fclose(f);
        arg = text;
    }
    enum err err = token_parse(span_str(arg), out);
    sodium_memzero(text, sizeof text);
    static const struct {
        enum err err;
        const char *why;
    } words[] = {
        {ERR_MORE, "the token is cut short: copy the whole line"},
        {ERR_CORRUPT, "the token's checksum is wrong: a character was changed on the way"},
        {ERR_UNSUPPORTED, "the token is of a later version of parley: upgrade this host first"},
        {ERR_INVALID, "that is not a join token (pj1_...)"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (err == words[i].err) diag_error(d, NULL, "%s", words[i].why);
    if (err == ERR_OK && out->expires_s <= clock_wall_s()) {
        diag_error(d, NULL,
                   "the token has expired (or this host's clock is wrong); make a new one: parley "
                   "token create");
        err = ERR_EXPIRED;
    }
    return err;
}

static enum err make_ring(const struct enroll_reply *a, struct seal_ring **out)
{
    struct seal_ring *ring;
    enum err err = seal_ring_new(&ring);
    for (size_t i = 0; err == ERR_OK && i < a->group_key_count; i++)
        err = seal_ring_add(ring, (const uint8_t *)a->group_key[i].p);
    if (err == ERR_OK)
        *out = ring;
    else
        seal_ring_free(ring);
    return err;
}

static enum err write_grant(const struct store *s, const struct enroll_client_result *r,
                            const struct name *node, struct diag *d)
{
    const struct enroll_reply *a = &r->reply;
    struct setup w = {.node = *node,
                      .addr = r->addr,
                      .mesh = {.name = a->mesh, .id = a->mesh_id},
                      .ca_der = a->ca[0],
                      .secret = r->secret,
                      .leaf = a->leaf,
                      .admission = a->admission,
                      .sign_key = r->sign_key};
    struct seal_ring *ring = NULL;
    struct sign_key *issuer = NULL;
    memcpy(w.mesh.issuer_pk, a->issuer_public, sizeof w.mesh.issuer_pk);
    for (size_t i = 0; i < a->peer_count && w.peer_count < 3; i++)
        w.peer[w.peer_count++] = a->peer[i];
    enum err err = make_ring(a, &ring);
    w.ring = ring;
    if (err == ERR_OK && a->ca_secret.len > 0 && a->issuer_seed.len > 0) {
        w.ca_secret = (const uint8_t *)a->ca_secret.p;
        err = sign_key_new((const uint8_t *)a->issuer_seed.p, &issuer);
        w.issuer = issuer;
    }
    if (err == ERR_OK) err = setup_write(s, &w, d);
    sign_key_free(issuer);
    seal_ring_free(ring);
    return err;
}

/* Where systemd runs the host: enable and start the unit. The exit status of systemctl, or -1. */
static int start_unit(void)
{
    char *const argv[] = {(char[]){"systemctl"}, (char[]){"enable"}, (char[]){"--now"},
                          (char[]){"parley.service"}, NULL};
    pid_t pid;
    int status;
    extern char **environ;
    if (access("/run/systemd/system", F_OK) != 0) return -1;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0) return -1;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

/* gossip.md 3.5: a newcomer is part of the mesh when it knows what two others know. */
static bool wait_synced(const struct verb_ctx *ctx)
{
    uint64_t end = clock_mono_ms() + ctx->timeout_ms;
    for (;;) {
        struct client_answer a;
        bool synced = client_try(ctx, "GET", "/v1/status", (struct span){0}, &a) == EXIT_DONE &&
                      json_read_bool(json_read_get(a.doc, "data"), "synced", false);
        client_answer_fini(&a);
        if (synced || clock_mono_ms() >= end) return synced;
        (void)poll(NULL, 0, SYNC_POLL_MS);
    }
}

static enum verb_exit report_started(const struct verb_ctx *ctx)
{
    bool synced = wait_synced(ctx);
    if (synced && !ctx->quiet)
        printf("ok  gossip  in sync: this host knows what the mesh knows\n"
               "next        add [service.*] to the file, then: systemctl reload parley\n");
    if (synced) return EXIT_DONE;
    return verb_fail(EXIT_TIMED_OUT,
                     "this host has joined and runs, but is not yet in sync with the mesh: is port "
                     "7400 open both ways, tcp and udp? See: parley status");
}

static enum verb_exit report(const struct verb_ctx *ctx, const struct store *s,
                             const struct enroll_client_result *r, const struct name *node)
{
    char seed[ADDR_TEXT_MAX], path[STORE_PATH_MAX];
    const struct enroll_reply *a = &r->reply;
    int started = ctx->root[0] ? -1 : start_unit();
    if (!ctx->quiet) {
        printf("ok  reach   %s tcp %.1fms, its CA is the token's\n", addr_format(&r->seed, seed),
               (double)r->connect_us / 1000);
        printf("ok  cert    spiffe://%s/node/%s, 24h, renews at half its life\n", a->mesh.text,
               node->text);
        printf("ok  config  wrote %s%s\n", store_path(s, STORE_CONFIG, path),
               started == 0 ? "   started parley.service" : "");
    }
    if (started == 0) return report_started(ctx);
    if (ctx->quiet) return EXIT_DONE;
    if (started > 0)
        printf("!   unit    parley.service did not start; see: systemctl status parley\n");
    else
        printf("next        parley up%s%s\n", ctx->root[0] ? " --root " : "", ctx->root);
    return EXIT_DONE;
}

static enum err prepare(const struct verb_ctx *ctx, struct store *s, struct token *t,
                        struct enroll_client_options *o, struct diag *d)
{
    enum err err = store_open(ctx->root, NULL, s);
    if (err == ERR_OK) err = setup_absent(s, d);
    if (err == ERR_OK) err = read_token(ctx, d, t);
    if (err == ERR_OK) err = setup_node_name(verb_text(ctx, "node"), d, &o->node);
    o->port = CONFIG_PORT_DEFAULT;
    if (err == ERR_OK && verb_text(ctx, "addr")) {
        err = setup_addr(verb_text(ctx, "addr"), d, &o->addr);
        o->port = o->addr.port;
    }
    return err;
}

enum verb_exit join_run(struct verb_ctx *ctx)
{
    struct store s = {.lock_fd = -1};
    struct token t;
    struct enroll_client_options o = {.token = &t, .timeout_ms = ctx->timeout_ms};
    struct enroll_client_result r = {0};
    struct diag d;
    enum verb_exit code = EXIT_FAILED;
    diag_init(&d);
    enum err err = sodium_init() < 0 ? ERR_INTERNAL : prepare(ctx, &s, &t, &o, &d);
    if (err == ERR_INVALID || err == ERR_MORE || err == ERR_CORRUPT) code = EXIT_USAGE;
    if (err == ERR_OK) err = enroll_client_run(&o, &d, &r);
    if (err == ERR_TIMEOUT) code = EXIT_TIMED_OUT;
    if (err == ERR_OK) err = write_grant(&s, &r, &o.node, &d);
    if (err == ERR_OK) {
        code = report(ctx, &s, &r, &o.node);
    } else {
        code = setup_refuse(code, err, &d);
    }
    sodium_memzero(&t, sizeof t);
    enroll_client_fini(&r);
    store_close(&s);
    diag_fini(&d);
    return code;
}
