#include "cmd/daemon/host_file.h"

#include "core/io/file.h"

#include <stdio.h>

#define FILE_MARK          "# parley-file "
#define LAST_GOOD_HEAD_MAX 128u
#define LAST_GOOD_ADVICE   "mend parley.toml; this copy is then written anew"

static void host_file_init(struct host_file *h)
{
    *h = (struct host_file){.count = 0};
    arena_init(&h->arena, 64u * 1024, 2u * HOST_FILE_TOTAL_BYTES_MAX);
    h->text = arena_array(&h->arena, CONFIG_INCLUDES_MAX + 1, sizeof *h->text);
}

void host_file_fini(struct host_file *h)
{
    arena_fini(&h->arena);
    *h = (struct host_file){.count = 0};
}

static enum err add_text(struct host_file *h, const char *path, struct span text)
{
    if (h->count > CONFIG_INCLUDES_MAX) return ERR_TOO_LARGE;
    char *file = arena_dup(&h->arena, path, strlen(path));
    struct span copy = arena_span(&h->arena, text);
    if (file == NULL || copy.p == NULL) return ERR_NOMEM;
    h->text[h->count++] = (struct config_text){.file = file, .text = copy};
    return ERR_OK;
}

static enum err add_file(struct host_file *h, const char *path, struct diag *d)
{
    struct strbuf sb;
    strbuf_init(&sb, CONFIG_FILE_BYTES_MAX + 1);
    enum err err = store_read_path(path, d, &sb);
    if (err == ERR_NOT_FOUND && h->count == 0)
        diag_error(d, NULL,
                   "no configuration at %s: parley init makes a mesh, parley join TOKEN "
                   "enters one",
                   path);
    else if (err == ERR_NOT_FOUND)
        diag_error(d, NULL, "%s includes %s, which does not exist", h->text[0].file, path);
    if (err == ERR_OK) {
        err = add_text(h, path, strbuf_view(&sb));
        if (err == ERR_TOO_LARGE)
            diag_error(d, NULL, "more than %u files are included", CONFIG_INCLUDES_MAX);
    }
    strbuf_fini(&sb);
    return err;
}

