/* The slow path of a lock in weak memory (sync/comer.c, sync/lock.c, the fast paths in trenza/lock.h): one owner at a time, who sees all that the last
 * one did; nobody sleeps beside a free lock; and the last user may free it. lock.pml has the condition and longer waits, without weak memory.
 *
 *  RUN three: -DSTRANDS=3 -DTURNS=1
 *  RUN early: -DSTRANDS=3 -DTURNS=1 -DEARLY
 *  RUN again: -DSTRANDS=2 -DTURNS=2
 *
 * Each strand acquires and releases the lock TURNS times. A strand that cannot have it looks at it for a while (spin), as rival if it may, or goes to
 * sleep. If EARLY, the time of the first one may be up while it sleeps; then it gives up. A waker may find that a waiter has waited for long, and
 * hands the lock over.
 *
 *   word         HELD, RIVAL, WAITERS
 *   done(s)      the waiter's node says DONE; that the strand also gets its token then is left out
 *   the lock 0   of the bucket: guards the queue
 *   plain data   what the lock guards
 *
 *  WEAK 1: tz_lock_acquire: the acquire of the read-modify-write
 *  WEAK 2: tz_comer_take: the acquire of the compare-and-swap
 *  WEAK 3: tz_lock_release: the release of the compare-and-swap
 *  WEAK 4 (early): tz__lock_release_slow: the release of the compare-and-swap that wakes nobody
 *  WEAK 5: settle: the release of the compare-and-swap
 *  WEAK 6: wake_taken: the release of the swap to DONE
 *  WEAK 7: is_done: the acquire of the load
 *  WEAK 8: wait_begin does not look whether the lock is free
 *  WEAK 9: wait_begin: a load, and then a store
 *  WEAK 10: wait_begin leaves the rival's bit there
 *  WEAK 11: tz_comer_take leaves the rival's bit there
 *  WEAK 12: who was woken does not know that it is the rival
 *  WEAK 13: who sleeps says so before it has the bucket's lock
 *  WEAK 14 (early): withdrawn says that nobody waits, though somebody does
 *  WEAK 15 (early): a strand whose time is up does not look whether it was chosen
 *  WEAK 16: settle forgets those who still wait
 *  WEAK 17: tz_lock_release frees a lock without a look at those who wait
 *  WEAK 18: settle sets the word when the bucket is unlocked
 *  WEAK 19: settle frees a lock that is handed over
 */
#define word 0
#define done(s) (s)
#define N_ATOMICS (1 + STRANDS)
#define N_DATA 1
#define N_MUTEXES 1
#define N_PROCESSES (1 + STRANDS)
#define N_MESSAGES 40
#define USERS { 14, 14, 14, 14 }
#define INITIAL { 0, 0, 0, 0 }
#include "weakmem.pml"

#define HELD 1
#define RIVAL 2
#define WAITERS 4
#define HAS(w, bit) (((w) & (bit)) != 0)
#define WITHOUT(w, bits) ((w) - ((w) & (bits)))

#ifdef EARLY
#define MAY_END (_pid == 1)
#else
#define MAY_END false
#endif

byte queue[3], queued; /* the first of them, by the bucket's lock */
bool handed_over[STRANDS + 1]; /* the node's token */
byte users = STRANDS; /* who will still use the lock */
bool freed;
byte inside, finished;

inline append() { d_step { queue[queued] = _pid; queued++ } }

inline take_out(i)
{
	d_step {
		queued--;
		if
		:: i == 0 -> queue[0] = queue[1]; queue[1] = queue[2]
		:: i == 1 -> queue[1] = queue[2]
		:: else
		fi;
		queue[2] = 0
	}
}

#define IS_QUEUED (queue[0] == _pid || queue[1] == _pid || queue[2] == _pid)
#define MY_PLACE (queue[0] == _pid -> 0 : (queue[1] == _pid -> 1 : 2))

/* Swaps `wanted`, which depends on w, into the word. */
inline swap(order)
{
	atomic {
		assert(!freed);
		CAS(seen, word, w, wanted, order, RELAXED);
		swapped = seen == w;
		w = seen;
		seen = 0;
		wanted = 0
	}
}

inline load()
{
	atomic { assert(!freed); LOAD(w, word, RELAXED) }
}

/* tz_comer_take */
inline take()
{
	load();
	do
	:: HAS(w, HELD) -> break
	:: !HAS(w, HELD) ->
		wanted = WITHOUT(w | HELD, (is_rival && !MUTANT(11) -> RIVAL : 0));
		swap(W(2, ACQUIRE, RELAXED));
		if
		:: swapped -> got = true; is_rival = false; break
		:: else
		fi
	od;
	swapped = false;
	w = 0
}

inline become_rival()
{
	load();
	do
	:: is_rival -> break
	:: !is_rival && HAS(w, RIVAL | WAITERS) -> break
	:: !is_rival && !HAS(w, RIVAL | WAITERS) ->
		wanted = w | RIVAL;
		swap(RELAXED);
		is_rival = swapped
	od;
	swapped = false;
	w = 0
}

