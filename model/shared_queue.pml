/* A queue between processes (shared/queue.c, shared/call.h): what is put is taken out once, whole, and nobody sleeps over what is there for him; also when a process is
 * killed between any two steps, but for the message that it had taken out.
 *
 *  RUN all: -DPUTTERS=2 -DGETTERS=2 -DPUTS=1 -DGETS=1 -DSLOTS=1
 *  RUN turns: -DPUTTERS=1 -DGETTERS=1 -DPUTS=3 -DGETS=3 -DSLOTS=1 -DPASS
 *  RUN more: -DPUTTERS=1 -DGETTERS=2 -DPUTS=2 -DGETS=1 -DSLOTS=2 -DPASS
 *  RUN batch: -DPUTTERS=1 -DGETTERS=2 -DPUTS=2 -DGETS=1 -DSLOTS=2 -DBATCH=2 -DPASS
 *  RUN kill: -DPUTTERS=2 -DGETTERS=1 -DPUTS=1 -DGETS=2 -DSLOTS=1 -DKILL
 *  RUN kill_more: -DPUTTERS=1 -DGETTERS=2 -DPUTS=2 -DGETS=1 -DSLOTS=1 -DKILL -DPASS
 *
 * Putters put so many messages each, in `batch` all at once, getters get so many, one by one; who has too few to get, or too little room, sleeps at the end. A slot is written in two steps and
 * read in two. With PASS, who was woken and leaves something behind wakes the next one; only batches need that.
 * In `kill` one process is killed, anywhere. Time passes only when nobody can do anything: then those who sleep look again, once, if somebody has died; if nobody has, nobody
 * may sleep who could go on.
 *
 *   putting, getting    the locks: their owner, plus 1; of a dead one they can be had
 *   arrived, room       the words of calls: the count, and their two bits
 *
 * Left out: batches to get, the guess how many it takes to get one, spinning, leases, the heap, the end, and the kernel's answer that nobody was asleep.
 *
 * Memory is sequentially consistent: why the orders in the code are enough is said in shared/call.h.
 *
 *  WEAK 1 (kill): the tail moves before the message is written
 *  WEAK 2 (turns): the head moves before the message is read
 *  WEAK 3 (turns): who puts calls first
 *  WEAK 4 (turns): who gets calls first
 *  WEAK 5 (turns): who has set the bit sleeps without looking again
 *  WEAK 6 (more): a call does not count
 *  WEAK 7: who has woken one takes the bit away
 *  WEAK 8 (kill): the lock of a dead process cannot be had
 *  WEAK 9 (kill): nobody looks again when time has passed
 *  WEAK 10: who has woken nobody takes the bit away, whoever has come to listen meanwhile
 *  WEAK 11 (batch): who was woken and leaves a message behind wakes nobody
 */
