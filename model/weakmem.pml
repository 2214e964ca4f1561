/* The statements of a model on the weak memory of weakmem.h. Each is one step that no other process cuts in two.
 *
 *   MEMORY_INIT                      before all else, in init
 *   LOAD(dst, loc, order)            dst = any value that the process may read
 *   STORE(loc, value, order)
 *   SWAP(dst, loc, value, order)     dst is the old value; ADD, SUB, OR, AND likewise
 *   CAS(seen, loc, want, value, order, failure_order)    seen is the value read: `want` if it was done
 *   AWAIT(dst, loc, condition, order)    waits until the condition, on latest[loc], and reads the newest value
 *   FENCE(kind)                      F_ACQUIRE, F_RELEASE, F_SEQ_CST, F_NONE
 *   USE(d)                           touches plain data d: an assertion fails if that is a data race
 *   LOCK(l), UNLOCK(l)               an abstract mutex
 *   FUTEX_WAIT(loc, value)           sleeps if the newest value of loc is this; never wakes by itself, but in
 *                                    FUTEX_WAIT_UNLESS(loc, value, condition) when that is true
 *   FUTEX_WAKE(loc)                  wakes one of those who sleep on it
 *   EXIT                             the process touches memory no more
 *
 * W(n, strong, weak) is the order that the code uses, or the weaker one in mutant n; MUTANT(n) asks for a mutant that
 * is not an order. The environment variable WEAK chooses the mutant when the model is explored. A model defines, before it includes this file, what weakmem.h wants, INITIAL (the atomics' values)
 * and USERS. Its processes are started by init, so that the first of them is pid 1.
 */
#define W(n, strong, weak) (mutant == n -> weak : strong)
#define MUTANT(n) (mutant == n)

#define RELAXED 0
#define ACQUIRE 1
#define RELEASE 2
#define ACQ_REL 3
#define SEQ_CST 7

#define F_NONE 0
#define F_ACQUIRE 1
#define F_RELEASE 2
#define F_SEQ_CST 3

c_decl {
	enum {
		ATOMICS = N_ATOMICS,
		DATA = N_DATA,
		MUTEXES = N_MUTEXES,
		PROCESSES = N_PROCESSES,
		MESSAGES = N_MESSAGES,
	};
	static const unsigned short users[] = USERS;
	static const unsigned short initial[] = INITIAL;
\#include "weakmem.h"
};
c_state "struct wm wm" "Global"

short latest[N_ATOMICS]; /* the newest value of each atomic */
bool held[N_MUTEXES + 1];
bool asleep[N_PROCESSES];
byte bed[N_PROCESSES]; /* the atomic on which it sleeps */

hidden byte mutant; /* the same from beginning to end */
byte choices; /* between the two halves of a step, zero elsewhere */

/* Arguments on their way into C: set and used within one step, so no part of the state. */
hidden byte arg_pid, arg_loc, arg_choice, arg_action, arg_order, arg_failure_order;
hidden int arg_want, arg_value, arg_result, unused;

inline MEMORY_INIT()
{
	d_step {
		c_code {
			wm_init(&now.wm, initial);
			for (int l = 0; l < ATOMICS; l++)
				now.latest[l] = initial[l];
			mutant = getenv("WEAK") ? atoi(getenv("WEAK")) : 0;
		}
	}
}

/* One step of memory: counts the messages among which the process may choose, and goes on with any of them. */
inline wm_step(dst, loc, action, want, value, order, failure_order)
{
	d_step {
		arg_pid = _pid;
		arg_loc = loc;
		arg_action = action;
		arg_want = want;
		arg_order = order;
		c_code { now.choices = wm_choices(&now.wm, arg_pid, arg_loc, arg_action, arg_want, arg_order); }
	}
	if
	:: d_step { choices > 0; wm_finish(dst, loc, 0, action, want, value, order, failure_order) }
	:: d_step { choices > 1; wm_finish(dst, loc, 1, action, want, value, order, failure_order) }
	:: d_step { choices > 2; wm_finish(dst, loc, 2, action, want, value, order, failure_order) }
	:: d_step { choices > 3; wm_finish(dst, loc, 3, action, want, value, order, failure_order) }
	:: d_step { choices > 4; wm_finish(dst, loc, 4, action, want, value, order, failure_order) }
	:: d_step { choices > 5; wm_finish(dst, loc, 5, action, want, value, order, failure_order) }
	:: d_step { choices > 6; wm_finish(dst, loc, 6, action, want, value, order, failure_order) }
	:: d_step { choices > 7; wm_finish(dst, loc, 7, action, want, value, order, failure_order) }
	:: d_step { choices > 8; wm_finish(dst, loc, 8, action, want, value, order, failure_order) }
	:: d_step { choices > 9; wm_finish(dst, loc, 9, action, want, value, order, failure_order) }
	:: d_step { choices > 10; wm_finish(dst, loc, 10, action, want, value, order, failure_order) }
	:: d_step { choices > 11; wm_finish(dst, loc, 11, action, want, value, order, failure_order) }
	fi
}

