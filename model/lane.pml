/* The lane between a parent and one worker process, which may be killed at any step: a ring of tasks, a ring of results, and `cur`, the task that the
 * worker runs. Each task has one outcome; none is run twice; one whose result was committed is done, whatever happens to the worker then; only the one
 * that it ran is blamed; and nobody sleeps for ever. This is the design of what is to be written; it stands for no source yet.
 *
 *  RUN killed: -DTASKS=2 -DKILLS=1
 *  RUN again: -DTASKS=2 -DKILLS=2
 *
 * The parent submits TASKS tasks, one by one, and waits for their outcomes. The worker takes a task, says so in cur, runs it, commits the result
 * (result_tail), gives the place in the task ring free (task_head), and then says in cur that it runs nothing: in this order. It is killed up to KILLS
 * times. The parent hears of that from the kernel, with everything that the worker has stored; it takes the results that are there, then blames cur if
 * that has none, and gives the other tasks, by its own record, to a new worker with an empty lane.
 * Who sleeps sets its parked bit, looks once more, and sleeps while the bit is set; who wakes clears it, and makes a system call if it was set.
 *
 *   task_tail, result_tail    of the lane, in memory that both share
 *   task_head, cur   too; the parent reads them only when the worker is dead, so these are plain
 *   parked, waits    the parked bits of the worker and of the parent
 *   lock 0, 1        hand on that the worker is dead, and that a new one begins
 *   plain data       the descriptors of the tasks, and their results
 *
 * Left out: rings that are full, and data outside of them.
 *
 *  WEAK 1: the worker's release of a result
 *  WEAK 2: the parent's acquire of a result
 *  WEAK 3: the parent's release of a task
 *  WEAK 4: the worker's acquire of a task
 *  WEAK 5: the parent's store of task_tail is seq_cst
 *  WEAK 6: the worker sets its parked bit with seq_cst
 *  WEAK 7: the worker does not look once more before it sleeps
 *  WEAK 8: the parent does not look once more before it sleeps
 *  WEAK 9: the worker's store of result_tail is seq_cst
 *  WEAK 10: who wakes leaves the bit to who sleeps
 *  WEAK 11: the worker says that it runs nothing before it commits the result
 *  WEAK 12: the worker runs a task before it says so
 *  WEAK 13: the parent blames before it takes the results that are there
 *  WEAK 14: the parent takes what lies behind task_head for not done
 *  WEAK 15: the parent does not hear of the worker's death while it sleeps
 *  WEAK 16: a new worker finds the lane as the last one left it
 */
#define task_tail 0
#define result_tail 1
#define parked 2
#define waits 3
#define N_ATOMICS 4
#define N_DATA (2 * TASKS)
#define N_MUTEXES 2
#define N_PROCESSES 3
#define N_MESSAGES 64
#define USERS { 4, 2, 2, 4 }
#define INITIAL { 0, 0, 0, 0 }
#include "weakmem.pml"

#define TASK(at) (at)
#define RESULT(at) (TASKS + (at))

#define NONE 0
#define FINISHED 1
#define CRASHED 2

byte task[TASKS], result[TASKS]; /* the rings: numbers of tasks, from 1 */
byte outcome[TASKS + 1];
bool began[TASKS + 1], named[TASKS + 1], committed[TASKS + 1];
byte kills;
byte cur, task_head; /* read when the worker is dead */
bool dead, renewed, over;
byte finished;

#define HERE if :: kills < KILLS -> kills++; goto killed :: true fi

/* Clears the bit, and wakes who sleeps. */
inline wake(word)
{
	if
	:: MUTANT(10) -> LOAD(seen, word, SEQ_CST)
	:: else ->
		LOAD(seen, word, SEQ_CST);
		if
		:: seen == 1 -> SWAP(seen, word, 0, SEQ_CST)
		:: else
		fi
	fi
}

