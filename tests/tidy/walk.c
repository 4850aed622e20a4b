#include "tests/tidy/walk.h"

#include "core/base/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES 4096u
#define DEPTH_MAX  16u

static bool is_left_out(const char *name)
{
    static const char *const names[] = {"corpus", "example", "__pycache__"};
    if (name[0] == '.') return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static bool join(char *out, const char *folder, const char *name)
{
    int n = snprintf(out, PATH_BYTES, "%s/%s", folder, name);
    return n >= 0 && (size_t)n < PATH_BYTES;
}

static enum err walk(const char *root, const char *folder, struct walk_visitor *visitor,
                     unsigned depth)
{
    char full[PATH_BYTES], path[PATH_BYTES];
    struct dirent **entry = NULL;
    enum err err = ERR_OK;
    if (depth > DEPTH_MAX || !join(full, root, folder)) return ERR_TOO_LARGE;
    int count = scandir(full, &entry, NULL, alphasort);
    if (count < 0) return errno == ENOENT && depth == 0 ? ERR_OK : err_from_errno(errno);
    for (int i = 0; i < count; i++) {
        struct stat st;
        if (err == ERR_OK && !is_left_out(entry[i]->d_name)) {
            if (!join(path, folder, entry[i]->d_name) || !join(full, root, path))
                err = ERR_TOO_LARGE;
            else if (lstat(full, &st) != 0)
                err = err_from_errno(errno);
            else if (S_ISDIR(st.st_mode))
                err = walk(root, path, visitor, depth + 1);
            else if (S_ISREG(st.st_mode))
                err = visitor->file(visitor, path);
        }
        free(entry[i]);
    }
    free(entry);
    return err;
}

enum err walk_tree(const char *root, const char *folder, struct walk_visitor *visitor)
{
    return walk(root, folder, visitor, 0);
}
