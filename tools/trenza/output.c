/* output.c: pages as text: an outline for people, lines for programs. */
#include "output.h"

#include <string.h>

#include "table.h"
#include "term.h"
#include "text.h"
#include "utf8.h"

/* Prints foreign text so that a terminal obeys none of it and a table is not torn by it. */
static void print_clean(FILE *file, const char *text)
{
	char clean[256];

	for (size_t left = strlen(text); left > 0;) {
		size_t n = left < 60 ? left : 60;

		/* Cut before a code point's first byte. */
		while (n < left && n > 1 && ((unsigned char)text[n] & 0xC0) == 0x80)
			n--;
		fputs(text_clean(clean, sizeof clean, text, n), file);
		text += n;
		left -= n;
	}
}

static void print_outline(FILE *file, const char *url, const struct page *page)
{
	const struct style *style = term_style(file);
	char headings[64], chars[64];
	struct heading heading;

	fprintf(file, "%s", style->bold);
	print_clean(file, url);
	fprintf(file, "%s  %s%s, %s, %.2f s%s\n", style->off, style->dim,
		text_plural(headings, sizeof headings, (long long)page->headings.count, "heading"),
		text_plural(chars, sizeof chars, page->chars, "character"), page->seconds,
		style->off);
	for (const char *at = page->headings.lines; headings_next(&at, &heading);)
		fprintf(file, "  %sh%d%s %*s%s%s%s\n", style->dim, heading.level, style->off,
			2 * (heading.level - 1), "", heading.level == 1 ? style->bold : "",
			heading.text, heading.level == 1 ? style->off : "");
	if (page->headings.cut)
		fprintf(file, "  %s(more headings than %d: the rest is left out)%s\n", style->dim,
			HEADINGS_MAX, style->off);
	fputc('\n', file);
}

static void print_tsv(FILE *file, const char *url, const struct page *page)
{
	struct heading heading;

	for (const char *at = page->headings.lines; headings_next(&at, &heading);) {
		print_clean(file, url);
		fprintf(file, "\th%d\t%s\n", heading.level, heading.text);
	}
}

/* Prints a JSON string; bytes that are not UTF-8 become the replacement character. */
static void print_json_string(FILE *file, const char *text)
{
	size_t left = strlen(text);

	fputc('"', file);
	while (left > 0) {
		uint32_t point;
		char bytes[4];
		int n = utf8_read((const unsigned char *)text, left, &point), len;

		if (n == 0) {
			point = UTF8_REPLACEMENT;
			n = (int)left;
		}
		if (point == '"' || point == '\\')
			fprintf(file, "\\%c", (int)point);
		else if (point < 0x20 || point == 0x7F)
			fprintf(file, "\\u%04x", (unsigned)point);
		else {
			len = utf8_write(point, bytes);
			fwrite(bytes, 1, (size_t)len, file);
		}
		text += n < 0 ? -n : n;
		left -= (size_t)(n < 0 ? -n : n);
	}
	fputc('"', file);
}

static void print_json_headings(FILE *file, const struct headings *headings)
{
	const char *at = headings->lines, *comma = "";
	struct heading heading;

	fputs("\"headings\":[", file);
	for (; headings_next(&at, &heading); comma = ",") {
		fprintf(file, "%s{\"level\":%d,\"text\":", comma, heading.level);
		print_json_string(file, heading.text);
		fputc('}', file);
	}
	fputc(']', file);
}

static void print_json(FILE *file, const char *url, const struct page *page)
{
	fputs("{\"url\":", file);
	print_json_string(file, url);
	if (page->final_url != NULL) {
		fputs(",\"final_url\":", file);
		print_json_string(file, page->final_url);
	}
	fprintf(file, ",\"status\":%d,\"bytes\":%lld,\"chars\":%lld,\"seconds\":%.3f,",
		page->status, page->bytes, page->chars, page->seconds);
	if (page->failed) {
		fputs("\"error\":", file);
		print_json_string(file, page_error(page));
	} else {
		print_json_headings(file, &page->headings);
		fputs(page->headings.cut ? ",\"cut\":true" : "", file);
	}
	fputs("}\n", file);
}

void output_page(FILE *file, enum output_form form, const char *url, const struct page *page)
{
	if (form == OUTPUT_JSON)
		print_json(file, url, page);
	else if (!page->failed && form == OUTPUT_TSV)
		print_tsv(file, url, page);
	else if (!page->failed)
		print_outline(file, url, page);
}

void output_failure(FILE *file, const char *url, const struct page *page)
{
	const struct style *style = term_style(file);

	fprintf(file, "trenza: ");
	print_clean(file, url);
	if (page->final_url != NULL) {
		fprintf(file, " (at ");
		print_clean(file, page->final_url);
		fprintf(file, ")");
	}
	fprintf(file, ": %s%s%s\n", style->red, page_error(page), style->off);
}

void output_summary(FILE *file, const struct report *report)
{
	char pages[64], headings[64], bytes[TEXT_SIZE_MAX];

	fprintf(file, "trenza: %s%s, %s, %s in %.2f s on %s", report->left > 0 ? "stopped: " : "",
		text_plural(pages, sizeof pages, (long long)report->pages, "page"),
		text_plural(headings, sizeof headings, report->headings, "heading"),
		text_bytes(bytes, report->bytes), report->wall, report->executor);
	if (report->failed > 0)
		fprintf(file, "; %zu failed", report->failed);
	if (report->left > 0)
		fprintf(file, "; %zu not fetched", report->left);
	fputc('\n', file);
}

static void print_comparison_json(FILE *file, const struct report *report)
{
	fputs("{\"executor\":", file);
	print_json_string(file, report->executor);
	fprintf(file,
		",\"wall\":%.6f,\"user\":%.6f,\"system\":%.6f,\"sum\":%.6f,\"longest\":%.6f,"
		"\"pages\":%zu,\"failed\":%zu,\"headings\":%lld,\"bytes\":%lld}\n",
		report->wall, report->user, report->system, report->sum, report->longest,
		report->pages, report->failed, report->headings, report->bytes);
}

static void print_comparison_table(FILE *file, const struct report *reports, int count)
{
	static const char *const heads[] = { "executor", "wall",         "speed-up",    "user",
					     "system",   "sum of pages", "longest page" };
	const struct style *style = term_style(file);
	struct table table;

	table_begin(&table, 7, heads);
	for (int i = 0; i < count; i++) {
		const struct report *report = &reports[i];

		table_row(&table);
		table_set(&table, 0, style->cyan, "%s", report->executor);
		table_set(&table, 1, style->bold, "%.2f s", report->wall);
		table_set(&table, 2, reports[0].wall > 1.2 * report->wall ? style->green : NULL,
			  "%.1fx", report->wall > 0 ? reports[0].wall / report->wall : 1);
		table_set(&table, 3, NULL, "%.2f s", report->user);
		table_set(&table, 4, NULL, "%.2f s", report->system);
		table_set(&table, 5, NULL, "%.2f s", report->sum);
		table_set(&table, 6, NULL, "%.2f s", report->longest);
	}
	table_print(&table, file, 2);
	fprintf(file,
		"\n  %sThe bound: one page at a time takes their sum; "
		"no executor beats the longest page.%s\n",
		style->dim, style->off);
}

void output_comparison(FILE *file, enum output_form form, const struct report *reports, int count)
{
	if (form != OUTPUT_JSON) {
		print_comparison_table(file, reports, count);
		return;
	}
	for (int i = 0; i < count; i++)
		print_comparison_json(file, &reports[i]);
}
