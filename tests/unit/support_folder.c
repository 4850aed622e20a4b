#define _XOPEN_SOURCE 700 /* nftw */
#include "tests/unit/support_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define FOLDERS_OPEN 16

void support_folder_make(char path[SUPPORT_FOLDER_MAX])
{
    (void)snprintf(path, SUPPORT_FOLDER_MAX, "/tmp/parley-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void support_folder_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS), 0);
}
