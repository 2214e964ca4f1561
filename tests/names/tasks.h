/* Tasks of the program, of a library and of a plugin, for names.sh. All do the same, so only the number says which it was. */
#ifndef TRENZA_TESTS_NAMES_TASKS_H
#define TRENZA_TESTS_NAMES_TASKS_H

#include <trenza/task.h>

#define TASKS(number) \
	static int one(int x) \
	{ \
		return number + x; \
	} \
	TZ_TASK(int, one, int); \
	static int two(int x) \
	{ \
		return 10 * number + x; \
	} \
	TZ_TASK(int, two, int)

typedef void with_tasks(const tz_task **ret_one, const tz_task **ret_two);

#endif
