#define _GNU_SOURCE
#include "core/io/log.h"

#include "core/base/check.h"
#include "core/io/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct sink {
    struct log log;
    int read_fd;
    char text[65536];
};

static void sink_open(struct sink *s, enum config_log_level level, enum config_log_format format)
{
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    s->read_fd = fd[0];
    log_init(&s->log, fd[1], level, format);
}

/* Everything that was written since. */
static const char *sink_take(struct sink *s)
{
    ssize_t n = read(s->read_fd, s->text, sizeof(s->text) - 1);
    s->text[n > 0 ? n : 0] = '\0';
    return s->text;
}

static void sink_close(struct sink *s)
{
    close(s->read_fd);
    close(s->log.fd);
}

static void test_journal_line_has_priority_word_and_message(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    s.log.journal = true;
    log_debug(&s.log, "probe", "node=%s", "a");
    log_info(&s.log, "join", "node=%s port=%d", "b", 7400);
    log_warn(&s.log, "clock", "skew=%ds", 3);
    log_error(&s.log, "cert", "expired");
    assert_string_equal(sink_take(&s), "<7>probe node=a\n<6>join node=b port=7400\n"
                                       "<4>clock skew=3s\n<3>cert expired\n");
    sink_close(&s);
}

static void test_line_for_people_begins_with_the_time(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info(&s.log, "join", "node=b");
    const char *line = sink_take(&s);
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[26], 'Z');
    assert_string_equal(line + CLOCK_TEXT_BYTES - 1, " info join node=b\n");
    sink_close(&s);
}

static void test_json_line_is_one_object(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_warn(&s.log, "peer", "said=\"%s\"", "a\nb\x01\xff");
    const char *line = sink_take(&s);
    assert_memory_equal(line, "{\"ts\":\"2", 8);
    assert_string_equal(line + 7 + CLOCK_TEXT_BYTES - 1,
                        "\",\"level\":\"warn\",\"event\":\"peer\","
                        "\"msg\":\"said=\\\"a\\nb\\u0001\xef\xbf\xbd\\\"\"}\n");
    sink_close(&s);
}

static void test_lower_levels_are_silent_and_no_log_is_fine(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    log_info(&s.log, "join", "node=b");
    log_info(NULL, "join", "node=b");
    log_limited(NULL, LOG_LEVEL_ERROR, 1, "join", "node=b");
    assert_string_equal(sink_take(&s), "");
    s.log.level = LOG_LEVEL_DEBUG;
    s.log.journal = true;
    log_debug(&s.log, "now", "yes");
    assert_string_equal(sink_take(&s), "<7>now yes\n");
    sink_close(&s);
}

static void test_control_bytes_and_broken_text_are_escaped(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    s.log.journal = true;
    log_info(&s.log, "peer", "%s", "a\r\n<3>b\x1b[2J\x7f\xc2\x85\xff\xc0\x80");
    assert_string_equal(sink_take(&s), "<6>peer a\\x0d\\x0a<3>b\\x1b[2J\\x7f\\xc2\\x85\\xff\\xc0"
                                       "\\x80\n");
    log_info(&s.log, "peer", "%s", "gr\xc3\xbc\xc3\x9f \xe2\x80\xae");
    assert_string_equal(sink_take(&s), "<6>peer gr\xc3\xbc\xc3\x9f \\xe2\\x80\\xae\n");
    sink_close(&s);
}

