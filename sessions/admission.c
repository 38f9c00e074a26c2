#include "sessions/admission.h"
#include "core/clock.h"
#include "core/str.h"
#include <string.h>

static void add_holder(struct str *out, const struct session_row *row)
{
	char age[32];
	str_addf(out, "%s%s (%s, %s, %s)", out->len ? ", " : "", row->name, row->owner,
	         lifecycle_state_name(row->state),
	         clock_rough(clock_now_ms() - row->created_at, age, sizeof(age)));
}

int admission_quota(struct state *st, const char *owner, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0, alive = 0, mine = 0;
	if (store_rows(st, STORE_ALIVE, 0, &rows, &n, err))
		return -1;
	cleanup_str struct str all = STR_INIT_MAX(1500), own = STR_INIT_MAX(1500);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].pool) /* nobody's yet */
			continue;
		alive++;
		add_holder(&all, &rows[i]);
		if (strcmp(rows[i].owner, owner))
			continue;
		add_holder(&own, &rows[i]);
		mine++;
	}
	store_rows_free(rows, n);
	int64_t max = config_int(st->cfg, "SESSION_MAX_COUNT"),
	        per_user = config_int(st->cfg, "SESSION_MAX_PER_USER");
	if ((int64_t)alive >= max)
		return err_set(err, ERR_QUOTA,
		               "%zu of %lld sessions are alive (SESSION_MAX_COUNT): %s%sstop one first",
		               alive, (long long)max, str_text(&all), alive ? "; " : "");
	if (per_user && (int64_t)mine >= per_user)
		return err_set(err, ERR_QUOTA,
		               "%s has %zu of %lld sessions (SESSION_MAX_PER_USER): %s; stop one first",
		               owner, mine, (long long)per_user, str_text(&own));
	return 0;
}
