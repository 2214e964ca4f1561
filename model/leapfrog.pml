/* Leapfrogging (sched/forks.c): who waits for a stolen slot steals back from its thief, and only what that one has forked for it.
 *
 *  RUN all:
 *
 * A joiner waits for slot S, which the thief runs. The thief had a fork of its own before, F, in slot 0 of its stack; so it noted 1 as the position at
 * which it began on S. For S it forks D, into slot 1; when it has given S back, it forks G into the same slot. All are published. A third worker
 * steals whatever it finds. Claimed: the joiner runs nothing but D; D, F and G run once each, and what is in a slot is not touched by two at a time.
 *
 *   word        {tail, split, tag} of the thief's stack
 *   done(i)     of slots 0 and 1 of the thief's stack
 *   given_back  of S
 *   plain data: what is in slots 0 and 1
 *
 *  WEAK 1: the owner's changes leave the tag as it is
 *  WEAK 2: steal_back takes what lies below the position, too
 *  WEAK 3: steal_back does not look whether S is done
 *  WEAK 4: steal_back looks whether S is done before it looks at the word
 *  WEAK 5: steal: the acquire of the load of the word
 *  WEAK 6: publish: the release of the compare-and-swap
 *  WEAK 7: the release of the store that gives S back
 *  WEAK 8: hand_back: the release of the store of done
 */
#define word 0
#define done(i) (1 + (i))
#define given_back 3
#define N_ATOMICS 4
#define N_DATA 3
#define N_MUTEXES 0
#define N_PROCESSES 4
#define N_MESSAGES 32
#define USERS { 14, 14, 14, 14 }
#define INITIAL { 4, 0, 0, 0 }
#include "weakmem.pml"

#define TAIL(w) ((w) & 3)
#define SPLIT(w) ((w) >> 2 & 3)
#define WORD(tail, split, old) ((tail) + (split) * 4 + ((old) / 16 + !MUTANT(1)) * 16)

#define NONE 0
#define F 1
#define D 2
#define G 3

byte slot[2] = NONE;
byte ran[4];
byte finished;

inline call(i)
{
	atomic {
		USE(i);
		assert(slot[i] != NONE);
		ran[slot[i]]++;
		assert(ran[slot[i]] == 1)
	}
}

/* tz_fork_steal and tz_fork_run_stolen. helping: for S. */
inline steal(helping)
{
	if
	:: helping && MUTANT(4) -> LOAD(seen, given_back, ACQUIRE); late = seen == 1
	:: else
	fi;
	LOAD(w, word, W(5, ACQUIRE, RELAXED));
	if
	:: TAIL(w) < SPLIT(w) && (!helping || TAIL(w) >= 1 || MUTANT(2)) ->
		if
		:: helping && !MUTANT(3) && !MUTANT(4) -> LOAD(seen, given_back, ACQUIRE); late = seen == 1
		:: else
		fi;
		if
		:: !late ->
			CAS(seen, word, w, w + 1, ACQ_REL, RELAXED);
			if
			:: seen == w ->
				assert(!helping || slot[TAIL(w)] == D);
				call(TAIL(w));
				STORE(done(TAIL(w)), 1, W(8, RELEASE, RELAXED))
			:: else
			fi
		:: else
		fi
	:: else
	fi;
	skip;
	d_step {
		late = false;
		w = 0;
		seen = 0
	}
}

proctype joiner()
{
	short w, seen;
	bool late;
	byte n;

	do
	:: n < 2 -> n++; steal(true)
	:: AWAIT(w, given_back, latest[given_back] == 1, ACQUIRE); break
	od;
	USE(2);
	atomic {
		EXIT();
		finished++
	}
}

/* Puts a job into slot 1, and publishes it. */
inline fork(job)
{
	atomic {
		USE(1);
		slot[1] = job
	}
	STORE(done(1), 0, RELAXED);
	LOAD(w, word, RELAXED);
	do
	:: wanted = WORD(TAIL(w), 2, w);
		CAS(seen, word, w, wanted, W(6, RELEASE, RELAXED), RELAXED);
		if
		:: seen == w -> break
		:: else -> w = seen
		fi
	od
}

/* Joins the youngest slot, i. */
inline join(i)
{
	LOAD(w, word, RELAXED);
	do
	:: TAIL(w) > i ->
		AWAIT(w, done(i), latest[done(i)] == 1, ACQUIRE);
		USE(i);
		LOAD(w, word, RELAXED);
		wanted = WORD(i, i, w);
		STORE(word, wanted, RELEASE);
		break
	:: else ->
		wanted = WORD(TAIL(w), (TAIL(w) + i + 1) / 2, w);
		CAS(seen, word, w, wanted, ACQ_REL, RELAXED);
		if
		:: seen == w -> call(i); break
		:: else -> w = seen
		fi
	od;
	skip;
	d_step {
		w = 0;
		seen = 0;
		wanted = 0
	}
}

proctype thief()
{
	short w, seen, wanted;

	USE(2); /* S */
	fork(D);
	join(1);
	STORE(given_back, 1, W(7, RELEASE, RELAXED));
	fork(G);
	join(1);
	join(0);
	atomic {
		EXIT();
		finished++
	}
}

proctype third()
{
	short w, seen;
	bool late;
	byte n;

	do
	:: n < 2 -> n++; steal(false)
	:: else -> break
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
		slot[0] = F;
		run joiner();
		run thief();
		run third()
	}
	finished == 3; /* else somebody waits for ever */
	assert(ran[F] == 1 && ran[D] == 1 && ran[G] == 1)
}
