#include "cmd/daemon/reload.h"

#include "cmd/daemon/access_sink.h"
#include "cmd/daemon/admin.h"
#include "cmd/daemon/compile.h"
#include "cmd/daemon/control.h"
#include "cmd/daemon/enroll.h"
#include "cmd/daemon/health_run.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/learn.h"
#include "cmd/daemon/listeners.h"
#include "cmd/daemon/mesh.h"
#include "core/base/map.h"

void reload_summary_init(struct reload_summary *s)
{
    *s = (struct reload_summary){.changed = false};
    strbuf_init(&s->applied, RELOAD_TEXT_MAX);
    strbuf_init(&s->restart, RELOAD_TEXT_MAX);
}

void reload_summary_fini(struct reload_summary *s)
{
    strbuf_fini(&s->applied);
    strbuf_fini(&s->restart);
}

enum err reload_read(const struct store *s, bool last_good, struct diag *diag,
                     struct host_file *file, struct config **out)
{
    enum err err =
        last_good ? host_file_read_last_good(s, diag, file) : host_file_read(s, diag, file);
    if (err != ERR_OK) return err;
    err = config_load(file->text, file->count, diag, out);
    if (err != ERR_OK) host_file_fini(file);
    return err;
}

void reload_keep(struct daemon *d, const struct host_file *file)
{
    struct diag diag;
    diag_init(&diag);
    if (host_file_save_last_good(&d->store, file, &diag) != ERR_OK) reload_log_diag(&d->log, &diag);
    diag_fini(&diag);
}

void reload_log_diag(struct log *log, const struct diag *diag)
{
    for (unsigned i = 0; i < diag->count; i++) {
        const struct diag_entry *e = &diag->entry[i];
        enum config_log_level level = e->level == DIAG_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN;
        if (e->file != NULL)
            log_event(log, level, "config", "%s:%u:%u: %s", e->file, e->line, e->column,
                      e->message);
        else
            log_event(log, level, "config", "%s", e->message);
    }
}

/* "service.web" of "service.web.health.http"; else the first part. */
static struct span section_of(const char *key)
{
    struct span rest, more;
    struct span all = span_str(key);
    struct span first = span_cut(all, '.', &rest);
    if (!span_eq_str(first, "service") && !span_eq_str(first, "upstream")) return first;
    struct span name = span_cut(rest, '.', &more);
    return span_of(all.p, first.len + (name.len > 0 ? 1 + name.len : 0));
}

static bool has_section(const struct config *c, struct span section)
{
    for (size_t i = 0; i < c->value_count; i++)
        if (span_eq(section_of(c->value[i].key), section)) return true;
    return false;
}

static bool listed(const struct strbuf *out, struct span section)
{
    struct span rest = strbuf_view(out);
    while (rest.len > 0) {
        struct span line = span_cut(rest, '\n', &rest);
        if (span_eq(span_skip(line, 1), section)) return true;
    }
    return false;
}

/* Sections with a value in `a` that `b` lacks or has differently, marked by what `b` is to them. */
static enum err list_changes(const struct hash_key *key, const struct config *a,
                             const struct config *b, char missing, struct strbuf *out)
{
    struct map was;
    map_init(&was, key, b->value_count);
    enum err err = ERR_OK;
    for (size_t i = 0; i < b->value_count && err == ERR_OK; i++)
        err = map_put(&was, span_str(b->value[i].key), &b->value[i]);
    for (size_t i = 0; i < a->value_count && err == ERR_OK; i++) {
        const struct config_value *old = map_get(&was, span_str(a->value[i].key));
        if (old != NULL && strcmp(old->value, a->value[i].value) == 0) continue;
        struct span section = section_of(a->value[i].key);
        if (listed(out, section)) continue;
        strbuf_char(out, has_section(b, section) ? '~' : missing);
        strbuf_span(out, section);
        strbuf_char(out, '\n');
    }
    map_fini(&was);
    return err;
}

/* What was made once at start stays as it runs until the next one. */
static void keep_running_values(const struct config *running, struct config *next)
{
    struct config_node *n = &next->node;
    n->addr = running->node.addr;
    n->bind = running->node.bind;
    n->threads = running->node.threads;
    next->gossip_period_ms = running->gossip_period_ms;
    next->datagram_bytes = running->datagram_bytes;
    next->key_hold_ms = running->key_hold_ms;
}

static enum err check_identity(const struct config *running, const struct config *next,
                               struct diag *diag)
{
    if (name_eq(&running->node.name, &next->node.name) &&
        name_eq(&running->node.mesh, &next->node.mesh))
        return ERR_OK;
    diag_error(
        diag, NULL,
        "this host's identity is node \"%s\" of mesh \"%s\", the file says \"%s\" of \"%s\": "
        "another name needs another identity (parley join)",
        running->node.name.text, running->node.mesh.text, next->node.name.text,
        next->node.mesh.text);
    return ERR_INVALID;
}

