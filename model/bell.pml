/* The bell of a loop (loop/loop.c, loop/ready.h, loop/backend_epoll.c): whoever puts something into the inbox is heard, though the loop may be on its
 * way to sleep; and a loop ends only when nobody will touch it any more, and all that it accepted has ended.
 *
 *  RUN wake: -DWAKE
 *  RUN end: -DEND -DSUBMITTER
 *  RUN drop: -DEND -DSUBMITTER -DDROPS
 *  RUN last: -DEND -DPOSTER
 *
 * In `wake` two threads post an entry each, and one of them a third when both were heard: tz_loop_post. In the others a thread asks for the shutdown
 * (tz_loop_request_shutdown), in `drop` it then ends what the loop has not seen (tz_loop_cancel_unseen). A submitter comes from outside
 * (submit_from_outside), perhaps too late. In `last` somebody posts the coroutine of the last job (coroutine_unpark), which alone has kept the loop
 * from ending. After the end of the loop (tz_loop_has_ended, tz_loop_done) it is gone.
 * A poll may end by itself, once, as it does for a timer; and one that does not wait (turn's last) may come where something was ready.
 *
 *   inbox      the entries that lie in it, one bit each
 *   bell, visitors, closing, submitted, dropped    as in the loop; of the latter two the numbers of jobs from outside
 *   rung       the backend's
 *   event      the kernel's: the eventfd was written to since epoll_wait said so last
 *   plain data: 0 to 2 the entries; 3 and 4 the loop itself, as it is read by each of the others, and freed
 *
 * That a visit and the look at closing are seq_cst is more than is needed here, since who asks for the shutdown visits, too.
 *
 * Left out: the line, which is the loop's own, and signal handlers on the loop's thread: as far as they do not use the line they are as other threads.
 *
 *  WEAK 1: ring: the release of the swap
 *  WEAK 2: sleep_in_poll: the acquire of the swap that says AWAKE
 *  WEAK 3: sleep_in_poll says ASLEEP whatever the bell says
 *  WEAK 4: ring comes before the push
 *  WEAK 5: who rings leaves a bell alone that says AWAKE
 *  WEAK 6: poll says that it has heard before it waits
 *  WEAK 7: poll does not say that it has heard
 *  WEAK 8: wake rings in the kernel before it says so, or not at all
 *  WEAK 9: tz_inbox_push: the release of the compare-and-swap
 *  WEAK 10: tz_inbox_take: the acquire of the swap
 *  WEAK 11: tz_inbox_take: a load, and then a store
 *  WEAK 12 (end): submit_from_outside looks at closing before it visits
 *  WEAK 13 (end): tz_loop_has_ended looks at the visitors before it looks at closing
 *  WEAK 14 (end): tz_loop_leave: the release of the subtraction
 *  WEAK 15 (end): the loop, closing, sleeps while there are visitors, though all has ended
 *  WEAK 16 (end): tz_loop_has_ended does not look at the visitors
 *  WEAK 17 (last): tz_loop_post visits when it has pushed
 *  WEAK 18 (last): tz_loop_post leaves before it rings
 *  WEAK 19 (end): tz_loop_done does not wait for visitors
 *  WEAK 20 (end): who asks for the shutdown rings before it says so
 */
#define inbox 0
#define bell 1
#define rung 2
#ifdef WAKE
#define N_ATOMICS 3
#define USERS { 14, 14, 14 }
#define INITIAL { 0, 0, 0 }
#define N_DATA 3
#define N_PROCESSES 4
#define OTHERS 2
#else
#define visitors 3
#define closing 4
#define submitted 5
#define dropped 6
#define N_ATOMICS 7
#define USERS { 14, 14, 14, 14, 14, 14, 14 }
#define INITIAL { 0, 0, 0, 0, 0, 0, 0 }
#define N_DATA 5
#define N_PROCESSES 4
#define OTHERS 2
#endif
#define N_MUTEXES 1
#define N_MESSAGES 48
#include "weakmem.pml"

/* The bell. */
#define AWAKE 0
#define ASLEEP 1
#define RUNG 2

bool event;
byte handled; /* entries, one bit each */
byte finished;
bool joined; /* the loop's thread has ended */
bool freed;
bool accepted; /* the job from outside */

/* Of who is not the loop: it reads the loop. */
#define MINE (_pid + 1)
inline touch()
{
#ifdef END
	d_step { assert(!freed); USE(MINE) }
#else
	skip
#endif
}

