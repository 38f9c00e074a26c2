#include "core/mem.h"
#include "gateway/questions.h"
#include "gateway/responder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sentences and what they mean: a command with its parameters as JSON, "?parameter" for a question, "!" for a text that
 * is understood, "" for one that is not. */
static const struct {
	const char *text, *command, *params;
} sentence_cases[] = {
        /* projects */
        {"create project web-service shop", "create_project",
         "{\"archetype\":\"web-service\",\"name\":\"shop\"}"},
        {"Create a new web service called Shop, please!", "create_project",
         "{\"name\":\"shop\",\"archetype\":\"web-service\"}"},
        {"/new web-service shop --port=9000", "create_project",
         "{\"options\":{\"port\":\"9000\"},\"archetype\":\"web-service\",\"name\":\"shop\"}"},
        {"make me a telegram bot named helper on port 8085", "create_project",
         "{\"options\":{\"port\":\"8085\"},\"name\":\"helper\",\"archetype\":\"telegram-bot\"}"},
        {"create api called bot", "create_project", "{\"name\":\"bot\",\"archetype\":\"web-service\"}"},
        {"i want to create an ai agent my-brain", "create_project",
         "{\"archetype\":\"ai-agent\",\"name\":\"my-brain\"}"},
        {"создай проект web-service shop", "create_project",
         "{\"archetype\":\"web-service\",\"name\":\"shop\"}"},
        {"СОЗДАЙ ТЕЛЕГРАМ-БОТ с именем helper", "create_project",
         "{\"name\":\"helper\",\"archetype\":\"telegram-bot\"}"},
        {"Сделай, пожалуйста, новый сайт site-1", "create_project",
         "{\"archetype\":\"fullstack\",\"name\":\"site-1\"}"},
        {"создай проект", "?archetype", "{}"},
        {"create project shop", "?archetype", "{\"name\":\"shop\"}"},
        {"create web-service", "?name", "{\"archetype\":\"web-service\"}"},
        {"создай проект web-service магазин", "?name", "{\"archetype\":\"web-service\"}"},
        {"create project web-service ../etc", "?name", "{\"archetype\":\"web-service\"}"},
        {"list projects", "project_list", "{}"},
        {"покажи проекты", "project_list", "{}"},
        /* sessions */
        {"start session demo", "session_start", "{\"name\":\"demo\"}"},
        {"start a session", "session_start", "{}"},
        {"/session start demo", "session_start", "{\"name\":\"demo\"}"},
        {"launch the demo environment", "session_start", "{\"name\":\"demo\"}"},
        {"start session test", "session_start", "{\"name\":\"test\"}"},
        {"запусти сессию demo", "session_start", "{\"name\":\"demo\"}"},
        {"подними стенд demo", "session_start", "{\"name\":\"demo\"}"},
        {"create session demo", "session_start", "{\"name\":\"demo\"}"},
        {"stop session demo", "session_stop", "{\"name\":\"demo\"}"},
        {"удали сессию demo", "session_stop", "{\"name\":\"demo\"}"},
        {"stop session", "?name", "{}"},
        {"restart session demo gateway", "session_restart", "{\"name\":\"demo\",\"service\":\"gateway\"}"},
        {"перезапусти сессию demo", "session_restart", "{\"name\":\"demo\"}"},
        {"extend session demo by 2 hours", "session_extend", "{\"minutes\":120,\"name\":\"demo\"}"},
        {"extend demo by 90m", "session_extend", "{\"minutes\":90,\"name\":\"demo\"}"},
        {"продли сессию demo на 3 дня", "session_extend", "{\"minutes\":4320,\"name\":\"demo\"}"},
        {"extend session demo for an hour", "session_extend", "{\"minutes\":60,\"name\":\"demo\"}"},
        {"list sessions", "session_list", "{}"},
        {"which sessions are running?", "session_list", "{}"},
        {"покажи сессии", "session_list", "{}"},
        {"список сессий", "session_list", "{}"},
        {"/sessions", "session_list", "{}"},
        {"show session demo", "session_show", "{\"name\":\"demo\"}"},
        {"покажи сессию demo", "session_show", "{\"name\":\"demo\"}"},
        {"logs of demo gateway", "session_logs", "{\"name\":\"demo\",\"service\":\"gateway\"}"},
        {"show the logs of session demo", "session_logs", "{\"name\":\"demo\"}"},
        {"покажи логи сессии demo", "session_logs", "{\"name\":\"demo\"}"},
        {"logs", "?name", "{}"},
        /* tests */
        {"run the tests on demo", "test_run", "{\"session\":\"demo\"}"},
        {"run all tests in session demo", "test_run", "{\"session\":\"demo\"}"},
        {"run tests", "test_run", "{}"},
        {"/test all demo", "test_run", "{\"session\":\"demo\"}"},
        {"/test help demo", "test_run", "{\"session\":\"demo\",\"scenarios\":[\"help\"]}"},
        {"run scenario session on demo", "test_run", "{\"session\":\"demo\",\"scenarios\":[\"session\"]}"},
        {"run test webhook", "test_run", "{\"scenarios\":[\"webhook\"]}"},
        {"прогони тесты на demo", "test_run", "{\"session\":\"demo\"}"},
        {"запусти сценарий help на сессии demo", "test_run",
         "{\"session\":\"demo\",\"scenarios\":[\"help\"]}"},
        /* jobs and the rest */
        {"list jobs", "job_list", "{}"},
        {"список заданий", "job_list", "{}"},
        {"show job #12", "job_show", "{\"job\":12}"},
        {"cancel job 12", "job_cancel", "{\"job\":12}"},
        {"отмени задание 12", "job_cancel", "{\"job\":12}"},
        {"cancel job", "?job", "{}"},
        {"cancel job 99999999999999999999", "?job", "{}"},
        {"show status", "status", "{}"},
        {"/status", "status", "{}"},
        {"покажи статус", "status", "{}"},
        {"Как дела?", "status", "{}"},
        {"help", "help", "{}"},
        {"Помощь", "help", "{}"},
        {"что ты умеешь?", "help", "{}"},
        {"hello", "!", "{}"},
        {"Привет!", "!", "{}"},
        {"/start", "!", "{}"},
        {"thank you", "!", "{}"},
        /* not for us */
        {"what is the weather", "", "{}"},
        {"погода завтра", "", "{}"},
        {"this is only a test", "", "{}"},
        {"stop", "", "{}"},
        {"stop talking to me", "", "{}"},
        {"😀😀😀", "", "{}"},
        {"-- == ?? !!", "", "{}"},
        {"'; DROP TABLE jobs; --", "", "{}"},
};

