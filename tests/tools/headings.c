/* headings.c: what the tool reads from pages, whatever their bytes are and however they arrive. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "decode.h"
#include "headings.h"
#include "pages.h"
#include "utf8.h"

/* What a page came to: an error, or its headings as "1 text\n2 text\n". */
struct reading {
	int error;
	size_t chars;
	char *text;
	size_t text_size;
};

static int to_parser(void *arg, const char *text, size_t len)
{
	uint32_t point;

	/* The decoder's promise, checked for every page of this file. */
	for (size_t at = 0; at < len;) {
		int n = utf8_read((const unsigned char *)text + at, len - at, &point);

		assert_true(n > 0);
		assert_true(point != 0);
		at += (size_t)n;
	}
	return heading_parser_feed(arg, text, len);
}

/* Decodes and parses, `piece` bytes at a time. */
static int read_in_pieces(struct decoder *decoder, const char *page, size_t size, size_t piece)
{
	int r = 0;

	for (size_t at = 0; at < size && r == 0; at += piece)
		r = decoder_feed(decoder, page + at, size - at < piece ? size - at : piece);
	return r == 0 ? decoder_finish(decoder) : r;
}

static struct reading read_page(const char *page, size_t size, const char *charset, size_t piece)
{
	struct reading reading = { 0 };
	struct heading_parser *parser;
	struct decoder *decoder;
	struct headings headings = { 0 };
	FILE *file = open_memstream(&reading.text, &reading.text_size);

	assert_non_null(file);
	assert_int_equal(heading_parser_open(&parser), 0);
	assert_int_equal(decoder_open(&decoder, charset, to_parser, parser), 0);
	reading.error = read_in_pieces(decoder, page, size, piece);
	reading.chars = decoder_chars(decoder);
	if (reading.error == 0)
		reading.error = heading_parser_finish(parser, &headings);
	const char *at = headings.lines;

	for (struct heading heading; headings_next(&at, &heading);)
		fprintf(file, "%d %s\n", heading.level, heading.text);
	fclose(file);
	headings_done(&headings);
	decoder_close(decoder);
	heading_parser_close(parser);
	return reading;
}

/* Reads the page whole, and byte by byte, and in threes: it must not matter. */
static void expect(const char *page, size_t size, const char *charset, const char *want)
{
	static const size_t pieces[] = { 1 << 20, 1, 3 };

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct reading reading = read_page(page, size, charset, pieces[i]);

		assert_int_equal(reading.error, 0);
		assert_string_equal(reading.text, want);
		free(reading.text);
	}
}

#define EXPECT(page, want) expect(page, sizeof(page) - 1, "utf-8", want)
#define EXPECT_IN(charset, page, want) expect(page, sizeof(page) - 1, charset, want)

static void levels(void **state)
{
	(void)state;
	EXPECT("<h1>a</h1><h2>b</h2><h3>c</h3><h4>d</h4><h5>e</h5><h6>f</h6>",
	       "1 a\n2 b\n3 c\n4 d\n");
	EXPECT("<H1>a</H1><h2 class='x>y' id=z>b</h2>", "1 a\n2 b\n");
	EXPECT("no heading at all", "");
	EXPECT("", "");
}

static void tags_inside(void **state)
{
	(void)state;
	EXPECT("<h1>un<b>be<i>liev</i></b>able</h1>", "1 unbelievable\n");
	EXPECT("<h1><a href=x><span>one</span></a><br>two<p>three</p></h1>", "1 one two three\n");
	EXPECT("<h1><img src=x alt='the logo'> of us</h1>", "1 the logo of us\n");
	EXPECT("<h1><b>a</b> <i>b</i></h1>", "1 a b\n");
}

static void white_space(void **state)
{
	(void)state;
	EXPECT("<h1>\n\t a \r\n  b&nbsp;&nbsp;c\xE2\x80\x83"
	       "d </h1>",
	       "1 a b c d\n");
	EXPECT("<h1> </h1><h2></h2><h3>&nbsp;</h3><h4><b></b></h4>", "");
}

