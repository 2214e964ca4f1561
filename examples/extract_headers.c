/* extract_headers.c: the headings of a list of pages, one page after the other and then on sixteen threads.
 *
 * The twin of the programs with batch_extract_headers and concurrent_extract_headers. The pages are arguments:
 *
 *     trenza demo --serve >urls &
 *     extract_headers $(cat urls)
 *
 * Two things differ. The text's regular expression reads line by line; it finds headings in comments and
 * misses those with markup or punctuation in them, so here a parser reads the pages. And the threads
 * print nothing, so that the lines come in the order of the list.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <libxml/HTMLparser.h>

#include <trenza.h>

/* What came of one page. */
struct page {
	char **headers; /* the texts of its h1 to h4 */
	size_t count;
	double seconds; /* that it took */
	const char *error; /* why there is nothing, or NULL */
};

/* --- one page: plain C, with libcurl and libxml2 as ever --------------------------------------- */

struct reading {
	htmlParserCtxtPtr parser;
	struct page page;
	char *text; /* of the heading in which the parser is, or NULL */
	int templates; /* in how many of them: they are not shown */
};

static int is_header(const xmlChar *tag)
{
	return tag[0] == 'h' && tag[1] >= '1' && tag[1] <= '4' && tag[2] == '\0';
}

static void tag_begins(void *arg, const xmlChar *tag, const xmlChar **attributes)
{
	struct reading *r = arg;

	(void)attributes;
	r->templates += strcmp((const char *)tag, "template") == 0;
	if (is_header(tag) && r->templates == 0 && r->text == NULL)
		r->text = calloc(1, 1);
}

static void tag_ends(void *arg, const xmlChar *tag)
{
	struct reading *r = arg;
	char **more;

	r->templates -= strcmp((const char *)tag, "template") == 0;
	if (!is_header(tag) || r->text == NULL)
		return;
	more = realloc(r->page.headers, (r->page.count + 1) * sizeof *more);
	if (more != NULL) {
		r->page.headers = more;
		more[r->page.count++] = r->text;
	} else {
		free(r->text);
	}
	r->text = NULL;
}

static void text_comes(void *arg, const xmlChar *text, int size)
{
	struct reading *r = arg;
	size_t length = r->text != NULL ? strlen(r->text) : 0;
	char *more = r->text != NULL ? realloc(r->text, length + (size_t)size + 1) : NULL;

	if (more == NULL)
		return;
	memcpy(more + length, text, (size_t)size);
	more[length + (size_t)size] = '\0';
	r->text = more;
}

static size_t bytes_come(char *bytes, size_t one, size_t size, void *arg)
{
	struct reading *r = arg;

	(void)one;
	htmlParseChunk(r->parser, bytes, (int)size, 0);
	return size;
}

static struct page extract_headers(const char *url)
{
	htmlSAXHandler events = { .startElement = tag_begins,
				  .endElement = tag_ends,
				  .characters = text_comes };
	struct reading r = { NULL, { NULL, 0, 0, NULL }, NULL, 0 };
	CURL *transfer = curl_easy_init();
	CURLcode answer = CURLE_OUT_OF_MEMORY;
	uint64_t start = tz_now();

	r.parser = htmlCreatePushParserCtxt(&events, &r, NULL, 0, url, XML_CHAR_ENCODING_UTF8);
	if (transfer != NULL && r.parser != NULL) {
		curl_easy_setopt(transfer, CURLOPT_URL, url);
		curl_easy_setopt(transfer, CURLOPT_FOLLOWLOCATION, 1L);
		curl_easy_setopt(transfer, CURLOPT_FAILONERROR, 1L);
		curl_easy_setopt(transfer, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(transfer, CURLOPT_TIMEOUT, 60L);
		curl_easy_setopt(transfer, CURLOPT_WRITEFUNCTION, bytes_come);
		curl_easy_setopt(transfer, CURLOPT_WRITEDATA, &r);
		answer = curl_easy_perform(transfer);
		htmlParseChunk(r.parser, NULL, 0, 1);
	}
	if (answer != CURLE_OK)
		r.page.error = curl_easy_strerror(answer);
	if (r.parser != NULL) {
		xmlFreeDoc(r.parser->myDoc);
		htmlFreeParserCtxt(r.parser);
	}
	curl_easy_cleanup(transfer);
	free(r.text);
	r.page.seconds = (double)(tz_now() - start) / 1e9;
	return r.page;
}
TZ_TASK(struct page, extract_headers, const char *);

/* --- all pages --------------------------------------------------------------------------------- */

/* Prints what came of the pages, and frees them. Answers how many headings there were, or -1. */
static long take(size_t n, const char *const urls[], struct page pages[])
{
	long headers = 0, failed = 0;

	for (size_t i = 0; i < n; i++) {
		if (pages[i].error != NULL) {
			fprintf(stderr, "%s: %s\n", urls[i], pages[i].error);
			failed++;
		} else {
			printf("%s took %0.2f seconds\n", urls[i], pages[i].seconds);
		}
		headers += (long)pages[i].count;
		for (size_t k = 0; k < pages[i].count; k++)
			free(pages[i].headers[k]);
		free(pages[i].headers);
	}
	return failed > 0 ? -1 : headers;
}

static long batch_extract_headers(size_t n, const char *const urls[], struct page pages[])
{
	for (size_t i = 0; i < n; i++)
		pages[i] = extract_headers(urls[i]);
	return take(n, urls, pages);
}

static long concurrent_extract_headers(size_t n, const char *const urls[], struct page pages[])
{
	tz_executor *executor;
	int r;

	if (tz_executor_open(&executor, "threads:16") < 0)
		return -1;
	r = tz_map(executor, extract_headers, n, pages, urls);
	tz_executor_close(executor);
	return r < 0 ? -1 : take(n, urls, pages);
}

int main(int argc, char *argv[])
{
	size_t n = (size_t)argc - 1;
	const char *const *urls = (const char *const *)argv + 1;
	struct page *pages = calloc(n + 1, sizeof *pages);
	long headers = -1;

	if (argc < 2 || pages == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		fprintf(stderr, "usage: extract_headers URL...\n");
		return 1;
	}
	xmlInitParser();
	puts("batch_extract_headers");
	headers = batch_extract_headers(n, urls, pages);
	if (headers >= 0) {
		printf("%ld\n\nconcurrent_extract_headers\n", headers);
		headers = concurrent_extract_headers(n, urls, pages);
	}
	if (headers >= 0)
		printf("%ld\n", headers);
	free(pages);
	return headers >= 0 ? 0 : 1;
}
