#include "cmd/verbs/demo_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 16u
#define TRIES     3u

/* Whatever cannot be removed stays; the rmdir of its folder fails then, and so on upwards. */
static void empty(int take_fd, unsigned depth)
{
    DIR *dir = fdopendir(take_fd);
    const struct dirent *e;
    if (!dir) {
        close(take_fd);
        return;
    }
    while ((e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(dir), e->d_name, 0) == 0) continue;
        int sub = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0) continue;
        if (depth < DEPTH_MAX)
            empty(sub, depth + 1);
        else
            close(sub);
        (void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

static void empty_folder(const struct demo_folder *f)
{
    int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) empty(fd, 0);
}

static enum err open_locked(const struct demo_folder *f, int *out)
{
    struct stat st;
    if (mkdir(f->path, 0700) != 0 && errno != EEXIST) return err_from_errno(errno);
    int fd = open(f->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return ERR_PERM;
    enum err err = ERR_OK;
    if (fstat(fd, &st) != 0 || st.st_uid != getuid() || fchmod(fd, 0700) != 0)
        err = ERR_PERM;
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        err = ERR_BUSY;
    if (err == ERR_OK)
        *out = fd;
    else
        close(fd);
    return err;
}

/* Another demo may have removed the folder between our open and our lock. */
static bool still_there(const struct demo_folder *f)
{
    struct stat ours, there;
    return fstat(f->fd, &ours) == 0 && lstat(f->path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

enum err demo_folder_take(struct demo_folder *f)
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(f->path, sizeof f->path, "%s/parley-demo-%u", tmp && tmp[0] ? tmp : "/tmp",
                     (unsigned)getuid());
    f->fd = -1;
    if (n < 0 || (size_t)n >= sizeof f->path) return ERR_TOO_LARGE;
    for (unsigned i = 0; i < TRIES; i++) {
        enum err err = open_locked(f, &f->fd);
        if (err != ERR_OK) return err;
        if (still_there(f)) {
            empty_folder(f);
            return ERR_OK;
        }
        close(f->fd);
        f->fd = -1;
    }
    return ERR_BUSY;
}

void demo_folder_drop(struct demo_folder *f)
{
    if (f->fd < 0) return;
    empty_folder(f);
    (void)rmdir(f->path);
    close(f->fd);
    f->fd = -1;
}