inline wm_finish(dst, loc, choice, action, want, value, order, failure_order)
{
	choices = 0;
	arg_pid = _pid;
	arg_loc = loc;
	arg_choice = choice;
	arg_action = action;
	arg_want = want;
	arg_value = value;
	arg_order = order;
	arg_failure_order = failure_order;
	c_code {
		arg_result = wm_do(&now.wm, arg_pid, arg_loc, arg_choice, arg_action, arg_want, arg_value, arg_order,
				   arg_failure_order);
		now.latest[arg_loc] = wm_newest(&now.wm, arg_loc);
	}
	dst = arg_result
}

/* The actions are those of enum in weakmem.h. */
inline LOAD(dst, loc, order) { atomic { wm_step(dst, loc, 0, 0, 0, order, 0) } }
inline STORE(loc, value, order) { atomic { wm_step(unused, loc, 1, 0, value, order, 0) } }
inline CAS(seen, loc, want, value, order, failure_order)
{
	atomic { wm_step(seen, loc, 2, want, value, order, failure_order) }
}
inline SWAP(dst, loc, value, order) { atomic { wm_step(dst, loc, 3, 0, value, order, 0) } }
inline ADD(dst, loc, value, order) { atomic { wm_step(dst, loc, 4, 0, value, order, 0) } }
inline SUB(dst, loc, value, order) { atomic { wm_step(dst, loc, 5, 0, value, order, 0) } }
inline OR(dst, loc, value, order) { atomic { wm_step(dst, loc, 6, 0, value, order, 0) } }
inline AND(dst, loc, value, order) { atomic { wm_step(dst, loc, 7, 0, value, order, 0) } }

inline AWAIT(dst, loc, condition, order)
{
	d_step {
		(condition);
		wm_finish(dst, loc, 0, 8, 0, 0, order, 0)
	}
}

inline FENCE(kind)
{
	d_step {
		arg_pid = _pid;
		if
		:: kind == F_ACQUIRE -> c_code { wm_acquire_fence(&now.wm, arg_pid); }
		:: kind == F_RELEASE -> c_code { wm_release_fence(&now.wm, arg_pid); }
		:: kind == F_SEQ_CST -> c_code { wm_seq_cst_fence(&now.wm, arg_pid); }
		:: else
		fi
	}
}

inline USE(d)
{
	d_step {
		arg_pid = _pid;
		arg_loc = d;
		c_code { arg_result = wm_data(&now.wm, arg_pid, arg_loc); }
		assert(arg_result != 0) /* else a data race */
	}
}

inline LOCK(l)
{
	atomic {
		!held[l];
		d_step {
			held[l] = true;
			arg_pid = _pid;
			arg_loc = l;
			c_code { wm_lock(&now.wm, arg_pid, arg_loc); }
		}
	}
}

inline UNLOCK(l)
{
	d_step {
		assert(held[l]);
		held[l] = false;
		arg_pid = _pid;
		arg_loc = l;
		c_code { wm_unlock(&now.wm, arg_pid, arg_loc); }
	}
}

inline FUTEX_WAIT(loc, value) { FUTEX_WAIT_UNLESS(loc, value, false) }

inline FUTEX_WAIT_UNLESS(loc, value, over)
{
	atomic {
		if
		:: latest[loc] == value ->
			asleep[_pid] = true;
			bed[_pid] = loc;
			if
			:: !asleep[_pid]
			:: over -> asleep[_pid] = false
			fi;
			bed[_pid] = 0
		:: else
		fi
	}
}

inline FUTEX_WAKE(loc)
{
	d_step {
		if
		:: asleep[1] && bed[1] == loc -> asleep[1] = false; bed[1] = 0
#if N_PROCESSES > 2
		:: asleep[2] && bed[2] == loc -> asleep[2] = false; bed[2] = 0
#endif
#if N_PROCESSES > 3
		:: asleep[3] && bed[3] == loc -> asleep[3] = false; bed[3] = 0
#endif
#if N_PROCESSES > 4
		:: asleep[4] && bed[4] == loc -> asleep[4] = false; bed[4] = 0
#endif
		:: else
		fi
	}
}

inline EXIT()
{
	d_step {
		arg_pid = _pid;
		c_code { wm_exit(&now.wm, arg_pid); }
	}
}
