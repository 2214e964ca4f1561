#include <stdio.h>

#include <trenza/once.h>

/* tz_once_call, tz_once_is_done { */
static tz_once tables;

static int make_tables(void *arg)
{
	printf("made once, of %s\n", (const char *)arg);
	return 0; /* or a negative errno code, which everybody then gets */
}
/* } */

int main(void)
{
	/* tz_once_call, tz_once_is_done { */
	static char wood[] = "oak";

	for (int i = 0; i < 3; i++)
		if (tz_once_call(&tables, make_tables, wood) < 0)
			return 1;
	printf("done: %d\n", tz_once_is_done(&tables));
	/* } */
	return 0;
}
/* prints:
made once, of oak
done: 1
*/
