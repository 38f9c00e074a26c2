#include "core/mem.h"
#include "testsuite/match.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *cond, *text;
	int met;
	const char *why;
} texts[] = {
        {"{}", "anything", 1, ""},
        {"{'contains':'b'}", "abc", 1, ""},
        {"{'contains':'x'}", "abc", 0, "does not contain \"x\""},
        {"{'contains':['a','x']}", "abc", 0, "does not contain \"x\""},
        {"{'contains':'{{who}}'}", "I am Ada", 1, ""},
        {"{'contains':'{{nobody}}'}", "abc", -1, ""},
        {"{'contains':42}", "4242", 1, ""},
        {"{'not':'x'}", "abc", 1, ""},
        {"{'not':['x','b']}", "abc", 0, "contains \"b\""},
        {"{'matches':'^b'}", "a\nb", 1, ""},
        {"{'matches':['^a$','^c$']}", "a\nb", 0, "does not match \"^c$\""},
        {"{'matches':'('}", "a", -1, ""},
        {"{'not_matches':'[0-9]'}", "a1", 0, "matches \"[0-9]\""},
        {"{'equals':'abc'}", "abc", 1, ""},
        {"{'equals':'abc'}", "abcd", 0, "is not \"abc\""},
};

static cJSON *parse(const char *single_quoted)
{
	cleanup_free char *text = mem_strdup(single_quoted);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	cJSON *j = cJSON_Parse(text);
	if (!j)
		fail_msg("not JSON: %s", text);
	return j;
}

static struct vars *some_vars(void)
{
	struct vars *v = vars_new();
	vars_set(v, "who", "Ada");
	vars_set_int(v, "n", 12);
	return v;
}

static void conditions_on_texts(void **state)
{
	(void)state;
	struct vars *v = some_vars();
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err err = {0};
		cleanup_str struct str why = STR_INIT;
		cleanup_json cJSON *cond = parse(texts[i].cond);
		int met = match_text(v, cond, texts[i].text, &why, &err);
		if (met != texts[i].met || strcmp(str_text(&why), texts[i].why) != 0)
			fail_msg("%s on \"%s\": %d \"%s\" %s", texts[i].cond, texts[i].text, met,
			         str_text(&why), err.msg);
	}
	vars_free(v);
}

static void groups_are_captured_when_all_is_met(void **state)
{
	(void)state;
	struct vars *v = some_vars();
	struct err err = {0};
	cleanup_str struct str why = STR_INIT;
	cleanup_json cJSON *cond =
	        parse("{'matches':'port ([0-9]+)(x?) of ([a-z]+)','capture':['port','x','of'],'not':'bad'}");
	assert_int_equal(match_text(v, cond, "bad port 1 of a", &why, &err), 0);
	assert_null(vars_get(v, "port"));
	assert_int_equal(match_text(v, cond, "port 8080 of gateway", &why, &err), 1);
	assert_string_equal(vars_get(v, "port"), "8080");
	assert_string_equal(vars_get(v, "x"), "");
	assert_string_equal(vars_get(v, "of"), "gateway");
	vars_free(v);
}

#define DOC "{'a':{'b':[{'n':'x','v':1},{'n':'y','v':2}],'t':true,'z':null,'s':'one two'},'n':12}"

static const struct {
	const char *checks;
	int met;
} docs[] = {
        {"{'a.b.0.n':'x'}", 1},
        {"{'a.b.2.n':'x'}", 0},
        {"{'a.b.*.n':'y'}", 1},
        {"{'a.b.*.n':'z'}", 0},
        {"{'a.b.*.v':2}", 1},
        {"{'a.t':true}", 1},
        {"{'a.t':false}", 0},
        {"{'a.z':'null'}", 1},
        {"{'n':'{{n}}'}", 1},
        {"{'n':'{{who}}'}", 0},
        {"{'n':{'at_least':12,'at_most':12}}", 1},
        {"{'n':{'at_least':13}}", 0},
        {"{'a.b':{'count':2}}", 1},
        {"{'a.b':{'count':3}}", 0},
        {"{'a.s':{'contains':'one','not':'three'}}", 1},
        {"{'a.s':{'matches':'^two'}}", 0},
        {"{'a.missing':{'absent':true},'n':12}", 1},
        {"{'a.s':{'absent':true}}", 0},
        {"{'n':12,'a.missing':1}", 0},
        {"{'n':'{{unknown}}'}", -1},
};

