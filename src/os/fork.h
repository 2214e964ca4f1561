/* What the child of a fork writes to lies together.
 *
 * After a fork each page that either process writes to is copied. Every process that is started pays for that, and it costs more than the writing does. So the few variables
 * that each child writes to, even one that does nothing, share a page: that of the initialised data.
 */
#ifndef TZ_OS_FORK_H
#define TZ_OS_FORK_H

/* For a variable of some bytes. */
#define TZ_WRITTEN_BY_CHILD __attribute__((section(".data.tz_fork")))

#endif
