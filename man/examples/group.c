#include <errno.h>
#include <stdio.h>

#include <trenza.h>

static int answer(int mirror)
{
	int r = tz_sleep(mirror == 2 ? 0 : 60);

	return r < 0 ? tz_fail(r, "given up") : mirror;
}
TZ_TASK(int, answer, int);

static int broken(int mirror)
{
	return tz_fail(-EIO, "mirror %d is down", mirror);
}
TZ_TASK(int, broken, int);

static void show_race(void)
{
	/* TZ_GROUP, tz_group_spawn, tz_group_wait, tz_group_winner { */
	answer_future mirror[3];
	int first = -1;

	TZ_GROUP(g, TZ_GROUP_RACE) {
		for (int i = 0; i < 3; i++)
			mirror[i] = tz_group_spawn(&g, answer, i);
		if (tz_group_wait(&g) == 0)
			tz_result(mirror[tz_group_winner(&g)], &first);
	} /* the others have been cancelled, and have ended */
	printf("mirror %d was first\n", first);
	/* } */
}

static void show_failure(void)
{
	/* tz_group_enter, tz_group_leave, tz_group_cancel { */
	tz_group g = { 0 };

	tz_group_enter(&g, TZ_GROUP_FAIL_FAST);
	tz_group_spawn(&g, answer, 0);
	tz_group_spawn(&g, broken, 1);
	if (tz_group_leave(&g) == -EREMOTEIO) /* did not take a minute */
		printf("%s\n", tz_last()->message);

	tz_group_enter(&g, TZ_GROUP_COLLECT);
	tz_group_spawn(&g, answer, 0);
	tz_group_cancel(&g);
	printf("%s\n", tz_group_leave(&g) == -ECANCELED ? "cancelled" : "?");
	/* } */
}

int main(void)
{
	show_race();
	show_failure();
	return 0;
}
/* prints:
mirror 2 was first
mirror 1 is down
cancelled
*/
