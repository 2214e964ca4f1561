/* Waiting for words in shared memory, on behalf of strands that must not block their thread.
 *
 * Threads of the process, the watchers, wait with futex_waitv for up to 127 words each (Linux
 * 5.16). On older kernels each word has a thread of its own. They are started when needed, and end
 * after some idle seconds. In a fork child there is none, and nothing is waited for.
 */
#ifndef TZ_LOOP_WORD_H
#define TZ_LOOP_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tz_watcher;

/* One wait. The first three fields are set by the owner, who keeps it where it is until `woken` was
 * called or tz_word_unwatch has returned; the word must stay mapped for as long. */
struct tz_word_wait {
	const _Atomic uint32_t *word;
	uint32_t expected;
	/* The word has changed or was woken; perhaps neither, so look again. Called once, on a
	 * thread of the library, under its lock: it unparks somebody or pushes to an inbox, no
	 * more. */
	void (*woken)(struct tz_word_wait *wait);
	/* Under the lock. */
	struct tz_watcher *watcher; /* NULL: not watched */
	unsigned slot;
};

/* Begins to wait: 0; -EAGAIN if the word has another value than expected; -ENOMEM if there is no
 * memory or no thread. Any thread. */
int tz_word_watch(struct tz_word_wait *wait);

/* Ends the wait: true if `woken` was not called. It is not called afterwards, and not running. A
 * wait that was never begun is legal, if it is all-zero. Any thread, but not in `woken`. */
bool tz_word_unwatch(struct tz_word_wait *wait);

/* For tests: as on a kernel without futex_waitv, for waits that begin from now on. */
void tz_words_use_threads(bool yes);

#endif