static void entities(void **state)
{
	(void)state;
	EXPECT("<h1>a &amp; b &lt;c&gt; a&ntilde;o &#x1F600; &#241; &quot;q&quot;</h1>",
	       "1 a & b <c> a\xC3\xB1o \xF0\x9F\x98\x80 \xC3\xB1 \"q\"\n");
	EXPECT("<h1>AT&T &unknown; &</h1>", "1 AT&T &unknown; &\n");
}

static void not_content(void **state)
{
	(void)state;
	EXPECT("<title><h1>no</h1></title><h2>yes</h2>", "2 yes\n");
	EXPECT("<script>'<h1>no</h1>'</script><style><h1>no</h1></style><h2>yes</h2>", "2 yes\n");
	EXPECT("<template><h1>no</h1><template><h1>no</h1></template><h1>no</h1></template><h2>yes</h2>",
	       "2 yes\n");
	EXPECT("<!-- <h1>no</h1> --><textarea><h1>no</h1></textarea><h2>yes</h2>", "2 yes\n");
	EXPECT("<h1>a<script>no</script>b<template>no</template>c</h1>", "1 abc\n");
	EXPECT("</template></script><h1>yes</h1>", "1 yes\n");
}

static void bad_nesting(void **state)
{
	(void)state;
	EXPECT("<h1>a<h2>b</h2>c</h1>", "1 a\n2 b\n");
	EXPECT("<h1>a</h2>b", "1 a\n");
	EXPECT("<h1><p>a</p><p>b</p></h1>c<h2>d</h2>", "1 a b\n2 d\n");
	EXPECT("<div><h1><p>a</div>b<h2>d</h2>", "1 a\n2 d\n");
	EXPECT("<h1><div>a</div></h1>b<h2><ul><li>c</ul></h2>", "1 a\n2 c\n");
	EXPECT("<h1>never closed", "1 never closed\n");
	EXPECT("<h1><b>a</h1><h2>b</b></h2>", "1 a\n2 b\n");
	EXPECT("</h1><h1>a</h1></h1>", "1 a\n");
	EXPECT("<h1>cut<b", "1 cut\n");
	EXPECT("<html><head></head><body><h1>a</h1></body></html><h2>b</h2></html><h3>c</h3>",
	       "1 a\n2 b\n3 c\n");
	EXPECT("</b><html><body><h1>a</h1>", "1 a\n");
	EXPECT("<?xml version='1.0'?><!doctype html><html><h1>a</h1>", "1 a\n");
}

static void dangerous_characters(void **state)
{
	(void)state;
	EXPECT("<h1>a\x1B[31m\x07\x7F"
	       "b\xC2\x9B"
	       "c</h1>",
	       "1 a[31m b c\n");
	EXPECT("<h1>a\xE2\x80\xAE"
	       "b\xE2\x81\xA6"
	       "c\xEF\xBB\xBF"
	       "d</h1>",
	       "1 abcd\n");
}

static void nul_bytes(void **state)
{
	(void)state;
	EXPECT("\0<h\0001>a\0b</h1>\0", "1 ab\n");
}

static void encodings(void **state)
{
	(void)state;
	EXPECT_IN("ISO-8859-1", "<h1>a\xF1o \x80</h1>", "1 a\xC3\xB1o \xE2\x82\xAC\n");
	EXPECT_IN("\"windows-1251\"", "<h1>\xC6\xF3\xEA</h1>", "1 \xD0\x96\xD1\x83\xD0\xBA\n");
	EXPECT_IN("Shift_JIS", "<h1>\x93\xFA\x96\x7B</h1>", "1 \xE6\x97\xA5\xE6\x9C\xAC\n");
	EXPECT_IN("utf-16be", "\0<\0h\0001\0>\0a\0<", "1 a\n");
	EXPECT_IN("klingon", "<h1>plain</h1>", "1 plain\n");
	EXPECT_IN(NULL, "<meta charset=latin1><h1>a\xF1o</h1>", "1 a\xC3\xB1o\n");
	EXPECT_IN(
		NULL,
		"<META http-equiv=content-type content='text/html; charset = windows-1251'><h1>\xC6</h1>",
		"1 \xD0\x96\n");
	/* The server's word goes over the page's, and a byte order mark over both. */
	EXPECT_IN("utf-8", "<meta charset=latin1><h1>a\xC3\xB1o</h1>", "1 a\xC3\xB1o\n");
	EXPECT_IN("latin1", "\xEF\xBB\xBF<h1>a\xC3\xB1o</h1>", "1 a\xC3\xB1o\n");
	EXPECT_IN("latin1", "\xFF\xFE<\0h\0001\0>\0\xF1\0", "1 \xC3\xB1\n");
	/* A page in bytes cannot be in UTF-16, whatever it says. */
	EXPECT_IN(NULL, "<meta charset=utf-16><h1>a</h1>", "1 a\n");
}

