/* table.c: tables of aligned columns. */
#include "table.h"

#include <stdarg.h>
#include <string.h>

#include "term.h"
#include "text.h"

void table_begin(struct table *table, int columns, const char *const heads[])
{
	memset(table, 0, sizeof *table);
	table->columns = columns;
	table_row(table);
	for (int i = 0; i < columns; i++)
		table_set(table, i, NULL, "%s", heads[i]);
}

void table_row(struct table *table)
{
	if (table->rows < TABLE_ROWS)
		table->rows++;
}

void table_set(struct table *table, int column, const char *style, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(table->cell[table->rows - 1][column], TABLE_CELL, format, args);
	va_end(args);
	table->style[table->rows - 1][column] = style;
}

static int width_of(const struct table *table, int column)
{
	size_t width = 0;

	for (int row = 0; row < table->rows; row++) {
		size_t columns = text_columns(table->cell[row][column]);

		width = columns > width ? columns : width;
	}
	return (int)width;
}

static void print_cell(const struct table *table, FILE *file, int row, int column)
{
	const struct style *styles = term_style(file);
	const char *text = table->cell[row][column], *style = table->style[row][column];
	int pad = width_of(table, column) - (int)text_columns(text);

	if (row == 0)
		style = styles->dim;
	if (column > 0)
		fprintf(file, "%*s", pad + 3, "");
	fprintf(file, "%s%s%s", style != NULL ? style : "", text, style != NULL ? styles->off : "");
	if (column == 0 && table->columns > 1)
		fprintf(file, "%*s", pad, "");
}

void table_print(const struct table *table, FILE *file, int indent)
{
	for (int row = 0; row < table->rows; row++) {
		fprintf(file, "%*s", indent, "");
		for (int column = 0; column < table->columns; column++)
			print_cell(table, file, row, column);
		fputc('\n', file);
	}
}
