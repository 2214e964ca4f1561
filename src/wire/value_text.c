/* Values as text, as Python's repr() writes them. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/value.h>

static void put_value(const tz_value *v, FILE *f);

/* `f` is memory, or the caller's file. */
static void put(const char *text, FILE *f)
{
	(void)fwrite(text, 1, strlen(text), f);
}

/* --- numbers ------------------------------------------------------------------------------------------------- */

enum { DIGITS = 17 /* that any double needs at the most */ };

/* The fewest decimal digits that are this double and no other: d = 0.DDD... * 10^*ret_exponent. Says how many. */
static int shortest(double d, char digits[DIGITS + 1], int *ret_exponent)
{
	char text[40];
	int n = 0;

	for (int precision = 0; precision < DIGITS; precision++) {
		(void)snprintf(text, sizeof text, "%.*e", precision, d);
		if (strtod(text, NULL) == d)
			break;
	}
	char *e = strchr(text, 'e');

	/* What lies between the digits depends on the locale. */
	for (const char *c = text; c < e; c++)
		if (*c >= '0' && *c <= '9')
			digits[n++] = *c;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	*ret_exponent = (int)strtol(e + 1, NULL, 10) + 1;
	return n;
}

static void put_zeros(int n, FILE *f)
{
	while (n-- > 0)
		(void)putc('0', f);
}

/* Python writes an exponent where the number is less than 10^-4, or 10^16 and more. */
static void put_double(double d, FILE *f)
{
	char digits[DIGITS + 1], power[8];
	int exponent;

	if (isnan(d) || isinf(d)) {
		put(isnan(d) ? "nan" : d < 0 ? "-inf" : "inf", f);
		return;
	}
	if (signbit(d))
		(void)putc('-', f);
	int n = shortest(fabs(d), digits, &exponent);

	if (d == 0) {
		put("0.0", f);
	} else if (exponent <= -4 || exponent > 16) {
		(void)putc(digits[0], f);
		if (n > 1) {
			put(".", f);
			put(digits + 1, f);
		}
		(void)snprintf(power, sizeof power, "e%c%02d", exponent > 0 ? '+' : '-', abs(exponent - 1) % 1000);
		put(power, f);
	} else if (exponent <= 0) {
		put("0.", f);
		put_zeros(-exponent, f);
		put(digits, f);
	} else if (n <= exponent) {
		put(digits, f);
		put_zeros(exponent - n, f);
		put(".0", f);
	} else {
		(void)fwrite(digits, 1, (size_t)exponent, f);
		put(".", f);
		put(digits + exponent, f);
	}
}

static void put_int(const tz_value *v, FILE *f)
{
	char text[24] = "";
	int64_t i;
	uint64_t u;

	if (tz_value_to_int(v, &i) == 0)
		(void)snprintf(text, sizeof text, "%" PRId64, i);
	else if (tz_value_to_uint(v, &u) == 0)
		(void)snprintf(text, sizeof text, "%" PRIu64, u);
	put(text, f);
}

/* --- strings ---------------------------------------------------------------------------------------------------- */

/* How many bytes the character in UTF-8 at s takes, of `left`; 0: it is none, or not to be shown as it is. */
static size_t character(const unsigned char *s, size_t left)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} of_length[] = { { 0 }, { 0x80, 0x00, 0x20 }, { 0xe0, 0xc0, 0xa1 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

	for (size_t n = 1; n <= 4 && n <= left; n++) {
		if ((s[0] & of_length[n].mask) != of_length[n].lead)
			continue;
		uint32_t c = s[0] & (unsigned char)~of_length[n].mask;

		for (size_t i = 1; i < n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s[i] & 0x3f);
		}
		return c < of_length[n].least || c == 0x7f || c == 0xad || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
	}
	return 0;
}

static void put_escaped(unsigned char c, FILE *f)
{
	char text[8];

	switch (c) {
	case '\t':
		put("\\t", f);
		break;
	case '\n':
		put("\\n", f);
		break;
	case '\r':
		put("\\r", f);
		break;
	default:
		(void)snprintf(text, sizeof text, "\\x%02x", c);
		put(text, f);
	}
}

static void put_text(const tz_value *v, bool is_bytes, FILE *f)
{
	const unsigned char *s = (const unsigned char *)tz_value_text(v);
	size_t size = tz_value_size(v);
	char quote = memchr(s, '\'', size) && !memchr(s, '"', size) ? '"' : '\'';

	put(is_bytes ? "b" : "", f);
	(void)putc(quote, f);
	for (size_t i = 0; i < size;) {
		size_t n = character(&s[i], is_bytes ? 1 : size - i);

		if (s[i] == '\\' || s[i] == quote)
			(void)putc('\\', f);
		if (n)
			(void)fwrite(&s[i], 1, n, f);
		else
			put_escaped(s[i], f);
		i += n ? n : 1;
	}
	(void)putc(quote, f);
}

/* --- all kinds ----------------------------------------------------------------------------------------------------- */

static void put_items(const tz_value *v, FILE *f)
{
	for (size_t i = 0; i < tz_value_size(v); i++) {
		put(i ? ", " : "", f);
		if (tz_value_key_at(v, i)) {
			put_value(tz_value_key_at(v, i), f);
			put(": ", f);
		}
		put_value(tz_value_at(v, i), f);
	}
}

static void put_value(const tz_value *v, FILE *f)
{
	char handle[64];
	bool b;
	double d;

	switch (tz_value_kind_of(v)) {
	case TZ_VALUE_NONE:
		put("None", f);
		break;
	case TZ_VALUE_BOOL:
		put(tz_value_to_bool(v, &b) == 0 && b ? "True" : "False", f);
		break;
	case TZ_VALUE_INT:
		put_int(v, f);
		break;
	case TZ_VALUE_DOUBLE:
		if (tz_value_to_double(v, &d) == 0)
			put_double(d, f);
		break;
	case TZ_VALUE_STRING:
		put_text(v, false, f);
		break;
	case TZ_VALUE_BYTES:
		put_text(v, true, f);
		break;
	case TZ_VALUE_LIST:
		(void)putc('[', f);
		put_items(v, f);
		(void)putc(']', f);
		break;
	case TZ_VALUE_DICT:
		(void)putc('{', f);
		put_items(v, f);
		(void)putc('}', f);
		break;
	case TZ_VALUE_POINTER:
		(void)snprintf(handle, sizeof handle, "<shared memory %p>", tz_value_pointer(v));
		put(handle, f);
		break;
	case TZ_VALUE_FD:
		(void)snprintf(handle, sizeof handle, "<descriptor %d>", tz_value_fd(v));
		put(handle, f);
		break;
	case TZ_VALUE_FAILED:
		put("<failed: ", f);
		put(strerrordesc_np(-tz_value_error(v)), f);
		put(">", f);
		break;
	}
}

char *tz_value_repr(const tz_value *v)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	put_value(v, f);
	bool failed = ferror(f) != 0;

	if (fclose(f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

int tz_value_print(const tz_value *v, FILE *file)
{
	char *text = tz_value_repr(v);

	if (!text)
		return -ENOMEM;
	errno = 0;
	size_t size = strlen(text);
	int r = fwrite(text, 1, size, file) < size || putc('\n', file) == EOF ? -(errno ? errno : EIO) : 0;

	free(text);
	return r;
}
