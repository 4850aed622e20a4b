/* A folder of a test's own, under /tmp.
 *
 * Everything fails the test that uses it rather than returning errors.
 */
#ifndef TESTS_UNIT_SUPPORT_FOLDER_H
#define TESTS_UNIT_SUPPORT_FOLDER_H

#define SUPPORT_FOLDER_MAX 64u

/* Makes it, and puts its path into `path`. */
void support_folder_make(char path[SUPPORT_FOLDER_MAX]);
/* Removes it and all that is in it; links are not followed. */
void support_folder_remove(const char *path);

#endif
