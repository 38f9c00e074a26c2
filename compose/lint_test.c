/* Ids that may be allowed and those that may not, and what a refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* cmocka needs those above */
#include "compose/lint.h"
#include "core/mem.h"
#include <cmocka.h>
#include <string.h>

static void ids_are_told(void **data)
{
	(void)data;
	static const struct {
		const char *list, *want; /* NULL: refused */
		const char *word;
	} cases[] = {
	        {"host-bind", "[\"host-bind\"]", NULL},
	        {"host-bind,external-network", "[\"host-bind\",\"external-network\"]", NULL},
	        {" host-bind, host-bind,,privileged ", "[\"host-bind\",\"privileged\"]", NULL},
	        {"", "[]", NULL},
	        {"host-bnd", NULL, "'host-bnd', did you mean host-bind?; what can be: host-network,"},
	        {"odd-name", NULL, "nobody can allow 'odd-name'; what can be: host-network,"},
	        {"host-port", NULL, "nobody can allow 'host-port'"},
	        {"--force", NULL, "there is nothing to allow that is called '--force'"},
	        {"HOST-BIND", NULL, "HOST-BIND"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *allow = json_array();
		struct err err = {0};
		int rc = lint_allow(allow, cases[i].list, &err);
		cleanup_free char *got = json_print(allow);
		assert_int_equal(rc, cases[i].want ? 0 : -1);
		if (cases[i].want)
			assert_string_equal(got, cases[i].want);
		else if (err.code != ERR_USAGE || !strstr(err.msg, cases[i].word))
			fail_msg("%s: %s", cases[i].list, err.msg);
	}
}

/* Every id is there, its own, and allowed only where it may be. */
static void ids_are_unique(void **data)
{
	(void)data;
	cleanup_json cJSON *all = json_array();
	for (int i = 0; i < LINT_RULES; i++) {
		struct err err = {0};
		cleanup_json cJSON *one = json_array();
		const char *id = lint_id((enum lint_rule)i);
		assert_non_null(id);
		assert_false(json_has_text(all, id));
		cJSON_AddItemToArray(all, cJSON_CreateString(id));
		bool open = lint_allow(one, id, &err) == 0;
		assert_int_equal(lint_allowed(one, (enum lint_rule)i), open);
		assert_false(lint_allowed(NULL, (enum lint_rule)i));
	}
	/* whoever wrote the list of what is allowed by hand */
	assert_false(lint_allowed(all, LINT_ODD_NAME));
	assert_true(lint_allowed(all, LINT_HOST_BIND));
}

static void add(cJSON *findings, enum lint_rule rule, enum lint_action action, const char *name,
                const char *value)
{
	lint_add(findings, &(struct lint_finding){.rule = rule,
	                                          .action = action,
	                                          .section = "services",
	                                          .name = name,
	                                          .key = "volumes",
	                                          .value = value,
	                                          .reason = "lies outside",
	                                          .advice = "move it"});
}

static void all_are_told_at_once(void **data)
{
	(void)data;
	cleanup_json cJSON *findings = json_array();
	struct err err = {0};
	assert_int_equal(lint_verdict(findings, "f.yml", &err), 0);
	add(findings, LINT_HOST_PORT, LINT_REWRITTEN, "web", "80:80");
	add(findings, LINT_HOST_BIND, LINT_ALLOWED, "web", "/a");
	assert_int_equal(lint_verdict(findings, "f.yml", &err), 0);
	add(findings, LINT_HOST_BIND, LINT_REFUSED, "web", "/etc\n\033[31m");
	assert_int_equal(lint_verdict(findings, "f.yml", &err), -1);
	assert_string_equal(err.msg,
	                    "f.yml: service web: volumes /etc  [31m lies outside; move it, or take it as "
	                    "it is: --allow=host-bind");
	add(findings, LINT_ODD_NAME, LINT_REFUSED, "db", NULL);
	json_add_text(cJSON_GetArrayItem(findings, 3), "file", "g.yml");
	assert_int_equal(lint_verdict(findings, "f.yml", &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.msg,
	                    "f.yml: 2 things in it reach out of a session\n"
	                    "  service web: volumes /etc  [31m lies outside; move it, or take it as it is: "
	                    "--allow=host-bind\n"
	                    "  g.yml: service db: volumes lies outside; move it");
	assert_int_equal(lint_count(findings, LINT_REFUSED), 2);
	assert_int_equal(lint_count(findings, LINT_ALLOWED), 1);
	assert_int_equal(lint_count(findings, LINT_REWRITTEN), 1);
}

/* However much there is: the message ends in how much more. */
static void much_is_bounded(void **data)
{
	(void)data;
	cleanup_json cJSON *findings = json_array();
	struct err err = {0};
	char long_name[5000];
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	for (int i = 0; i < 500; i++)
		add(findings, LINT_HOST_BIND, LINT_REFUSED, long_name, long_name);
	assert_int_equal(lint_verdict(findings, "f.yml", &err), -1);
	assert_true(strlen(err.msg) < sizeof(err.msg) - 200);
	assert_non_null(strstr(err.msg, "f.yml: 500 things"));
	assert_non_null(strstr(err.msg, "more: `codefoundry compose lint` lists them all"));
	assert_true(strlen(json_text(cJSON_GetArrayItem(findings, 0), "value")) < 220);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ids_are_told),
	        cmocka_unit_test(ids_are_unique),
	        cmocka_unit_test(all_are_told_at_once),
	        cmocka_unit_test(much_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
