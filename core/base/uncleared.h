/* UNCLEARED: a local that is written before it is read, left as it is.
 *
 * The build fills every local with zeros (-ftrivial-auto-var-init). For kilobytes on the request
 * path that costs more than the work that is then done in them.
 */
#ifndef CORE_BASE_UNCLEARED_H
#define CORE_BASE_UNCLEARED_H

#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define UNCLEARED __attribute__((uninitialized))
#endif
#endif
#ifndef UNCLEARED
#define UNCLEARED
#endif

#endif
