/* People on duty for the network as CSV: in, all or none, with a dry run; the way out is the page's table. */
#include "app/app.h"
#include "network/people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"organisation", "level", "name", "to", "lang"};
enum { COLUMNS = BASE_COUNT(columns), MOST_BYTES = 1024 * 1024, MOST_ROWS = 2000 };

static int record(struct store_tx *tx, void *ctx, struct err *err) { return identity_act_put(tx, ctx, err); }

/* One row, judged; NULL when it is good, else the word of what is wrong. */
static const char *judge(struct platform *p, const struct csv *c, size_t row, const int *at, struct arena *a, struct network_contact *out) {
  const char *v[COLUMNS], *to;
  char mobile[32];
  for (size_t k = 0; k < COLUMNS; k++) {
    const char *plain = csv_plain(csv_cell(c, row, at[k]));
    v[k] = utf8_valid(plain, strlen(plain)) ? text_repair(a, plain) : "";
    if (!v[k]) v[k] = "";
  }
  const char *level = digits_ascii(a, v[1]);
  *out = (struct network_contact){.organisation = v[0], .name = v[2], .lang = base_same(v[4], "en") ? LANG_EN : LANG_FA, .level = level && level[0] >= '0' && level[0] <= '3' && !level[1] ? level[0] - '0' : -1};
  if (v[0][0] && directory_find_organisation(pack_directory(p->pack), v[0]) < 0) return "web.net_no_organisation";
  if (out->level < 0) return "network.contact_level";
  if (utf8_length(v[2]) < 2 || utf8_length(v[2]) > 80) return "web.net_bad_name";
  to = strchr(v[3], '@') ? cases_mail_address(p->cases, v[3], a) : identifier_parse(IDENT_MOBILE, v[3], mobile) == 0 ? arena_strdup(a, mobile) : NULL;
  if (!to || strlen(to) > 120) return "web.net_bad_to";
  out->to = to;
  return v[4][0] && !base_same(v[4], "en") && !base_same(v[4], "fa") ? "network.contact_lang" : NULL;
}

static int take_in(struct platform *p, const char *file, const struct csv *c, const int *at, bool dry, enum lang l) {
  size_t n = csv_rows(c), added = 0, bad = 0, fault = 0;
  struct arena *a = arena_new(8 * 1024 * 1024);
  struct network_contact *list = base_alloc((n + 1) * sizeof *list);
  struct err err = {0};
  for (size_t i = 0; i < n && n <= MOST_ROWS; i++) {
    const char *why = judge(p, c, i, at, a, &list[i]);
    if (why) fprintf(stderr, "%s:%u: %s\n", file, csv_line(c, i), word(l, why));
    bad += why != NULL;
  }
  int rc = bad ? -1 : n > MOST_ROWS ? err_set(&err, ERR_TOO_LARGE, "%d people at most at once", MOST_ROWS) : 0;
  json_t *detail = json_pack("{s:I}", "rows", (json_int_t)n);
  struct act act = {.kind = "network_contact_put", .who = "console", .organisation = "", .subject = "csv", .detail = detail};
  if (rc == 0 && (rc = network_contacts_take(p->main, "console", list, n, dry, record, &act, &added, &fault, &err))) fprintf(stderr, "%s:%u: %s\n", file, csv_line(c, fault), err.message);
  else if (rc && !bad) fprintf(stderr, "chapar: %s\n", err.message);
  if (rc == 0) printf("%s%zu rows: %zu new, %zu as they were\n", dry ? "dry run, nothing was written: " : "", n, added, n - added);
  json_decref(detail);
  free(list);
  arena_free(a);
  return rc ? EXIT_REFUSED : EXIT_DONE;
}

static bool find_columns(const char *file, const char *data, const struct csv *c, int *at) {
  for (size_t k = 0; k < COLUMNS; k++) at[k] = csv_column(c, columns[k]);
  bool good = at[1] >= 0 && at[2] >= 0 && at[3] >= 0;
  if (!good) fprintf(stderr, "%s:1: the columns are organisation, level, name, to, lang; level, name and to are demanded\n", file);
  return good;
}

static int opened(struct platform *p, const struct settings *set) { return platform_open(p, set, PLATFORM_ALL); }

int contacts_import(const struct settings *set, const char *file, bool dry, const char *lang) {
  return csv_import(set, &(struct csv_import){.file = file, .lang = lang, .most = MOST_BYTES, .dry = dry, .columns = find_columns, .open = opened, .take = take_in});
}
