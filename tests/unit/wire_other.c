/* Another source file of the test of plans, whose structs have names that are taken. */
#include <trenza.h>

struct node {
	long number;
};
TZ_FLAT(struct node);

const tz_task *other_task(void);

static long number(struct node n)
{
	return n.number;
}
TZ_TASK(long, number, struct node);

const tz_task *other_task(void)
{
	return &number_task;
}