/* A folder that is not there holds nothing. */
static enum err add_matches(struct host_file *h, const char *folder, struct span glob,
                            struct diag *d)
{
    struct file_list found = {.count = 0};
    enum err err = file_list(folder, glob, CONFIG_INCLUDES_MAX, &found);
    if (err == ERR_NOT_FOUND) return ERR_OK;
    if (err == ERR_FULL)
        diag_error(d, NULL, "more than %u files of %s are included", CONFIG_INCLUDES_MAX, folder);
    else if (err != ERR_OK)
        diag_error(d, NULL, "cannot list %s: %s", folder, err_text(err));
    if (err != ERR_OK) return err == ERR_FULL ? ERR_TOO_LARGE : err;
    for (size_t i = 0; err == ERR_OK && i < found.count; i++) {
        char path[STORE_PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", folder, found.name[i]);
        bool fits = n > 0 && (size_t)n < sizeof path;
        if (!fits) diag_error(d, NULL, "the path of %s is too long", found.name[i]);
        err = fits ? add_file(h, path, d) : ERR_TOO_LARGE;
    }
    file_list_free(&found);
    return err;
}

/* One pattern of `include`, beside the main file unless it is absolute. */
static enum err add_pattern(struct host_file *h, struct span pattern, struct diag *d)
{
    char path[STORE_PATH_MAX];
    const char *main_file = h->text[0].file;
    const char *slash = strrchr(main_file, '/');
    int folder_len = slash != NULL ? (int)(slash - main_file) + 1 : 0;
    if (pattern.len > 0 && pattern.p[0] == '/') folder_len = 0;
    int n = snprintf(path, sizeof path, "%.*s%.*s", folder_len, main_file, SPAN_ARG(pattern));
    if (n <= 0 || (size_t)n >= sizeof path) {
        diag_error(d, NULL, "%s: an include pattern is too long", main_file);
        return ERR_INVALID;
    }
    char *last = strrchr(path, '/');
    char *star = strchr(path, '*');
    if (star == NULL) return add_file(h, path, d);
    if (last == NULL) return add_matches(h, ".", span_str(path), d);
    if (star < last) {
        diag_error(d, NULL, "%s: include \"%.*s\": a star may stand in the last part only",
                   main_file, SPAN_ARG(pattern));
        return ERR_INVALID;
    }
    *last = '\0';
    return add_matches(h, path, span_str(last + 1), d);
}

enum err host_file_read(const struct store *s, struct diag *d, struct host_file *out)
{
    char path[STORE_PATH_MAX];
    struct host_file h;
    struct span *pattern = NULL;
    size_t patterns = 0;
    host_file_init(&h);
    enum err err = h.text != NULL ? add_file(&h, store_path(s, STORE_CONFIG, path), d) : ERR_NOMEM;
    if (err == ERR_OK) err = config_load_includes(&h.text[0], &h.arena, d, &pattern, &patterns);
    for (size_t i = 0; err == ERR_OK && i < patterns; i++)
        err = add_pattern(&h, pattern[i], d);
    if (err != ERR_OK) {
        host_file_fini(&h);
        return err;
    }
    *out = h;
    return ERR_OK;
}

/* Cuts one file off `rest`; false when the bytes are not that. */
static bool next_file(struct span *rest, struct span *file, struct span *text)
{
    struct span body;
    uint64_t len = 0;
    struct span head = span_cut(*rest, '\n', &body);
    if (body.p == NULL || !span_starts(head, SPAN_LIT(FILE_MARK))) return false;
    struct span length = span_cut(span_skip(head, sizeof FILE_MARK - 1), ' ', file);
    if (!span_u64(length, &len) || len >= body.len || file->len >= STORE_PATH_MAX) return false;
    *text = span_of(body.p, (size_t)len);
    *rest = span_skip(body, (size_t)len + 1);
    return true;
}

static enum err parse_last_good(struct host_file *h, struct span all)
{
    while (all.len > 0) {
        char path[STORE_PATH_MAX];
        struct span file, text;
        if (!next_file(&all, &file, &text) || !span_to_cstr(file, path, sizeof path))
            return ERR_CORRUPT;
        enum err err = add_text(h, path, text);
        if (err != ERR_OK) return err;
    }
    return h->count > 0 ? ERR_OK : ERR_CORRUPT;
}

enum err host_file_read_last_good(const struct store *s, struct diag *d, struct host_file *out)
{
    struct host_file h;
    struct strbuf sb;
    host_file_init(&h);
    strbuf_init(&sb, 2u * HOST_FILE_TOTAL_BYTES_MAX);
    enum err err = h.text == NULL
                       ? ERR_NOMEM
                       : store_read_checked(s, STORE_LAST_GOOD, LAST_GOOD_ADVICE, d, &sb);
    if (err == ERR_OK) err = parse_last_good(&h, strbuf_view(&sb));
    strbuf_fini(&sb);
    if (err != ERR_OK) {
        host_file_fini(&h);
        return err;
    }
    *out = h;
    return ERR_OK;
}

/* Whether the file says that already: a start should cost no fsync without need. */
static bool saved_already(const struct store *s, struct span text)
{
    struct strbuf old;
    strbuf_init(&old, text.len + LAST_GOOD_HEAD_MAX);
    bool same = store_read_checked(s, STORE_LAST_GOOD, LAST_GOOD_ADVICE, NULL, &old) == ERR_OK &&
                span_eq(strbuf_view(&old), text);
    strbuf_fini(&old);
    return same;
}

enum err host_file_save_last_good(const struct store *s, const struct host_file *h, struct diag *d)
{
    struct strbuf sb;
    strbuf_init(&sb, 2u * HOST_FILE_TOTAL_BYTES_MAX);
    for (size_t i = 0; i < h->count; i++) {
        strbuf_fmt(&sb, FILE_MARK "%zu %s\n", h->text[i].text.len, h->text[i].file);
        strbuf_span(&sb, h->text[i].text);
        strbuf_char(&sb, '\n');
    }
    enum err err = strbuf_ok(&sb) ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK && !saved_already(s, strbuf_view(&sb)))
        err = store_write_checked(s, STORE_LAST_GOOD, strbuf_view(&sb), d);
    strbuf_fini(&sb);
    return err;
}
