/* hello_word.c: the three greetings of hello.c, where the word that says what runs them is an argument.
 *
 *     hello_word inline        one after the other, as in hello.c: six seconds
 *     hello_word coroutines    at the same time, on one thread: two seconds
 *     hello_word threads:3     at the same time, on three threads: two seconds
 */
#include <stdio.h>

#include <trenza.h>

static void greeting(void)
{
	puts("Hello");
	tz_sleep(2); /* a request whose answer takes two seconds */
	puts("AsyncIO");
}
TZ_TASK(void, greeting, void);

int main(int argc, char *argv[])
{
	const char *word = argc > 1 ? argv[1] : "coroutines";
	uint64_t begin = tz_now();
	tz_executor *ex;
	int r;

	if (tz_executor_open(&ex, word) < 0) {
		fprintf(stderr, "there is no executor '%s'\n", word);
		return 1;
	}
	r = tz_gather(tz_submit(ex, greeting), tz_submit(ex, greeting), tz_submit(ex, greeting));
	if (r < 0)
		tz_perror("greeting");
	tz_executor_close(ex);
	printf("Wall time: %.2f s\n", (double)(tz_now() - begin) / 1e9);
	return r < 0;
}
