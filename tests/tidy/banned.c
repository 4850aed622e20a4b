#include "tests/tidy/banned.h"

#include "core/base/check.h"

/* style.md 29. */
static const char *const banned[] = {
    "strcpy", "strcat",      "sprintf",       "strtok",   "atoi",     "gets",   "alloca",
    "rand",   "time",        "signal",        "system",   "vsprintf", "srand",  "random",
    "atol",   "getaddrinfo", "gethostbyname", "getpwnam", "getgrnam", "dlopen", "iconv",
};

/* architecture.md 1, law 2. */
static const char *const effects[] = {
    "clock_gettime", "gettimeofday", "nanosleep", "usleep",  "sleep",     "timerfd_create",
    "socket",        "connect",      "accept",    "accept4", "bind",      "listen",
    "recv",          "recvfrom",     "recvmsg",   "send",    "sendto",    "sendmsg",
    "open",          "openat",       "read",      "write",   "pread",     "pwrite",
    "readv",         "writev",       "fopen",     "fread",   "fwrite",    "stat",
    "poll",          "select",       "getenv",    "setenv",  "getrandom", "getentropy",
    "printf",        "fprintf",      "puts",      "fputs",   "perror",
};
static const char *const pure_folders[] = {"gossip/", "proxy/traffic/", "core/wire/",
                                           "core/crypto/"};
static const char *const gnu_folders[] = {"core/io/", "proxy/capture/", "cmd/daemon/privs",
                                          "tests/"};

static bool lies_in(const struct source *s, const char *const *folder, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_starts(span_str(s->path), span_str(folder[i]))) return true;
    return false;
}

static void check_calls(const struct source *s, size_t i, enum rule rule, const char *const *word,
                        size_t n, struct rule_report *report)
{
    for (size_t j = 0; j < n; j++)
        if (source_find_call(s->code_line[i], word[j], 0) != SIZE_MAX)
            rule_broken(report, rule, s->path, i + 1, "%s()", word[j]);
}

void banned_check(const struct source *s, struct rule_report *report)
{
    bool pure = lies_in(s, pure_folders, ARRAY_LEN(pure_folders));
    bool gnu = lies_in(s, gnu_folders, ARRAY_LEN(gnu_folders));
    for (size_t i = 0; i < s->line_count; i++) {
        check_calls(s, i, RULE_BANNED_CALL, banned, ARRAY_LEN(banned), report);
        if (pure) check_calls(s, i, RULE_SANS_IO, effects, ARRAY_LEN(effects), report);
        if (!gnu && source_find(s->code_line[i], "_GNU_SOURCE", 0) != SIZE_MAX)
            rule_broken(report, RULE_GNU_SOURCE, s->path, i + 1, "_GNU_SOURCE");
    }
}
