/* The barrier (sync/barrier.c): everyone who is counted in a round is told of that round's end, also one who is held up while others end
 * rounds; nobody sleeps for what has happened; and the last user may free it.
 *
 *  RUN weak: -DSTRANDS=2 -DTURNS=1 -DBREAKS=1 -DWEAKLY
 *  RUN late: -DSTRANDS=2 -DTURNS=2 -DBREAKS=2
 *  RUN more: -DSTRANDS=3 -DTURNS=1 -DBREAKS=1
 *  RUN early: -DSTRANDS=2 -DTURNS=2 -DBREAKS=1 -DEARLY
 *  RUN action: -DSTRANDS=2 -DTURNS=1 -DBREAKS=2 -DACTION
 *
 * The parties are two. Each strand waits TURNS times, whatever it is told; if EARLY, the time of the first one may be up while it is in the queue. A
 * breaker aborts or resets the barrier BREAKS times. When nothing moves any more, a closer sees whether those who wait have reason to, and
 * aborts. WEAKLY: in weak memory; in the other runs the word is read as it is at that moment.
 *
 *   word         COUNT, BROKEN, WAITERS, TELLING, and the round
 *   done(s)      the waiter's node says DONE; that the strand also gets its token then is left out
 *   the lock 0   of the bucket: guards the queue
 *   plain data   what each strand has done before its first arrival, and the other party of that round looks at after it
 *
 *  WEAK 1: load: acquire
 *  WEAK 2: arriving: the release of the compare-and-swap
 *  WEAK 3: wake leaves those in the queue who wait to be counted
 *  WEAK 4: the last one's arriving: the release of the compare-and-swap
 *  WEAK 5: wait_begin before the bucket is locked
 *  WEAK 6: wait_begin does not look whether the round is over
 *  WEAK 7 (late): outcome does not look which round is told of
 *  WEAK 8: TELLING keeps nobody from being counted
 *  WEAK 9: a break leaves nothing behind for those who have still to be told
 *  WEAK 10 (more): wake takes all who queue, of whichever round they are
 *  WEAK 11: settle does not count those who are told by being taken
 *  WEAK 12 (late): those who are told are counted when the bucket is unlocked and they are awake
 *  WEAK 13 (early): a strand whose time is up does not look whether its round is over
 *  WEAK 14 (early): a strand whose time is up counts itself among those to be told
 *  WEAK 15: WAITERS stays when a round ends, and nobody is woken
 *  WEAK 16: the last one to be told wakes nobody
 *  WEAK 17 (late): a break while TELLING begins another round
 *  WEAK 18 (late): a break while TELLING wakes the parties of the round that goes on
 *  WEAK 19 (early): a strand whose time is up while TELLING breaks nothing
 *  WEAK 20 (early): a strand whose time is up just after TELLING has ended gives up without being counted
 *  WEAK 21: who is told by looking does not count itself
 *  WEAK 22 (action): the last one, whose round was broken while the action ran, does not ask
 */
#define word 0
#define done(s) (s)
#define N_ATOMICS (1 + STRANDS)
#define N_DATA STRANDS
#define N_MUTEXES 1
#define N_PROCESSES (3 + STRANDS)
#define N_MESSAGES 40
#if STRANDS == 3
#define USERS { 62, 62, 62, 62 }
#define INITIAL { 0, 0, 0, 0 }
#else
#define USERS { 30, 30, 30 }
#define INITIAL { 0, 0, 0 }
#endif
#include "weakmem.pml"

#define COUNT(x) ((x) & 3)
#define BROKEN 4
#define WAITERS 8
#define TELLING 16
#define ONE_ROUND 32
#define ROUND(x) ((x) / ONE_ROUND)
#define NO_ROUND 100
#define CLOSER (STRANDS + 2) /* its pid */
#define HAS(x, bit) (((x) & (bit)) != 0)
#define WITHOUT(x, bits) ((x) - ((x) & (bits)))
#define OTHERS 1
#define ROUNDS 12

#define COMPLETE 1
#define BROKE 2
#define GAVE_UP 3

#ifdef EARLY
#define MAY_END (_pid == 1)
#else
#define MAY_END false
#endif

#ifdef ACTION
#define ACTS true
#else
#define ACTS false
#endif

