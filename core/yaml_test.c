#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void trees(void **state)
{
	static const struct {
		const char *yaml, *json;
	} cases[] = {
	        {"", "null"},
	        {"# only a comment\n", "null"},
	        {"---\n...\n", "null"},
	        {"a: 1\nb: [x, 'y', \"z\\n\"]\nc:\n  - d: true\n    e: ~\n  -\n",
	         "{\"a\":1,\"b\":[\"x\",\"y\",\"z\\n\"],\"c\":[{\"d\":true,\"e\":null},null]}"},
	        {"[1, -2.5, 1e3, 0, -0.5, 010, 0x1f, 1_000, .5, 5., +1, 1e, '7', !!str 8, 1.2.3]",
	         "[1,-2.5,1000,0,-0.5,\"010\",\"0x1f\",\"1_000\",\".5\",\"5.\",\"+1\",\"1e\",\"7\",\"8\",\"1."
	         "2.3\"]"},
	        {"[true, True, FALSE, yes, no, on, off, null, Null, '', ~]",
	         "[true,true,false,\"yes\",\"no\",\"on\",\"off\",null,null,\"\",null]"},
	        {"8080: x\nтекст: привет\n", "{\"8080\":\"x\",\"текст\":\"привет\"}"},
	        {"t: |\n  one\n  two\nf: >-\n  one\n  two\n", "{\"t\":\"one\\ntwo\\n\",\"f\":\"one two\"}"},
	        {"{\"json\": [1, {\"a\": null}], \"s\": \"\\u00e9\"}",
	         "{\"json\":[1,{\"a\":null}],\"s\":\"é\"}"},
	        {"-100123456789012", "-100123456789012"},
	        {"a: &x {k: 1}\nb: *x\nc: [*x, &y 2, *y]\n",
	         "{\"a\":{\"k\":1},\"b\":{\"k\":1},\"c\":[{\"k\":1},2,2]}"},
	        {"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"},
	        {"base: &b {i: 1, j: 1}\nm:\n  j: 2\n  <<: *b\n",
	         "{\"base\":{\"i\":1,\"j\":1},\"m\":{\"j\":2,\"i\":1}}"},
	        {"p: &p {i: 1}\nq: &q {i: 2, k: 3}\nm: {<<: [*p, *q], z: 0}\n",
	         "{\"p\":{\"i\":1},\"q\":{\"i\":2,\"k\":3},\"m\":{\"z\":0,\"i\":1,\"k\":3}}"},
	        {"m: {<<: &in {i: 1}}\nn: *in\n", "{\"m\":{\"i\":1},\"n\":{\"i\":1}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		cJSON *tree = yaml_parse(cases[i].yaml, strlen(cases[i].yaml), "t.yml", &err);

		if (!tree)
			fail_msg("%s: %s", cases[i].yaml, err.msg);
		char *json = json_print(tree);
		assert_string_equal(json, cases[i].json);
		free(json);
		cJSON_Delete(tree);
	}
}

static void as_pyyaml_printed_it(void **state)
{
	static const char yaml[] =
	        "[123e45, 1e3, 1.5e3, 1.5e+3, -2, 0.5, 12345678901234567890, 1e-3, '7', true]";
	struct err err = {0};
	cJSON *tree = yaml_parse_pyyaml(yaml, strlen(yaml), "t.yml", &err);
	char *json = json_print(tree);

	(void)state;
	assert_string_equal(json,
	                    "[\"123e45\",\"1e3\",\"1.5e3\",1500,-2,0.5,\"12345678901234567890\",\"1e-3\","
	                    "\"7\",true]");
	free(json);
	cJSON_Delete(tree);
}

static void refused(void **state)
{
	static const struct {
		const char *yaml;
		size_t len; /* 0: strlen */
		enum err_code code;
		const char *message; /* begins with */
	} cases[] = {
	        {"a: 1\nb: 2\na: 3\n", 0, ERR_INVALID, "t.yml:3:1: this key stands here twice"},
	        {"a: [1, 2\nb: 3\n", 0, ERR_INVALID, "t.yml:"},
	        {"a: \"open\n", 0, ERR_INVALID, "t.yml:"},
	        {"\ta: 1\n", 0, ERR_INVALID, "t.yml:1:"},
	        {"a: b: c\n", 0, ERR_INVALID, "t.yml:1:"},
	        {"a: *nowhere\n", 0, ERR_INVALID, "t.yml:1:5: this alias has no anchor"},
	        {"a: &x [*x]\n", 0, ERR_INVALID, "t.yml:1:9: this alias stands inside"},
	        {"? [a, b]\n: c\n", 0, ERR_INVALID, "t.yml:1:3: a key must be plain text"},
	        {"a: &x k\n*x : v\n", 0, ERR_INVALID, "t.yml:2:2: a key must be plain text"},
	        {"a: !reset []\n", 0, ERR_INVALID, "t.yml:1:"},
	        {"a: !!int 3\n", 0, ERR_INVALID, "t.yml:1:"},
	        {"a: 1\n---\nb: 2\n", 0, ERR_INVALID, "t.yml:2:1: a second document"},
	        {"a: \"x\\0y\"\n", 0, ERR_INVALID, "t.yml:1:5: this text has a NUL"},
	        {"b: 1\na: x\0y\n", 12, ERR_INVALID, "t.yml:2:1: this line"},
	        {"a: \xff\xfe\n", 0, ERR_INVALID, "t.yml:1:1: this line"},
	        {"a: 90071992547409930\n", 0, ERR_INVALID, "t.yml:1:4: this number"},
	        {"a: 1e999\n", 0, ERR_INVALID, "t.yml:1:4: this number"},
	        {"<<: 1\n", 0, ERR_INVALID, "t.yml:"},
	        {"m: {<<: [{a: 1}, 2]}\n", 0, ERR_INVALID, "t.yml:"},
	        {"%YAML 9.9\n---\na: 1\n", 0, ERR_INVALID, "t.yml:"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].yaml);
		cJSON *tree = yaml_parse(cases[i].yaml, len, "t.yml", &err);

		if (tree)
			fail_msg("taken: %s", cases[i].yaml);
		if (err.code != cases[i].code || strncmp(err.msg, cases[i].message, strlen(cases[i].message)))
			fail_msg("%s gave %d %s", cases[i].yaml, err.code, err.msg);
	}
}