static void no_encoding_named(void **state)
{
	(void)state;
	EXPECT_IN(NULL, "<h1>a\xC3\xB1o</h1><h2>\xE2\x82\xAC</h2>",
		  "1 a\xC3\xB1o\n2 \xE2\x82\xAC\n");
	EXPECT_IN(NULL, "<h1>a\xF1o</h1><h2>\x80</h2>", "1 a\xC3\xB1o\n2 \xE2\x82\xAC\n");
}

static void broken_encodings(void **state)
{
	(void)state;
	EXPECT("<h1>a\xFF\xC3(b</h1>", "1 a\xEF\xBF\xBD\xEF\xBF\xBD(b\n");
	EXPECT("<h1>\xC0\xAF\xED\xA0\x80</h1>",
	       "1 \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n");
	EXPECT("<h1>\xF4\x90\x80\x80</h1>", "1 \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n");
	EXPECT("<h1>cut \xE2\x82", "1 cut \xEF\xBF\xBD\n");
	EXPECT_IN("utf-16le",
		  "<\0h\0001\0>\0a\0\x00\xD8"
		  "b\0",
		  "1 a\xEF\xBF\xBD"
		  "b\n");
}

static void counts_characters(void **state)
{
	static const struct {
		const char *page, *charset;
		size_t size, chars;
	} pages[] = {
		{ "a\xC3\xB1o", "utf-8", 4, 3 },
		{ "a\xF1o", "latin1", 3, 3 },
		{ "a\0\xF1\0=\xD8\0\xDE", "utf-16le", 8, 3 },
		{ "a\xFF\xFE"
		  "b\0c",
		  "utf-8", 6, 6 },
		{ "", NULL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
		for (size_t piece = 1; piece < 9; piece++) {
			struct reading reading =
				read_page(pages[i].page, pages[i].size, pages[i].charset, piece);

			assert_int_equal(reading.error, 0);
			assert_int_equal(reading.chars, pages[i].chars);
			free(reading.text);
		}
}

/* `times` copies of `one`, then those of `two`, then `end`. */
static struct reading read_repeated(const char *one, size_t times, const char *two,
				    size_t times_two, const char *end)
{
	size_t len_one = strlen(one), len_two = strlen(two), at = 0;
	char *page = malloc(len_one * times + len_two * times_two + strlen(end) + 1);
	struct reading reading;

	assert_non_null(page);
	for (size_t i = 0; i < times; i++, at += len_one)
		memcpy(page + at, one, len_one);
	for (size_t i = 0; i < times_two; i++, at += len_two)
		memcpy(page + at, two, len_two);
	memcpy(page + at, end, strlen(end));
	reading = read_page(page, at + strlen(end), "utf-8", 4096);
	free(page);
	return reading;
}

static void survives_nesting(void **state)
{
	static const char *const tags[] = { "<div>",           "<b>",    "<p><b>",   "<a>",
					    "<table><tr><td>", "<form>", "<ul><li>", "<span a='b'>",
					    "<nosuchtag>" };

	(void)state;
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
		struct reading reading = read_repeated(tags[i], 100000, "", 0, "<h1>deep</h1>");

		assert_int_equal(reading.error, 0);
		assert_string_equal(reading.text, "1 deep\n");
		free(reading.text);
	}
}

static void survives_closing(void **state)
{
	struct reading reading = read_repeated("<i>", 100000, "x</p></h1>", 1, "<h1>deep</h1>");

	(void)state;
	assert_int_equal(reading.error, 0);
	assert_string_equal(reading.text, "1 deep\n");
	free(reading.text);
	reading = read_repeated("<h1><i>", 100000, "x</h1>", 100000, "<h2>deep</h2>");
	assert_int_equal(reading.error, 0);
	free(reading.text);
}

static void gives_up_hopeless_nesting(void **state)
{
	struct reading reading = read_repeated("<b>", 100000, "</i>", 100000, "<h1>x</h1>");

	(void)state;
	assert_int_equal(reading.error, -ELOOP);
	free(reading.text);
	/* What looks alike and is cheap is read. */
	reading = read_repeated("<b>", 100, "</i>", 100000, "</b><h1>x</h1>");
	assert_int_equal(reading.error, 0);
	assert_string_equal(reading.text, "1 x\n");
	free(reading.text);
}

static void survives_endless_things(void **state)
{
	static const char *const begins[] = { "<",    "&",          "<!--", "<a b=\"",
					      "<a ",  "<!doctype ", "</",   "<script>",
					      "<h1>", "<![CDATA[",  "&#",   "<?" };

	(void)state;
	for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
		struct reading reading = read_repeated(begins[i], 50000, "x", 500000, "");

		assert_int_equal(reading.error, 0);
		free(reading.text);
	}
}

