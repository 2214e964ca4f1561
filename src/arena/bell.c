/* Bells on a page of their own. See bell.h. */
#include "arena/bell.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena/segment.h"

enum { PAGE = 4096 };

int tz_bell_join(int fd, struct tz_bell **ret)
{
	void *page = NULL;
	int r = tz_segment_map(fd, PAGE, true, &page);

	if (r == 0)
		*ret = page;
	return r;
}

int tz_bell_open(struct tz_bell **ret, int *ret_fd)
{
	int fd = tz_segment_file("trenza-bell", PAGE), r = fd < 0 ? fd : tz_bell_join(fd, ret);

	if (r == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return r;
}

void tz_bell_close(struct tz_bell *bell)
{
	if (bell)
		(void)munmap(bell, PAGE);
}
