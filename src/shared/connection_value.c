/* Values as messages: MessagePack in frames. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <trenza/buffer.h>
#include <trenza/connection.h>

int tz_send_value(tz_connection *c, tz_value value)
{
	void *bytes;
	size_t size;
	int e = tz_value_pack(&value, &bytes, &size);

	tz_value_free(value);
	if (e < 0)
		return e;
	e = tz_send_bytes(c, bytes, size);
	free(bytes);
	return e;
}

int tz_recv(tz_connection *c, tz_value *ret_value)
{
	tz_bytes message;
	int e = tz_recv_bytes(c, &message);

	if (e < 0)
		return e;
	e = tz_value_unpack(message.data, message.size, NULL, ret_value);
	tz_buffer_free((void *)(uintptr_t)message.data);
	return e < 0 && e != -ENOMEM ? -EBADMSG : e;
}
