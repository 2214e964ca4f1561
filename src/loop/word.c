/* The watchers of shared words. See word.h.
 *
 * Design notes
 *
 * One lock guards everything but the system calls. A watcher has slots: slot 0 is its bell, a word
 * of its own that is rung when there is something new; the others are waits. It waits for all of
 * them at once, without the lock; when it comes back, it looks at every word and calls `woken` for
 * those that changed, and for the one that was woken. So a wake of a word that has not changed may
 * be missed, if another word was woken at the same time; that is legal: to wait while the word has
 * the expected value is what was asked for.
 *
 * A wait that is ended early leaves its slot stale until the watcher comes back: the kernel may
 * still count it as a waiter, and give it a wake-up that was meant for one waiter only. So a
 * watcher that comes back wakes one more at each word of a stale slot that may have been woken, and
 * a spurious wake-up is the worst that comes of it. The address is only handed to the kernel, never
 * read: the memory may be gone.
 *
 * An address that is not mapped fails the whole call. It is told apart by asking for each word
 * alone, and its wait is woken.
 *
 * A watcher of an older kernel has one slot only, and waits in slices: there is no bell to ring, so
 * a wait that is ended early wakes all who wait for the word (they look again), and if that was too
 * soon for the watcher, it looks after SLICE_NS.
 *
 * Fork. The lock is held over the fork; the child frees the watchers, whose threads it does not
 * have.
 */
#include "loop/word.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "os/clock.h"
#include "os/futex.h"
#include "os/mutex.h"
#include "os/thread.h"

enum { SLOTS = TZ_FUTEX_MANY_MAX };
static const uint64_t IDLE_NS = 5000000000u, SLICE_NS = 100000000;
static const size_t STACK = 64 * 1024;

struct tz_watcher {
	struct tz_watcher *next;
	bool alone; /* of an older kernel */
	unsigned used; /* slots, the bell included */
	_Atomic uint32_t bell;
	struct tz_futex_many words[SLOTS];
	struct tz_word_wait *waits[SLOTS]; /* NULL: stale */
};

static struct {
	struct tz_mutex lock;
	struct tz_watcher *watchers;
	bool alone; /* there is no futex_waitv */
} words;

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* --- slots --------------------------------------------------------------------------------------
 * */

static const _Atomic uint32_t *word_of(const struct tz_futex_many *slot)
{
	return (const _Atomic uint32_t *)(uintptr_t)slot->word;
}

static void fill(struct tz_watcher *w, unsigned slot, struct tz_word_wait *wait)
{
	w->words[slot] = (struct tz_futex_many){
		.expected = wait->expected,
		.word = (uintptr_t)wait->word,
		.flags = TZ_FUTEX_MANY_SHARED,
	};
	w->waits[slot] = wait;
	wait->watcher = w;
	wait->slot = slot;
}

static struct tz_word_wait *vacate(struct tz_watcher *w, unsigned slot)
{
	struct tz_word_wait *wait = w->waits[slot];

	w->waits[slot] = NULL;
	if (wait)
		wait->watcher = NULL;
	return wait;
}

static void tell(struct tz_watcher *w, unsigned slot)
{
	struct tz_word_wait *wait = vacate(w, slot);

	if (wait)
		wait->woken(wait); /* its last use: it may be gone now */
}

/* Moves waits into stale slots, while the kernel knows of none. */
static void close_ranks(struct tz_watcher *w)
{
	unsigned to = 1;

	for (unsigned from = 1; from < w->used; from++)
		if (w->waits[from])
			fill(w, to++, w->waits[from]);
	w->used = to;
}

/* --- watching -----------------------------------------------------------------------------------
 * */

/* Whether the kernel refuses the address. */
static bool is_bad(const struct tz_futex_many *slot)
{
	return tz_futex_wait_shared(word_of(slot), (uint32_t)slot->expected, 1) == -EFAULT;
}

/* What the answer of a system call with n slots means for each of them; under the lock. */
static void look_around(struct tz_watcher *w, unsigned n, int answer)
{
	for (unsigned i = 1; i < n; i++) {
		if (!w->waits[i]) {
			if (answer >= (int)i)
				tz_futex_wake_shared(word_of(&w->words[i]), 1);
		} else if (answer == -EFAULT) {
			if (is_bad(&w->words[i]))
				tell(w, i);
		} else if (answer == (int)i ||
			   atomic_load_explicit(w->waits[i]->word, memory_order_acquire) !=
				   w->waits[i]->expected) {
			tell(w, i);
		}
	}
}

