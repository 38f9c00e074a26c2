#include "sessions/reference.h"
#include "sessions/store.h"
#include "sessions/test_sessions.h"

static void insert(struct test_state *t, const char *name)
{
	cleanup_free char *dir = state_path(t->st, "sessions/%s", name);
	struct session_row row = {.name = (char *)name,
	                          .owner = (char *)"cli:test",
	                          .engine = (char *)"process",
	                          .dir = dir,
	                          .spec = json_object(),
	                          .created_at = 1769860800500};
	id_uuid(row.uuid);
	assert_ok(store_insert(t->st, &row, err));
	cJSON_Delete(row.spec);
}

static void listed_in_its_shape(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	cleanup_json cJSON *none = reference_list(t->st, &err);
	cleanup_free char *empty = json_print(none);
	assert_string_equal(empty, "{\"sessions\":{}}");
	insert(t, "demo");
	cleanup_json cJSON *file = reference_list(t->st, &err);
	cleanup_free char *text = json_print(file);
	assert_string_equal(text,
	                    "{\"sessions\":{\"demo\":{\"name\":\"demo\",\"started\":\"2026-01-31T12:00:00Z\","
	                    "\"compose_file\":\"\",\"status\":\"creating\"}}}");
	/* its file, once it is written; no warm ones, which are nobody's */
	cleanup_free char *written = state_path(t->st, "sessions/demo/override.yml");
	test_put(t->st, "sessions/demo/override.yml", "{}");
	insert(t, "warm");
	assert_ok(db_run(t->st->db, err, "UPDATE sessions SET pool = 'recipe' WHERE name = 'warm'", ""));
	cleanup_json cJSON *later = reference_list(t->st, &err);
	assert_int_equal(cJSON_GetArraySize(json_at(later, "sessions")), 1);
	assert_string_equal(json_text(later, "sessions.demo.compose_file"), written);
	/* what was written can be read, and is here */
	cleanup_json cJSON *plan = reference_plan(t->st, file, &err);
	assert_int_equal(cJSON_GetArraySize(plan), 1);
	assert_string_equal(json_text(plan, "0.action"), "listed");
}

static void what_to_do_about_each(void **data)
{
	static const struct {
		const char *entry, *action;
	} cases[] = {
	        {"\"test-1706980000\":{\"name\":\"test-1706980000\",\"started\":\"NOW\",\"status\":"
	         "\"running\"}",
	         "start"},
	        {"\"dev-john\":{\"started\":\"NOW\"}", "start"},
	        {"\"x\":{}", "start"},
	        {"\"x\":7", "start"},
	        {"\"here\":{\"started\":\"NOW\",\"status\":\"running\"}", "listed"},
	        {"\"old\":{\"started\":\"2025-02-03T10:00:00Z\",\"status\":\"running\"}", "expired"},
	        {"\"done\":{\"started\":\"NOW\",\"status\":\"stopped\"}", "ended"},
	        {"\"Not_a_name\":{\"started\":\"NOW\",\"status\":\"running\"}", "refused"},
	        {"\"--all\":{}", "refused"},
	        {"\"\":{}", "refused"},
	};
	struct test_state *t = *data;
	insert(t, "here");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		char now[32];
		clock_iso(clock_now_ms(), now, sizeof(now));
		const char *at = strstr(cases[i].entry, "NOW");
		cleanup_free char *entry =
		        at ? mem_printf("%.*s%s%s", (int)(at - cases[i].entry), cases[i].entry, now, at + 3)
		           : mem_strdup(cases[i].entry);
		cleanup_free char *text = mem_printf("{\"sessions\":{%s}}", entry);
		cleanup_json cJSON *file = cJSON_Parse(text), *plan = reference_plan(t->st, file, &err);
		if (cJSON_GetArraySize(plan) != 1 ||
		    strcmp(json_text(plan, "0.action"), cases[i].action) != 0)
			fail_msg("%s: %s", text, json_text_or(plan, "0.action", err.msg));
	}
	static const char *const none[] = {"{}", "{\"sessions\":{}}"}, *const bad[] = {
	                                                                       "[]", "7", "{\"sessions\":[]}",
	                                                                       "{\"sessions\":\"x\"}"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		struct err err = {0};
		cleanup_json cJSON *file = cJSON_Parse(none[i]), *plan = reference_plan(t->st, file, &err);
		assert_non_null(plan);
		assert_int_equal(cJSON_GetArraySize(plan), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		cleanup_json cJSON *file = cJSON_Parse(bad[i]);
		assert_null(reference_plan(t->st, file, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
	struct err err = {0};
	cleanup_json cJSON *twice = cJSON_Parse("{\"sessions\":{\"a\":{},\"a\":{}}}"),
	                   *plan = reference_plan(t->st, twice, &err);
	assert_string_equal(json_text(plan, "0.action"), "start");
	assert_string_equal(json_text(plan, "1.action"), "listed");
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_sessions_setup, test_state_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(listed_in_its_shape), T(what_to_do_about_each)};
	return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