/* Listeners, log and snapshot for `next`; on error everything is as before. */
static enum err switch_to(struct daemon *d, const struct config *next, struct diag *diag)
{
    enum err err = listeners_prepare(d->listeners, next, diag);
    if (err != ERR_OK) return err;
    err = admin_metrics_listen(d->admin, &next->metrics_listen, diag);
    if (err != ERR_OK) goto fail_listeners;
    err = access_sink_prepare(d->sink, &next->log, diag);
    if (err != ERR_OK) goto fail_metrics;
    err = health_run_sync(d->health, next);
    if (err != ERR_OK) goto fail_sink;
    err = learn_sync(d->learn, next);
    if (err != ERR_OK) goto fail_health;
    identities_sync(d->identities, &d->store, next, diag);
    err = compile_now(d->compile, next, diag);
    if (err != ERR_OK) goto fail_compile;
    listeners_commit(d->listeners, compile_generation(d->compile));
    access_sink_commit(d->sink);
    return ERR_OK;

fail_compile:
    identities_sync(d->identities, &d->store, d->config, NULL);
    if (learn_sync(d->learn, d->config) != ERR_OK)
        log_error(&d->log, "learn", "protocols follow the refused configuration: %s",
                  err_text(ERR_NOMEM));
fail_health:
    if (health_run_sync(d->health, d->config) != ERR_OK)
        log_error(&d->log, "health", "checks follow the refused configuration: %s",
                  err_text(ERR_NOMEM));
fail_sink:
    access_sink_abort(d->sink);
fail_metrics:
    if (admin_metrics_listen(d->admin, &d->config->metrics_listen, NULL) != ERR_OK)
        log_error(&d->log, "metrics", "the listener of the running configuration did not reopen");
fail_listeners:
    listeners_abort(d->listeners);
    return err;
}

static enum err apply(struct daemon *d, struct config *next, struct diag *diag,
                      struct reload_summary *out)
{
    enum err err = check_identity(d->config, next, diag);
    if (err != ERR_OK) return err;
    out->changed = d->config->text_hash != next->text_hash;
    out->restart_count = (unsigned)config_restart_needed(d->config, next, &out->restart);
    err = list_changes(&d->hash_key, next, d->config, '+', &out->applied);
    if (err == ERR_OK) err = list_changes(&d->hash_key, d->config, next, '-', &out->applied);
    if (err != ERR_OK) return err;
    keep_running_values(d->config, next);
    err = switch_to(d, next, diag);
    if (err != ERR_OK) return err;
    struct config *old = d->config;
    d->config = next;
    config_free(old);
    atomic_store_explicit(&d->log.level, (int)next->log.level, memory_order_relaxed);
    atomic_store_explicit(&d->log.format, (int)next->log.format, memory_order_relaxed);
    mesh_announce(d->mesh);
    mesh_contact_peers(d->mesh);
    enroll_kick(d->enroll);
    out->generation = compile_generation(d->compile);
    return ERR_OK;
}

static enum err read_and_apply(struct daemon *d, struct diag *diag, struct reload_summary *out)
{
    struct host_file file;
    struct config *next = NULL;
    enum err err = reload_read(&d->store, false, diag, &file, &next);
    if (err != ERR_OK) return err;
    err = apply(d, next, diag, out);
    if (err == ERR_OK) {
        d->config_last_good = false;
        d->reload_wall_s = (uint64_t)loop_wall_s(d->loop);
        d->reloads_refused = 0;
        reload_keep(d, &file);
    } else {
        config_free(next);
    }
    host_file_fini(&file);
    return err;
}

/* For who looks later, when the file may already be another one: the first error with its place. */
static void keep_refusal(struct daemon *d, const struct diag *diag, enum err err)
{
    struct strbuf sb;
    strbuf_init_fixed(&sb, d->reload_refusal, sizeof d->reload_refusal);
    for (unsigned i = 0; diag != NULL && i < diag->count; i++) {
        const struct diag_entry *e = &diag->entry[i];
        if (e->level != DIAG_ERROR) continue;
        if (e->file != NULL && e->line > 0) strbuf_fmt(&sb, "%s:%u: ", e->file, e->line);
        strbuf_str(&sb, e->message);
        return;
    }
    strbuf_str(&sb, err_text(err));
}

enum err reload_run(struct daemon *d, struct diag *diag, struct reload_summary *out)
{
    struct reload_summary own;
    if (out == NULL) reload_summary_init(&own);
    struct reload_summary *sum = out != NULL ? out : &own;
    control_reloading(d->control);
    enum err err = read_and_apply(d, diag, sum);
    if (err == ERR_OK) {
        log_info(&d->log, "reload", "generation=%llu changed=%s restart_needed=%u",
                 (unsigned long long)sum->generation, sum->changed ? "yes" : "no",
                 sum->restart_count);
    } else {
        d->reloads_refused++;
        keep_refusal(d, diag, err);
        log_error(&d->log, "reload", "refused, the running configuration is unchanged: %s",
                  d->reload_refusal);
    }
    control_reloaded(d->control);
    if (out == NULL) reload_summary_fini(&own);
    return err;
}

void reload_logged(struct daemon *d)
{
    struct diag diag;
    diag_init(&diag);
    if (reload_run(d, &diag, NULL) != ERR_OK) reload_log_diag(&d->log, &diag);
    diag_fini(&diag);
}
