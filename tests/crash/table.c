/* The table that people read: steps × faults, and what was left over. */
#include "core/mem.h"
#include "core/str.h"
#include "tests/crash/crash.h"
#include <stdlib.h>
#include <string.h>

#define BELOW (BIT(AT_SQL) | BIT(AT_SPAWN) | BIT(AT_INNER))

static struct result {
	struct cell cell;
	int leftovers;
	char *text;
} * results;
static size_t count;

void table_add(const struct cell *cell, int leftovers, const char *text)
{
	results = mem_resize(results, count + 1, sizeof(*results));
	results[count++] = (struct result){*cell, leftovers, mem_strdup(text)};
}

static bool is_below(const struct cell *cell)
{
	return BIT(cell->point.source) & BELOW;
}

static bool same_row(const struct cell *a, const struct cell *b)
{
	return a->engine == b->engine && a->op == b->op && a->point.source == b->point.source &&
	       a->point.n == b->point.n;
}

static const struct result *result_at(const struct cell *row, size_t fault)
{
	for (size_t i = 0; i < count; i++)
		if (same_row(&results[i].cell, row) && results[i].cell.fault == (int)fault)
			return &results[i];
	return NULL;
}

static bool column_used(enum engine_kind engine, size_t fault)
{
	for (size_t i = 0; i < count; i++)
		if (results[i].cell.engine == engine && results[i].cell.fault == (int)fault &&
		    !is_below(&results[i].cell))
			return true;
	return false;
}

static void write_row(FILE *out, const struct cell *row)
{
	fprintf(out, "| %s: %s |", row->op->name, row->point.what);
	for (size_t f = 0; f < fault_count; f++) {
		if (!column_used(row->engine, f))
			continue;
		const struct result *r = result_at(row, f);
		if (!r || r->leftovers < 0)
			fprintf(out, " – |");
		else
			fprintf(out, " %d |", r->leftovers);
	}
	fprintf(out, "\n");
}

static void write_head(FILE *out, enum engine_kind engine)
{
	fprintf(out, "\n### %s%s\n\n| hurt at |", engine == ON_PROCESS ? "Processes" : "Containers, made by ",
	        engine == ON_PROCESS ? "" : getenv("COMPOSE_PROVIDER"));
	for (size_t f = 0; f < fault_count; f++)
		if (column_used(engine, f))
			fprintf(out, " %s |", faults[f].name);
	fprintf(out, "\n|---|");
	for (size_t f = 0; f < fault_count; f++)
		if (column_used(engine, f))
			fprintf(out, "--:|");
	fprintf(out, "\n");
}

static void write_engine(FILE *out, enum engine_kind engine)
{
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		const struct cell *cell = &results[i].cell;
		bool seen = false;
		for (size_t k = 0; k < i; k++)
			seen |= same_row(&results[k].cell, cell);
		if (seen || cell->engine != engine || is_below(cell))
			continue;
		if (!any)
			write_head(out, engine);
		any = true;
		write_row(out, cell);
	}
}

/* Hundreds of statements are one row. */
static void write_below(FILE *out)
{
	static const struct {
		enum source source;
		const char *what;
	} rows[] = {{AT_SQL, "each SQL statement"},
	            {AT_SPAWN, "each child of the operation"},
	            {AT_INNER, "each child of the supervisor"}};
	bool any = false;
	for (size_t o = 0; o < op_count; o++)
		for (size_t s = 0; s < ARRAY_LEN(rows); s++)
			for (size_t f = 0; f < fault_count; f++) {
				int cells = 0, left = 0;
				for (size_t i = 0; i < count; i++)
					if (results[i].cell.op == &ops[o] &&
					    results[i].cell.fault == (int)f &&
					    results[i].cell.point.source == rows[s].source &&
					    results[i].leftovers >= 0) {
						cells++;
						left += results[i].leftovers;
					}
				if (!cells)
					continue;
				if (!any)
					fprintf(out,
					        "\n### Below the steps (processes)\n\n| operation | hurt "
					        "at | how | cells | left over |\n|---|---|---|--:|--:|\n");
				any = true;
				fprintf(out, "| %s | %s | %s | %d | %d |\n", ops[o].name, rows[s].what,
				        faults[f].name, cells, left);
			}
}

void table_write(FILE *out)
{
	int cells = 0, left = 0;
	for (size_t i = 0; i < count; i++) {
		cells += results[i].leftovers >= 0;
		left += results[i].leftovers > 0 ? results[i].leftovers : 0;
	}
	fprintf(out,
	        "Each cell: an operation is hurt, the fault is taken away, a worker starts, `session reap` "
	        "runs; "
	        "then the number of\nthings that belong to no listed session, or are missing of one. %d "
	        "cells, %d "
	        "left over. –: not possible there, or left out of a sample.\n",
	        cells, left);
	for (enum engine_kind engine = ON_PROCESS; engine < ENGINE_KINDS; engine++)
		write_engine(out, engine);
	write_below(out);
	for (size_t i = 0; i < count; i++)
		if (results[i].leftovers > 0)
			fprintf(out, "\n%s: %s: %s:\n%s", results[i].cell.op->name,
			        results[i].cell.point.what, faults[results[i].cell.fault].name,
			        results[i].text);
}
