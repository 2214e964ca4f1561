/*
 * decode.c: the decoder, which turns the bytes of a page into valid UTF-8 as they arrive.
 *
 * Design notes. The parser behind us is told that its input is UTF-8 and must never find out
 * otherwise, so every broken sequence leaves here as U+FFFD and NUL, which HTML throws away, leaves
 * not at all. The encoding is decided once, from the first bytes: byte order mark, then the
 * server's word, then <meta>. A page that says nothing is read as UTF-8; if its first byte that is
 * not ASCII is not UTF-8 either, it is read on as windows-1252, and since all before was ASCII
 * nothing has to be taken back. The names that reach iconv come from our own table, never from the
 * page.
 */
#include "decode.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include "utf8.h"

/* How far a browser looks for <meta charset>, and so do we. */
enum { PRESCAN = 1024 };

/* The sink gets at most this much at once, so that it can look at the clock now and then. */
enum { PIECE = 2048 };

struct decoder {
	decoder_sink *sink;
	void *sink_arg;
	char charset[40]; /* the server's word, or empty */
	bool decided;
	bool guessing; /* UTF-8 that nobody promised and that was ASCII so far */
	size_t unit; /* the least bytes that make a character */
	iconv_t converter; /* (iconv_t)-1 while the input is UTF-8 */
	size_t chars;
	size_t held; /* bytes in `hold` */
	char hold[PRESCAN]; /* the head of the page, later a code point cut in two */
	size_t ready; /* bytes in `piece` */
	char piece[PIECE];
};

/* Labels as pages write them, and the name iconv knows. Latin-1 means windows-1252 on the web. */
static const struct {
	const char *label, *name;
} encodings[] = {
	{ "utf-8", "UTF-8" },
	{ "utf8", "UTF-8" },
	{ "unicode-1-1-utf-8", "UTF-8" },
	{ "us-ascii", "CP1252" },
	{ "ascii", "CP1252" },
	{ "iso-8859-1", "CP1252" },
	{ "iso8859-1", "CP1252" },
	{ "iso_8859-1", "CP1252" },
	{ "latin1", "CP1252" },
	{ "l1", "CP1252" },
	{ "windows-1252", "CP1252" },
	{ "cp1252", "CP1252" },
	{ "x-cp1252", "CP1252" },
	{ "iso-8859-2", "ISO-8859-2" },
	{ "latin2", "ISO-8859-2" },
	{ "iso-8859-3", "ISO-8859-3" },
	{ "iso-8859-4", "ISO-8859-4" },
	{ "iso-8859-5", "ISO-8859-5" },
	{ "iso-8859-6", "ISO-8859-6" },
	{ "iso-8859-7", "ISO-8859-7" },
	{ "iso-8859-8", "ISO-8859-8" },
	{ "iso-8859-9", "CP1254" },
	{ "latin5", "CP1254" },
	{ "iso-8859-10", "ISO-8859-10" },
	{ "iso-8859-11", "CP874" },
	{ "tis-620", "CP874" },
	{ "windows-874", "CP874" },
	{ "iso-8859-13", "ISO-8859-13" },
	{ "iso-8859-14", "ISO-8859-14" },
	{ "iso-8859-15", "ISO-8859-15" },
	{ "latin9", "ISO-8859-15" },
	{ "iso-8859-16", "ISO-8859-16" },
	{ "windows-1250", "CP1250" },
	{ "windows-1251", "CP1251" },
	{ "windows-1253", "CP1253" },
	{ "windows-1254", "CP1254" },
	{ "windows-1255", "CP1255" },
	{ "windows-1256", "CP1256" },
	{ "windows-1257", "CP1257" },
	{ "windows-1258", "CP1258" },
	{ "cp1250", "CP1250" },
	{ "cp1251", "CP1251" },
	{ "koi8-r", "KOI8-R" },
	{ "koi8-u", "KOI8-U" },
	{ "ibm866", "CP866" },
	{ "cp866", "CP866" },
	{ "macintosh", "MACINTOSH" },
	{ "gbk", "GB18030" },
	{ "gb2312", "GB18030" },
	{ "gb18030", "GB18030" },
	{ "big5", "BIG5-HKSCS" },
	{ "big5-hkscs", "BIG5-HKSCS" },
	{ "euc-jp", "EUC-JP" },
	{ "shift_jis", "CP932" },
	{ "shift-jis", "CP932" },
	{ "sjis", "CP932" },
	{ "x-sjis", "CP932" },
	{ "windows-31j", "CP932" },
	{ "iso-2022-jp", "ISO-2022-JP" },
	{ "euc-kr", "UHC" },
	{ "ks_c_5601-1987", "UHC" },
	{ "windows-949", "UHC" },
	{ "utf-16le", "UTF-16LE" },
	{ "utf-16", "UTF-16LE" },
	{ "utf-16be", "UTF-16BE" },
};

static const char *encoding_of(const char *label)
{
	for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
		if (strcasecmp(encodings[i].label, label) == 0)
			return encodings[i].name;
	return NULL;
}

