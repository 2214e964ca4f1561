#include <stdio.h>

#include <trenza.h>

/* TZ_CONTEXT_VAR, tz_context_get { */
static char none[] = "-", first[] = "first", second[] = "second";
static tz_context_var request = TZ_CONTEXT_VAR(none, NULL);

static const char *name_of_request(void)
{
	return tz_context_get(&request);
}
TZ_TASK(const char *, name_of_request, void);
/* } */

static void show(const char *when)
{
	const char *seen = NULL;

	if (tz_result(tz_submit(NULL, name_of_request), &seen) == 0)
		printf("%s: %s, in the job: %s\n", when, name_of_request(), seen);
}

int main(void)
{
	show("at first");
	/* tz_context_set { */
	if (tz_context_set(&request, first) < 0)
		return 1;
	show("bound"); /* what is submitted from now on sees it */
	/* } */
	/* tz_with_context { */
	tz_with_context(&request, second)
		show("in the block");
	show("after it");
	/* } */
	return 0;
}
/* prints:
at first: -, in the job: -
bound: first, in the job: first
in the block: second, in the job: second
after it: first, in the job: first
*/
