/* deposit.c: one process puts 1 into an account 10000 times, another takes 1 out 10000 times; 200 were there, and 200 should be.
 *
 * The twins of deposit and withdraw: without a lock, with it, and, which the text does not have, with an addition that cannot be interrupted. deposit none|lock|add [PAUSE]
 *
 * Without a lock the text gets 219 by luck: the other process came between reading and writing 19 times. Here it is sent there: in the last
 * 19 rounds the depositor reads, lets the other one have a whole round, and writes what it had read and 1 more. So these 19 withdrawals are lost, every time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>

enum { ROUNDS = 10000, BETWEEN = 19 };

enum { NONE, LOCK, ADD };

struct account {
	tz_shared_lock lock;
	int balance;
	int turn; /* whose: 0 the depositor's */
};

static void wait_for_turn(struct account *a, int whose)
{
	while (tz_shared_load(&a->turn) != whose)
		(void)tz_sleep(0.0001);
}

static void change(struct account *a, int how, int by)
{
	if (how == ADD) {
		(void)tz_shared_add(&a->balance, by);
		return;
	}
	if (how == LOCK && tz_shared_lock_acquire(&a->lock) < 0)
		exit(1);
	a->balance = a->balance + by;
	if (how == LOCK)
		(void)tz_shared_lock_release(&a->lock);
}

static void deposit(struct account *a, int how, double pause)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (pause > 0)
			(void)tz_sleep(pause);
		if (how == NONE && i >= ROUNDS - BETWEEN) {
			int read = a->balance;

			tz_shared_store(&a->turn, 1); /* between reading and writing */
			wait_for_turn(a, 0);
			a->balance = read + 1;
		} else {
			change(a, how, 1);
		}
	}
	tz_shared_store(&a->turn, 1);
}
TZ_TASK(void, deposit, struct account *, int, double);

static void withdraw(struct account *a, int how, double pause)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (pause > 0)
			(void)tz_sleep(pause);
		if (how == NONE)
			wait_for_turn(a, 1);
		change(a, how, -1);
		if (i < BETWEEN && how == NONE)
			tz_shared_store(&a->turn, 0);
	}
}
TZ_TASK(void, withdraw, struct account *, int, double);

static int how_of(const char *word)
{
	return strcmp(word, "lock") == 0 ? LOCK : strcmp(word, "add") == 0 ? ADD : NONE;
}

int main(int argc, char **argv)
{
	struct account *a = TZ_SHARED_NEW(struct account);
	int how = argc > 1 ? how_of(argv[1]) : NONE;
	double pause = argc > 2 ? strtod(argv[2], NULL) : 0.0001;
	tz_process *d, *w;

	if (!a)
		return 1;
	a->balance = 200;
	if (tz_process_open(&d, deposit, a, how, pause) < 0 || tz_process_open(&w, withdraw, a, how, pause) < 0)
		return 1;
	tz_process_join(d);
	tz_process_join(w);
	tz_process_close(d);
	tz_process_close(w);
	printf("%d\n", a->balance);
	tz_shared_free(a);
	return 0;
}
