#include "cmd/verbs/setup.h"

#include "cmd/daemon/reload.h"
#include "cmd/daemon/store_identity.h"
#include "core/base/check.h"
#include "core/io/netif.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum err setup_node_name(const char *given, struct diag *d, struct name *out)
{
    struct utsname host;
    struct span rest, text = span_str(given);
    if (!given) {
        if (uname(&host) != 0) return ERR_IO;
        text = span_cut(span_str(host.nodename), '.', &rest);
    }
    if (name_set(out, text) == ERR_OK) return ERR_OK;
    diag_error(
        d, NULL,
        "\"%.*s\" is not a node name (1 to 63 of a-z, 0-9 and -, a letter or digit at both ends)%s",
        SPAN_ARG(text), given ? "" : "; give one with --node NAME");
    return ERR_INVALID;
}

static enum err only_global_addr(struct diag *d, struct addr *out)
{
    struct addr all[16];
    char names[512], text[ADDR_TEXT_MAX];
    struct strbuf sb;
    size_t count, of[2] = {0};
    enum err err = netif_global(all, ARRAY_LEN(all), &count);
    if (err != ERR_OK) return err;
    strbuf_init_fixed(&sb, names, sizeof names);
    for (size_t i = 0; i < count; i++) {
        of[all[i].family == ADDR_IP6]++;
        strbuf_fmt(&sb, " %s", addr_format(&all[i], text));
    }
    /* One IPv4 address is the answer however many IPv6 ones there are. */
    uint8_t family = of[0] > 0 ? ADDR_IP4 : ADDR_IP6;
    if (of[family == ADDR_IP6] == 1) {
        for (size_t i = 0; i < count; i++)
            if (all[i].family == family) *out = all[i];
        return ERR_OK;
    }
    if (count == 0)
        diag_error(d, NULL, "this host has no global address; give one with --addr IP");
    else
        diag_error(d, NULL,
                   "this host has several addresses (%s ); say which peers dial: --addr IP", names);
    return ERR_NOT_FOUND;
}

enum err setup_addr(const char *given, struct diag *d, struct addr *out)
{
    enum err err;
    if (!given) {
        err = only_global_addr(d, out);
        if (err != ERR_OK) return err;
        out->port = CONFIG_PORT_DEFAULT;
        return ERR_OK;
    }
    err = addr_parse(span_str(given), CONFIG_PORT_DEFAULT, out);
    if (err == ERR_OK && addr_is_forbidden(out)) err = ERR_INVALID;
    if (err != ERR_OK)
        diag_error(d, NULL,
                   "--addr \"%s\" is not an address that peers can dial, such as 10.0.0.1 or "
                   "10.0.0.1:7400",
                   given);
    return err;
}

enum err setup_absent(const struct store *s, struct diag *d)
{
    struct store_mesh m;
    char path[STORE_PATH_MAX];
    if (!store_exists(s, STORE_NODE_KEY)) return ERR_OK;
    bool known = store_state_mesh(s, NULL, &m) == ERR_OK;
    diag_error(d, NULL,
               "this host already has an identity%s%s (%s); to give it up: parley leave, then "
               "remove that folder%s",
               known ? " of mesh " : "", known ? m.name.text : "", store_path(s, STORE_STATE, path),
               store_exists(s, STORE_CA_KEY) ? " - it holds the CA key of the mesh: back it up"
                                             : "");
    return ERR_EXISTS;
}

/* The address without its port, as [node] addr wants it. */
static struct span bare_ip(const struct addr *a, char dst[ADDR_TEXT_MAX])
{
    struct span text = span_str(addr_format(a, dst));
    while (text.len > 0 && text.p[text.len - 1] != ':')
        text.len--;
    text.len--;
    return a->family == ADDR_IP6 ? span_of(text.p + 1, text.len - 2) : text;
}

static enum err config_text(const struct setup *w, struct strbuf *out)
{
    char addr[ADDR_TEXT_MAX];
    strbuf_fmt(out, "[node]\nname = \"%s\"\nmesh = \"%s\"\naddr = \"%.*s\"\n", w->node.text,
               w->mesh.name.text, SPAN_ARG(bare_ip(&w->addr, addr)));
    if (w->addr.port != CONFIG_PORT_DEFAULT) strbuf_fmt(out, "port = %u\n", w->addr.port);
    strbuf_str(out, "peers = [");
    for (size_t i = 0; i < w->peer_count; i++)
        strbuf_fmt(out, "%s\"%s\"", i > 0 ? ", " : "", addr_format(&w->peer[i], addr));
    strbuf_str(out, "]\n\n# What runs on this host goes into conf.d/*.toml or below, for example:\n"
                    "#   [service.web]\n#   local = \"127.0.0.1:8080\"\n#   allow = [\"api\"]\n");
    return strbuf_ok(out) ? ERR_OK : ERR_TOO_LARGE;
}

