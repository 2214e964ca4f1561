/* turns.h: lines of several threads, printed in an order that is given.
 *
 * Two threads that print and then sleep equally long wake up at the same moment. Which of them prints first is
 * a race, and in the text that these programs are the twins of it can be seen going either way. Here each
 * line waits for its turn: a thread may print when the next letter of `turns` is the first one of its name.
 */
#ifndef EXAMPLES_TURNS_H
#define EXAMPLES_TURNS_H

#include <stdio.h>

#include <trenza/condition.h>
#include <trenza/lock.h>

static tz_lock printing;
static tz_condition next_turn;
static const char *turns; /* what is still to come; under the lock */

static bool is_my_turn(void *name)
{
	return *turns == *(const char *)name;
}

static void print_in_turn(const char *name, int step)
{
	tz_with_lock(&printing) {
		if (tz_condition_wait_for(&next_turn, &printing, is_my_turn, (void *)name) == 0) {
			printf("%s %d\n", name, step);
			turns++;
			tz_condition_notify_all(&next_turn);
		}
	}
}

#endif
