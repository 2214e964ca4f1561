/* text.c: small texts for people: sizes, counts, and strings that are safe to show. */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

const char *text_bytes(char out[TEXT_SIZE_MAX], long long bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double size = (double)bytes;
	int unit = -1;

	while (size >= 999.5 && unit < 3) {
		size /= 1000;
		unit++;
	}
	if (unit < 0)
		snprintf(out, TEXT_SIZE_MAX, "%lld byte%s", bytes, bytes == 1 ? "" : "s");
	else
		snprintf(out, TEXT_SIZE_MAX,
			 size < 9.95 && size != (int)size ? "%.1f %s" : "%.0f %s", size,
			 units[unit]);
	return out;
}

const char *text_count(char out[TEXT_SIZE_MAX], long long n)
{
	char digits[TEXT_SIZE_MAX];
	int len = snprintf(digits, sizeof digits, "%lld", n), at = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

const char *text_plural(char *out, size_t size, long long n, const char *word)
{
	char count[TEXT_SIZE_MAX];

	snprintf(out, size, "%s %s%s", text_count(count, n), word, n == 1 ? "" : "s");
	return out;
}

const char *text_clean(char *out, size_t size, const char *text, size_t len)
{
	size_t at = 0;

	while (len > 0 && at + 5 <= size) {
		uint32_t point;
		int n = utf8_read((const unsigned char *)text, len, &point);

		if (n == 0) { /* cut off by the end */
			point = UTF8_REPLACEMENT;
			n = (int)len;
		}
		if (point < 0x20 || (point >= 0x7F && point < 0xA0) ||
		    (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069))
			point = '?';
		at += (size_t)utf8_write(point, out + at);
		text += n < 0 ? -n : n;
		len -= (size_t)(n < 0 ? -n : n);
	}
	out[at] = '\0';
	return out;
}

size_t text_columns(const char *text)
{
	size_t left = strlen(text), columns = 0;

	while (left > 0) {
		uint32_t point;
		int n = utf8_read((const unsigned char *)text, left, &point);

		if (n <= 0)
			break;
		columns += (point >= 0x1100 && point <= 0x115F) ||
					   (point >= 0x2E80 && point <= 0xD7A3) ||
					   (point >= 0xF900 && point <= 0xFAFF) ||
					   (point >= 0xFE30 && point <= 0xFE6F) ||
					   (point >= 0xFF00 && point <= 0xFF60) || point >= 0x1F300
				   ? 2
				   : 1;
		text += n;
		left -= (size_t)n;
	}
	return columns;
}
