#include "bot/markdown.h"
#include "core/mem.h"
#include "core/text.h"
#include <md4c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LISTS 8
#define MAX_CELLS 2000 /* a larger table is not for a chat: its rows are simply cut off */

struct list {
	bool ordered;
	unsigned number;
};

struct renderer {
	struct str *out;
	size_t start; /* of our output in ${out} */
	struct list lists[MAX_LISTS];
	int depth, quotes;
	bool in_code, item_start;
	int dead_links; /* nested links that are not for Telegram */
	/* a table is collected before it is written, to align its columns */
	bool in_table;
	struct str cell;
	char **cells;
	size_t n_cells, columns;
};

static struct str *target(struct renderer *r)
{
	return r->in_table ? &r->cell : r->out;
}

/* Make sure that the output ends with ${n} line ends, unless nothing stands there yet. */
static void gap(struct renderer *r, int n)
{
	size_t have = 0;
	if (r->item_start || r->out->len == r->start)
		return;
	while (have < r->out->len - r->start && r->out->p[r->out->len - 1 - have] == '\n')
		have++;
	for (; have < (size_t)n; have++)
		str_addc(r->out, '\n');
}

static void paragraph_gap(struct renderer *r)
{
	gap(r, r->depth ? 1 : 2);
}

static void tag(struct renderer *r, const char *html)
{
	if (!r->in_table && !r->in_code)
		str_add(r->out, html);
}

static void begin_item(struct renderer *r)
{
	gap(r, 1);
	int level = r->depth < MAX_LISTS ? r->depth : MAX_LISTS;
	struct list *list = &r->lists[level ? level - 1 : 0];
	for (int i = 1; i < level; i++)
		str_add(r->out, "   ");
	if (list->ordered)
		str_addf(r->out, "%u. ", list->number++);
	else
		str_add(r->out, "• ");
	r->item_start = true;
}

static void begin_list(struct renderer *r, bool ordered, unsigned start)
{
	if (r->depth == 0)
		gap(r, 2);
	r->item_start = false;
	if (r->depth < MAX_LISTS)
		r->lists[r->depth] = (struct list){ordered, start};
	r->depth++;
}

static void add_attribute(struct str *out, const MD_ATTRIBUTE *a)
{
	cleanup_free char *text = mem_strndup(a->text ? a->text : "", a->size);
	str_add_html(out, text);
}

static void begin_code(struct renderer *r, const MD_BLOCK_CODE_DETAIL *d)
{
	paragraph_gap(r);
	r->item_start = false;
	str_add(r->out, "<pre>");
	if (d->lang.size) {
		str_add(r->out, "<code class=\"language-");
		add_attribute(r->out, &d->lang);
		str_add(r->out, "\">");
	}
	r->in_code = true;
}

static void end_code(struct renderer *r, const MD_BLOCK_CODE_DETAIL *d)
{
	r->in_code = false;
	if (r->out->len > r->start && r->out->p[r->out->len - 1] == '\n')
		str_cut(r->out, r->out->len - 1);
	str_add(r->out, d->lang.size ? "</code></pre>" : "</pre>");
}

static void end_cell(struct renderer *r)
{
	char *text = str_take(&r->cell);
	if (r->n_cells == MAX_CELLS) {
		free(text);
		return;
	}
	r->cells = mem_resize(r->cells, r->n_cells + 1, sizeof(*r->cells));
	r->cells[r->n_cells++] = text;
}

static void add_padded(struct str *out, const char *text, size_t width)
{
	str_add_html(out, text);
	for (size_t have = text_columns(text, strlen(text)); have < width; have++)
		str_addc(out, ' ');
}

static void end_table(struct renderer *r)
{
	size_t columns = r->columns ? r->columns : 1;
	size_t *width = mem_alloc(columns * sizeof(*width));
	for (size_t i = 0; i < r->n_cells; i++) {
		size_t w = text_columns(r->cells[i], strlen(r->cells[i]));
		if (w > width[i % columns])
			width[i % columns] = w;
	}
	r->in_table = false;
	paragraph_gap(r);
	str_add(r->out, "<pre>");
	for (size_t i = 0; i < r->n_cells; i++) {
		bool last = i % columns == columns - 1;
		add_padded(r->out, r->cells[i], last ? 0 : width[i % columns]);
		if (i + 1 < r->n_cells)
			str_add(r->out, last ? "\n" : " │ ");
		free(r->cells[i]);
	}
	str_add(r->out, "</pre>");
	free(r->cells);
	free(width);
	r->cells = NULL;
	r->n_cells = 0;
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *arg)
{
	struct renderer *r = arg;
	switch (type) {
	case MD_BLOCK_QUOTE:
		gap(r, 2);
		if (r->quotes++ == 0) /* Telegram does not nest them */
			str_add(r->out, "<blockquote>");
		r->item_start = true;
		break;
	case MD_BLOCK_UL:
		begin_list(r, false, 0);
		break;
	case MD_BLOCK_OL:
		begin_list(r, true, ((MD_BLOCK_OL_DETAIL *)detail)->start);
		break;
	case MD_BLOCK_LI:
		begin_item(r);
		break;
	case MD_BLOCK_HR:
		gap(r, 2);
		str_add(r->out, "———");
		break;
	case MD_BLOCK_H:
		gap(r, 2);
		r->item_start = false;
		str_add(r->out, "<b>");
		break;
	case MD_BLOCK_P:
		paragraph_gap(r);
		r->item_start = false;
		break;
	case MD_BLOCK_CODE:
		begin_code(r, detail);
		break;
	case MD_BLOCK_TABLE:
		r->in_table = true;
		r->columns = ((MD_BLOCK_TABLE_DETAIL *)detail)->col_count;
		break;
	default:
		break;
	}
	return 0;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *arg)
{
	struct renderer *r = arg;
	switch (type) {
	case MD_BLOCK_QUOTE:
		r->item_start = false;
		if (--r->quotes == 0)
			str_add(r->out, "</blockquote>");
		break;
	case MD_BLOCK_UL:
	case MD_BLOCK_OL:
		r->depth--;
		break;
	case MD_BLOCK_LI:
		r->item_start = false;
		break;
	case MD_BLOCK_H:
		str_add(r->out, "</b>");
		break;
	case MD_BLOCK_CODE:
		end_code(r, detail);
		break;
	case MD_BLOCK_TH:
	case MD_BLOCK_TD:
		end_cell(r);
		break;
	case MD_BLOCK_TABLE:
		end_table(r);
		break;
	default:
		break;
	}
	return 0;
}

