#include "cmd/verbs/config_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_BYTES 128u

static struct span line_of(const struct host_file *h, const char *file, unsigned line)
{
    struct span rest = {0}, s = {0};
    for (size_t i = 0; i < h->count; i++)
        if (strcmp(h->text[i].file, file) == 0) rest = h->text[i].text;
    for (unsigned n = 0; n < line; n++)
        s = span_cut(rest, '\n', &rest);
    return s;
}

static unsigned characters(struct span s)
{
    unsigned n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* Where the value of `key` names `path`; the line alone when it is not on the first of it. */
static struct diag_at place(const struct config *c, const struct host_file *h, const char *key,
                            const char *path)
{
    struct diag_at at = {0};
    struct span line = {0}, want = span_str(path);
    for (size_t i = 0; i < c->value_count; i++) {
        const struct config_value *v = &c->value[i];
        if (v->file == NULL || strcmp(v->key, key) != 0) continue;
        at.file = v->file;
        at.line = v->line;
        line = line_of(h, v->file, v->line);
    }
    for (size_t i = 0; i + want.len + 2 <= line.len; i++) {
        bool quoted = line.p[i] == '"' || line.p[i] == '\'';
        if (!quoted || line.p[i + want.len + 1] != line.p[i]) continue;
        if (!span_starts(span_skip(line, i + 1), want)) continue;
        at.source = line;
        at.column = characters(span_of(line.p, i)) + 1;
        at.width = characters(want) + 2;
        break;
    }
    return at;
}

static bool missing(int status)
{
    return status != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static void check_program(const struct config *c, const struct host_file *h,
                          const struct config_service *s, struct diag *diag)
{
    char key[KEY_BYTES];
    struct stat st;
    const char *path = s->health.argv[0];
    (void)snprintf(key, sizeof key, "service.%s.health.exec", s->name.text);
    struct diag_at at = place(c, h, key, path);
    int status = stat(path, &st);
    if (missing(status))
        diag_warning(diag, &at, "there is no program %s: every check of \"%s\" would fail", path,
                     s->name.text);
    else if (status == 0 && !S_ISREG(st.st_mode))
        diag_warning(diag, &at, "%s is no program: every check of \"%s\" would fail", path,
                     s->name.text);
    else if (status == 0 && (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
        diag_warning(diag, &at, "%s is not executable: chmod +x %s", path, path);
}

/* A key may be no link (keyfile.h), a certificate may. */
static void check_tls(const struct config *c, const struct host_file *h,
                      const struct config_upstream *u, bool secret, struct diag *diag)
{
    char key[KEY_BYTES];
    struct stat st;
    const char *path = secret ? u->tls_key : u->tls_cert;
    (void)snprintf(key, sizeof key, "upstream.%s.tls.%s", u->name.text, secret ? "key" : "cert");
    struct diag_at at = place(c, h, key, path);
    int status = secret ? lstat(path, &st) : stat(path, &st);
    if (missing(status))
        diag_error(diag, &at, "there is no file %s", path);
    else if (status == 0 && secret && S_ISLNK(st.st_mode))
        diag_error(diag, &at, "a key may not be a link: name the file that %s leads to", path);
    else if (status == 0 && secret && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        diag_error(diag, &at, "a key must be its owner's alone: chmod 600 %s", path);
}

enum err config_files_check(const struct config *c, const struct host_file *file, struct diag *diag)
{
    unsigned before = diag->errors;
    for (size_t i = 0; i < c->service_count; i++)
        if (c->service[i].health.kind == CONFIG_HEALTH_EXEC)
            check_program(c, file, &c->service[i], diag);
    for (size_t i = 0; i < c->upstream_count; i++) {
        const struct config_upstream *u = &c->upstream[i];
        if (u->tls_cert == NULL || u->tls_key == NULL) continue;
        check_tls(c, file, u, false, diag);
        check_tls(c, file, u, true, diag);
    }
    return diag->errors > before ? ERR_INVALID : ERR_OK;
}
