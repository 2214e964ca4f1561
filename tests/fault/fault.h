/* Fault injection: one call of the library to what gives it memory or threads fails. */
#ifndef TRENZA_TESTS_FAULT_H
#define TRENZA_TESTS_FAULT_H

/*
 * Runs scenario(arg) with the first such call failing, then with the second, and so on, until a run ends without
 * having reached the call. Each run is in a process of its own, so that each finds the library untouched.
 *
 * A scenario answers 0, or the negative error that it met; it leaves nothing behind in both cases. The error must be
 * -ENOMEM or -EAGAIN, and there is none where nothing failed. After the failure the same process runs the scenario
 * again, without any, which must answer 0: the library goes on. A run that takes longer than a minute has failed.
 */
void fault_sweep(int (*scenario)(const void *arg), const void *arg);

/* In a scenario: ends the run as failed if the condition does not hold. */
#define expect(condition) ((condition) ? (void)0 : fault_give_up("not so: " #condition, __LINE__))
_Noreturn void fault_give_up(const char *what, int line);

#endif