inline visit()
{
#ifdef END
	atomic { touch(); ADD(seen, visitors, 1, SEQ_CST) }
#else
	skip
#endif
}

inline leave()
{
#ifdef END
	atomic { assert(!freed); SUB(seen, visitors, 1, W(14, RELEASE, RELAXED)) }
#else
	skip
#endif
}

/* tz_inbox_push of entry i, made before. */
inline push(i)
{
	atomic { USE(i); LOAD(seen, inbox, RELAXED) }
	do
	:: atomic {
			see = seen;
			CAS(seen, inbox, see, see | (1 << i), W(9, RELEASE, RELAXED), RELAXED);
			if
			:: seen == see -> see = 0; break
			:: else
			fi
		}
	od
}

inline take(into)
{
	if
	:: MUTANT(11) -> LOAD(into, inbox, ACQUIRE); STORE(inbox, 0, RELAXED)
	:: else ->
		atomic {
			SWAP(into, inbox, 0, W(10, ACQUIRE, RELAXED));
			if
			:: into & 1 -> USE(0)
			:: else
			fi;
			if
			:: into & 2 -> USE(1)
			:: else
			fi;
			if
			:: into & 4 -> USE(2)
			:: else
			fi
		}
	fi
}

/* epoll_wake */
inline wake()
{
	if
	:: MUTANT(8) ->
		LOAD(seen, rung, ACQUIRE);
		if
		:: seen == 0 -> event = true; SWAP(seen, rung, 1, ACQ_REL)
		:: else
		fi
	:: else ->
		SWAP(seen, rung, 1, ACQ_REL);
		if
		:: seen == 0 -> atomic { touch(); event = true }
		:: else
		fi
	fi
}

/* tz_loop_ring */
inline ring()
{
	if
	:: MUTANT(5) ->
		LOAD(seen, bell, ACQUIRE);
		if
		:: seen == ASLEEP -> SWAP(seen, bell, RUNG, ACQ_REL)
		:: else
		fi
	:: else -> atomic { touch(); SWAP(seen, bell, RUNG, W(1, ACQ_REL, ACQUIRE)) }
	fi;
	if
	:: seen == ASLEEP -> wake()
	:: else
	fi;
	seen = 0
}

/* tz_loop_post */
inline post(i)
{
	if
	:: !MUTANT(17) -> visit()
	:: else
	fi;
	if
	:: MUTANT(4) -> ring()
	:: else
	fi;
	push(i);
	if
	:: MUTANT(17) -> visit()
	:: else
	fi;
	if
	:: MUTANT(18) -> leave()
	:: else
	fi;
	if
	:: !MUTANT(4) -> ring()
	:: else
	fi;
	if
	:: !MUTANT(18) -> leave()
	:: else
	fi
}

/* epoll_poll: it waits for an event; or does not, or its time is up. */
inline poll(may_end)
{
	if
	:: MUTANT(6) -> SWAP(seen, rung, 0, ACQ_REL)
	:: else
	fi;
	if
	:: d_step { event -> event = false; seen = 1 }
	:: atomic { may_end -> seen = 0 }
	fi;
	if
	:: seen == 1 && !MUTANT(6) && !MUTANT(7) -> SWAP(seen, rung, 0, ACQ_REL)
	:: else
	fi;
	seen = 0
}

inline sleep_in_poll()
{
	if
	:: MUTANT(3) -> SWAP(seen, bell, ASLEEP, ACQ_REL); seen = AWAKE
	:: else -> CAS(seen, bell, AWAKE, ASLEEP, ACQ_REL, ACQUIRE)
	fi;
	if
	:: seen == AWAKE ->
		if
		:: !timed -> timed = true; poll(true)
		:: poll(false)
		fi
	:: else
	fi;
	SWAP(seen, bell, AWAKE, W(2, ACQUIRE, RELAXED));
	seen = 0
}

#ifdef WAKE
#define has_ended() over = handled == 7
#define look_at_closing() skip
#define may_sleep() sleeps = true
#define loop_done() skip
#else
#ifdef POSTER
#define OWN 1
#else
#define OWN 0
#endif

/* is_done: jobs that have ended here, and that others have ended; those of this thread, and from outside. */
inline is_done(into)
{
	LOAD(see, dropped, ACQUIRE);
	LOAD(seen, submitted, ACQUIRE);
	into = ended + see == OWN + seen;
	see = 0;
	seen = 0
}

