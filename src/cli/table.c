#include "cli/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cli/display.h"

#define CUT_LEAST 6 /* columns: what is left of a cell says something still */
#define ROW_MAXIMUM (1 << 26) /* bytes of one row as it is written */

struct cell {
	char *text; /* owned; NULL is NULL */
	char *shown; /* owned; what a person sees instead; NULL: text */
};

struct table {
	int columns;
	char **headers;
	bool *numbers;
	struct cell *cells;
	int64_t count, capacity; /* of cells */
	bool failed;
};

void table_free(struct table *table)
{
	if (!table)
		return;
	for (int i = 0; table->headers && i < table->columns; i++)
		free(table->headers[i]);
	for (int64_t i = 0; i < table->count; i++) {
		free(table->cells[i].text);
		free(table->cells[i].shown);
	}
	free(table->headers);
	free(table->numbers);
	free(table->cells);
	free(table);
}

struct table *table_new(int columns, const char *const *headers)
{
	OWNED_TABLE struct table *table = calloc(1, sizeof *table);

	if (!table)
		return NULL;
	table->columns = columns;
	table->headers = calloc((size_t)columns + 1, sizeof *table->headers);
	table->numbers = calloc((size_t)columns + 1, sizeof *table->numbers);
	if (!table->headers || !table->numbers)
		return NULL;
	for (int i = 0; i < columns; i++)
		if (!(table->headers[i] = strdup(headers[i])))
			return NULL;
	return TAKE(table);
}

void table_number(struct table *table, int column)
{
	if (table)
		table->numbers[column] = true;
}

static bool copy_text(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return !text || *ret_copy;
}

static void add_cell(struct table *table, const char *text, const char *shown)
{
	struct cell *cell;

	if (!table || table->failed)
		return;
	if (table->count == table->capacity) {
		int64_t capacity = table->capacity ? 2 * table->capacity : 64;
		struct cell *cells = realloc(table->cells, (size_t)capacity * sizeof *cells);

		if (!cells) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->capacity = capacity;
	}
	cell = &table->cells[table->count++];
	*cell = (struct cell){0};
	if (!copy_text(text, &cell->text) || !copy_text(shown, &cell->shown))
		table->failed = true;
}

void table_cell(struct table *table, const char *text)
{
	add_cell(table, text, NULL);
}

void table_add(struct table *table, const char *const *cells)
{
	for (int i = 0; table && i < table->columns; i++)
		add_cell(table, cells[i], NULL);
}

void table_cellf(struct table *table, const char *format, ...)
{
	OWNED_FREE char *text = NULL;
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	if (size >= 0) {
		add_cell(table, text, NULL);
	} else {
		text = NULL;
		if (table)
			table->failed = true;
	}
}

static void add_number(struct table *table, int64_t number, const char *(*human)(int64_t, char *))
{
	char text[HUMAN_SIZE], shown[HUMAN_SIZE];

	if (!table)
		return;
	table->numbers[table->count % table->columns] = true;
	snprintf(text, sizeof text, "%lld", (long long)number);
	add_cell(table, text, human(number, shown));
}

void table_cell_count(struct table *table, int64_t count)
{
	add_number(table, count, human_count);
}

void table_cell_bytes(struct table *table, int64_t bytes)
{
	add_number(table, bytes, human_bytes);
}

void table_cell_duration(struct table *table, int64_t ms)
{
	add_number(table, ms, human_duration);
}

int64_t table_row_count(const struct table *table)
{
	return table && table->columns ? table->count / table->columns : 0;
}

const char *table_at(const struct table *table, int64_t row, int column)
{
	return table && row < table_row_count(table) ? table->cells[row * table->columns + column].text : NULL;
}

static bool locale_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

struct table_style table_style_of(FILE *out)
{
	struct table_style style = {.unicode = locale_is_utf8(), .bold = color_for(out)};
	struct winsize size;