static void bombs(void **state)
{
	struct str deep = STR_INIT, many = STR_INIT, wide = STR_INIT, nest = STR_INIT;
	cleanup_free char *big = mem_alloc(YAML_MAX_BYTES + 2);
	static const char laughs[] =
	        "a: &a [l,l,l,l,l,l,l,l,l]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
	        "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
	        "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
	int64_t start = clock_mono_ms();
	struct err err;

	(void)state;
	assert_null(yaml_parse(laughs, sizeof(laughs) - 1, "b", &err));
	assert_int_equal(err.code, ERR_LIMIT);
	for (int i = 0; i < 5000; i++)
		str_addc(&deep, '[');
	assert_null(yaml_parse(deep.p, deep.len, "b", &err));
	str_add(&nest, "a: &a ");
	for (int i = 0; i < 40; i++)
		str_addc(&nest, '[');
	for (int i = 0; i < 40; i++)
		str_addc(&nest, ']');
	str_add(&nest, "\nb: ");
	for (int i = 0; i < 40; i++)
		str_addc(&nest, '[');
	str_add(&nest, "*a");
	for (int i = 0; i < 40; i++)
		str_addc(&nest, ']');
	assert_null(yaml_parse(nest.p, nest.len, "b", &err));
	assert_int_equal(err.code, ERR_LIMIT);
	str_add(&many, "a: &a x\nb:\n");
	for (int i = 0; i < 65; i++)
		str_add(&many, "- *a\n");
	assert_null(yaml_parse(many.p, many.len, "b", &err));
	assert_int_equal(err.code, ERR_LIMIT);
	for (int i = 0; i < 30000; i++)
		str_addf(&wide, "k%d: 1\n", i);
	assert_null(yaml_parse(wide.p, wide.len, "b", &err));
	assert_int_equal(err.code, ERR_LIMIT);
	memset(big, ' ', YAML_MAX_BYTES + 1);
	assert_null(yaml_parse(big, YAML_MAX_BYTES + 1, "b", &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_in_range(clock_mono_ms() - start, 0, 10000);
	str_free(&deep);
	str_free(&many);
	str_free(&wide);
	str_free(&nest);
}

/* Every prefix of a text with everything in it, and every byte of it replaced: no crash, a message or a tree. */
static void mangled(void **state)
{
	static const char text[] =
	        "a: &x {k: [1, 'q', \"e\\n\"]}\nb: !!str 5\nc:\n  <<: *x\n  d: |\n    t\n  ? e\n  : f\n# c\n";
	static const char bytes[] = "\0\n\t:[]{}&*!|>'\"%@-?,#\x80\xff";

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		for (size_t k = 0; k <= sizeof(bytes); k++) {
			char copy[sizeof(text)];
			struct err err = {0};
			cJSON *tree;

			memcpy(copy, text, sizeof(text));
			if (k < sizeof(bytes))
				copy[i] = bytes[k];
			tree = yaml_parse(copy, k < sizeof(bytes) ? sizeof(text) - 1 : i, "m", &err);
			assert_true(tree || err.msg[0]);
			cJSON_Delete(tree);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(trees),   cmocka_unit_test(as_pyyaml_printed_it),
	        cmocka_unit_test(refused), cmocka_unit_test(bombs),
	        cmocka_unit_test(mangled),
	};

	return cmocka_run_group_tests_name("core/yaml", tests, NULL, NULL);
}