proctype worker()
{
	short seen, head, tail, results;
	byte id;

begin:
	do
	:: over -> break
	:: else ->
		HERE;
		LOAD(tail, task_tail, W(4, ACQUIRE, RELAXED));
		if
		:: head == tail ->
			HERE;
			STORE(parked, 1, W(6, SEQ_CST, RELEASE));
			HERE;
			if
			:: MUTANT(7) -> tail = head
			:: else -> LOAD(tail, task_tail, SEQ_CST)
			fi;
			HERE;
			if
			:: head == tail -> FUTEX_WAIT_UNLESS(parked, 1, over || kills < KILLS);
				if
				:: latest[parked] == 1 && !over && kills < KILLS -> kills++; goto killed
				:: else
				fi;
				if
				:: MUTANT(10) -> STORE(parked, 0, RELAXED)
				:: else
				fi
			:: else -> STORE(parked, 0, RELAXED)
			fi
		:: else ->
			atomic { USE(TASK(head)); id = task[head] }
			HERE;
			if
			:: MUTANT(12) ->
				atomic { assert(!began[id]); began[id] = true }
				HERE
			:: else
			fi;
			atomic { cur = id; named[id] = true }
			HERE;
			if
			:: !MUTANT(12) -> atomic { assert(!began[id]); began[id] = true }
			:: else
			fi;
			HERE;
			atomic { USE(RESULT(results)); result[results] = id }
			HERE;
			if
			:: MUTANT(11) -> cur = 0; HERE
			:: else
			fi;
			results++;
			atomic {
				STORE(result_tail, results, (mutant == 1 -> RELAXED : W(9, SEQ_CST, RELEASE)));
				committed[id] = true
			}
			HERE;
			head++;
			task_head = head;
			HERE;
			cur = 0;
			HERE;
			wake(waits);
			HERE;
			if
			:: seen == 1 -> FUTEX_WAKE(waits)
			:: else
			fi;
			seen = 0;
			id = 0
		fi;
		tail = 0
	od;
	goto out;
killed:
	skip; /* what it had stored stays */
	d_step {
		seen = 0;
		head = 0;
		tail = 0;
		results = 0;
		id = 0
	}
	atomic { LOCK(0); dead = true; UNLOCK(0) }
	if
	:: atomic { renewed -> LOCK(1); renewed = false; UNLOCK(1) }
		goto begin
	:: over
	fi;
out:
	atomic {
		EXIT();
		finished++
	}
}

inline submit(number)
{
	atomic { USE(TASK(tail)); task[tail] = number }
	tail++;
	STORE(task_tail, tail, (mutant == 3 -> RELAXED : W(5, SEQ_CST, RELEASE)));
	wake(parked);
	if
	:: seen == 1 -> FUTEX_WAKE(parked)
	:: else
	fi;
	seen = 0
}

/* Takes the results that are there. */
inline collect()
{
	LOAD(seen, result_tail, W(2, ACQUIRE, RELAXED));
	do
	:: results < seen ->
		atomic {
			USE(RESULT(results));
			assert(outcome[result[results]] == NONE);
			outcome[result[results]] = FINISHED;
			open--;
			results++
		}
	:: else -> break
	od;
	seen = 0
}

inline blame()
{
	atomic {
		seen = cur;
		if
		:: seen != 0 && outcome[seen] == NONE ->
			assert(named[seen] && !committed[seen]);
			outcome[seen] = CRASHED;
			open--
		:: else
		fi;
		seen = 0
	}
}

/* The worker is dead. */
inline renew()
{
	atomic { LOCK(0); dead = false; UNLOCK(0) }
	if
	:: MUTANT(13) -> blame(); collect()
	:: else -> collect(); blame()
	fi;
	head = task_head;
	if
	:: MUTANT(14) ->
		number = 0;
		do
		:: head < tail && outcome[task[head]] == FINISHED -> outcome[task[head]] = NONE; open++; head++
		:: head < tail && outcome[task[head]] != FINISHED -> head++
		:: else -> break
		od
	:: else
	fi;
	head = 0;
	if
	:: !MUTANT(16) ->
		task_head = 0;
		cur = 0;
		STORE(result_tail, 0, RELAXED);
		STORE(parked, 0, RELAXED)
	:: else
	fi;
	STORE(task_tail, 0, RELAXED);
	tail = 0;
	results = 0;
	number = 1;
	do
	:: number <= submitted ->
		if
		:: outcome[number] == NONE -> submit(number)
		:: else
		fi;
		number++
	:: else -> break
	od;
	number = 0;
	atomic { LOCK(1); renewed = true; UNLOCK(1) }
}

proctype parent()
{
	short seen, head, tail, results;
	byte number, open = TASKS, submitted;

	do
	:: open == 0 -> break
	:: else ->
		if
		:: submitted < TASKS -> submitted++; submit(submitted)
		:: else
		fi;
		collect();
		if
		:: dead -> renew()
		:: else
		fi;
		if
		:: open > 0 && submitted == TASKS ->
			STORE(waits, 1, SEQ_CST);
			if
			:: MUTANT(8) -> seen = results
			:: else -> LOAD(seen, result_tail, SEQ_CST)
			fi;
			if
			:: seen == results && !dead -> FUTEX_WAIT_UNLESS(waits, 1, dead && !MUTANT(15))
			:: else
			fi;
			seen = 0;
			STORE(waits, 0, RELAXED)
		:: else
		fi
	od;
	over = true;
	atomic {
		EXIT();
		finished++
	}
}

init
{
	byte i;

	atomic {
		MEMORY_INIT();
		run parent();
		run worker()
	}
	finished == 2; /* else somebody waits for ever */
	i = 1;
	do
	:: i <= TASKS ->
		assert(outcome[i] == (committed[i] -> FINISHED : CRASHED));
		i++
	:: else -> break
	od
}