/* Copies the label at `text` (quoted or not) into `label`, without what cannot be part of one. */
static void copy_label(const char *text, const char *end, char *label, size_t size)
{
	size_t n = 0;

	while (text < end && (isspace((unsigned char)*text) || *text == '"' || *text == '\''))
		text++;
	while (text < end && n + 1 < size &&
	       (isalnum((unsigned char)*text) || strchr("-_.:+", *text) != NULL) && *text != '\0')
		label[n++] = *text++;
	label[n] = '\0';
}

static const char *find_word(const char *text, const char *end, const char *word)
{
	size_t len = strlen(word);

	for (; text + len <= end; text++)
		if (strncasecmp(text, word, len) == 0)
			return text;
	return NULL;
}

/* The text behind "charset=" between `text` and `end`, or NULL. */
static const char *find_charset(const char *text, const char *end)
{
	while ((text = find_word(text, end, "charset")) != NULL) {
		text += strlen("charset");
		while (text < end && isspace((unsigned char)*text))
			text++;
		if (text < end && *text == '=')
			return text + 1;
	}
	return NULL;
}

/* Looks for <meta charset=X> and for its older form. A comment before it may fool us, as it may
   an eye. */
static const char *encoding_in_meta(const char *head, size_t len)
{
	const char *end = head + len, *tag = head, *close, *value;
	char label[40];

	while ((tag = find_word(tag, end, "<meta")) != NULL) {
		tag += strlen("<meta");
		close = memchr(tag, '>', (size_t)(end - tag));
		value = find_charset(tag, close != NULL ? close : end);
		if (value == NULL)
			continue;
		copy_label(value, close != NULL ? close : end, label, sizeof label);
		if (encoding_of(label) == NULL)
			continue;
		/* A page that could be read so far as ASCII is not in UTF-16, whatever it says. */
		return strncasecmp(label, "utf-16", 6) == 0 ? "UTF-8" : encoding_of(label);
	}
	return NULL;
}

/* The encoding that a byte order mark tells, and the mark's length. */
static const char *encoding_in_mark(const char *head, size_t len, size_t *ret_skip)
{
	static const struct {
		const char *mark, *name;
	} marks[] = { { "\xEF\xBB\xBF", "UTF-8" },
		      { "\xFF\xFE", "UTF-16LE" },
		      { "\xFE\xFF", "UTF-16BE" } };

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		size_t size = strlen(marks[i].mark);

		if (len >= size && memcmp(head, marks[i].mark, size) == 0) {
			*ret_skip = size;
			return marks[i].name;
		}
	}
	return NULL;
}

static int flush(struct decoder *decoder)
{
	size_t len = decoder->ready;

	decoder->ready = 0;
	return len > 0 ? decoder->sink(decoder->sink_arg, decoder->piece, len) : 0;
}

static int put(struct decoder *decoder, uint32_t point)
{
	int r = 0;

	decoder->chars++;
	if (point == 0)
		return 0;
	if (decoder->ready + 4 > PIECE)
		r = flush(decoder);
	decoder->ready += (size_t)utf8_write(point, decoder->piece + decoder->ready);
	return r;
}

/* Puts UTF-8. Returns how many bytes it took (it leaves a code point that is cut in two), or
   -errno; stops early when it learns that an unannounced page is not UTF-8. */
static ssize_t put_utf8(struct decoder *decoder, const char *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		uint32_t point;
		int n = utf8_read((const unsigned char *)bytes + at, len - at, &point), r;

		if (n == 0)
			break;
		if (n < 0 && decoder->guessing) {
			decoder->guessing = false;
			decoder->converter = iconv_open("UTF-8", "CP1252");
			if (decoder->converter != (iconv_t)-1)
				break;
		}
		if (n != 1)
			decoder->guessing = false;
		r = put(decoder, point);
		if (r < 0)
			return r;
		at += (size_t)(n < 0 ? -n : n);
	}
	return (ssize_t)at;
}

/* Puts what iconv wrote, which is valid UTF-8 by contract; put_utf8 checks that it is. */
static int put_converted(struct decoder *decoder, const char *text, size_t len)
{
	ssize_t took = put_utf8(decoder, text, len);

	return took < 0 ? (int)took : 0;
}

/* Puts bytes in a foreign encoding. Returns how many it took, or -errno. */
static ssize_t put_foreign(struct decoder *decoder, const char *bytes, size_t len)
{
	char *in = (char *)bytes, out[512];
	size_t left = len;

	while (left > 0) {
		char *to = out;
		size_t room = sizeof out, got, n;
		int error, r;

		got = iconv(decoder->converter, &in, &left, &to, &room);
		error = got == (size_t)-1 ? errno : 0;
		r = put_converted(decoder, out, (size_t)(to - out));
		if (r < 0)
			return r;
		if (error == EINVAL)
			break; /* cut in two: the rest comes with the next bytes */
		if (error == EILSEQ) {
			r = put(decoder, UTF8_REPLACEMENT);
			if (r < 0)
				return r;
			n = left < decoder->unit ? left : decoder->unit;
			in += n;
			left -= n;
		}
	}
	return (ssize_t)(len - left);
}

