/* The watchdog: tells when a task has kept its loop for too long.
 *
 * Design notes
 *
 * One thread for the process looks at all loops that have a limit, every quarter of the shortest one. There is a thread while there is such a
 * loop.
 *
 * What it sees. Four words that the loop's thread writes: `switches`, which counts the times that a task began or went on,
 * `current`, and that coroutine's `task` and `site`. Nobody else's memory is touched: jobs come and go, but coroutines, tasks and sites stay. Two
 * looks that saw the same four words saw one stretch of one task. The words are relaxed, but for `current`, since a coroutine may be new: should a look
 * see some of before and some of after a switch, the next one sees others, and the time is counted from there.
 *
 * Time is counted from the first look that saw the stretch, so a report never says too much. If the thread itself comes late by a whole limit, the process
 * was stopped or its hook was slow, and the time is counted anew.
 *
 * Who owns what. A loop's tz_attention is the thread's, but for the limit, which is set before the loop is in the list. The lock guards how many
 * loops there are to watch and whether there is a thread; it is held while a thread is started, and never together with another lock. A
 * hook is called without any, and after the loop was left: so it may do what it likes, close the loop, fork, or end the thread by pthread_exit, in whose
 * place another one is started.
 */
#ifndef TZ_LOOP_WATCHDOG_H
#define TZ_LOOP_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include <trenza/spawn.h>

struct tz_loop;
struct tz_coroutine;

/* What a look sees. */
struct tz_glance {
	uint32_t switches;
	const struct tz_coroutine *current;
	const tz_task *task;
	const struct tz_site *site;
};

/* Of one loop. */
struct tz_attention {
	uint64_t limit_ns; /* 0: it is not watched */
	struct tz_glance last;
	uint64_t since; /* when that was first seen */
	uint64_t looked; /* when it was last seen */
	bool told;
};

/* The limit of a loop whose options say so many seconds, 0: what the environment says. In nanoseconds; 0: none. */
uint64_t tz_watchdog_limit(double seconds);

/* The loop, which is in the list of all loops, is to be watched if it has a limit; and not any more. Without a thread to have, nobody watches: the next
 * loop tries again. */
void tz_watchdog_add(const struct tz_loop *loop);
void tz_watchdog_remove(const struct tz_loop *loop);

/* Around fork(2). */
void tz_watchdog_fork_prepare(void);
void tz_watchdog_fork_in_parent(void);
void tz_watchdog_fork_in_child(void);

#endif
