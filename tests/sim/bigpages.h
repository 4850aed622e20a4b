/* Big pages: memory for large worlds in pages of 2 MB, where the kernel has them.
 *
 * A machine's state is spread over a dozen small pages, and each event is another machine's: with
 * 4 KB pages, a third of the time of 10 000 nodes goes into looking pages up.
 *
 * The whole process, once, before it has threads.
 */
#ifndef TESTS_SIM_BIGPAGES_H
#define TESTS_SIM_BIGPAGES_H

#include <stdint.h>

/* From now on malloc takes what so many machines take as they start from big pages, and gives
 * nothing back to the kernel. Not all that they come to need: what is used seldom is scattered, and
 * to clear 2 MB for a little of it costs more than it saves. Small worlds are left alone. */
void bigpages_prepare(uint32_t nodes);

#endif