static void sentences(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(sentence_cases); i++) {
		struct response r;
		responder_read(sentence_cases[i].text, LANG_EN, &r);
		cleanup_free char *params = r.params ? json_print(r.params) : mem_strdup("{}"), *got = NULL;
		if (r.type == RESPONSE_COMMAND)
			got = mem_strdup(r.command->name);
		else if (r.type == RESPONSE_QUESTION)
			got = mem_printf("?%s", r.missing);
		else
			got = mem_strdup(r.understood ? "!" : "");
		if (strcmp(got, sentence_cases[i].command) != 0 ||
		    strcmp(params, sentence_cases[i].params) != 0)
			fail_msg("\"%s\" is %s %s", sentence_cases[i].text, got, params);
		assert_true(r.type == RESPONSE_COMMAND || *r.text);
		response_free(&r);
	}
}

static void questions_and_answers(void **unused)
{
	(void)unused;
	static const struct {
		const char *text, *answer, *command, *params;
	} cases[] = {
	        {"create project shop", "web-service", "create_project",
	         "{\"name\":\"shop\",\"archetype\":\"web-service\"}"},
	        {"create project shop", "2", "create_project",
	         "{\"name\":\"shop\",\"archetype\":\"web-service\"}"},
	        {"create project shop", "a telegram bot please", "create_project",
	         "{\"name\":\"shop\",\"archetype\":\"telegram-bot\"}"},
	        {"create project shop", "make it an ai agent", "create_project",
	         "{\"name\":\"shop\",\"archetype\":\"ai-agent\"}"},
	        {"create project shop", "dunno", "?archetype", "{\"name\":\"shop\"}"},
	        {"create project shop", "7", "?archetype", "{\"name\":\"shop\"}"},
	        {"create web-service", "shop", "create_project",
	         "{\"archetype\":\"web-service\",\"name\":\"shop\"}"},
	        {"create web-service", "test", "create_project",
	         "{\"archetype\":\"web-service\",\"name\":\"test\"}"},
	        {"create web-service", "call it shop", "create_project",
	         "{\"archetype\":\"web-service\",\"name\":\"shop\"}"},
	        {"create web-service", "1", "create_project",
	         "{\"archetype\":\"web-service\",\"name\":\"my-web-service\"}"},
	        {"create web-service", "Мой магазин", "?name", "{\"archetype\":\"web-service\"}"},
	        {"создай проект", "веб-сервис shop", "create_project",
	         "{\"archetype\":\"web-service\",\"name\":\"shop\"}"},
	        {"stop session", "demo", "session_stop", "{\"name\":\"demo\"}"},
	        {"stop session", "test", "session_stop", "{\"name\":\"test\"}"},
	        {"cancel job", "12", "job_cancel", "{\"job\":12}"},
	        {"create web-service", "cancel", "!", "{}"},
	        {"create web-service", "never mind", "!", "{}"},
	        {"create web-service", "forget it", "!", "{}"},
	        {"создай проект", "отмена", "!", "{}"},
	        {"create web-service", "status", "status", "{}"},
	        {"create web-service", "list sessions", "session_list", "{}"},
	        {"create web-service", "create project ai-agent brain", "create_project",
	         "{\"archetype\":\"ai-agent\",\"name\":\"brain\"}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct response question, r;
		responder_read(cases[i].text, LANG_EN, &question);
		assert_int_equal(question.type, RESPONSE_QUESTION);
		responder_answer(cases[i].answer, &question, &r);
		cleanup_free char *params = r.params ? json_print(r.params) : mem_strdup("{}");
		cleanup_free char *got = r.type == RESPONSE_COMMAND    ? mem_strdup(r.command->name)
		                         : r.type == RESPONSE_QUESTION ? mem_printf("?%s", r.missing)
		                                                       : mem_strdup(r.understood ? "!" : "");
		if (strcmp(got, cases[i].command) != 0 || strcmp(params, cases[i].params) != 0)
			fail_msg("\"%s\", \"%s\" is %s %s", cases[i].text, cases[i].answer, got, params);
		response_free(&r);
		response_free(&question);
	}
}

static void options_and_languages(void **unused)
{
	(void)unused;
	struct response r;
	responder_read("create project shop", LANG_EN, &r);
	assert_int_equal(cJSON_GetArraySize(r.options), 4);
	assert_int_equal(r.lang, LANG_EN);
	response_free(&r);
	responder_read("создай проект shop", LANG_EN, &r);
	assert_int_equal(r.lang, LANG_RU);
	assert_non_null(strstr(r.text, "Какого типа"));
	response_free(&r);
	responder_read("help", LANG_RU, &r);
	assert_int_equal(r.lang, LANG_RU);
	response_free(&r);
	responder_read("gibberish", LANG_EN, &r);
	assert_non_null(strstr(r.text, "create project"));
	response_free(&r);
	responder_read("sesions", LANG_EN, &r);
	assert_non_null(strstr(r.text, "`sessions`"));
	response_free(&r);
}

static void long_and_odd_texts(void **unused)
{
	(void)unused;
	cleanup_str struct str text = STR_INIT;
	struct response r;
	for (int i = 0; i < 20000; i++)
		str_add(&text, i % 3 ? "word " : "сло\"во");
	responder_read(str_text(&text), LANG_EN, &r);
	assert_int_equal(r.type, RESPONSE_TEXT);
	response_free(&r);
	static const char *const odd[] = {"",
	                                  " ",
	                                  "/",
	                                  "//",
	                                  "=",
	                                  "--=",
	                                  "--x=",
	                                  "port",
	                                  "port 1",
	                                  "named",
	                                  "on",
	                                  "#",
	                                  "1 h",
	                                  "\xd0",
	                                  "create",
	                                  "создай",
	                                  "test",
	                                  "run test on",
	                                  "session named",
	                                  "extend 5",
	                                  "show session named"};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		responder_read(odd[i], LANG_EN, &r);
		response_free(&r);
	}
}

static void questions_are_kept_for_a_while(void **unused)
{
	(void)unused;
	struct questions *questions = questions_new();
	struct response q, out;
	for (int i = 0; i < QUESTIONS_MAX + 1; i++) {
		cleanup_free char *key = mem_printf("k%d", i);
		responder_read("create project shop", LANG_EN, &q);
		questions_put(questions, key, &q, 1000 + i);
		assert_null(q.text);
	}
	assert_false(questions_take(questions, "k0", &out, 2000)); /* the oldest made room */
	assert_true(questions_take(questions, "k1", &out, 2000));
	assert_string_equal(out.missing, "archetype");
	response_free(&out);
	assert_false(questions_take(questions, "k1", &out, 2000)); /* asked once, answered once */
	assert_false(questions_take(questions, "k2", &out, 2000 + QUESTION_MS));
	questions_free(questions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sentences),
	        cmocka_unit_test(questions_and_answers),
	        cmocka_unit_test(options_and_languages),
	        cmocka_unit_test(long_and_odd_texts),
	        cmocka_unit_test(questions_are_kept_for_a_while),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
