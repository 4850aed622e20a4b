/* Runs a fuzz target over its corpus without a fuzzer: each file, and its beginnings, because an
 * input that ends early is what incremental parsers meet most. Prints TAP, one test a file.
 *
 *   fuzz_x tests/fuzz/corpus/x
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX (1u << 20)
#define BEGINNINGS_MAX  256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly `len` bytes, so that the sanitizer sees a read behind its end. */
static void run_one(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL) abort();
    if (len > 0) memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void run_beginnings(const uint8_t *data, size_t len)
{
    size_t step = len / BEGINNINGS_MAX + 1;
    for (size_t n = 0; n < len; n += step)
        run_one(data, n);
    run_one(data, len);
}

/* The bytes of a file, or -1. */
static long read_file(const char *folder, const char *name, uint8_t *data)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof(path)) return -1;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return -1;
    size_t len = fread(data, 1, INPUT_BYTES_MAX, file);
    int failed = ferror(file) || !feof(file);
    fclose(file);
    return failed ? -1 : (long)len;
}

int main(int argc, char **argv)
{
    struct dirent **entry = NULL;
    unsigned number = 0, failed = 0;
    if (argc != 2) return EXIT_FAILURE;
    uint8_t *data = malloc(INPUT_BYTES_MAX);
    int count = scandir(argv[1], &entry, NULL, alphasort);
    if (data == NULL || count < 0) {
        fprintf(stderr, "cannot read %s\n", argv[1]);
        free(data);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < count; i++) {
        const char *name = entry[i]->d_name;
        if (name[0] != '.') {
            /* Said before the run: the last line names what crashed. */
            printf("# %s\n", name);
            fflush(stdout);
            long len = read_file(argv[1], name, data);
            if (len >= 0) run_beginnings(data, (size_t)len);
            printf("%sok %u - %s\n", len < 0 ? "not " : "", ++number, name);
            failed += len < 0;
        }
        free(entry[i]);
    }
    printf("1..%u%s\n", number, number == 0 ? " # no corpus" : "");
    free(entry);
    free(data);
    return failed > 0 || number == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
