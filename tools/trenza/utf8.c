/* utf8.c: reading UTF-8 one code point at a time, whatever the bytes are. */
#include "utf8.h"

/* What may follow a lead byte: how many bytes, and the range of the first of them (which is where
   overlong forms, surrogates and points past U+10FFFF are told from good ones). */
struct lead {
	int follow;
	unsigned char low, high;
	uint32_t bits;
};

static struct lead lead_of(unsigned char byte)
{
	if (byte >= 0xC2 && byte <= 0xDF)
		return (struct lead){ 1, 0x80, 0xBF, byte & 0x1Fu };
	if (byte >= 0xE0 && byte <= 0xEF)
		return (struct lead){ 2, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF,
				      byte & 0x0Fu };
	if (byte >= 0xF0 && byte <= 0xF4)
		return (struct lead){ 3, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF,
				      byte & 0x07u };
	return (struct lead){ 0, 0, 0, 0 };
}

int utf8_read(const unsigned char *bytes, size_t len, uint32_t *ret_point)
{
	struct lead lead;
	uint32_t point;

	if (len == 0)
		return 0;
	if (bytes[0] < 0x80) {
		*ret_point = bytes[0];
		return 1;
	}
	lead = lead_of(bytes[0]);
	*ret_point = UTF8_REPLACEMENT;
	if (lead.follow == 0)
		return -1;
	point = lead.bits;
	for (int i = 1; i <= lead.follow; i++) {
		unsigned char low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xBF;

		if ((size_t)i >= len)
			return 0;
		if (bytes[i] < low || bytes[i] > high)
			return -i;
		point = point << 6 | (bytes[i] & 0x3Fu);
	}
	*ret_point = point;
	return lead.follow + 1;
}

int utf8_write(uint32_t point, char out[4])
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xC0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3F));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xE0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3F));
		out[2] = (char)(0x80 | (point & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3F));
	out[2] = (char)(0x80 | (point >> 6 & 0x3F));
	out[3] = (char)(0x80 | (point & 0x3F));
	return 4;
}
