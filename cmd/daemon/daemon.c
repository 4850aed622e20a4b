#include "cmd/daemon/daemon.h"

#include <stdlib.h>
#include <unistd.h>

#include "cmd/daemon/access_sink.h"
#include "cmd/daemon/admin.h"
#include "cmd/daemon/compile.h"
#include "cmd/daemon/control.h"
#include "cmd/daemon/drain.h"
#include "cmd/daemon/enroll.h"
#include "cmd/daemon/fd_store.h"
#include "cmd/daemon/health_run.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/learn.h"
#include "cmd/daemon/listeners.h"
#include "cmd/daemon/memory_limit.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/policy_run.h"
#include "cmd/daemon/privs.h"
#include "cmd/daemon/reload.h"
#include "core/crypto/tls_engine.h"
#include "core/io/clock.h"
#include "core/io/thread.h"
#include "proxy/net/clients.h"
#include "proxy/net/lineage.h"
#include "proxy/net/worker.h"

#define DAEMON_MAGIC      0x64616531u
#define ACCESS_RING_ALIGN 64u

/* The host file, or with a bad one the copy that was good last: a typo must not keep a host out of
 * its mesh over a reboot (interface.md 3). */
static enum err load_config(struct daemon *d, struct diag *diag)
{
    struct host_file file;
    enum err err = reload_read(&d->store, false, diag, &file, &d->config);
    if (err == ERR_OK) {
        reload_keep(d, &file);
        host_file_fini(&file);
        return ERR_OK;
    }
    if (d->options.strict || err == ERR_NOMEM) return err;
    struct diag old;
    diag_init(&old);
    enum err fallback = reload_read(&d->store, true, &old, &file, &d->config);
    if (fallback == ERR_OK) {
        host_file_fini(&file);
        reload_log_diag(&d->log, diag);
        log_error(&d->log, "config", "the configuration is refused: running from last-good.toml");
        d->config_last_good = true;
    } else if (fallback != ERR_NOT_FOUND) {
        reload_log_diag(&d->log, &old);
    }
    diag_fini(&old);
    return fallback == ERR_OK ? ERR_OK : err;
}

static enum err open_store(struct daemon *d, struct diag *diag)
{
    enum err err = store_open(d->options.root, d->options.config_path, &d->store);
    if (err != ERR_OK) {
        diag_error(diag, NULL, "the root or configuration path is too long");
        return err;
    }
    err = store_prepare_run(&d->store, diag);
    return err != ERR_OK ? err : store_lock(&d->store, diag);
}

