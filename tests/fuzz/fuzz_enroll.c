/* Join and issue messages from outside: any bytes are answered with an error or a value within its
 * bounds. */
#include "cmd/daemon/enroll_message.h"
#include "cmd/daemon/token.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size), body;
    struct enroll_request q;
    struct enroll_reply reply;
    struct token t;
    const uint8_t *mac;
    struct enroll_issue *issue = malloc(sizeof *issue);
    struct enroll_issued *issued = malloc(sizeof *issued);
    if (issue && issued) {
        (void)!enroll_message_request_read(in, &q, &body, &mac);
        (void)!enroll_message_reply_read(in, &reply);
        (void)!enroll_message_issue_read(in, issue);
        if (enroll_message_issued_read(in, issued) == ERR_OK && issued->count > ENROLL_LEAVES_MAX)
            abort();
        (void)!token_parse(in, &t);
    }
    free(issue);
    free(issued);
    return 0;
}
