#include "compose/share.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
	const char *what;
	int64_t total, step;
	struct share in[4]; /* ended by copies 0; given: expected */
};

static const struct row rows[] = {
        {"even", 1000, 1, {{0, 1, 250}, {0, 1, 250}, {0, 1, 250}, {0, 1, 250}}},
        {"rounded down", 1000, 4, {{0, 1, 332}, {0, 1, 332}, {0, 1, 332}}},
        {"a smaller one of its own is kept", 1000, 1, {{100, 1, 100}, {0, 1, 450}, {0, 1, 450}}},
        {"a larger one than an even share too", 1000, 1, {{600, 1, 600}, {0, 1, 400}}},
        {"but not all of it", 1000, 1, {{990, 1, 750}, {0, 1, 250}}},
        {"alone", 1000, 1, {{0, 1, 1000}}},
        {"alone, with more than there is", 1000, 1, {{5000, 1, 1000}}},
        {"alone, with less than there is", 1000, 1, {{10, 1, 10}}},
        {"too much: the small one stays, the large ones are cut to one level",
         1000,
         1,
         {{100, 1, 100}, {800, 1, 450}, {900, 1, 450}}},
        {"copies count each", 1000, 1, {{0, 3, 250}, {0, 1, 250}}},
        {"copies with limits count each", 1000, 1, {{400, 3, 291}, {0, 1, 127}}},
        {"exactly full", 1000, 1, {{500, 1, 500}, {500, 1, 500}}},
        {"nothing to share", 0, 1, {{500, 1, 0}, {0, 1, 0}}},
};

static void shared_as_the_table_says(void **state)
{
	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		struct share s[4];
		size_t n = 0;
		while (n < 4 && rows[r].in[n].copies) {
			s[n] = rows[r].in[n];
			s[n++].given = -1;
		}
		share_out(s, n, rows[r].total, rows[r].step);
		for (size_t i = 0; i < n; i++)
			if (s[i].given != rows[r].in[i].given)
				fail_msg("%s: service %zu is given %lld, not %lld", rows[r].what, i,
				         (long long)s[i].given, (long long)rows[r].in[i].given);
	}
}

/* Whatever is asked for: never more than the whole, nobody more than asked for, nobody nothing. */
static void never_more_than_the_whole(void **state)
{
	(void)state;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		struct share s[6];
		size_t n = 1 + (size_t)random() % 6;
		int64_t total = 10000 + random() % 100000, sum = 0;
		for (size_t i = 0; i < n; i++)
			s[i] = (struct share){.own = random() % 2 ? 1 + random() % 100000 : 0,
			                      .copies = 1 + random() % 4};
		share_out(s, n, total, 1);
		for (size_t i = 0; i < n; i++) {
			assert_true(s[i].given > 0);
			assert_true(!s[i].own || s[i].given <= s[i].own);
			sum += s[i].given * s[i].copies;
		}
		assert_true(sum <= total);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(shared_as_the_table_says),
	        cmocka_unit_test(never_more_than_the_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