static enum err write_config(const struct store *s, const struct setup *w, struct diag *d)
{
    struct strbuf text;
    enum err err;
    if (store_exists(s, STORE_CONFIG)) {
        struct config *c;
        struct host_file file;
        err = reload_read(s, false, d, &file, &c);
        if (err != ERR_OK) return err;
        host_file_fini(&file);
        bool same = name_eq(&c->node.name, &w->node) && name_eq(&c->node.mesh, &w->mesh.name);
        if (!same)
            diag_error(d, NULL,
                       "the host file that is there is of node %s in mesh %s; move it away",
                       c->node.name.text, c->node.mesh.text);
        config_free(c);
        return same ? ERR_OK : ERR_EXISTS;
    }
    strbuf_init(&text, 16384);
    err = config_text(w, &text);
    if (err == ERR_OK) err = store_write(s, STORE_CONFIG, strbuf_view(&text), d);
    strbuf_fini(&text);
    return err;
}

static enum err write_signer(const struct store *s, const struct setup *w, struct diag *d)
{
    if (!w->ca_secret) return ERR_OK;
    enum err err = store_identity_ca_key_save(s, w->ca_secret, d);
    if (err == ERR_OK) err = store_identity_sign_save(s, STORE_ISSUER_KEY, w->issuer, d);
    if (err != ERR_OK || w->first_root.len == 0) return err;
    return store_write_checked(s, STORE_FIRST_ROOT, w->first_root, d);
}

static enum err write_state(const struct store *s, const struct setup *w, struct diag *d)
{
    enum err err = store_state_mesh_save(s, &w->mesh, d);
    if (err == ERR_OK) err = store_identity_ca_save(s, &w->ca_der, 1, d);
    if (err == ERR_OK) err = write_signer(s, w, d);
    if (err == ERR_OK) err = store_state_keyring_save(s, w->ring, d);
    if (err == ERR_OK) err = store_identity_sign_save(s, STORE_GOSSIP_KEY, w->sign_key, d);
    if (err == ERR_OK) err = store_state_admission_save(s, w->admission, d);
    return err;
}

static void undo(const struct store *s)
{
    static const enum store_file files[] = {
        STORE_MESH,       STORE_CA_CRT,    STORE_CA_KEY,   STORE_ISSUER_KEY, STORE_KEYRING,
        STORE_GOSSIP_KEY, STORE_ADMISSION, STORE_NODE_KEY, STORE_NODE_CRT,   STORE_FIRST_ROOT};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (store_remove(s, files[i], NULL) != ERR_OK) continue;
}

/* As root: each file gets the owner of the folder it lies in, so that the unit's user can read it.
 */
static void hand_over(const struct store *s, enum store_file folder, const enum store_file *files,
                      size_t count, bool group_only)
{
    char path[STORE_PATH_MAX];
    struct stat st;
    if (geteuid() != 0 || stat(store_path(s, folder, path), &st) != 0) return;
    for (size_t i = 0; i < count; i++)
        if (lchown(store_path(s, files[i], path), group_only ? (uid_t)-1 : st.st_uid, st.st_gid) !=
            0)
            continue;
}

enum err setup_write(const struct store *s, const struct setup *w, struct diag *d)
{
    static const enum store_file state[] = {STORE_MESH,       STORE_CA_CRT,     STORE_CA,
                                            STORE_CA_KEY,     STORE_ISSUER_KEY, STORE_KEYRING,
                                            STORE_GOSSIP_KEY, STORE_ADMISSION,  STORE_NODE_KEY,
                                            STORE_NODE_CRT,   STORE_SERVICES,   STORE_FIRST_ROOT};
    static const enum store_file etc[] = {STORE_CONFIG, STORE_CONF_D};
    enum err err = store_prepare(s, w->ca_secret != NULL, d);
    if (err != ERR_OK) return err;
    bool had_config = store_exists(s, STORE_CONFIG);
    err = write_config(s, w, d);
    if (err != ERR_OK) return err;
    err = write_state(s, w, d);
    if (err == ERR_OK) err = store_identity_save(s, NULL, w->secret, w->leaf, d);
    if (err != ERR_OK) {
        undo(s);
        if (!had_config && store_remove(s, STORE_CONFIG, NULL) != ERR_OK) return err;
        return err;
    }
    hand_over(s, STORE_STATE, state, ARRAY_LEN(state), false);
    hand_over(s, STORE_ETC, etc, ARRAY_LEN(etc), true);
    return ERR_OK;
}

enum verb_exit setup_refuse(enum verb_exit code, enum err err, const struct diag *d)
{
    if (err == ERR_PERM) code = EXIT_NOT_PERMITTED;
    for (unsigned i = 0; i < d->count; i++)
        verb_fail(code, "%s", d->entry[i].message);
    return d->errors > 0 ? code : verb_fail(code, "%s", err_text(err));
}
