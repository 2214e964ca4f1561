/* timer_executor.c: a function that sleeps and prints, submitted twice to an executor.
 *
 * The twin of the program with concurrent.futures. The word that chooses the executor is an argument here:
 *
 *     timer_executor               on threads
 *     timer_executor processes     on processes
 *     timer_executor inline        one call after the other, in the program's own thread
 *
 * Which of two that wake up at the same moment prints first is a race. Here each line waits for its turn: `order` has the names in the order of
 * their lines, and how many have been printed is the size of a file without a name. Processes share no variable, but may open that.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <trenza.h>

struct turns {
	char order[8];
	char file[32];
};
TZ_FLAT(struct turns);

static void print_in_turn(struct turns turns, const char *name, int step)
{
	struct stat printed = { .st_size = 0 };
	int fd = open(turns.file, O_WRONLY | O_APPEND | O_CLOEXEC);

	while (fstat(fd, &printed) == 0 && turns.order[printed.st_size] != *name)
		if (tz_sleep(0.001) < 0)
			break;
	printf("%s %d\n", name, step);
	(void)fflush(stdout);
	if (write(fd, name, 1) < 1)
		(void)tz_fail(-5, "the turn cannot be passed on");
	(void)close(fd);
}

/* Prints and sleeps `steps` times. */
static void timer(const char *name, int steps, double interval, struct turns turns)
{
	for (int step = 0; step < steps; step++) {
		print_in_turn(turns, name, step);
		tz_sleep(interval);
	}
}
TZ_TASK(void, timer, const char *, int, double, struct turns);

int main(int argc, char *argv[])
{
	const char *word = argc > 1 ? argv[1] : "threads";
	tz_executor *executor;

	/* In line, b begins when a has ended. */
	struct turns turns = { .order = "aabbab" };

	if (strcmp(word, "inline") == 0)
		memcpy(turns.order, "aaabbb", 6);
	(void)snprintf(turns.file, sizeof turns.file, "/proc/%d/fd/%d", (int)getpid(),
		       memfd_create("turns", MFD_CLOEXEC));
	if (tz_executor_open(&executor, word) < 0) {
		fprintf(stderr, "there is no executor '%s'\n", word);
		return 1;
	}
	/* The block is left when what it submitted has ended, as a `with` block is. */
	TZ_SCOPE(with) {
		tz_scope_submit(&with, executor, timer, "a", 3, 0.1, turns);
		/* Sleeps a little, so that a is ahead. */
		tz_sleep(0.1);
		tz_scope_submit(&with, executor, timer, "b", 3, 0.1, turns);
	}
	tz_executor_close(executor);
	return 0;
}
