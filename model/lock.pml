/* The lock (sync/lock.c) and the condition's way to it (sync/condition.c): one owner at a time, nobody sleeps beside a free lock, and the last
 * user may free it.
 *
 *  RUN lock: -DSTRANDS=3 -DTURNS=1 -DEARLY=1 -DWAITS=0
 *  RUN again: -DSTRANDS=2 -DTURNS=2 -DEARLY=1 -DWAITS=0
 *  RUN condition: -DSTRANDS=0 -DTURNS=1 -DEARLY=0 -DWAITS=2
 *
 * STRANDS acquire and release, TURNS times; if EARLY, the time of the first one may be up while it waits, once. WAITS others wait for a condition
 * under the lock, and one more makes it true and notifies all of them. Each step is one atomic operation, memory is sequentially consistent:
 * what guards what besides the word is the bucket lock. Spinning is to try any number of times.
 *
 *  WEAK 1: a strand goes to sleep without looking at the word again under the bucket lock
 *  WEAK 2: a rival that goes to sleep leaves its bit behind
 *  WEAK 3: a strand that was woken does not know that it is the rival
 *  WEAK 4: a release that wakes frees the word first, and says later who waits
 *  WEAK 5: a strand whose time is up leaves without looking whether it was chosen
 *  WEAK 6: a release that wakes forgets the others who wait
 *  WEAK 7: a lock that is handed over is free for a moment
 *  WEAK 8: a release stores over what came into the word meanwhile
 *  WEAK 9: who gives up forgets the others who wait
 *  WEAK 10 (condition): waiters are moved to the lock's queue, and the lock is not told
 *  WEAK 11 (condition): all waiters are moved though the lock is free
 *  WEAK 12 (condition): the first is woken before the others are moved behind it
 */
#define MAY_END(me) (EARLY && me == 0 && !deaf)
#define ALL (STRANDS + WAITS + 1)

