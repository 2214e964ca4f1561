/* table.h: tables of aligned columns. */
#ifndef TRENZA_TOOL_TABLE_H
#define TRENZA_TOOL_TABLE_H

#include <stdio.h>

enum { TABLE_COLUMNS = 8, TABLE_ROWS = 24, TABLE_CELL = 48 };

struct table {
	int columns, rows; /* the first row is the heads */
	char cell[TABLE_ROWS][TABLE_COLUMNS][TABLE_CELL];
	const char *style[TABLE_ROWS][TABLE_COLUMNS]; /* of term.h, or NULL */
};

/* Begins a table with these heads, `columns` of them. All columns but the first are aligned to
   the right. */
void table_begin(struct table *table, int columns, const char *const heads[]);

/* Begins a new row; rows beyond TABLE_ROWS overwrite the last one. */
void table_row(struct table *table);

/* Sets the cell in column `column` of the last row; `style` (of term.h) may be NULL. */
void table_set(struct table *table, int column, const char *style, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Prints the table, each line after `indent` spaces. */
void table_print(const struct table *table, FILE *file, int indent);

#endif