static void conditions_on_json(void **state)
{
	(void)state;
	struct vars *v = some_vars();
	cleanup_json cJSON *doc = parse(DOC);
	for (size_t i = 0; i < ARRAY_LEN(docs); i++) {
		struct err err = {0};
		cleanup_str struct str why = STR_INIT;
		cleanup_json cJSON *checks = parse(docs[i].checks);
		if (match_json(v, checks, doc, &why, &err) != docs[i].met)
			fail_msg("%s: \"%s\" %s", docs[i].checks, str_text(&why), err.msg);
		assert_int_equal(match_json(v, checks, NULL, &why, &err), 0);
	}
	vars_free(v);
}

static void values_are_saved(void **state)
{
	(void)state;
	struct vars *v = some_vars();
	struct err err = {0};
	cleanup_json cJSON *doc = parse(DOC), *save = parse("{'names':'a.b.*.n','first':'a.b.0'}"),
	                   *bad = parse("{'x':'a.nothing'}");
	assert_int_equal(match_save(v, save, doc, &err), 0);
	assert_string_equal(vars_get(v, "names"), "x\ny");
	assert_string_equal(vars_get(v, "first"), "{\"n\":\"x\",\"v\":1}");
	assert_int_equal(match_save(v, bad, doc, &err), -1);
	vars_free(v);
}

static void quoting_keeps_characters_whole(void **state)
{
	(void)state;
	cleanup_str struct str out = STR_INIT;
	match_quote(&out, "жжж\n\x01", 3);
	assert_string_equal(str_text(&out), "\"жж…\"");
	str_cut(&out, 0);
	match_quote(&out, "a\n\x01", 10);
	assert_string_equal(str_text(&out), "\"a\\n\\x01\"");
}

static const struct {
	const char *text, *expanded; /* NULL: an error */
} expansions[] = {
        {"plain {text} }}", "plain {text} }}"},
        {"{{who}} and {{who}}", "Ada and Ada"},
        {"{{nobody}}", NULL},
        {"{{open", "{{open"},
        {"{{ab*3}}!", "ababab!"},
        {"{{*3}}", NULL},
        {"{{x*-1}}", NULL},
        {"{{x*99999999999}}", NULL},
        {"{{x*2000000}}", NULL},
        {"{{x*0}}", ""},
};

static void variables_are_replaced(void **state)
{
	(void)state;
	struct vars *v = some_vars();
	for (size_t i = 0; i < ARRAY_LEN(expansions); i++) {
		struct err err = {0};
		cleanup_free char *got = vars_expand(v, expansions[i].text, &err);
		if (!got != !expansions[i].expanded || (got && strcmp(got, expansions[i].expanded) != 0))
			fail_msg("%s: %s", expansions[i].text, got ? got : err.msg);
	}
	struct err err = {0};
	cleanup_json cJSON *j = parse("{'id':'{{n}}','text':'{{n}} ','who':['{{who}}',{'deep':null}]}");
	cleanup_json cJSON *out = vars_expand_json(v, j, &err);
	cleanup_free char *text = json_print(out);
	assert_string_equal(text, "{\"id\":12,\"text\":\"12 \",\"who\":[\"Ada\",{\"deep\":null}]}");
	vars_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(conditions_on_texts),
	        cmocka_unit_test(groups_are_captured_when_all_is_met),
	        cmocka_unit_test(conditions_on_json),
	        cmocka_unit_test(values_are_saved),
	        cmocka_unit_test(quoting_keeps_characters_whole),
	        cmocka_unit_test(variables_are_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
