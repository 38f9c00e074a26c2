#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include "compose/podman.h"
#include "core/clock.h"
#include "core/mem.h"
#include <cmocka.h>
#include <string.h>

#define ENDED "2026-11-27T23:19:54.348898054Z"

static void containers_in_dockers_words(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		int64_t later_ms; /* than its end */
		const char *status, *health, *image;
	} cases[] = {
	        {"{\"State\":{\"Status\":\"running\",\"Health\":{\"Status\":\"healthy\"}}}", 0, "running",
	         "healthy", NULL},
	        {"{\"State\":{\"Status\":\"configured\",\"Healthcheck\":{\"Status\":\"starting\"}}}", 0,
	         "created", "starting", NULL},
	        {"{\"State\":{\"Status\":\"initialized\"}}", 0, "created", NULL, NULL},
	        {"{\"State\":{\"Status\":\"stopping\"}}", 0, "running", NULL, NULL},
	        {"{\"State\":{\"Status\":\"stopped\"},\"Config\":{\"Image\":\"localhost/a/b:1\"}}", 0,
	         "exited", NULL, "a/b:1"},
	        {"{\"State\":{\"Status\":\"exited\"},\"Config\":{\"Image\":\"docker.io/library/x:1\"}}", 0,
	         "exited", NULL, "docker.io/library/x:1"},
	        /* about to be started again, for a moment */
	        {"{\"State\":{\"Status\":\"exited\",\"FinishedAt\":\"" ENDED
	         "\"},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"always\"}}}",
	         500, "restarting", NULL, NULL},
	        {"{\"State\":{\"Status\":\"stopped\",\"FinishedAt\":\"" ENDED
	         "\"},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"unless-stopped\"}}}",
	         500, "restarting", NULL, NULL},
	        {"{\"State\":{\"Status\":\"exited\",\"FinishedAt\":\"" ENDED
	         "\"},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"always\"}}}",
	         2500, "exited", NULL, NULL},
	        {"{\"State\":{\"Status\":\"exited\",\"ExitCode\":1,\"FinishedAt\":\"" ENDED
	         "\"},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"on-failure\"}}}",
	         0, "restarting", NULL, NULL},
	        {"{\"State\":{\"Status\":\"exited\",\"ExitCode\":0,\"FinishedAt\":\"" ENDED
	         "\"},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"on-failure\"}}}",
	         0, "exited", NULL, NULL},
	        {"{\"State\":{\"Status\":\"exited\",\"FinishedAt\":\"" ENDED
	         "\"},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"no\"}}}",
	         0, "exited", NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *c = cJSON_Parse(cases[i].answer);
		assert_non_null(c);
		podman_container(c, clock_parse_iso(ENDED) + cases[i].later_ms);
		assert_string_equal(json_text(c, "State.Status"), cases[i].status);
		assert_string_equal(json_text_or(c, "State.Health.Status", "none"),
		                    cases[i].health ? cases[i].health : "none");
		assert_string_equal(json_text_or(c, "Config.Image", "none"),
		                    cases[i].image ? cases[i].image : "none");
	}
}

static void strange_ones_are_left_as_they_are(void **state)
{
	(void)state;
	static const char *const odd[] = {"{}",
	                                  "7",
	                                  "[]",
	                                  "{\"State\":null}",
	                                  "{\"State\":{}}",
	                                  "{\"State\":{\"Status\":7}}",
	                                  "{\"State\":\"x\",\"Config\":5}"};
	podman_container(NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		cleanup_json cJSON *c = cJSON_Parse(odd[i]), *before = cJSON_Parse(odd[i]);
		podman_container(c, 0);
		podman_event(c);
		assert_true(cJSON_Compare(c, before, true));
	}
}

static void events_and_causes(void **state)
{
	(void)state;
	static const char *const events[][3] = {{"container", "remove", "destroy"},
	                                        {"container", "died", "die"},
	                                        {"container", "exec", "exec_create"},
	                                        {"container", "start", "start"},
	                                        {"image", "remove", "remove"}};
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		cleanup_json cJSON *event = json_object();
		json_add_text(event, "Type", events[i][0]);
		json_add_text(event, "Action", events[i][1]);
		podman_event(event);
		assert_string_equal(json_text(event, "Action"), events[i][2]);
	}
	assert_int_equal(podman_cause("network is being used"), ERR_BUSY);
	assert_int_equal(podman_cause("container state improper"), ERR_BUSY);
	assert_int_equal(podman_cause("something else"), ERR_FAILED);
	assert_int_equal(podman_cause(""), ERR_FAILED);
}

static void keys_as_they_were_given(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"\035ab", "ctrl-],a,b"}, {"\020\021", "ctrl-p,ctrl-q"}, {"x", "x"}, {"", ""}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = podman_keys(cases[i][0]);
		assert_string_equal(text, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(containers_in_dockers_words),
	        cmocka_unit_test(strange_ones_are_left_as_they_are),
	        cmocka_unit_test(events_and_causes),
	        cmocka_unit_test(keys_as_they_were_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