/* Puts bytes once the encoding is known. Returns how many it took, or -errno. */
static ssize_t put_bytes(struct decoder *decoder, const char *bytes, size_t len)
{
	ssize_t took = 0, more;

	if (decoder->converter == (iconv_t)-1) {
		took = put_utf8(decoder, bytes, len);
		if (took < 0 || decoder->converter == (iconv_t)-1)
			return took;
	}
	more = put_foreign(decoder, bytes + took, len - (size_t)took);
	return more < 0 ? more : took + more;
}

/* Decides the encoding from the head of the page. Returns how many bytes of it are a byte order
   mark. */
static size_t decide(struct decoder *decoder)
{
	size_t skip = 0;
	const char *name = encoding_in_mark(decoder->hold, decoder->held, &skip);

	if (name == NULL)
		name = encoding_of(decoder->charset);
	if (name == NULL)
		name = encoding_in_meta(decoder->hold, decoder->held);
	decoder->decided = true;
	decoder->guessing = name == NULL;
	decoder->unit = name != NULL && strncmp(name, "UTF-16", 6) == 0 ? 2 : 1;
	/* An encoding that this C library was built without is read as UTF-8, which shows at
	   least its ASCII. */
	if (name != NULL && strcmp(name, "UTF-8") != 0)
		decoder->converter = iconv_open("UTF-8", name);
	return skip;
}

/* Keeps the tail of what was held and not taken. Longer than any cut code point it cannot be,
   except for bytes that no encoding takes; those are one replacement character each. */
static int keep(struct decoder *decoder, const char *bytes, size_t len)
{
	int r = 0;

	while (len > 16 && r == 0) {
		r = put(decoder, UTF8_REPLACEMENT);
		bytes++;
		len--;
	}
	memmove(decoder->hold, bytes, len);
	decoder->held = len;
	return r;
}

static int put_head(struct decoder *decoder)
{
	char head[PRESCAN];
	size_t len = decoder->held, skip = decide(decoder);
	ssize_t took;

	memcpy(head, decoder->hold, len);
	decoder->held = 0;
	took = put_bytes(decoder, head + skip, len - skip);
	if (took < 0)
		return (int)took;
	return keep(decoder, head + skip + took, len - skip - (size_t)took);
}

int decoder_open(struct decoder **ret_decoder, const char *charset, decoder_sink *sink,
		 void *sink_arg)
{
	struct decoder *decoder = calloc(1, sizeof *decoder);

	if (decoder == NULL)
		return -ENOMEM;
	decoder->sink = sink;
	decoder->unit = 1;
	decoder->sink_arg = sink_arg;
	decoder->converter = (iconv_t)-1;
	if (charset != NULL)
		copy_label(charset, charset + strlen(charset), decoder->charset,
			   sizeof decoder->charset);
	*ret_decoder = decoder;
	return 0;
}

/* Fills `hold` from the input; returns how many bytes went in. */
static size_t hold_more(struct decoder *decoder, const char *bytes, size_t len, size_t up_to)
{
	size_t room = up_to - decoder->held, n = len < room ? len : room;

	memcpy(decoder->hold + decoder->held, bytes, n);
	decoder->held += n;
	return n;
}

/* Completes the code point that the last bytes cut in two, byte by byte. */
static int put_seam(struct decoder *decoder, const char **bytes, size_t *len)
{
	while (decoder->held > 0 && *len > 0) {
		char seam[PRESCAN];
		size_t n;
		ssize_t took;
		int r;

		(void)hold_more(decoder, *bytes, 1, PRESCAN);
		*bytes += 1;
		*len -= 1;
		n = decoder->held;
		memcpy(seam, decoder->hold, n);
		took = put_bytes(decoder, seam, n);
		if (took < 0)
			return (int)took;
		r = keep(decoder, seam + took, n - (size_t)took);
		if (r < 0)
			return r;
	}
	return 0;
}

int decoder_feed(struct decoder *decoder, const char *bytes, size_t len)
{
	ssize_t took;
	int r;

	if (!decoder->decided) {
		size_t n = hold_more(decoder, bytes, len, PRESCAN);

		bytes += n;
		len -= n;
		if (decoder->held < PRESCAN)
			return 0;
		r = put_head(decoder);
		if (r < 0)
			return r;
	}
	r = put_seam(decoder, &bytes, &len);
	if (r < 0 || len == 0)
		return r;
	took = put_bytes(decoder, bytes, len);
	if (took < 0)
		return (int)took;
	return keep(decoder, bytes + took, len - (size_t)took);
}

int decoder_finish(struct decoder *decoder)
{
	int r = 0;

	if (!decoder->decided)
		r = put_head(decoder);
	if (r == 0 && decoder->held > 0) /* a code point that the end cut off */
		r = put(decoder, UTF8_REPLACEMENT);
	decoder->held = 0;
	return r < 0 ? r : flush(decoder);
}

size_t decoder_chars(const struct decoder *decoder)
{
	return decoder->chars;
}

void decoder_close(struct decoder *decoder)
{
	if (decoder == NULL)
		return;
	if (decoder->converter != (iconv_t)-1)
		iconv_close(decoder->converter);
	free(decoder);
}