/* Waits once; the lock is released meanwhile. False if nobody had wanted anything for long. */
static bool watch_many(struct tz_watcher *w)
{
	unsigned n;
	int answer;

	close_ranks(w);
	n = w->used;
	w->words[0] = (struct tz_futex_many){
		.expected = atomic_load_explicit(&w->bell, memory_order_relaxed),
		.word = (uintptr_t)&w->bell,
		.flags = TZ_FUTEX_MANY_PRIVATE,
	};
	tz_mutex_unlock(&words.lock);
	answer = tz_futex_wait_many(w->words, n, n == 1 ? tz_clock_now() + IDLE_NS : 0);
	tz_mutex_lock(&words.lock);
	look_around(w, n, answer);
	return w->used > 1 || answer != -ETIMEDOUT;
}

static bool watch_one(struct tz_watcher *w)
{
	const _Atomic uint32_t *word = word_of(&w->words[1]);
	uint32_t expected = (uint32_t)w->words[1].expected;
	int answer;

	if (!w->waits[1])
		return false;
	tz_mutex_unlock(&words.lock);
	answer = tz_futex_wait_shared(word, expected, tz_clock_now() + SLICE_NS);
	tz_mutex_lock(&words.lock);
	if (answer == 0 && !w->waits[1])
		tz_futex_wake_shared(word, 1); /* it was for somebody else */
	else if (answer != -ETIMEDOUT && answer != -EINTR)
		tell(w, 1);
	return w->waits[1] != NULL;
}

static void take_off_list(struct tz_watcher *w)
{
	struct tz_watcher **link = &words.watchers;

	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
}

static void *watcher_main(void *watcher)
{
	struct tz_watcher *w = watcher;

	(void)prctl(PR_SET_NAME, "trenza-words");
	tz_mutex_lock(&words.lock);
	while (w->alone ? watch_one(w) : watch_many(w))
		;
	take_off_list(w);
	tz_mutex_unlock(&words.lock);
	free(w);
	return NULL;
}

/* --- beginning and ending ------------------------------------------------------------------------
 * */

/* A watcher with room for one more; the thread of a new one begins by waiting for the lock. */
static struct tz_watcher *with_room(struct tz_word_wait *first)
{
	struct tz_watcher *w;
	pthread_t thread;

	for (w = words.watchers; w; w = w->next)
		if (w->used < SLOTS && !w->alone && !words.alone)
			return w;
	w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->alone = words.alone;
	w->used = 1;
	if (w->alone)
		fill(w, w->used++, first);
	if (tz_os_thread_start(&thread, STACK, watcher_main, w) < 0) {
		first->watcher = NULL;
		free(w);
		return NULL;
	}
	(void)pthread_detach(thread);
	w->next = words.watchers;
	words.watchers = w;
	return w;
}

static void before_fork(void)
{
	tz_mutex_lock(&words.lock);
}

static void in_parent(void)
{
	tz_mutex_unlock(&words.lock);
}

static void in_child(void)
{
	struct tz_watcher *w;

	while ((w = words.watchers)) {
		words.watchers = w->next;
		for (unsigned slot = 1; slot < w->used; slot++)
			(void)vacate(w, slot);
		free(w);
	}
	tz_mutex_unlock(&words.lock);
}

/* Asks the kernel once: without words, it has nothing to wait for. */
static void begin(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
	words.alone = tz_futex_wait_many(NULL, 0, 0) != -EINVAL;
}

void tz_words_use_threads(bool yes)
{
	(void)pthread_once(&fork_once, begin);
	tz_mutex_lock(&words.lock);
	words.alone = yes || tz_futex_wait_many(NULL, 0, 0) != -EINVAL;
	tz_mutex_unlock(&words.lock);
}

int tz_word_watch(struct tz_word_wait *wait)
{
	const _Atomic uint32_t *bell = NULL;
	struct tz_watcher *w;

	wait->watcher = NULL;
	if (atomic_load_explicit(wait->word, memory_order_acquire) != wait->expected)
		return -EAGAIN;
	(void)pthread_once(&fork_once, begin);
	tz_mutex_lock(&words.lock);
	w = with_room(wait);
	if (w && !w->alone) {
		fill(w, w->used++, wait);
		atomic_fetch_add_explicit(&w->bell, 1, memory_order_relaxed);
		bell = &w->bell;
	}
	tz_mutex_unlock(&words.lock);
	if (bell)
		tz_futex_wake(bell, 1); /* an address only: the watcher may be gone */
	return w ? 0 : -ENOMEM;
}

bool tz_word_unwatch(struct tz_word_wait *wait)
{
	const _Atomic uint32_t *bell = NULL;
	bool watched;

	tz_mutex_lock(&words.lock);
	watched = wait->watcher != NULL;
	if (watched) {
		struct tz_watcher *w = wait->watcher;

		(void)vacate(w, wait->slot);
		if (w->alone) {
			tz_futex_wake_shared(wait->word, INT32_MAX);
		} else if (w->used == SLOTS) {
			atomic_fetch_add_explicit(&w->bell, 1, memory_order_relaxed);
			bell = &w->bell; /* so that the slot can be used again */
		}
	}
	tz_mutex_unlock(&words.lock);
	if (bell)
		tz_futex_wake(bell, 1);
	return watched;
}