	if (isatty(fileno(out)))
		style.width = ioctl(fileno(out), TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
	return style;
}

/* ---- a box */

struct layout {
	const struct table *table;
	const struct table_style *style;
	int *widths; /* of each column, without its padding */
	struct buffer scratch;
};

static const char *cell_text(const struct layout *layout, const struct cell *cell)
{
	if (cell->shown)
		return cell->shown;
	return cell->text ? cell->text : layout->style->null ? layout->style->null : "NULL";
}

static int measure(struct layout *layout, const char *text)
{
	buffer_clear(&layout->scratch);
	display_text(&layout->scratch, text);
	return display_width(buffer_string(&layout->scratch));
}

/* Lowers the widths of text columns to one cap, so that the row fits. */
static void cut_widths(struct layout *layout)
{
	const struct table *table = layout->table;

	for (int cap = layout->style->width; cap >= CUT_LEAST; cap--) {
		int64_t total = 1;

		for (int i = 0; i < table->columns; i++)
			total += 3 + (table->numbers[i] || layout->widths[i] < cap ? layout->widths[i] : cap);
		if (total > layout->style->width && cap > CUT_LEAST)
			continue;
		for (int i = 0; i < table->columns; i++)
			if (!table->numbers[i] && layout->widths[i] > cap)
				layout->widths[i] = cap;
		return;
	}
}

static int lay_out(struct layout *layout, const struct table *table, const struct table_style *style, struct error *err)
{
	*layout = (struct layout){.table = table, .style = style};
	buffer_init(&layout->scratch, ROW_MAXIMUM);
	layout->widths = calloc((size_t)table->columns + 1, sizeof *layout->widths);
	if (!layout->widths)
		return error_no_memory(err);
	for (int i = 0; i < table->columns; i++)
		layout->widths[i] = measure(layout, table->headers[i]);
	for (int64_t i = 0; i < table->count; i++) {
		int width = measure(layout, cell_text(layout, &table->cells[i]));

		if (width > layout->widths[i % table->columns])
			layout->widths[i % table->columns] = width;
	}
	if (style->width)
		cut_widths(layout);
	return 0;
}

static void layout_release(struct layout *layout)
{
	free(layout->widths);
	buffer_release(&layout->scratch);
}

enum rule { RULE_TOP, RULE_MIDDLE, RULE_BOTTOM };

static void append_rule(const struct layout *layout, enum rule rule, struct buffer *out)
{
	static const char *const unicode[][4] = {
	        {"┌", "─", "┬", "┐\n"}, {"├", "─", "┼", "┤\n"}, {"└", "─", "┴", "┘\n"}};
	static const char *const plain[] = {"+", "-", "+", "+\n"};
	const char *const *parts = layout->style->unicode ? unicode[rule] : plain;

	for (int i = 0; i < layout->table->columns; i++) {
		buffer_text(out, parts[i ? 2 : 0]);
		for (int j = 0; j < layout->widths[i] + 2; j++)
			buffer_text(out, parts[1]);
	}
	buffer_text(out, parts[3]);
}

static void append_cell(struct layout *layout, int column, const char *text, bool header, struct buffer *out)
{
	const char *bar = layout->style->unicode ? "│" : "|";
	bool right = layout->table->numbers[column], bold = header && layout->style->bold;
	int pad, width = layout->widths[column];

	buffer_clear(&layout->scratch);
	display_text(&layout->scratch, text);
	display_cut(&layout->scratch, width, layout->style->unicode);
	pad = width - display_width(buffer_string(&layout->scratch));
	buffer_printf(out, "%s %*s%s", bar, right ? pad : 0, "", bold ? "\033[1m" : "");
	buffer_append(out, buffer_string(&layout->scratch), layout->scratch.size);
	buffer_printf(out, "%s%*s ", bold ? "\033[0m" : "", right ? 0 : pad, "");
}

/* Row -1 is the header. */
static void append_row(struct layout *layout, int64_t row, struct buffer *out)
{
	const struct table *table = layout->table;

	for (int i = 0; i < table->columns; i++)
		append_cell(layout, i,
		            row < 0 ? table->headers[i] : cell_text(layout, &table->cells[row * table->columns + i]),
		            row < 0, out);
	buffer_text(out, layout->style->unicode ? "│\n" : "|\n");
}

static int check(const struct table *table, struct error *err)
{
	return !table || table->failed ? error_no_memory(err) : 0;
}

/* Appends the whole box to `out`; with `file` each row goes there instead, and `out` is only space. */
static int render(const struct table *table, const struct table_style *style, struct buffer *out, FILE *file,
                  struct error *err)
{
	struct layout layout;
	int64_t rows = table_row_count(table);
	bool ok = true;

