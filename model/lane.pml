/* A lane between a parent and a worker process (arena/lane.c, arena/bell.h): each task is run once, its result is collected whole, what is taken back was not
 * begun, nobody sleeps over what is there for him; and when the worker is killed anywhere, what it had done is told from the lane's words.
 *
 *  RUN one: -DTASKS=3 -DRETRACT
 *  RUN split: -DTASKS=3 -DSPLIT
 *  RUN kill: -DTASKS=3 -DKILL
 *
 * The lane has two slots. The parent publishes tasks one at a time and collects their results, in `one` and `kill` in one thread, in `split` in two; in `one` it takes one
 * back at any time, once, and publishes it again. It ends the lane when it has published all. In `kill` the worker is killed between any two steps, or not at all; the
 * parent hears of it when it is dead.
 *
 *   work        {published, claimed}
 *   done, collected, ended    as in the lane
 *   bell        the worker's; chime: the parent's
 *
 * Left out: spinning, payloads in segments, and the time after which the parent looks again. A kill in the middle of a system call is one before or after it.
 *
 * Memory is sequentially consistent: why the orders in the code are enough is said in arena/lane.h and bell.h.
 *
 *  WEAK 1 (one): retract by a store
 *  WEAK 2: who rings clears the bell when it has woken the sleeper
 *  WEAK 3: a worker that sees the end does not look for work again
 *  WEAK 4 (kill): reply: the counter first, then the slot
 *  WEAK 5 (kill): claim after a look into the slot that begins the task
 *  WEAK 6: publish rings first
 *  WEAK 7: reply rings first
 *  WEAK 8: the worker sleeps without looking again when it has lain down
 *  WEAK 9: the parent does
 */