c_decl { \#include <stdlib.h> };
hidden byte mutant;
#define MUTANT(n) (mutant == n)

/* The lock's word, and whether it is there. */
bool held, rival, waiters;
bool freed;
byte users = ALL;

/* The bucket; one for lock and condition, as happens. */
bool bucket;
chan queue = [ALL] of { byte };
chan line = [ALL] of { byte };
bool line_waiters;

bool woken[ALL], handed[ALL], moved[ALL];
byte inside;
bool ready; /* what the condition is about; by the lock */

inline lock_bucket()
{
	atomic { !bucket -> bucket = true }
}

inline try_take()
{
	atomic {
		assert(!freed);
		if
		:: !held -> held = true; got = true; rival = rival && !mine; mine = false
		:: else
		fi
	}
}

/* Waits for woken[me]; only a strand that may end early leaves without. */
inline sleep()
{
	if
	:: woken[me] -> skip
	:: MAY_END(me) ->
		if
		:: MUTANT(5) -> ended = true
		:: else ->
			lock_bucket();
			atomic {
				if
				:: queue ?? [eval(me)] ->
					queue ?? eval(me);
					ended = true;
					assert(!freed);
					waiters = waiters && nempty(queue) && !MUTANT(9)
				:: else
				fi;
				bucket = false
			};
			if
			:: !ended -> woken[me]
			:: else
			fi
		fi
	fi
}

/* From `again` on: as who was woken from the lock's queue. */
inline acquire()
{
	do
	:: try_take();
		if
		:: got -> break
		:: else
		fi
	:: mine || !rival && !waiters ->
		/* spin; the bit is set by a compare and swap */
		atomic {
			if
			:: !mine && !rival && !waiters -> assert(!freed); rival = true; mine = true
			:: else
			fi
		};
		try_take();
		if
		:: got -> break
		:: else
		fi
	:: lock_bucket();
		atomic {
			assert(!freed);
			if
			:: held || MUTANT(1) ->
				waiters = true;
				if
				:: mine && !MUTANT(2) -> rival = false
				:: else
				fi;
				mine = false;
				woken[me] = false;
				queue ! me;
				bucket = false;
				asleep = true
			:: else -> bucket = false
			fi
		};
		if
		:: asleep ->
			asleep = false;
			sleep();
			if
			:: ended -> break
			:: handed[me] -> handed[me] = false; got = true; break
			:: else -> mine = !MUTANT(3)
			fi
		:: else
		fi
	od
}

inline release()
{
	assert(inside == 1);
	inside--;
	do
	:: atomic { saw_waiters = waiters; saw_rival = rival };
		if
		:: saw_waiters && !saw_rival ->
			lock_bucket();
			if
			:: MUTANT(4) -> held = false
			:: else
			fi;
			popped = ALL;
			if
			:: atomic { nempty(queue) -> queue ? popped }
			:: empty(queue)
			fi;
			if
			:: popped < ALL -> handed[popped] = true /* it has waited for long */
			:: skip
			fi;
			atomic {
				assert(!freed);
				waiters = nempty(queue) && !MUTANT(6);
				if
				:: popped < ALL && handed[popped] && !MUTANT(7) -> skip
				:: popped < ALL && handed[popped] && MUTANT(7) -> held = false
				:: else -> held = false; rival = rival || popped < ALL
				fi;
				bucket = false
			};
			if
			:: popped < ALL -> woken[popped] = true
			:: else
			fi;
			break
		:: else ->
			atomic {
				if
				:: saw_waiters == waiters && saw_rival == rival || MUTANT(8) ->
					assert(!freed);
					held = false;
					waiters = saw_waiters;
					rival = saw_rival;
					break
				:: else
				fi
			}
		fi
	od
}

/* With the lock held: whether nobody comes after. */
inline leave_for_good()
{
	atomic { users--; last = users == 0 }
}

inline free_if_last()
{
	if
	:: last -> freed = true
	:: else
	fi
}

proctype strand(byte me)
{
	bool got, mine, asleep, ended, saw_waiters, saw_rival, last, deaf;
	byte popped, turn;

	do
	:: turn < TURNS ->
		acquire();
		if
		:: got ->
			inside++;
			assert(inside == 1);
			turn++;
			if
			:: turn == TURNS -> leave_for_good()
			:: else
			fi;
			release();
			got = false
		:: else -> deaf = true; ended = false /* it gave up once; now it waits */
		fi
	:: else -> break
	od;
	free_if_last()
}

/* tz_condition_wait_for: everybody who waits is woken once, by the one notification that comes. */
proctype waiter(byte me)
{
	bool got, mine, asleep, ended, saw_waiters, saw_rival, last, deaf;
	byte popped;

	acquire();
	inside++;
	assert(inside == 1);
	if
	:: !ready ->
		lock_bucket();
		woken[me] = false;
		line ! me;
		line_waiters = true;
		bucket = false;
		release();
		woken[me];
		got = handed[me];
		mine = moved[me] && !handed[me];
		handed[me] = false;
		if
		:: !got -> acquire()
		:: else
		fi;
		inside++;
		assert(inside == 1);
		assert(ready)
	:: else
	fi;
	leave_for_good();
	release();
	free_if_last()
}

/* Only when the bucket is free: who is woken may come and go at once, and would not see those who are moved behind it. */
inline wake_later()
{
	if
	:: MUTANT(12) -> woken[popped] = true
	:: else -> to_wake = to_wake | (1 << popped)
	fi
}

proctype notifier(byte me)
{
	bool got, mine, asleep, ended, saw_waiters, saw_rival, last, deaf, told, awake, under_lock;
	byte popped, to_wake;

	acquire();
	inside++;
	ready = true;
	leave_for_good();
	if
	:: under_lock = true
	:: release(); free_if_last()
	fi;
	if
	:: line_waiters ->
		lock_bucket();
		do
		:: nempty(line) ->
			line ? popped;
			if
			:: awake = true; wake_later() /* it spins */
			:: MUTANT(11) -> queue ! popped; moved[popped] = true; waiters = true
			:: !MUTANT(11) ->
				if
				:: told -> skip
				:: !told && awake -> atomic { assert(!freed); waiters = !MUTANT(10); told = true }
				:: !told && !awake ->
					atomic { /* only if it is held */
						assert(!freed);
						told = held;
						waiters = waiters || held && !MUTANT(10)
					}
				fi;
				if
				:: told -> atomic { moved[popped] = true; queue ! popped }
				:: else -> awake = true; wake_later()
				fi
			fi
		:: empty(line) -> break
		od;
		line_waiters = false;
		bucket = false;
		popped = 0;
		do
		:: popped < ALL && (to_wake >> popped) & 1 -> woken[popped] = true; popped++
		:: popped < ALL && !((to_wake >> popped) & 1) -> popped++
		:: else -> break
		od
	:: else
	fi;
	if
	:: under_lock -> release(); free_if_last()
	:: else
	fi
}

/* When nothing can move any more: all have come through, and the word is as it was. */
proctype judge()
{
	timeout;
	assert(freed);
	assert(!held && !waiters && !rival && !bucket)
}

init
{
	c_code { mutant = getenv("WEAK") ? atoi(getenv("WEAK")) : 0; };
	atomic {
		byte i = 0;
		users = STRANDS + WAITS + (WAITS > 0);
		do
		:: i < STRANDS -> run strand(i); i++
		:: i >= STRANDS && i < STRANDS + WAITS -> run waiter(i); i++
		:: else -> break
		od;
		if
		:: WAITS > 0 -> run notifier(i)
		:: else
		fi;
		run judge()
	}
}
