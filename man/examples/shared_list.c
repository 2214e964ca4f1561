#include <stdio.h>

#include <trenza.h>

/* tz_shared_list_open, tz_shared_list_get, tz_shared_list_set, tz_shared_list_size, tz_shared_list_values { */
static void child(tz_shared_list *l)
{
	tz_value last = tz_shared_list_get(l, tz_shared_list_size(l) - 1);

	(void)tz_value_print(&last, stdout);
	(void)fflush(stdout);
	tz_value_free(last);
	(void)tz_shared_list_set(l, 1, tz_string("was here"));
}
TZ_TASK(void, child, tz_shared_list *);
/* } */

int main(void)
{
	/* tz_shared_list_open, tz_shared_list_get, tz_shared_list_set, tz_shared_list_size, tz_shared_list_values { */
	tz_shared_list *l;
	tz_process *p;

	if (tz_shared_list_open(&l, tz_list(42, tz_none, "hello"), 16) < 0)
		return 1;
	if (tz_process_open(&p, child, l) == 0) {
		(void)tz_process_join(p);
		(void)tz_process_close(p);
	}
	tz_value all = tz_shared_list_values(l);

	(void)tz_value_print(&all, stdout);
	tz_value_free(all);
	/* } */
	/* tz_shared_list_index, tz_shared_list_count { */
	tz_value hello = tz_string("hello");

	printf("%td %td\n", tz_shared_list_index(l, &hello), tz_shared_list_count(l, &hello));
	tz_value_free(hello);
	/* } */
	/* tz_shared_list_open, tz_shared_list_get, tz_shared_list_set, tz_shared_list_size, tz_shared_list_values { */
	tz_shared_free(l);
	/* } */
	return 0;
}
/* prints:
'hello'
[42, 'was here', 'hello']
2 1
*/