static bool link_works(const MD_ATTRIBUTE *href)
{
	static const char *const schemes[] = {"http://", "https://", "tg://", "mailto:"};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (href->size > strlen(schemes[i]) &&
		    strncmp(href->text, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

static void begin_link(struct renderer *r, const MD_ATTRIBUTE *href)
{
	if (r->in_table || r->dead_links || !link_works(href)) {
		r->dead_links++;
		return;
	}
	str_add(r->out, "<a href=\"");
	add_attribute(r->out, href);
	str_add(r->out, "\">");
}

static void end_link(struct renderer *r)
{
	if (r->dead_links)
		r->dead_links--;
	else
		str_add(r->out, "</a>");
}

static int enter_span(MD_SPANTYPE type, void *detail, void *arg)
{
	struct renderer *r = arg;
	r->item_start = false;
	if (type == MD_SPAN_A)
		begin_link(r, &((MD_SPAN_A_DETAIL *)detail)->href);
	else if (type == MD_SPAN_EM)
		tag(r, "<i>");
	else if (type == MD_SPAN_STRONG)
		tag(r, "<b>");
	else if (type == MD_SPAN_DEL)
		tag(r, "<s>");
	else if (type == MD_SPAN_CODE)
		tag(r, "<code>");
	return 0;
}

static int leave_span(MD_SPANTYPE type, void *detail, void *arg)
{
	struct renderer *r = arg;
	(void)detail;
	if (type == MD_SPAN_A)
		end_link(r);
	else if (type == MD_SPAN_EM)
		tag(r, "</i>");
	else if (type == MD_SPAN_STRONG)
		tag(r, "</b>");
	else if (type == MD_SPAN_DEL)
		tag(r, "</s>");
	else if (type == MD_SPAN_CODE)
		tag(r, "</code>");
	return 0;
}

/* Telegram knows numbers and four names; the rest is shown as it was written. */
static void add_entity(struct renderer *r, const char *text, size_t n)
{
	static const char *const known[] = {"&lt;", "&gt;", "&amp;", "&quot;"};
	static const char plain[] = "<>&\"";
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (n == strlen(known[i]) && memcmp(text, known[i], n) == 0) {
			if (r->in_table)
				str_addc(&r->cell, plain[i]);
			else
				str_addn(r->out, text, n);
			return;
		}
	}
	if (n == 6 && memcmp(text, "&nbsp;", 6) == 0) {
		str_add(target(r), "\u00a0");
		return;
	}
	cleanup_free char *copy = mem_strndup(text, n);
	if (r->in_table)
		str_add(&r->cell, copy);
	else
		str_add_html(r->out, copy);
}

static int add_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE n, void *arg)
{
	struct renderer *r = arg;
	r->item_start = false;
	if (type == MD_TEXT_BR || type == MD_TEXT_SOFTBR) {
		str_addc(target(r), r->in_table ? ' ' : '\n');
	} else if (type == MD_TEXT_NULLCHAR) {
		str_add(target(r), "\ufffd");
	} else if (type == MD_TEXT_ENTITY) {
		add_entity(r, text, n);
	} else {
		cleanup_free char *copy = mem_strndup(text, n);
		if (r->in_table)
			str_add(&r->cell, copy);
		else
			str_add_html(r->out, copy);
	}
	return 0;
}

void markdown_html(const char *text, struct str *out)
{
	static const MD_PARSER parser = {.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_NOHTML |
	                                          MD_FLAG_PERMISSIVEURLAUTOLINKS,
	                                 .enter_block = enter_block,
	                                 .leave_block = leave_block,
	                                 .enter_span = enter_span,
	                                 .leave_span = leave_span,
	                                 .text = add_text};
	struct renderer r = {.out = out, .start = out->len, .cell = STR_INIT};
	size_t n = strlen(text);
	if (n < UINT32_MAX && md_parse(text, (MD_SIZE)n, &parser, &r) == 0)
		return;
	str_free(&r.cell);
	for (size_t i = 0; i < r.n_cells; i++)
		free(r.cells[i]);
	free(r.cells);
	str_cut(out, r.start);
	str_add_html(out, text);
}