/* Under the bucket's lock: whether to wait. */
inline wait_begin()
{
	load();
	do
	:: !HAS(w, HELD) && !MUTANT(8) -> break
	:: HAS(w, HELD) || MUTANT(8) ->
		wanted = WITHOUT(w | WAITERS, (is_rival && !MUTANT(10) -> RIVAL : 0));
		if
		:: MUTANT(9) -> STORE(word, wanted, RELAXED); swapped = true; wanted = 0
		:: else -> swap(RELAXED)
		fi;
		if
		:: swapped -> is_rival = false; waits = true; break
		:: else
		fi
	od;
	swapped = false;
	w = 0
}

/* Until done, or the time is up. */
inline sleep()
{
	if
	:: AWAIT(seen, done(_pid), latest[done(_pid)] == 1, W(7, ACQUIRE, RELAXED))
	:: MAY_END ->
		LOCK(0);
		if
		:: IS_QUEUED || MUTANT(15) ->
			atomic {
				if
				:: IS_QUEUED -> take_out(MY_PLACE)
				:: else
				fi;
				assert(!freed)
			}
			if
			:: queued == 0 || MUTANT(14) -> AND(seen, word, HELD | RIVAL, RELAXED)
			:: else
			fi;
			gave_up = true;
			UNLOCK(0)
		:: else ->
			UNLOCK(0);
			AWAIT(seen, done(_pid), latest[done(_pid)] == 1, ACQUIRE)
		fi
	fi;
	seen = 0
}

/* tz_comer_acquire */
inline acquire_slow()
{
	do
	:: got || gave_up -> break
	:: else ->
		/* spin */
		take();
		if
		:: !got ->
			if
			:: become_rival();
				if
				:: is_rival -> take()
				:: else
				fi
			:: skip
			fi
		:: else
		fi;
		if
		:: got
		:: else ->
			if
			:: MUTANT(13) -> wait_begin()
			:: else
			fi;
			LOCK(0);
			if
			:: !MUTANT(13) -> wait_begin()
			:: else
			fi;
			if
			:: waits ->
				handed_over[_pid] = false;
				STORE(done(_pid), 0, RELAXED);
				append()
			:: else
			fi;
			UNLOCK(0);
			if
			:: waits ->
				waits = false;
				sleep();
				if
				:: gave_up
				:: handed_over[_pid] && !gave_up -> got = true
				:: else -> is_rival = !MUTANT(12)
				fi
			:: else
			fi
		fi
	od
}

inline acquire()
{
	OR(seen, word, HELD, W(1, ACQUIRE, RELAXED));
	if
	:: HAS(seen, HELD) -> seen = 0; acquire_slow()
	:: else -> seen = 0; got = true
	fi
}

/* `to` is the one taken, or 0. */
inline settle()
{
	load();
	do
	:: swapped -> break
	:: else ->
		wanted = w & RIVAL;
		if
		:: to != 0 -> wanted = wanted | (handed_over[to] && !MUTANT(19) -> HELD : RIVAL)
		:: else
		fi;
		if
		:: queued > 0 && !MUTANT(16) -> wanted = wanted | WAITERS
		:: else
		fi;
		swap(W(5, RELEASE, RELAXED))
	od;
	swapped = false;
	w = 0
}

/* tz_parking_wake, for one */
inline wake_one()
{
	LOCK(0);
	if
	:: queued > 0 ->
		to = queue[0];
		take_out(0);
		if
		:: handed_over[to] = true /* it has waited for long */
		:: true
		fi
	:: else
	fi;
	if
	:: MUTANT(18) -> UNLOCK(0); settle()
	:: else -> settle(); UNLOCK(0)
	fi;
	if
	:: to != 0 -> SWAP(seen, done(to), 1, W(6, ACQ_REL, ACQUIRE)); to = 0; seen = 0
	:: else
	fi
}

inline release()
{
	load();
	if
	:: w == HELD || (w & (HELD | RIVAL)) == (HELD | RIVAL) || MUTANT(17) ->
		wanted = WITHOUT(w, HELD);
		swap(W(3, RELEASE, RELAXED))
	:: else
	fi;
	if
	:: !swapped ->
		/* tz__lock_release_slow */
		load();
		do
		:: swapped -> break
		:: else ->
			assert(HAS(w, HELD));
			if
			:: HAS(w, WAITERS) && !HAS(w, RIVAL) -> w = 0; wake_one(); break
			:: else -> wanted = WITHOUT(w, HELD); swap(W(4, RELEASE, RELAXED))
			fi
		od
	:: else
	fi;
	swapped = false;
	w = 0
}

proctype strand()
{
	short seen, w, wanted;
	bool swapped, got, is_rival, waits, gave_up, last;
	byte turn, to;

	do
	:: turn == TURNS || gave_up -> break
	:: else ->
		acquire();
		if
		:: got ->
			atomic {
				inside++;
				assert(inside == 1);
				USE(0);
				turn++;
				if
				:: turn == TURNS -> users--; last = users == 0
				:: else
				fi
			}
			inside--;
			release();
			got = false;
			if
			:: last -> freed = true
			:: else
			fi
		:: else
		fi
	od;
	atomic {
		EXIT();
		finished++
	}
}

init
{
	atomic {
		MEMORY_INIT();
		run strand();
		run strand();
#if STRANDS == 3
		run strand();
#endif
	}
	finished == STRANDS; /* else somebody waits for ever */
	assert(freed || users == 1);
	assert(latest[word] == 0 || users == 1)
}