static void test_long_message_is_cut_and_its_line_fits_a_pipe(void **state)
{
    (void)state;
    struct sink s;
    char text[10000];
    for (unsigned json = 0; json < 2; json++) {
        sink_open(&s, LOG_LEVEL_INFO, json != 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        log_info(&s.log, "peer", "%s", text);
        const char *line = sink_take(&s);
        assert_true(strlen(line) > LOG_MESSAGE_BYTES_MAX && strlen(line) <= 4096);
        assert_non_null(strstr(line, json != 0 ? "x...\"}\n" : "x...\n"));
        memset(text, 1, sizeof(text) - 1);
        log_info(&s.log, "peer", "%s", text);
        line = sink_take(&s);
        assert_in_range(strlen(line), 2000, 4096);
        assert_int_equal(line[strlen(line) - 1], '\n');
        assert_int_equal(s.log.dropped, 0);
        sink_close(&s);
    }
}

static void test_full_pipe_drops_and_counts_without_waiting(void **state)
{
    (void)state;
    struct sink s;
    char text[1000];
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < 1000; i++)
        log_info(&s.log, "flood", "%s", text);
    assert_true(s.log.dropped > 800);
    uint64_t dropped = s.log.dropped;
    while (sink_take(&s)[0] != '\0')
        continue;
    s.log.journal = true;
    log_info(&s.log, "again", "here");
    assert_string_equal(sink_take(&s), "<6>again here\n");
    assert_int_equal(s.log.dropped, dropped);
    /* Nobody reads any more: no SIGPIPE may end the process. */
    close(s.read_fd);
    sigset_t pipe_only, before;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &pipe_only, &before), 0);
    log_info(&s.log, "nobody", "listens");
    assert_int_equal(s.log.dropped, dropped + 1);
    const struct timespec now = {.tv_sec = 0};
    (void)sigtimedwait(&pipe_only, NULL, &now);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    close(s.log.fd);
}

static void test_full_socket_drops_without_waiting(void **state)
{
    (void)state;
    struct log log;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    log_init(&log, fd[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (unsigned i = 0; i < 20000; i++)
        log_info(&log, "flood", "a line of some length, to fill the socket's buffer soon");
    assert_true(log.dropped > 0);
    close(fd[0]);
    uint64_t dropped = log.dropped;
    log_info(&log, "nobody", "listens");
    assert_int_equal(log.dropped, dropped + 1);
    close(fd[1]);
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void test_repeats_of_a_key_are_limited_and_the_rest_is_counted(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    s.log.journal = true;
    for (unsigned i = 0; i < 50; i++)
        log_limited(&s.log, LOG_LEVEL_INFO, 77, "garbage", "n=%u", i);
    assert_string_equal(sink_take(&s), "<6>garbage n=0\n<6>garbage n=1\n<6>garbage n=2\n");
    /* The interval passes: the slots are the log's own, so the test can put their time back. */
    for (size_t i = 0; i < LOG_LIMIT_SLOTS; i++)
        if (s.log.limit[i].key == 77) s.log.limit[i].next_ms = clock_mono_ms();
    log_limited(&s.log, LOG_LEVEL_INFO, 77, "garbage", "n=%u", 50);
    log_limited(&s.log, LOG_LEVEL_INFO, 77, "garbage", "n=%u", 51);
    assert_string_equal(sink_take(&s), "<6>garbage n=50 suppressed=47\n");
    sink_close(&s);
}

static void test_other_keys_have_their_own_bucket(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (unsigned i = 0; i < 10; i++)
        log_limited(&s.log, LOG_LEVEL_INFO, 1, "garbage", "n=%u", i);
    for (unsigned i = 0; i < 10; i++)
        log_limited(&s.log, LOG_LEVEL_INFO, 2, "garbage", "n=%u", i);
    assert_int_equal(count_lines(sink_take(&s)), 2 * LOG_LIMIT_BURST);
    /* However many keys there are, the slots bound the lines. */
    for (unsigned i = 0; i < 10000; i++)
        log_limited(&s.log, LOG_LEVEL_INFO, 1000 + i, "garbage", "n");
    assert_true(count_lines(sink_take(&s)) <= LOG_LIMIT_SLOTS * LOG_LIMIT_BURST);
    sink_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_line_has_priority_word_and_message),
        cmocka_unit_test(test_line_for_people_begins_with_the_time),
        cmocka_unit_test(test_json_line_is_one_object),
        cmocka_unit_test(test_lower_levels_are_silent_and_no_log_is_fine),
        cmocka_unit_test(test_control_bytes_and_broken_text_are_escaped),
        cmocka_unit_test(test_long_message_is_cut_and_its_line_fits_a_pipe),
        cmocka_unit_test(test_full_pipe_drops_and_counts_without_waiting),
        cmocka_unit_test(test_full_socket_drops_without_waiting),
        cmocka_unit_test(test_repeats_of_a_key_are_limited_and_the_rest_is_counted),
        cmocka_unit_test(test_other_keys_have_their_own_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
