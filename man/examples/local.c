#include <stdio.h>
#include <stdlib.h>

#include <trenza/local.h>

/* TZ_LOCAL_INIT, tz_local_get { */
static void *new_buffer(void *arg)
{
	(void)arg;
	return calloc(1, 4096);
}

static tz_local buffer = TZ_LOCAL_INIT(new_buffer, free, NULL);
/* } */

int main(void)
{
	{
		/* TZ_LOCAL_INIT, tz_local_get { */
		char *mine =
			tz_local_get(&buffer); /* made on first use, freed at the strand's end */

		if (mine)
			snprintf(mine, 4096, "my own");
		/* } */
		printf("%s\n", (char *)tz_local_get(&buffer));
	}
	{
		/* tz_local_init, tz_local_set, tz_local_done { */
		static char mine[] = "left";
		tz_local name;

		tz_local_init(&name, NULL, NULL, NULL); /* NULL until it is set */
		tz_local_set(&name, mine);
		printf("%s\n", (char *)tz_local_get(&name));
		tz_local_done(&name);
		/* } */
	}
	free(tz_local_get(&buffer));
	tz_local_set(&buffer, NULL);
	return 0;
}
/* prints:
my own
left
*/
