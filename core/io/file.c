#define _GNU_SOURCE
#include "core/io/file.h"

#include "core/base/check.h"
#include "core/model/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_PIECE_BYTES 16384u
#define NEW_SUFFIX       ".new"

static enum err read_all(int fd, struct strbuf *out)
{
    char piece[READ_PIECE_BYTES];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n == 0) return strbuf_ok(out) ? ERR_OK : ERR_TOO_LARGE;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_from_errno(errno);
        strbuf_add(out, piece, (size_t)n);
        if (!strbuf_ok(out)) return ERR_TOO_LARGE;
    }
}

enum err file_read(const char *path, struct strbuf *out)
{
    struct stat st;
    enum err err;
    /* Not to wait for the writer of a named pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return err_from_errno(errno);
    if (fstat(fd, &st) != 0)
        err = err_from_errno(errno);
    else if (!S_ISREG(st.st_mode))
        err = ERR_INVALID;
    else
        err = read_all(fd, out);
    close(fd);
    return err;
}

static enum err write_all(int fd, struct span data)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.p, data.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_from_errno(errno);
        data = span_skip(data, (size_t)n);
    }
    return ERR_OK;
}

/* The folder of `path`, "." when it names none. ERR_TOO_LARGE. */
static enum err folder_of(const char *path, char folder[FILE_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    struct span head = span_of(path, slash != NULL ? (size_t)(slash - path) : 0);
    if (slash == NULL) head = SPAN_LIT(".");
    if (slash == path) head = SPAN_LIT("/");
    return span_to_cstr(head, folder, FILE_PATH_MAX) ? ERR_OK : ERR_TOO_LARGE;
}

static enum err sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_from_errno(errno);
    enum err err = fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    close(fd);
    return err;
}

/* Whom a new file belongs to; only root may choose. */
static enum err adopt(int fd, const char *old, const char *folder)
{
    struct stat st;
    if (geteuid() != 0) return ERR_OK;
    if (lstat(old, &st) != 0 && stat(folder, &st) != 0) return err_from_errno(errno);
    return fchown(fd, st.st_uid, st.st_gid) == 0 ? ERR_OK : err_from_errno(errno);
}

/* Everything that must be on disk before the rename. */
static enum err write_new(const char *path, const char *fresh, const char *folder, mode_t mode,
                          struct span data)
{
    /* What an interrupted run left is in the way of O_EXCL, which keeps links out. */
    if (unlink(fresh) != 0 && errno != ENOENT) return err_from_errno(errno);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return err_from_errno(errno);
    enum err err = adopt(fd, path, folder);
    if (err == ERR_OK) err = write_all(fd, data);
    /* After the owner: chown clears the set-id bits, and nobody reads before the mode allows it. */
    if (err == ERR_OK && fchmod(fd, mode) != 0) err = err_from_errno(errno);
    if (err == ERR_OK && fsync(fd) != 0) err = err_from_errno(errno);
    /* NFS and quotas tell a failed write only here. */
    if (close(fd) != 0 && err == ERR_OK) err = err_from_errno(errno);
    return err;
}

enum err file_write(const char *path, mode_t mode, struct span data)
{
    char folder[FILE_PATH_MAX], fresh[FILE_PATH_MAX];
    struct strbuf sb;
    enum err err = folder_of(path, folder);
    if (err != ERR_OK) return err;
    strbuf_init_fixed(&sb, fresh, sizeof(fresh));
    strbuf_str(&sb, path);
    strbuf_str(&sb, NEW_SUFFIX);
    if (!strbuf_ok(&sb)) return ERR_TOO_LARGE;
    err = write_new(path, fresh, folder, mode, data);
    if (err == ERR_OK && rename(fresh, path) != 0) err = err_from_errno(errno);
    if (err != ERR_OK) {
        (void)!unlink(fresh);
        return err;
    }
    return sync_folder(folder);
}

static enum err make_folder(const char *path, mode_t mode)
{
    char parent[FILE_PATH_MAX];
    struct stat st;
    if (mkdir(path, mode) != 0) {
        if (errno != EEXIST) return err_from_errno(errno);
        if (stat(path, &st) != 0) return err_from_errno(errno);
        return S_ISDIR(st.st_mode) ? ERR_OK : ERR_EXISTS;
    }
    enum err err = folder_of(path, parent);
    if (err != ERR_OK) return err;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_from_errno(errno);
    err = adopt(fd, parent, parent);
    if (err == ERR_OK && fchmod(fd, mode) != 0) err = err_from_errno(errno);
    close(fd);
    return err;
}

enum err file_make_folders(const char *path, mode_t mode)
{
    char part[FILE_PATH_MAX];
    size_t len = strlen(path);
    if (len == 0) return ERR_INVALID;
    for (size_t end = 1; end <= len; end++) {
        if ((path[end] != '/' && path[end] != '\0') || path[end - 1] == '/') continue;
        if (!span_to_cstr(span_of(path, end), part, sizeof(part))) return ERR_TOO_LARGE;
        enum err err = make_folder(part, mode);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

enum err file_remove(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? ERR_OK : err_from_errno(errno);
}

static int by_bytes(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static enum err collect(DIR *dir, struct span glob, size_t count_max, struct file_list *list)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) return err_from_errno(errno);
        if (entry->d_name[0] == '.' || !name_glob(glob, span_str(entry->d_name))) continue;
        if (list->count == count_max) return ERR_FULL;
        char *copy = strdup(entry->d_name);
        if (copy == NULL) return ERR_NOMEM;
        list->name[list->count++] = copy;
    }
}

enum err file_list(const char *folder, struct span glob, size_t count_max, struct file_list *out)
{
    struct file_list list = {.name = calloc(count_max + 1, sizeof(char *))};
    if (list.name == NULL) return ERR_NOMEM;
    DIR *dir = opendir(folder);
    enum err err = dir != NULL ? ERR_OK : err_from_errno(errno);
    if (err == ERR_OK) {
        err = collect(dir, glob, count_max, &list);
        closedir(dir);
    }
    if (err != ERR_OK) {
        file_list_free(&list);
        return err;
    }
    qsort(list.name, list.count, sizeof(char *), by_bytes);
    *out = list;
    return ERR_OK;
}

void file_list_free(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->name[i]);
    free(list->name);
    *list = (struct file_list){.name = NULL};
}

enum err file_lock(const char *path, int *fd)
{
    int opened = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (opened < 0) return err_from_errno(errno);
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        enum err err = errno == EWOULDBLOCK ? ERR_BUSY : err_from_errno(errno);
        close(opened);
        return err;
    }
    *fd = opened;
    return ERR_OK;
}
