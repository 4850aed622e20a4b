#include "cmd/daemon/trial_child.h"
#include "cmd/verb.h"

#include <signal.h>

int main(int argc, char **argv)
{
    /* A closed pipe is an error of the write that meets it, not the end of the process. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    if (trial_child_asked(argc, argv)) return trial_child_run();
    return (int)verb_main(argc, argv);
}
