#include "cmd/daemon/memory_limit.h"

#include "core/io/file.h"

#include <unistd.h>

#define GROUPS_BYTES_MAX 65536u
#define NUMBER_BYTES_MAX 64u
#define LEAST_BYTES      (UINT64_C(8) << 20)

/* "max", and what is no file, are no limit. */
static uint64_t read_limit(const char *root, const char *mount, struct span group, const char *name)
{
    char path[FILE_PATH_MAX];
    struct strbuf file, text;
    uint64_t bytes = 0;
    strbuf_init_fixed(&file, path, sizeof path);
    strbuf_fmt(&file, "%s/sys/fs/cgroup%s%.*s/%s", root, mount, SPAN_ARG(group), name);
    if (!strbuf_ok(&file)) return 0;
    strbuf_init(&text, NUMBER_BYTES_MAX);
    if (file_read(path, &text) == ERR_OK) {
        struct span rest, first = span_cut(strbuf_view(&text), '\n', &rest);
        if (!span_u64(first, &bytes)) bytes = 0;
    }
    strbuf_fini(&text);
    return bytes;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) return a + b;
    return a < b ? a : b;
}

/* Of this group and all above it. */
static uint64_t least_limit(const char *root, struct span group, bool unified)
{
    uint64_t least = 0;
    for (;;) {
        if (group.len == 1 && group.p[0] == '/') group.len = 0;
        if (unified) {
            least = lesser(least, read_limit(root, "", group, "memory.max"));
            least = lesser(least, read_limit(root, "/unified", group, "memory.max"));
        } else {
            least = lesser(least, read_limit(root, "/memory", group, "memory.limit_in_bytes"));
        }
        if (group.len == 0) return least;
        while (group.len > 0 && group.p[group.len - 1] != '/')
            group.len--;
        if (group.len > 1) group.len--;
    }
}

uint64_t memory_limit_of_group(const char *root)
{
    char path[FILE_PATH_MAX];
    struct strbuf file, text;
    uint64_t least = 0;
    strbuf_init_fixed(&file, path, sizeof path);
    strbuf_fmt(&file, "%s/proc/self/cgroup", root);
    if (!strbuf_ok(&file)) return 0;
    strbuf_init(&text, GROUPS_BYTES_MAX);
    if (file_read(path, &text) == ERR_OK) {
        for (struct span rest = strbuf_view(&text); rest.len > 0;) {
            /* hierarchy : controllers : group */
            struct span line = span_cut(rest, '\n', &rest), group;
            (void)span_cut(line, ':', &group);
            struct span kind = span_cut(group, ':', &group);
            if (group.len == 0 || group.p[0] != '/') continue;
            if (kind.len == 0 || span_eq_str(kind, "memory"))
                least = lesser(least, least_limit(root, group, kind.len == 0));
        }
    }
    strbuf_fini(&text);
    return least;
}

uint64_t memory_limit_budget(uint64_t group_bytes, uint64_t host_bytes)
{
    /* Of a group's limit the rest is for the control plane, for the kernel's side of connections
     * that are busy, and for what lies between allocations. */
    uint64_t of_group = group_bytes / 8 * 3, of_host = host_bytes / 4;
    uint64_t budget = lesser(of_group, of_host);
    if (budget == 0) return 0;
    return budget < LEAST_BYTES ? LEAST_BYTES : budget;
}

uint64_t memory_limit_auto(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t host = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    return memory_limit_budget(memory_limit_of_group(""), host);
}
