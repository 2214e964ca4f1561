/* Values in queues between processes: MessagePack, made by who puts and read by who gets. */
#include <errno.h>
#include <stdlib.h>

#include <trenza/shared_queue.h>

int tz_put_value_until(tz_shared_queue *q, tz_value value, tz_deadline deadline)
{
	void *bytes;
	size_t size;
	int r = tz_value_pack(&value, &bytes, &size);

	tz_value_free(value);
	if (r < 0)
		return r;
	r = tz_shared_queue_put_bytes_until(q, bytes, size, deadline);
	free(bytes);
	return r;
}

int tz_put_value(tz_shared_queue *q, tz_value value)
{
	return tz_put_value_until(q, value, tz_never());
}

int tz_get_until(tz_shared_queue *q, tz_value *ret_value, tz_deadline deadline)
{
	void *bytes;
	size_t size;
	int r = tz_shared_queue_get_new_until(q, &bytes, &size, deadline);

	if (r < 0)
		return r;
	r = tz_value_unpack(bytes, size, NULL, ret_value);
	free(bytes);
	return r < 0 && r != -ENOMEM ? -EBADMSG : r;
}

int tz_get(tz_shared_queue *q, tz_value *ret_value)
{
	return tz_get_until(q, ret_value, tz_never());
}