#define CLOSED(x) ((HAS(x, TELLING) && !MUTANT(8)) || COUNT(x) > OTHERS)
#define TELLS(x, r) (HAS(x, TELLING) && (ROUND(x) == (r) + 1 || MUTANT(7)))
/* The word after a round that was completed, and after a break. */
#define COMPLETED(x) ((ROUND(x) + 1) * ONE_ROUND + (MUTANT(15) -> ((x) & WAITERS) : 0))
#define LEFT(x, know) (MUTANT(9) -> 0 : COUNT(x) - (know))
#define GOES_ON(x) (COUNT(x) == 0 || HAS(x, TELLING) && !MUTANT(17))
#define BROKEN_OFF(x, know, broken) (GOES_ON(x) -> (WITHOUT(x, BROKEN | WAITERS) | (broken)) : \
	COMPLETED(x) + (LEFT(x, know) != 0 -> TELLING : 0) + LEFT(x, know) + (broken))

byte outcomes[ROUNDS]; /* of the rounds that have ended */
byte party[ROUNDS * 2]; /* the strands counted, by round and place */
bool queued[STRANDS + 1];
byte round_of[STRANDS + 1], token[STRANDS + 1]; /* of the nodes */
byte users = STRANDS + BREAKS, finished;

/* Swaps `wanted`, which depends on w, into the word; ends the round, if so, as `how`. */
inline swap(order, how)
{
	atomic {
		assert(users > 0);
#ifdef WEAKLY
		CAS(seen, word, w, wanted, order, W(1, ACQUIRE, RELAXED));
#else
		if
		:: latest[word] == w -> SWAP(seen, word, wanted, order)
		:: else -> AWAIT(seen, word, true, ACQUIRE)
		fi;
#endif
		swapped = seen == w;
		if
		:: swapped && ROUND(w) != ROUND(wanted) -> assert(outcomes[ROUND(w)] == 0); outcomes[ROUND(w)] = how
		:: else
		fi;
		if
		:: !swapped -> w = seen
		:: else
		fi;
		seen = 0
	}
}

inline load()
{
	atomic {
		assert(users > 0);
#ifdef WEAKLY
		LOAD(w, word, W(1, ACQUIRE, RELAXED))
#else
		AWAIT(w, word, true, ACQUIRE)
#endif
	}
}

inline forget() { d_step { swapped = false; w = 0; wanted = 0 } }

/* That n know. `last`: others wait for that. */
inline count_told(n)
{
	atomic {
		load();
		do
		:: swapped -> break
		:: else ->
			assert(HAS(w, TELLING) && COUNT(w) >= n);
			wanted = (COUNT(w) > n -> w - (n) : WITHOUT(w - (n), TELLING | WAITERS));
			swap(ACQ_REL, BROKE)
		od;
		last = !HAS(wanted, TELLING) && HAS(w, WAITERS);
		forget()
	}
}

inline take_all(r, what)
{
	d_step {
		i = 1;
		do
		:: i > STRANDS -> break
		:: else ->
			if
			:: queued[i] && (round_of[i] == NO_ROUND && !MUTANT(3) || round_of[i] == r || MUTANT(10)) ->
				if
				:: round_of[i] != NO_ROUND -> told++
				:: else
				fi;
				queued[i] = false;
				woken = woken | (1 << i);
				token[i] = what
			:: else
			fi;
			i++
		od;
		i = 0
	}
}

inline settle(what)
{
	if
	:: what == BROKE && told > 0 && !MUTANT(11) -> count_told(told); last = false
	:: else
	fi
}

/* Wakes those who queue for the round's end, or to be counted. */
inline wake(r, what)
{
	LOCK(0);
	take_all(r, what);
	if
	:: !MUTANT(12) -> settle(what)
	:: else
	fi;
	UNLOCK(0);
	do
	:: woken == 0 -> break
	:: else ->
		atomic {
			i = ((woken & 2) != 0 -> 1 : ((woken & 4) != 0 -> 2 : 3));
			woken = woken - (1 << i);
			SWAP(seen, done(i), 1, ACQ_REL);
			seen = 0;
			i = 0
		}
	od;
	if
	:: MUTANT(12) -> settle(what)
	:: else
	fi;
	told = 0
}

