/* A library or plugin with tasks. */
#include "tasks.h"

TASKS(MODULE);

#ifdef __cplusplus
extern "C"
#endif
with_tasks ENTRY;

void ENTRY(const tz_task **ret_one, const tz_task **ret_two)
{
	*ret_one = &one_task;
	*ret_two = &two_task;
}
