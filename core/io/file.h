/* Files: whole reads with a bound, atomic replacement, folders, locks.
 *
 * Control thread and offline verbs; calls block. Owns nothing: descriptors are the caller's and
 * close-on-exec. Replacement (security.md N07, N35, N36):
 *
 *   write PATH.new -> fsync it -> rename over PATH -> fsync the folder
 *
 * A kill or a full disk at any moment leaves the old content or the new. Run by root (`sudo parley
 * init`), new files and folders get the owner of what they replace, else of the folder they are in,
 * so that the daemon's user can read them.
 */
#ifndef CORE_IO_FILE_H
#define CORE_IO_FILE_H

#include <sys/types.h>

#include "core/base/err.h"
#include "core/base/strbuf.h"

#define FILE_PATH_MAX 4096u /* with its NUL */

/* Appends a regular file's bytes to `out`; its bound is the limit. ERR_NOT_FOUND, ERR_PERM,
 * ERR_INVALID (no regular file), ERR_TOO_LARGE (`out` may hold a part), ERR_IO. */
enum err file_read(const char *path, struct strbuf *out) MUST_USE;
/* Replaces or makes the file, with exactly `mode`. A link at `path` is replaced, not followed. On
 * failure the old file is as before: ERR_NOT_FOUND (no such folder), ERR_PERM, ERR_FULL (disk),
 * ERR_TOO_LARGE (path), ERR_IO. */
enum err file_write(const char *path, mode_t mode, struct span data) MUST_USE;
/* Makes every folder of `path` that is missing, each with exactly `mode`. One that is there stays
 * as it is. ERR_EXISTS: a part is no folder; ERR_INVALID: an empty path; ERR_PERM, ERR_TOO_LARGE,
 * ERR_IO. */
enum err file_make_folders(const char *path, mode_t mode) MUST_USE;
/* Removes a file; a missing one is ERR_OK. */
enum err file_remove(const char *path) MUST_USE;

/* The folder's names that match `glob` (name_glob), without dot files, sorted by bytes. */
struct file_list {
    char **name; /* owned, each too */
    size_t count;
};
/* ERR_NOT_FOUND, ERR_PERM, ERR_FULL: more than `count_max` match; ERR_NOMEM, ERR_IO. End with
 * file_list_free. */
enum err file_list(const char *folder, struct span glob, size_t count_max,
                   struct file_list *out) MUST_USE;
void file_list_free(struct file_list *list);

/* Takes an exclusive advisory lock on the file, made with 0600 when missing; closing `*fd` gives it
 * back. ERR_BUSY: another process holds it. ERR_NOT_FOUND, ERR_PERM, ERR_IO. */
enum err file_lock(const char *path, int *fd) MUST_USE;

#endif