/* How the round ended in which the strand is counted. */
inline outcome()
{
	atomic {
		load();
		answer = (TELLS(w, mine) -> BROKE : COMPLETE);
		forget()
	}
	if
	:: answer == BROKE ->
		if
		:: !MUTANT(21) -> count_told(1)
		:: else
		fi;
		if
		:: last && !MUTANT(16) -> last = false; wake(NO_ROUND, BROKE)
		:: else -> last = false
		fi
	:: else
	fi
}

#define MUST_WAIT(x) (mine != NO_ROUND -> ROUND(x) == mine : !HAS(x, BROKEN) && CLOSED(x))

/* Whether to wait. */
inline wait_begin()
{
	atomic {
		load();
		do
		:: waits -> break
		:: !waits && !MUST_WAIT(w) && !MUTANT(6) -> break
		:: !waits && (MUST_WAIT(w) || MUTANT(6)) ->
			wanted = w | WAITERS;
			swap(ACQ_REL, 0);
			waits = swapped
		od;
		forget()
	}
}

inline withdrawn()
{
	atomic {
		load();
		do
		:: broke_it -> break
		:: !broke_it && (mine != NO_ROUND -> ROUND(w) != mine && !MUTANT(13) : !HAS(w, TELLING) || MUTANT(19)) -> break
		:: else ->
			wanted = BROKEN_OFF(w, (mine != NO_ROUND && !MUTANT(14) -> 1 : 0), BROKEN);
			swap(ACQ_REL, BROKE);
			broke_it = swapped
		od;
		let_in = mine == NO_ROUND && !CLOSED(w) && !MUTANT(20);
		forget()
	}
}

/* wait: until woken, or the time is up; `answer` is 0 if there is nothing to wait for. */
inline wait()
{
	atomic { load(); waits = MUST_WAIT(w); forget() } /* look */
	if
	:: waits ->
		waits = false;
		if
		:: MUTANT(5) -> wait_begin()
		:: else
		fi;
		LOCK(0);
		if
		:: !MUTANT(5) -> wait_begin()
		:: else
		fi;
		if
		:: waits ->
			STORE(done(_pid), 0, RELAXED);
			atomic { queued[_pid] = true; round_of[_pid] = mine }
		:: else
		fi;
		UNLOCK(0)
	:: else
	fi;
	if
	:: waits ->
		waits = false;
		if
		:: AWAIT(seen, done(_pid), latest[done(_pid)] == 1, ACQUIRE) -> answer = token[_pid]
		:: MAY_END ->
			LOCK(0);
			if
			:: queued[_pid] ->
				queued[_pid] = false;
				withdrawn();
				UNLOCK(0);
				answer = (broke_it || mine == NO_ROUND && !let_in -> GAVE_UP : 0);
				assert(answer == 0 || broke_it)
			:: else ->
				UNLOCK(0);
				AWAIT(seen, done(_pid), latest[done(_pid)] == 1, ACQUIRE);
				answer = token[_pid]
			fi
		fi;
		d_step { token[_pid] = 0; round_of[_pid] = 0; let_in = false; seen = 0 }
	:: else
	fi;
	if
	:: broke_it ->
		wake(mine, BROKE);
		broke_it = false
	:: else
	fi
}

inline note_place()
{
	mine = ROUND(w);
	place = COUNT(w);
	assert(place <= OTHERS && outcomes[mine] == (wanted == w + 1 -> 0 : COMPLETE));
	party[mine * 2 + place] = _pid
}

#ifdef ACTION
/* The action, which succeeds or not, and end_round. */
inline end_round()
{
	if
	:: succeeded = true
	:: succeeded = false
	fi;
	atomic {
		load();
		do
		:: swapped -> break
		:: !swapped && ROUND(w) != mine -> break
		:: !swapped && ROUND(w) == mine ->
			wanted = (succeeded -> COMPLETED(w) : BROKEN_OFF(w, 1, BROKEN));
			swap(ACQ_REL, (succeeded -> COMPLETE : BROKE))
		od;
		if
		:: swapped -> last = HAS(w, WAITERS); answer = (succeeded -> COMPLETE : BROKE)
		:: else
		fi;
		forget()
	}
	if
	:: last -> last = false; wake(mine, answer)
	:: !last && answer == 0 && MUTANT(22) -> answer = BROKE
	:: !last && answer == 0 && !MUTANT(22) -> outcome()
	:: else
	fi;
	succeeded = false
}
#else
inline end_round() { assert(false) }
#endif

