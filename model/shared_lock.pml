/* The lock for several processes (src/shared/lock.c), any of which may be killed before and after each step.
 *
 *  RUN alive: -DKILLS=0 -DROUNDS=2
 *  RUN one: -DKILLS=1 -DROUNDS=1
 *  RUN two: -DKILLS=2 -DROUNDS=1
 *
 * Three processes acquire the lock, change what it protects, and release it, some times each. Claimed: never are two of them inside; who finds what the dead have left half
 * done has been told so, until somebody says that it is whole again, and after a release without that nobody comes in; and nobody waits for ever. As long as
 * nobody was killed, that is by wake-ups alone; then also by the end of a slice (nap.c). Slices end in the model only where that matters: when the holder has ended, or
 * nobody holds the lock; and so many times only in one wait that the holders in turn were killed.
 *
 *   word      FREE; or the holder, with PARKED and DIED; or LOST
 *   asleep    in the kernel's queue
 *   inside    how many are between acquire and release
 *   halfway   what the lock protects is half done, by somebody who was killed
 *
 * What comes of that: a wake-up that is missing after somebody was killed is no fault here, since it is late only.
 *
 * Left out: spinning, and waits that end early: who gives up looks once more first, as after a slice. A name is used by one process only. Memory is sequentially
 * consistent; there is one word, taken with acquire and given with release.
 *
 *  WEAK 1: a release wakes nobody
 *  WEAK 2: who has slept takes the lock without PARKED
 *  WEAK 3 (one): who inherits does not compare the word
 *  WEAK 4: sleeping does not compare the word
 *  WEAK 5 (one): who inherits does not say so
 *  WEAK 6: the release does not compare the word
 *  WEAK 7 (one): nobody looks at the end of a slice
 *  WEAK 8 (one): a release without recovery makes the lock free
 *  WEAK 9 (two): who was killed in a repair is forgotten
 */
#define N 3
#define FREE 0
#define HOLDER 7
#define PARKED 8
#define DIED 16
#define LOST 16
#define MUTANT(n) (mutant == n)

hidden byte mutant;
byte word, inside, killed;
bool asleep[N + 1], ended[N + 1];
bool halfway;

inline may_die()
{
	if
	:: killed < KILLS -> goto dead
	:: true
	fi
}

#define MATTERS (ended[word & HOLDER] || word == FREE || word == LOST)

/* FUTEX_WAIT, until a wake-up or the end of a slice. */
inline nap()
{
	look = false;
	d_step {
		if
		:: word == w || MUTANT(4) -> asleep[me] = true
		:: else
		fi
	};
	may_die();
	if
	:: d_step { !asleep[me] }
	:: d_step { asleep[me] && killed > 0 && MATTERS -> asleep[me] = false; look = !MUTANT(7); slices++; assert(slices <= KILLS + 2) }
	:: d_step { asleep[me] && killed < KILLS -> asleep[me] = false }; goto dead
	fi
}

inline acquire()
{
	got = false;
	parked = false;
	look = false;
	slices = 0;
	do
	:: got || lost -> break
	:: else ->
		w = word;
		may_die();
		if
		:: w == LOST -> lost = true
		:: w == FREE ->
			d_step {
				if
				:: word == FREE -> word = me | (parked && !MUTANT(2) -> PARKED : 0); got = true; told = false
				:: else
				fi
			}
		:: else ->
			gone = look && ended[w & HOLDER];
			may_die();
			if
			:: gone ->
				d_step {
					if
					:: word == w || MUTANT(3) ->
						told = !(MUTANT(9) && (w & DIED));
						word = me | (MUTANT(5) || !told -> 0 : DIED) | PARKED;
						told = told && !MUTANT(5);
						got = true
					:: else
					fi
				}
			:: else ->
				d_step {
					if
					:: word == w -> word = word | PARKED; w = word
					:: else -> w = FREE
					fi
				};
				may_die();
				if
				:: w != FREE -> nap(); parked = true
				:: else
				fi
			fi
		fi;
		may_die()
	od
}

inline wake(all)
{
	d_step {
		i = 1;
		do
		:: i <= N && asleep[i] && all -> asleep[i] = false; i++
		:: i <= N && !(asleep[i] && all) -> i++
		:: i > N -> break
		od;
		i = 0
	};
	if
	:: d_step { !all && asleep[1] -> asleep[1] = false }
	:: d_step { !all && asleep[2] -> asleep[2] = false }
	:: d_step { !all && asleep[3] -> asleep[3] = false }
	:: d_step { all || !(asleep[1] || asleep[2] || asleep[3]) }
	fi
}

inline release()
{
	w = word;
	may_die();
	if
	:: w & DIED ->
		word = (MUTANT(8) -> FREE : LOST);
		may_die();
		wake(true)
	:: else ->
		d_step {
			if
			:: MUTANT(6) -> word = FREE
			:: else -> w = word; word = FREE
			fi
		};
		may_die();
		if
		:: (w & PARKED) && !MUTANT(1) -> wake(false)
		:: else
		fi
	fi;
	may_die()
}

proctype process(byte me)
{
	byte w, i, slices, rounds;
	bool got, lost, told, look, parked, gone, in;

	do
	:: rounds < ROUNDS && !lost ->
		acquire();
		if
		:: got ->
			d_step { in = true; inside++; assert(inside == 1); assert(!halfway || told) };
			may_die();
			if
			:: told -> /* repaired, and said so; or neither */
				halfway = false;
				may_die();
				word = word & ~DIED;
				may_die()
			:: told -> halfway = true
			:: else
			fi;
			d_step { in = false; inside-- };
			release()
		:: else
		fi;
		rounds++
	:: else -> goto over
	od;
dead:
	skip;
	d_step {
		killed++;
		ended[me] = true;
		if
		:: in -> inside--; halfway = true
		:: else
		fi
	};
over:
	skip
}

init
{
	atomic {
		c_code { mutant = getenv("WEAK") ? atoi(getenv("WEAK")) : 0; };
		run process(1);
		run process(2);
		run process(3)
	}
}
