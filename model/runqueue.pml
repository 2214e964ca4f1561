/* A worker's run queue (sched/runqueue.h): one owner, two thieves, a ring of two.
 *
 *  RUN owner: -DOPS=3 -DTHEFTS=1
 *  RUN batch: -DOPS=2 -DTHEFTS=2
 *
 * The owner does OPS things, in any order: push, push two at once, take, unpush what it pushed last. Each thief takes THEFTS times (to steal a batch
 * is to take several times). Claimed: no job is taken twice, none is lost, and who takes a job sees what was written before it was pushed.
 * Positions count modulo 4 here, so that they come round; the tag does not come round, as in the code it does only after 2^32 changes by the owner
 * between two steps of a thief.
 *
 *   word      {head, tail, tag}
 *   entry(i)  the jobs
 *   plain data: what belongs to each job
 *
 * Not shown: that the compare-and-swap of take is a release. It keeps a thief's look at the entry from being done after it, which the memory
 * here never does (weakmem.h, load buffering).
 *
 * Mutants:
 *  WEAK 1: push: the release of the compare-and-swap
 *  WEAK 2: take: the acquire of the load, and of a compare-and-swap that fails
 *  WEAK 3: the owner's changes leave the tag as it is
 *  WEAK 4: take: the entry is read after the compare-and-swap
 *  WEAK 5: push does not look whether the queue is full
 *  WEAK 6: push: a plain store of the word
 *  WEAK 7: unpush: a plain store of the word
 *  WEAK 8: push stores the entry after the word
 *  WEAK 9: push_all: as 8, for the second of two
 *  WEAK 10: unpush does not look whether the entry is still its own
 */
#define word 0
#define entry(i) (1 + (i) % 2)
#define N_ATOMICS 3
#define N_DATA (2 * OPS)
#define N_MUTEXES 0
#define N_PROCESSES 4
#define N_MESSAGES 40
#define USERS { 14, 14, 14 }
#define INITIAL { 0, 0, 0 }
#include "weakmem.pml"

#define HEAD(w) ((w) & 3)
#define TAIL(w) ((w) >> 2 & 3)
#define TAG(w) ((w) >> 4)
#define WORD(head, tail, tag) (((head) & 3) + ((tail) & 3) * 4 + (tag) * 16)
#define LENGTH(w) ((TAIL(w) + 4 - HEAD(w)) & 3)
#define NEXT_TAG(w) (TAG(w) + (MUTANT(3) -> 0 : 1))

byte taken[2 * OPS + 1]; /* jobs count from 1 */
byte pushed, finished;

inline have(j)
{
	atomic {
		assert(j > 0 && taken[j] == 0);
		taken[j] = 1;
		USE(j - 1)
	}
}

inline take()
{
	LOAD(w, word, W(2, ACQUIRE, RELAXED));
	do
	:: LENGTH(w) == 0 -> break
	:: else ->
		if
		:: !MUTANT(4) -> LOAD(job, entry(HEAD(w)), RELAXED)
		:: else
		fi;
		wanted = WORD(HEAD(w) + 1, TAIL(w), TAG(w));
		CAS(seen, word, w, wanted, ACQUIRE, W(2, ACQUIRE, RELAXED));
		if
		:: seen == w ->
			if
			:: MUTANT(4) -> LOAD(job, entry(HEAD(w)), RELAXED)
			:: else
			fi;
			have(job);
			break
		:: else -> w = seen
		fi
	od;
	skip; /* a break may not lead into a d_step */
	d_step {
		job = 0;
		w = 0;
		seen = 0;
		wanted = 0
	}
}

inline new_job()
{
	atomic {
		pushed++;
		USE(pushed - 1)
	}
}

/* Swaps wanted into the word: `done`, or w is what is there. */
inline change(order, mutant_n)
{
	if
	:: MUTANT(mutant_n) -> STORE(word, wanted, order); seen = w
	:: else -> CAS(seen, word, w, wanted, order, RELAXED)
	fi;
	done = seen == w;
	w = seen
}

/* n: 1 or 2 */
inline push(n)
{
	LOAD(w, word, RELAXED);
	do
	:: LENGTH(w) + n > 2 && !MUTANT(5) || LENGTH(w) + n > 3 -> break
	:: else ->
		if
		:: job == 0 ->
			new_job();
			job = pushed;
			if
			:: n == 2 -> new_job()
			:: else
			fi
		:: else
		fi;
		if
		:: !MUTANT(8) -> STORE(entry(TAIL(w)), job, RELAXED)
		:: else
		fi;
		if
		:: n == 2 && !MUTANT(9) -> STORE(entry(TAIL(w) + 1), job + 1, RELAXED)
		:: else
		fi;
		wanted = WORD(HEAD(w), TAIL(w) + n, NEXT_TAG(w));
		change(W(1, RELEASE, RELAXED), 6);
		if
		:: done ->
			if
			:: MUTANT(8) -> STORE(entry(TAIL(w)), job, RELAXED)
			:: else
			fi;
			if
			:: n == 2 && MUTANT(9) -> STORE(entry(TAIL(w) + 1), job + 1, RELAXED)
			:: else
			fi;
			newest = job + n - 1;
			break
		:: else
		fi
	od;
	skip; /* a break may not lead into a d_step */
	d_step {
		job = 0;
		w = 0;
		seen = 0;
		wanted = 0;
		done = false
	}
}

inline unpush()
{
	LOAD(w, word, RELAXED);
	do
	:: LENGTH(w) == 0 -> break
	:: else ->
		LOAD(job, entry(TAIL(w) + 3), RELAXED);
		if
		:: job != newest && !MUTANT(10) -> break
		:: else
		fi;
		wanted = WORD(HEAD(w), TAIL(w) + 3, NEXT_TAG(w));
		change(ACQUIRE, 7);
		if
		:: done -> have(newest); break
		:: else
		fi
	od;
	skip; /* a break may not lead into a d_step */
	d_step {
		job = 0;
		w = 0;
		seen = 0;
		wanted = 0;
		done = false
	}
}

proctype owner()
{
	byte job, newest, op;
	short w, seen, wanted;
	bool done;

	do
	:: op < OPS ->
		op++;
		if
		:: push(1)
		:: push(2)
		:: take()
		:: newest != 0 -> unpush()
		fi
	:: else -> break
	od;
	atomic {
		EXIT();
		finished++
	}
}

proctype thief()
{
	byte job, n;
	short w, seen, wanted;

	do
	:: n < THEFTS -> n++; take()
	:: else -> break
	od;
	atomic {
		EXIT();
		finished++
	}
}

init
{
	byte i, missing;

	atomic {
		MEMORY_INIT();
		run owner();
		run thief();
		run thief()
	}
	finished == 3;
	do
	:: i < pushed -> i++; missing = missing + 1 - taken[i]
	:: else -> break
	od;
	assert(missing == LENGTH(latest[word])) /* else one is lost */
}