c_decl { \#include <stdlib.h> };
hidden byte mutant;
#define MUTANT(n) (mutant == n)
#define ALL (PUTTERS + GETTERS)
#define MESSAGES (PUTTERS * PUTS)
#define NONE 9
#ifndef BATCH
#define BATCH 1
#endif

byte head, tail, slot[SLOTS], arrived, room, putting, getting;
bool dead[4];
byte asleep[4]; /* 0, or the word that it sleeps on: 1 arrived, 2 room */
byte deaths, told, lost, taken, finished;
bool got[MESSAGES + 1], is_put[MESSAGES + 1];

#ifdef KILL
#define DIE atomic { deaths == 0 -> deaths = 1; dead[me] = true; asleep[me] = 0; goto killed }
#define MAY_DIE if :: DIE :: true fi
#else
#define MAY_DIE skip
#endif

inline acquire(lock)
{
	MAY_DIE;
	atomic { (lock == 0 || (lock != me + 1 && dead[lock - 1] && !MUTANT(8))) -> lock = me + 1 }
}

inline release(lock)
{
	MAY_DIE;
	lock = 0
}

/* Wakes one who sleeps on the word, if there is one. */
inline wake(which)
{
	atomic {
		woken = 0;
		if
		:: asleep[0] == which -> asleep[0] = 0; woken = 1
		:: asleep[1] == which -> asleep[1] = 0; woken = 1
		:: asleep[2] == which -> asleep[2] = 0; woken = 1
		:: asleep[3] == which -> asleep[3] = 0; woken = 1
		:: else
		fi
	}
}

/* Bits of a word: 1 somebody listens, 2 somebody does since the last call; then the count. */
inline call(word, which)
{
	MAY_DIE;
	seen = word;
	do
	:: seen % 2 == 0 -> break
	:: else ->
		MAY_DIE;
		atomic {
			if
			:: word == seen && MUTANT(6) -> word = seen - seen % 4 + 1; mine = word
			:: word == seen && !MUTANT(6) -> word = (seen - seen % 4 + 5) % 128; mine = word
			:: else -> seen = word; mine = 0
			fi
		};
		if
		:: mine ->
			MAY_DIE;
			wake(which);
			if
			:: !woken || MUTANT(7) ->
				MAY_DIE;
				atomic {
					if
					:: word == mine || MUTANT(10) -> word = word - word % 2
					:: else
					fi
				}
			:: else
			fi;
			break
		:: else
		fi
	od;
	seen = 0;
	mine = 0;
	woken = 0
}

inline listen(word)
{
	MAY_DIE;
	atomic { word = word | 3; seen = word }
}

/* The kernel compares the word before it puts the process to sleep. */
inline nap(word, which)
{
	MAY_DIE;
	atomic {
		if
		:: word == seen -> asleep[me] = which
		:: else
		fi
	};
end_nap:
	do
	:: atomic { asleep[me] == 0 -> break }
#ifdef KILL
	:: DIE
#endif
	od;
	seen = 0
}

inline slept_once()
{
#ifdef PASS
	napped = true
#else
	skip
#endif
}

inline write_slot(k)
{
	MAY_DIE;
	slot[(at + k) % SLOTS] = NONE; /* half of it */
	MAY_DIE;
	slot[(at + k) % SLOTS] = message + k
}

inline write_slots()
{
	write_slot(0);
#if BATCH == 2
	write_slot(1)
#endif
}

inline move_tail()
{
	MAY_DIE;
	atomic {
		tail = at + BATCH;
		is_put[message] = true;
		is_put[message + BATCH - 1] = true
	}
}

/* One attempt; `done` says whether it went in. */
inline put()
{
	acquire(putting);
	at = tail;
	if
	:: at + BATCH - head <= SLOTS ->
		if
		:: MUTANT(1) -> move_tail(); write_slots()
		:: else -> write_slots(); if :: MUTANT(3) -> call(arrived, 1) :: else fi; move_tail()
		fi;
		done = true
	:: else
	fi;
	release(putting)
}

inline read_slot()
{
	MAY_DIE;
	message = slot[at % SLOTS];
	MAY_DIE;
	assert(message != NONE && message == slot[at % SLOTS])
}

inline move_head()
{
	MAY_DIE;
	atomic { head = at + 1; holds = true }
}

inline get()
{
	acquire(getting);
	at = head;
	if
	:: at != tail ->
		if
		:: MUTANT(2) -> move_head(); read_slot()
		:: else -> read_slot(); if :: MUTANT(4) -> call(room, 2) :: else fi; move_head()
		fi;
		done = true
	:: else
	fi;
	release(getting)
}

proctype putter(byte me)
{
	byte i, at, message, seen, mine;
	bool done, woken, napped;

	do
	:: i < PUTS ->
		message = 1 + me * PUTS + i;
		done = false;
		napped = false;
		do
		:: done -> break
		:: else ->
			put();
			if
			:: !done ->
				napped = false;
				listen(room);
				if
				:: !MUTANT(5) -> put()
				:: else
				fi;
				if
				:: !done -> nap(room, 2); slept_once()
				:: else
				fi
			:: else
			fi
		od;
		if :: !MUTANT(3) -> call(arrived, 1) :: else fi;
#ifdef PASS
		if
		:: napped && tail - head < SLOTS -> call(room, 2)
		:: else
		fi;
		napped = false;
#endif
		i = i + BATCH
	:: else -> break
	od;
	goto over;
killed:
	skip;
over:
	finished++
}

proctype getter(byte me)
{
	byte i, at, message, seen, mine;
	bool done, woken, holds, napped;

	do
	:: i < GETS ->
		done = false;
		napped = false;
		do
		:: done -> break
		:: else ->
			get();
			if
			:: !done ->
				napped = false;
				listen(arrived);
				if
				:: !MUTANT(5) -> get()
				:: else
				fi;
				if
				:: !done -> nap(arrived, 1); slept_once()
				:: else
				fi
			:: else
			fi
		od;
		if :: !MUTANT(4) -> call(room, 2) :: else fi;
#ifdef PASS
		if
		:: napped && head != tail && !MUTANT(11) -> call(arrived, 1)
		:: else
		fi;
		napped = false;
#endif
		atomic {
			assert(is_put[message] && !got[message]);
			got[message] = true;
			holds = false;
			taken++
		};
		i++
	:: else -> break
	od;
	goto over;
killed:
	atomic { lost = lost + holds; holds = false };
over:
	finished++
}

inline look_at(i)
{
	assert(asleep[i] != 1 || head == tail);
	assert(asleep[i] != 2 || tail + BATCH - head > SLOTS);
	sleepers = sleepers + (asleep[i] != 0)
}

init
{
	byte i, sleepers;

	atomic {
		c_code { mutant = getenv("WEAK") ? atoi(getenv("WEAK")) : 0; };
		do
		:: i < PUTTERS -> run putter(i); i++
		:: i >= PUTTERS && i < ALL -> run getter(i); i++
		:: else -> break
		od;
		i = 0
	}
	do
	:: timeout ->
		if
		:: deaths > told && !MUTANT(9) -> d_step { told = deaths; asleep[0] = 0; asleep[1] = 0; asleep[2] = 0; asleep[3] = 0 }
		:: else -> break
		fi
	od;
	atomic {
		look_at(0);
		look_at(1);
		look_at(2);
		look_at(3);
		assert(finished + sleepers == ALL);
		assert(tail == taken + lost + (tail - head));
		i = 1;
		do
		:: i <= MESSAGES -> assert(!got[i] || is_put[i]); i++
		:: else -> break
		od
	}
}