c_decl { \#include <stdlib.h> };
hidden byte mutant;
#define MUTANT(n) (mutant == n)
short work;
byte done, collected, ended, bell, chime;
bool asleep_worker, asleep_parent;

#define PUBLISHED(w) ((w) / 8)
#define CLAIMED(w) ((w) % 8)
#define SLOTS 2

byte task[SLOTS], result[SLOTS]; /* in the slots */
byte mine[SLOTS]; /* the parent's record */
byte next_task; /* to publish */
byte back; /* taken back, to publish again; 0: none */
byte put;
byte ran[TASKS + 1], answered[TASKS + 1];
bool retracted, dead;
byte finished;

#ifdef KILL
#define MAY_DIE if :: !dead -> goto killed :: true fi
#else
#define MAY_DIE skip
#endif

inline wait_on(b, sleeper, over)
{
	atomic {
		if
		:: b -> sleeper = true; (!sleeper || over); sleeper = false
		:: else
		fi
	}
}

inline ring(b, sleeper)
{
	see = b;
	if
	:: see && MUTANT(2) -> sleeper = false; b = 0
	:: see && !MUTANT(2) ->
		d_step { see = b; b = 0 };
		if
		:: see -> sleeper = false
		:: else
		fi
	:: else
	fi;
	see = 0
}

inline publish_one()
{
	atomic {
		if
		:: back -> mine[put % SLOTS] = back; back = 0
		:: else -> next_task++; mine[put % SLOTS] = next_task
		fi;
		task[put % SLOTS] = mine[put % SLOTS];
		put++
	}
	if
	:: MUTANT(6) -> ring(bell, asleep_worker); work = work + 8
	:: else -> work = work + 8; ring(bell, asleep_worker)
	fi
}

inline end_lane()
{
	ended = 1;
	ring(bell, asleep_worker)
}

#define ALL_PUBLISHED (next_task == TASKS && !back)

inline collect_one(n)
{
	atomic {
		assert(result[n % SLOTS] == mine[n % SLOTS]);
		answered[mine[n % SLOTS]]++;
		n++
	}
	collected = n
}

/* Waits for a result, or the worker's death. */
inline sleep_for_result(n)
{
	chime = 1;
	see = done;
	if
	:: see == n && !dead || MUTANT(9) -> wait_on(chime, asleep_parent, dead)
	:: else
	fi;
	chime = 0;
	see = 0
}

/* The parent's, in one thread. */
proctype parent()
{
	short see, seen;
	byte n;
	bool told;

	do
	:: n == TASKS || dead -> break
	:: !dead && put - n < SLOTS && !ALL_PUBLISHED -> publish_one()
#ifdef RETRACT
	:: !retracted && put > n ->
		retracted = true;
		see = work;
		do
		:: PUBLISHED(see) == CLAIMED(see) -> break
		:: else ->
			if
			:: MUTANT(1) -> work = see - 8; seen = see
			:: else -> d_step { seen = work; if :: work == see -> work = see - 8 :: else fi }
			fi;
			if
			:: seen == see -> put--; back = mine[put % SLOTS]; break
			:: else -> see = seen
			fi
		od;
		see = 0;
		seen = 0
#endif
	:: ALL_PUBLISHED && !told ->
#ifdef RETRACT
		retracted = true; /* there is no more to be taken back */
#endif
		told = true;
		end_lane()
	:: put > n ->
		see = done;
		if
		:: see != n -> see = 0; collect_one(n)
		:: else -> see = 0; sleep_for_result(n)
		fi
	od;
#ifdef KILL
	if
	:: dead ->
		see = done;
		do
		:: n < see -> seen = see; collect_one(n); see = seen
		:: else -> break
		od;
		see = work;
		assert(PUBLISHED(see) == put && CLAIMED(see) - n <= 1);
		seen = CLAIMED(see); /* task n is blamed if it was claimed; those after it were not begun */
		do
		:: seen < put -> assert(ran[mine[seen % SLOTS]] == 0); seen++
		:: else -> break
		od
	:: else
	fi;
#endif
	if
	:: !dead && !told -> end_lane()
	:: else
	fi;
	finished++
}

proctype putter()
{
	short see;

	do
	:: ALL_PUBLISHED -> break
	:: else ->
		d_step { (put - collected < SLOTS); see = collected };
		publish_one()
	od;
	end_lane();
	finished++
}

proctype collector()
{
	short see;
	byte n;

	do
	:: n == TASKS -> break
	:: else ->
		see = done;
		if
		:: see != n -> see = 0; collect_one(n)
		:: else -> see = 0; sleep_for_result(n)
		fi
	od;
	finished++
}

proctype worker()
{
	short see, seen, over;
	byte n;

	do
	:: see = work;
		MAY_DIE;
		if
		:: PUBLISHED(see) != CLAIMED(see) ->
			if
			:: MUTANT(5) ->
				atomic { ran[task[n % SLOTS]]++ }
				MAY_DIE;
				d_step { seen = work; if :: work == see -> work = see + 1 :: else fi }
			:: else -> d_step { seen = work; if :: work == see -> work = see + 1 :: else fi }
			fi;
			MAY_DIE;
			if
			:: seen == see ->
				atomic {
					if
					:: !MUTANT(5) -> ran[task[n % SLOTS]]++
					:: else
					fi;
					assert(ran[task[n % SLOTS]] == 1);
					see = 0;
					seen = 0
				}
				MAY_DIE;
				if
				:: MUTANT(4) -> done = n + 1
				:: else
				fi;
				MAY_DIE;
				atomic { result[n % SLOTS] = task[n % SLOTS] }
				MAY_DIE;
				n++;
				if
				:: MUTANT(7) -> ring(chime, asleep_parent)
				:: else
				fi;
				if
				:: MUTANT(4)
				:: else -> done = n
				fi;
				MAY_DIE;
				if
				:: !MUTANT(7) -> ring(chime, asleep_parent)
				:: else
				fi;
				MAY_DIE
			:: else
			fi
		:: else ->
			bell = 1;
			MAY_DIE;
			see = work;
			over = ended;
			if
			:: PUBLISHED(see) == CLAIMED(see) && !over || MUTANT(8) ->
				wait_on(bell, asleep_worker, false)
			:: else
			fi;
			MAY_DIE;
			bell = 0;
			over = ended;
			if
			:: over && !MUTANT(3) ->
				see = work;
				over = PUBLISHED(see) == CLAIMED(see)
			:: else
			fi;
			if
			:: over -> break
			:: else
			fi
		fi;
		see = 0;
		seen = 0
	od;
	goto gone;
killed:
	dead = true;
gone:
	atomic {
		asleep_worker = false;
		finished++
	}
}

init
{
	atomic {
		c_code { mutant = getenv("WEAK") ? atoi(getenv("WEAK")) : 0; };
#ifdef SPLIT
		run putter();
		run worker();
		run collector()
#else
		run parent();
		run worker()
#endif
	}
#ifdef SPLIT
	finished == 3;
#else
	finished == 2;
#endif
#ifdef KILL
	skip
#else
	byte i = 1;
	do
	:: i <= TASKS -> assert(ran[i] == 1 && answered[i] == 1); i++
	:: else -> break
	od
#endif
}