/* tz_barrier_wait_until: the steps up to being counted, to completing the round, or to a reason to wait. */
inline arrive()
{
	atomic {
		load();
		mine = NO_ROUND;
		if
		:: HAS(w, BROKEN) -> answer = BROKE
		:: !HAS(w, BROKEN) && CLOSED(w)
		:: !HAS(w, BROKEN) && !CLOSED(w) && COUNT(w) == OTHERS && !ACTS ->
			wanted = COMPLETED(w);
			swap(W(4, ACQ_REL, ACQUIRE), COMPLETE)
		:: !HAS(w, BROKEN) && !CLOSED(w) && (COUNT(w) < OTHERS || ACTS) ->
			wanted = w + 1;
			swap(W(2, ACQ_REL, ACQUIRE), 0)
		fi;
		if
		:: swapped ->
			mine = ROUND(w);
			place = COUNT(w);
			assert(place <= OTHERS);
			party[mine * 2 + place] = _pid;
			if
			:: place == OTHERS && !ACTS -> answer = COMPLETE; last = HAS(w, WAITERS) && !MUTANT(15)
			:: else
			fi
		:: else
		fi;
		forget()
	}
}

inline come()
{
	do
	:: answer != 0 -> break
	:: else ->
		arrive();
		if
		:: last -> last = false; wake(mine, COMPLETE)
		:: !last && answer == 0 && mine == NO_ROUND ->
			wait();
			answer = (answer == GAVE_UP -> GAVE_UP : 0)
		:: !last && answer == 0 && mine != NO_ROUND && place == OTHERS -> end_round()
		:: !last && answer == 0 && mine != NO_ROUND && place < OTHERS ->
			wait();
			if
			:: answer == 0 -> outcome()
			:: else
			fi
		:: else
		fi
	od
}

proctype strand()
{
	short seen, w, wanted;
	bool swapped, waits, broke_it, let_in, last, succeeded;
	byte turn, place, mine, answer, i, told, woken;

	USE(_pid - 1);
	do
	:: turn == TURNS -> break
	:: else ->
		turn++;
		mine = NO_ROUND;
		come();
		atomic {
			assert(mine == NO_ROUND -> answer != COMPLETE : answer == GAVE_UP || answer == outcomes[mine]);
			if
			:: answer == COMPLETE -> USE(party[mine * 2 + 1 - place] - 1)
			:: else
			fi;
			d_step { seen = 0; answer = 0; place = 0; mine = 0 }
		}
	od;
	atomic {
		EXIT();
		users--;
		finished++
	}
}

/* tz_barrier_abort, tz_barrier_reset */
inline break_off(how)
{
	atomic {
		load();
		do
		:: swapped -> break
		:: else ->
			wanted = BROKEN_OFF(w, 0, how);
			swap(ACQ_REL, BROKE)
		od;
		users = users - (_pid != CLOSER);
		mine = (ROUND(w) != ROUND(wanted) || MUTANT(18) -> ROUND(w) : NO_ROUND);
		last = HAS(w, WAITERS);
		forget()
	}
	if
	:: last -> last = false; wake(mine, BROKE)
	:: else
	fi;
	mine = 0
}

proctype breaker()
{
	short seen, w, wanted;
	bool swapped, last;
	byte turn, mine, i, told, woken;

	do
	:: turn == BREAKS -> break
	:: else ->
		turn++;
		if
		:: break_off(BROKEN)
		:: break_off(0)
		fi
	od;
	atomic {
		EXIT();
		finished++
	}
}

#define MAY_QUEUE(s) (!queued[s] || round_of[s] == ROUND(latest[word]))

proctype closer()
{
	short seen, w, wanted;
	bool swapped, last;
	byte mine, i, told, woken;

	atomic {
		timeout;
		assert(!held[0] && !HAS(latest[word], TELLING));
		assert(COUNT(latest[word]) == STRANDS + 1 - finished && COUNT(latest[word]) <= OTHERS);
		assert(MAY_QUEUE(1) && MAY_QUEUE(2));
#if STRANDS == 3
		assert(MAY_QUEUE(3));
#endif
	}
	if
	:: finished <= STRANDS -> break_off(BROKEN)
	:: else
	fi;
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
		run breaker();
		run closer()
	}
	finished == STRANDS + 2 /* else somebody waits for ever */
}
