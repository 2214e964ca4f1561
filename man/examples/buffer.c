#include <stdio.h>

#include <trenza.h>

/* tz_buffer_alloc, tz_buffer_free { */
static tz_bytes inverted(tz_bytes picture)
{
	const unsigned char *from = picture.data;
	unsigned char *to = tz_buffer_alloc(picture.size);

	for (size_t i = 0; to && i < picture.size; i++)
		to[i] = (unsigned char)(255 - from[i]);
	return (tz_bytes){ to, to ? picture.size : 0 };
}
TZ_TASK(tz_bytes, inverted, tz_bytes);
/* } */

int main(void)
{
	size_t size = 1 << 20;
	int seen = 0;

	/* tz_buffer_alloc, tz_buffer_free { */
	unsigned char *picture = tz_buffer_alloc(size);
	tz_bytes result;

	if (!picture)
		return 1;
	for (size_t i = 0; i < size; i++)
		picture[i] = (unsigned char)i;
	if (tz_result(tz_submit(tz_executor_default(), inverted, (tz_bytes){ picture, size }), &result) == 0) {
		printf("the first byte is now %d\n", *(const unsigned char *)result.data);
		seen = *(const unsigned char *)result.data;
		tz_buffer_free((void *)(uintptr_t)result.data);
	}
	tz_buffer_free(picture);
	/* } */
	return seen == 255 ? 0 : 1;
}
/* prints:
the first byte is now 255
*/