	if (check(table, err))
		return -1;
	if (lay_out(&layout, table, style, err))
		return -1;
	append_rule(&layout, RULE_TOP, out);
	append_row(&layout, -1, out);
	append_rule(&layout, RULE_MIDDLE, out);
	for (int64_t row = 0; row <= rows && ok; row++) {
		if (row < rows)
			append_row(&layout, row, out);
		else
			append_rule(&layout, RULE_BOTTOM, out);
		ok = buffer_ok(out);
		if (file) {
			fwrite(buffer_string(out), 1, out->size, file);
			buffer_clear(out);
		}
	}
	layout_release(&layout);
	return ok ? 0 : error_no_memory(err);
}

int table_render(const struct table *table, const struct table_style *style, struct buffer *out, struct error *err)
{
	return render(table, style, out, NULL, err);
}

int table_print(const struct table *table, FILE *out, struct error *err)
{
	struct table_style style = table_style_of(out);
	OWNED_BUFFER struct buffer row = {0};

	buffer_init(&row, ROW_MAXIMUM);
	return render(table, &style, &row, out, err);
}

/* ---- JSON */

/* RFC 8259 section 6 */
static bool is_json_number(const char *text)
{
	size_t digits;

	text += *text == '-';
	digits = strspn(text, "0123456789");
	if (!digits || (digits > 1 && *text == '0'))
		return false;
	text += digits;
	if (*text == '.') {
		digits = strspn(++text, "0123456789");
		if (!digits)
			return false;
		text += digits;
	}
	if (*text == 'e' || *text == 'E') {
		text++;
		text += *text == '+' || *text == '-';
		digits = strspn(text, "0123456789");
		if (!digits)
			return false;
		text += digits;
	}
	return !*text;
}

static void append_key(const char *header, struct buffer *out)
{
	OWNED_BUFFER struct buffer key = {0};

	buffer_init(&key, ROW_MAXIMUM);
	for (const char *c = header; *c; c++)
		buffer_char(&key, *c == ' ' ? '_' : *c);
	buffer_json_text(out, buffer_string(&key), key.size);
}

static void append_object(const struct table *table, int64_t row, struct buffer *out)
{
	for (int i = 0; i < table->columns; i++) {
		const struct cell *cell = &table->cells[row * table->columns + i];

		buffer_text(out, i ? ", " : "{");
		append_key(table->headers[i], out);
		buffer_text(out, ": ");
		if (!cell->text)
			buffer_text(out, "null");
		else if (table->numbers[i] && is_json_number(cell->text))
			buffer_text(out, cell->text);
		else
			buffer_json_text(out, cell->text, strlen(cell->text));
	}
	buffer_char(out, '}');
}

int table_render_json(const struct table *table, struct buffer *out, struct error *err)
{
	if (check(table, err))
		return -1;
	for (int64_t row = 0; row < table_row_count(table); row++) {
		buffer_text(out, row ? ",\n " : "[");
		append_object(table, row, out);
	}
	buffer_text(out, table_row_count(table) ? "]\n" : "[]\n");
	return buffer_ok(out) ? 0 : error_no_memory(err);
}

int table_print_json(const struct table *table, FILE *out, struct error *err)
{
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&text, BUFFER_DEFAULT_MAXIMUM);
	if (table_render_json(table, &text, err))
		return -1;
	fwrite(buffer_string(&text), 1, text.size, out);
	return 0;
}