static void has_limits(void **state)
{
	struct reading reading = read_repeated("<h1>a</h1>", HEADINGS_MAX + 5, "", 0, "");

	(void)state;
	assert_int_equal(reading.error, 0);
	assert_int_equal(reading.text_size, 4 * (size_t)HEADINGS_MAX);
	free(reading.text);
	reading = read_repeated("<h2>", 1, "\xC3\xB1", 5000, "</h2><h1>next</h1>");
	assert_int_equal(reading.error, 0);
	assert_true(reading.text_size < HEADING_MAX_BYTES + 20);
	assert_non_null(strstr(reading.text, "\xC3\xB1\xE2\x80\xA6\n1 next\n"));
	free(reading.text);
}

/* Random bytes with a taste for what is special, from a fixed seed. */
static void survives_noise(void **state)
{
	static const char special[] = "<>/!-&;=\"'h1h2\0 \n";
	static const char *const charsets[] = { NULL,          "utf-8",     "latin1",
						"utf-16le",    "shift_jis", "gb18030",
						"iso-2022-jp", "euc-kr",    "big5" };
	static char page[20000];
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 90; round++) {
		struct reading reading;

		for (size_t i = 0; i < sizeof page; i++) {
			seed = seed * 1664525u + 1013904223u;
			page[i] = seed >> 31 ? special[(seed >> 16) % (sizeof special - 1)]
					     : (char)(seed >> 20);
		}
		reading =
			read_page(page, sizeof page, charsets[round % 9], 1 + (seed >> 18) % 5000);
		assert_int_equal(reading.error, 0);
		free(reading.text);
	}
}

/* Each invented page is as long as it says and has the headings that it says, and they add up. */
static void invented_pages(void **state)
{
	int headings = 0;

	(void)state;
	for (int i = 0; i < PAGES; i++) {
		const struct invented *known = pages_known(i);
		size_t size;
		char *page = pages_make(i, &size);
		struct reading reading;
		int lines = 0;

		assert_non_null(page);
		reading = read_page(page, size, "utf-8", 1000);
		assert_int_equal(reading.error, 0);
		assert_int_equal(reading.chars, known->chars);
		for (const char *at = reading.text; *at != '\0'; at++)
			lines += *at == '\n';
		assert_int_equal(lines, known->headings);
		assert_null(strstr(reading.text, "not a heading"));
		headings += lines;
		free(reading.text);
		free(page);
	}
	assert_int_equal(headings, PAGES_HEADINGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(tags_inside),
		cmocka_unit_test(white_space),
		cmocka_unit_test(entities),
		cmocka_unit_test(not_content),
		cmocka_unit_test(bad_nesting),
		cmocka_unit_test(dangerous_characters),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(encodings),
		cmocka_unit_test(no_encoding_named),
		cmocka_unit_test(broken_encodings),
		cmocka_unit_test(counts_characters),
		cmocka_unit_test(survives_nesting),
		cmocka_unit_test(survives_closing),
		cmocka_unit_test(gives_up_hopeless_nesting),
		cmocka_unit_test(survives_endless_things),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(survives_noise),
		cmocka_unit_test(invented_pages),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