static enum err open_basics(struct daemon *d, struct diag *diag)
{
    uint64_t seed = 0;
    enum err err = privs_random(&seed, sizeof seed);
    if (err == ERR_OK) err = privs_random(&d->hash_key, sizeof d->hash_key);
    if (err != ERR_OK) return err;
    rng_seed(&d->rng, seed);
    log_init(&d->log, STDERR_FILENO, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    d->log.journal = d->options.journal;
    /* First: no descriptor of ours may get the number of one that was passed. */
    err = fd_store_new(d->options.notify_socket, d->options.listen_fds, &d->log, &d->fd_store);
    if (err != ERR_OK) return err;
    err = open_store(d, diag);
    if (err != ERR_OK) return err;
    err = load_config(d, diag);
    if (err != ERR_OK) return err;
    log_init(&d->log, STDERR_FILENO, d->config->log.level, d->config->log.format);
    d->log.journal = d->options.journal;
    err = loop_new(&d->loop);
    if (err != ERR_OK) return err;
    return control_new(d, &d->control);
}

/* It starts all the same: what runs on this host still works, and the log says what does not. */
static void say_expired(struct daemon *d)
{
    const struct identity *node = identities_node(d->identities);
    if (identity_not_after_s(node) > d->started_wall_s) return;
    log_error(
        &d->log, "cert",
        "the certificate of this node has expired, so no peer will talk to it: if this host's "
        "clock is right, get a new identity with parley join");
}

static enum err load_identities(struct daemon *d, struct diag *diag)
{
    struct diag warnings;
    enum err err = tls_engine_profile_new(&d->profile);
    if (err == ERR_OK) err = identities_new(&d->identities);
    if (err != ERR_OK) return err;
    diag_init(&warnings);
    err = identities_load(d->identities, &d->store, d->config, &warnings);
    if (err == ERR_NOT_FOUND)
        diag_error(diag, NULL,
                   "this host has no identity under %s/var/lib/parley: parley init makes a mesh, "
                   "parley join TOKEN enters one",
                   d->store.root);
    reload_log_diag(&d->log, &warnings);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        diag_error(diag, NULL, "the identity of this host cannot be used%s%s",
                   warnings.count > 0 ? ": " : "",
                   warnings.count > 0 ? warnings.entry[warnings.count - 1].message : "");
    diag_fini(&warnings);
    if (err == ERR_OK) say_expired(d);
    return err;
}

static enum err make_worker(struct daemon *d, unsigned i)
{
    struct daemon_worker *w = &d->worker[i];
    enum err err = metrics_shard_new(&w->metrics);
    if (err == ERR_OK) err = byte_ring_init(&w->access, ACCESS_LOG_RING_BYTES);
    if (err != ERR_OK) return err;
    struct worker_options o = {.index = i,
                               .profile = d->profile,
                               .log = &d->log,
                               .seed = rng_u64(&d->rng),
                               .hash_key = d->hash_key,
                               .metrics = w->metrics,
                               .access_ring = &w->access,
                               .lineage = d->lineage,
                               .clients = d->clients,
                               .control_post = control_post(d->control)};
    return worker_new(&o, &w->worker);
}

static enum err make_workers(struct daemon *d)
{
    unsigned count = d->config->node.threads != 0 ? d->config->node.threads : thread_cpu_count();
    if (count > WORKERS_MAX) count = WORKERS_MAX;
    d->worker = aligned_alloc(ACCESS_RING_ALIGN, count * sizeof d->worker[0]);
    if (d->worker == NULL) return ERR_NOMEM;
    memset(d->worker, 0, count * sizeof d->worker[0]);
    d->lineage = calloc(1, sizeof *d->lineage);
    if (d->lineage == NULL) return ERR_NOMEM;
    lineage_init(d->lineage, &d->hash_key);
    d->clients = calloc(1, sizeof *d->clients);
    if (d->clients == NULL) return ERR_NOMEM;
    clients_init(d->clients, &d->hash_key);
    enum err err = ERR_OK;
    for (unsigned i = 0; i < count && err == ERR_OK; i++) {
        d->worker_count = i + 1;
        err = make_worker(d, i);
    }
    return err;
}

static enum err make_sink(struct daemon *d, struct diag *diag)
{
    struct access_sink_options o = {.loop = d->loop, .log = &d->log, .ring_count = d->worker_count};
    for (unsigned i = 0; i < d->worker_count; i++)
        o.ring[i] = &d->worker[i].access;
    enum err err = access_sink_new(&o, &d->sink);
    if (err != ERR_OK) return err;
    err = access_sink_prepare(d->sink, &d->config->log, diag);
    if (err == ERR_OK) access_sink_commit(d->sink);
    return err;
}

static void health_changed(void *owner, const struct name *service, enum service_health health)
{
    struct daemon *d = owner;
    learn_health(d->learn, service, health);
    mesh_announce(d->mesh);
    compile_request(d->compile);
}

static void protocol_learned(void *owner)
{
    struct daemon *d = owner;
    mesh_announce(d->mesh);
    compile_request(d->compile);
}

static enum err make_parts(struct daemon *d, struct diag *diag)
{
    struct health_run_options health = {
        .loop = d->loop, .log = &d->log, .rng = &d->rng, .on_change = health_changed, .owner = d};
    struct learn_options learn = {
        .loop = d->loop, .log = &d->log, .on_change = protocol_learned, .owner = d};
    enum err err = listeners_new(d->worker_count, d->fd_store, &d->listeners);
    if (err == ERR_OK) err = policy_run_new(d, &d->policy);
    if (err == ERR_OK) err = mesh_new(d, diag, &d->mesh);
    if (err == ERR_OK) policy_run_restore(d->policy);
    if (err == ERR_OK) err = learn_new(&learn, &d->learn);
    if (err == ERR_OK) err = learn_sync(d->learn, d->config);
    if (err == ERR_OK) err = health_run_new(&health, &d->health);
    if (err == ERR_OK) err = health_run_sync(d->health, d->config);
    if (err == ERR_OK) err = drain_new(d, &d->drain);
    if (err == ERR_OK) err = make_sink(d, diag);
    if (err == ERR_OK) err = compile_new(d, &d->compile);
    return err;
}

/* The first snapshot carries the catalogue of the last run, before any peer has answered. */
static enum err start_traffic(struct daemon *d, struct diag *diag)
{
    enum err err = listeners_prepare(d->listeners, d->config, diag);
    if (err != ERR_OK) return err;
    for (unsigned i = 0; i < d->worker_count && err == ERR_OK; i++) {
        err = worker_start(d->worker[i].worker);
        d->worker[i].started = err == ERR_OK;
    }
    if (err == ERR_OK) err = compile_now(d->compile, d->config, diag);
    if (err != ERR_OK) {
        listeners_abort(d->listeners);
        return err;
    }
    policy_run_started(d->policy);
    listeners_commit(d->listeners, compile_generation(d->compile));
    return ERR_OK;
}

enum err daemon_new(const struct daemon_options *o, struct diag *diag, struct daemon **out)
{
    struct daemon *d = calloc(1, sizeof *d);
    if (d == NULL) return ERR_NOMEM;
    d->magic = DAEMON_MAGIC;
    d->options = *o;
    d->started_ms = clock_mono_ms();
    d->started_wall_s = clock_wall_s();
    d->store.lock_fd = -1;
    d->memory_bytes = memory_limit_auto();
    enum err err = open_basics(d, diag);
    if (err == ERR_OK) err = load_identities(d, diag);
    if (err == ERR_OK) err = make_workers(d);
    if (err == ERR_OK) err = make_parts(d, diag);
    if (err == ERR_OK) err = start_traffic(d, diag);
    if (err == ERR_OK) err = mesh_start(d->mesh, diag);
    if (err == ERR_OK) policy_run_first_root(d->policy);
    if (err == ERR_OK) err = enroll_new(d, diag, &d->enroll);
    if (err == ERR_OK) err = admin_new(d, diag, &d->admin);
    if (err == ERR_OK) err = admin_metrics_listen(d->admin, &d->config->metrics_listen, diag);
    if (err != ERR_OK) {
        daemon_free(d);
        return err;
    }
    control_start(d->control);
    *out = d;
    return ERR_OK;
}

static void free_workers(struct daemon *d)
{
    for (unsigned i = 0; i < d->worker_count; i++) {
        struct daemon_worker *w = &d->worker[i];
        if (w->worker != NULL) worker_free(w->worker);
        metrics_shard_free(w->metrics);
        byte_ring_fini(&w->access);
    }
    free(d->worker);
    free(d->lineage);
    free(d->clients);
}

void daemon_free(struct daemon *d)
{
    if (d == NULL) return;
    CHECK_OBJ(d, DAEMON_MAGIC);
    for (unsigned i = 0; i < d->worker_count; i++)
        if (d->worker[i].started) worker_stop(d->worker[i].worker);
    admin_free(d->admin);
    enroll_free(d->enroll);
    access_sink_free(d->sink);
    compile_free(d->compile);
    drain_free(d->drain);
    health_run_free(d->health);
    learn_free(d->learn);
    mesh_free(d->mesh);
    policy_run_free(d->policy);
    listeners_free(d->listeners);
    fd_store_free(d->fd_store);
    control_free(d->control);
    free_workers(d);
    identities_free(d->identities);
    tls_engine_profile_free(d->profile);
    loop_free(d->loop);
    config_free(d->config);
    if (d->store.magic != 0) store_close(&d->store);
    d->magic = MAGIC_POISON;
    free(d);
}

void daemon_quit(struct daemon *d, int exit_code)
{
    CHECK_OBJ(d, DAEMON_MAGIC);
    d->exit_code = exit_code;
    loop_stop(d->loop);
}

enum err daemon_run(const struct daemon_options *o, struct diag *diag, int *exit_code)
{
    struct daemon *d = NULL;
    privs_harden();
    enum err err = daemon_new(o, diag, &d);
    if (err != ERR_OK) return err;
    loop_run(d->loop);
    *exit_code = d->exit_code;
    log_info(&d->log, "stop", "exit=%d", d->exit_code);
    daemon_free(d);
    return ERR_OK;
}