inline has_ended()
{
	over = false;
	if
	:: MUTANT(13) -> LOAD(see, visitors, SEQ_CST)
	:: MUTANT(16) -> see = 0
	:: else -> see = 2
	fi;
	LOAD(seen, closing, SEQ_CST);
	if
	:: seen == 0
	:: else ->
		if
		:: see == 2 -> LOAD(see, visitors, SEQ_CST)
		:: else
		fi;
		if
		:: see == 0 -> is_done(over)
		:: else
		fi
	fi;
	see = 0;
	seen = 0
}

inline look_at_closing() { LOAD(closed, closing, ACQUIRE) }

/* Where it may not sleep it looks around again, as soon as something has changed. */
inline may_sleep()
{
	sleeps = true;
	if
	:: closed != 0 ->
		LOAD(seen, visitors, SEQ_CST);
		if
		:: seen != 0 -> sleeps = MUTANT(15)
		:: else -> is_done(sleeps); sleeps = !sleeps
		fi;
		seen = 0;
		if
		:: !sleeps -> (latest[visitors] == 0 || latest[inbox] != 0)
		:: else
		fi
	:: else
	fi
}

inline loop_done()
{
	atomic {
		if
		:: MUTANT(19)
		:: else -> AWAIT(seen, visitors, latest[visitors] == 0, ACQUIRE)
		fi;
		seen = 0;
		freed = true;
		USE(3);
		USE(4)
	}
}
#endif

proctype loop()
{
	short seen, see, taken, closed;
	bool over, sleeps, timed;
	byte ended;

	do
	:: has_ended();
		if
		:: over -> break
		:: else
		fi;
		/* turn */
		look_at_closing();
		LOAD(taken, inbox, RELAXED);
		if
		:: taken != 0 ->
			take(taken);
			d_step {
				assert((handled & taken) == 0);
				handled = handled | taken;
				ended = ended + (taken & 1) + (taken >> 1 & 1) + (taken >> 2 & 1)
			}
		:: else
		fi;
		if
		:: taken != 0 ->
			taken = 0;
			if
			:: event -> poll(true)
			:: skip
			fi
		:: else ->
			may_sleep();
			if
			:: sleeps -> sleep_in_poll()
			:: else
			fi
		fi;
		sleeps = false;
		closed = 0
	od;
#ifdef DROPS
	atomic { LOCK(0); UNLOCK(0); joined = true }
#else
	loop_done();
#endif
	atomic {
		EXIT();
		finished++
	}
}

#ifdef WAKE
proctype poster()
{
	short seen, see;

	if
	:: _pid == 2 -> post(0)
	:: else -> post(1); (handled == 3); post(2)
	fi;
	atomic {
		EXIT();
		finished++
	}
}
#else
proctype other()
{
	short seen, see;

#ifdef POSTER
	post(0);
#else
	atomic {
		if
		:: freed -> goto out /* it may not be used any more */
		:: else
		fi;
		if
		:: MUTANT(12) -> LOAD(see, closing, SEQ_CST)
		:: else -> visit()
		fi
	}
	if
	:: MUTANT(12) -> visit()
	:: else
	fi;
	if
	:: !MUTANT(12) -> LOAD(see, closing, SEQ_CST)
	:: else
	fi;
	if
	:: see != 0
	:: else ->
		accepted = true;
		ADD(seen, submitted, 1, RELEASE);
		push(0);
		ring()
	fi;
	leave();
out:
#endif
	atomic {
		EXIT();
		finished++
	}
}

proctype closer()
{
	short seen, see, taken;

	visit();
	if
	:: MUTANT(20) -> ring()
	:: else
	fi;
	CAS(seen, closing, 0, 1, SEQ_CST, RELAXED);
	if
	:: !MUTANT(20) -> ring()
	:: else
	fi;
	leave();
#ifdef DROPS
	visit();
	take(taken);
	if
	:: taken != 0 ->
		atomic { assert((handled & taken) == 0); handled = handled | taken };
		ADD(seen, dropped, 1, RELEASE)
	:: else
	fi;
	ring();
	leave();
	joined; /* pthread_join */
	LOCK(0);
	loop_done();
#endif
	atomic {
		EXIT();
		finished++
	}
}
#endif

init
{
	atomic {
		MEMORY_INIT();
		run loop();
#ifdef WAKE
		run poster();
		run poster()
#else
		run other();
		run closer()
#endif
	}
	finished == OTHERS + 1; /* else somebody waits for ever */
	assert(!accepted || handled == 1)
}
