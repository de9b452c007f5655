#include "app/app.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 0
#define X(name, dflt, meaning) +1
  SETTING_TABLE(X)
#undef X
};

static const struct { const char *name, *dflt, *meaning; } rows[] = {
#define X(name, dflt, meaning) {#name, dflt, meaning},
  SETTING_TABLE(X)
#undef X
};
static const char *sources[ROWS];
static char *kept[ROWS]; /* as long as the process; anew at each reading */

static const char **place_of(struct settings *s, size_t i) {
  size_t k = 0;
#define X(name, dflt, meaning) if (k++ == i) return &s->name;
  SETTING_TABLE(X)
#undef X
  return NULL;
}

/* Flags may be written --base-url or --base_url. */
static bool same_name(const char *flag, size_t n, const char *name) {
  if (strlen(name) != n) return false;
  for (size_t i = 0; i < n; i++)
    if (flag[i] != name[i] && !(flag[i] == '-' && name[i] == '_')) return false;
  return true;
}

static int find_row(const char *name, size_t n) {
  for (int i = 0; i < ROWS; i++)
    if (same_name(name, n, rows[i].name)) return i;
  return -1;
}

static void take(struct settings *s, int i, const char *value, const char *source) {
  if (sources[i] && strcmp(sources[i], "flag") == 0 && strcmp(source, "flag") != 0) return;
  if (sources[i] && strcmp(sources[i], "environment") == 0 && strcmp(source, "file") == 0) return;
  char *copy = base_strdup(value); /* value may be the kept one itself */
  free(kept[i]);
  *place_of(s, (size_t)i) = kept[i] = copy;
  sources[i] = source;
}

static int read_file(struct settings *s) {
  struct err err;
  size_t n;
  char *text = file_read(s->config, 64 * 1024, &n, &err), *save = NULL;
  if (!text) {
    fprintf(stderr, "chapar: %s\n", err.message);
    return EXIT_USAGE;
  }
  int number = 0, rc = 0;
  for (char *line = strtok_r(text, "\n", &save); line && !rc; line = strtok_r(NULL, "\n", &save)) {
    number++;
    while (isspace((unsigned char)*line)) line++;
    if (!*line || *line == '#') continue;
    char *eq = strchr(line, '='), *end = eq;
    if (!eq) rc = EXIT_USAGE;
    while (eq && end > line && isspace((unsigned char)end[-1])) end--;
    int i = eq ? find_row(line, (size_t)(end - line)) : -1;
    if (i < 0) {
      fprintf(stderr, "%s:%d: this is not `name = value` with the name of a setting (see chapar settings)\n", s->config, number);
      rc = EXIT_USAGE;
      break;
    }
    char *value = eq + 1 + strspn(eq + 1, " \t");
    char *last = value + strlen(value);
    while (last > value && isspace((unsigned char)last[-1])) *--last = 0;
    take(s, i, value, "file");
  }
  free(text);
  return rc;
}

static const struct own_flag *find_own(const struct own_flag *own, const char *flag, size_t n, bool *bare) {
  for (; own && own->name; own++) {
    size_t m = strlen(own->name);
    *bare = own->name[m - 1] == '!';
    if (*bare) m--;
    if (m == n && strncmp(own->name, flag, n) == 0) return own;
  }
  *bare = n == 6 && strncmp(flag, "--demo", 6) == 0;
  return NULL;
}

static int no_flag(const char *arg, size_t n, const struct own_flag *own) {
  const char *names[ROWS + 20] = {"--config", "--demo", "--help"};
  size_t count = 3;
  char *flags[ROWS], *given = base_printf("%.*s", (int)n, arg);
  for (; own && own->name && count < 20; own++) names[count++] = own->name;
  for (int i = 0; i < ROWS; i++) {
    names[count++] = flags[i] = base_printf("--%s", rows[i].name);
    for (char *c = flags[i]; *c; c++)
      if (*c == '_') *c = '-';
  }
  const char *near = app_near(given, names, count);
  fprintf(stderr, "chapar: there is no flag %s", given);
  if (near) fprintf(stderr, "; did you mean %.*s?\n", (int)strcspn(near, "!"), near);
  else fprintf(stderr, "; `chapar %s --help` and `chapar settings` name them\n", app_command());
  for (int i = 0; i < ROWS; i++) free(flags[i]);
  free(given);
  return EXIT_USAGE;
}

static int read_flag(struct settings *s, int argc, char **argv, int *at, const struct own_flag *own) {
  const char *arg = argv[*at], *eq = strchr(arg, '=');
  size_t n = eq ? (size_t)(eq - arg) : strlen(arg);
  bool bare = false, config = n == 8 && strncmp(arg, "--config", 8) == 0;
  const struct own_flag *o = find_own(own, arg, n, &bare);
  int i = o || bare || config || n < 3 || arg[1] != '-' ? -1 : find_row(arg + 2, n - 2);
  if (!o && !bare && !config && i < 0) return no_flag(arg, n, own);
  if (bare && eq) {
    fprintf(stderr, "chapar: %.*s takes no value\n", (int)n, arg);
    return EXIT_USAGE;
  }
  if (bare) {
    if (o) *o->place = "yes";
    else s->demo = true;
    return 0;
  }
  const char *value = eq ? eq + 1 : *at + 1 < argc && !base_starts(argv[*at + 1], "--") ? argv[++*at] : NULL;
  if (!value) {
    fprintf(stderr, i >= 0 ? "chapar: %s needs a value: %s\n" : "chapar: %s needs a value\n", arg, i >= 0 ? rows[i].meaning : "");
    return EXIT_USAGE;
  }
  if (o) *o->place = value;
  else if (config) s->config = value;
  else take(s, i, value, "flag");
  return 0;
}

/* What a setting must look like is told by its default: a number, or yes. */
static int judge(struct settings *s) {
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  for (int i = 0; i < ROWS; i++) {
    const char *value = *place_of(s, (size_t)i), *wanted = NULL;
    bool good = false;
    if (isdigit((unsigned char)rows[i].dflt[0]) && strspn(rows[i].dflt, "0123456789") == strlen(rows[i].dflt)) {
      wanted = "a whole number, 0 or more";
      good = settings_number(value, -1) >= 0;
    } else if (strcmp(rows[i].dflt, "yes") == 0) {
      wanted = "yes or no";
      good = strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
    } else if (strcmp(rows[i].name, "log_level") == 0) {
      wanted = "debug, info, warn or error";
      for (size_t k = 0; k < BASE_COUNT(levels); k++) good = good || strcmp(value, levels[k]) == 0;
    }
    if (!wanted || good) continue;
    fprintf(stderr, "chapar: %s (from the %s) is '%.100s'; it should be %s\n", rows[i].name, sources[i], value, wanted);
    return EXIT_USAGE;
  }
  return 0;
}

int settings_read(struct settings *s, int argc, char **argv, const struct own_flag *own, struct words_left *left) {
  memset(s, 0, sizeof *s);
  memset(left, 0, sizeof *left);
  memset(sources, 0, sizeof sources);
  for (int i = 0; i < argc; i++) {
    if (argv[i][0] == '-' && argv[i][1]) {
      int rc = read_flag(s, argc, argv, &i, own);
      if (rc) return rc;
    } else if (left->count < (int)BASE_COUNT(left->items)) left->items[left->count++] = argv[i];
    else return app_usage(app_command(), "there are words too many");
  }
  for (int i = 0; i < ROWS; i++) {
    char *name = base_printf("CHAPAR_%s", rows[i].name);
    for (char *c = name; *c; c++) *c = (char)toupper((unsigned char)*c);
    const char *value = getenv(name);
    if (value) take(s, i, value, "environment");
    free(name);
  }
  if (!s->config) s->config = getenv("CHAPAR_CONFIG");
  if (s->config && read_file(s)) return EXIT_USAGE;
  for (int i = 0; i < ROWS; i++)
    if (!sources[i]) {
      *place_of(s, (size_t)i) = rows[i].dflt;
      sources[i] = "default";
    }
  return judge(s);
}

const char *settings_source(const char *name) {
  int i = find_row(name, strlen(name));
  return i >= 0 && sources[i] ? sources[i] : "default";
}

void settings_print(const struct settings *s) {
  for (int i = 0; i < ROWS; i++) {
    const char *value = *place_of((struct settings *)s, (size_t)i);
    bool hidden = strstr(rows[i].name, "password") || strstr(rows[i].name, "secret");
    char *shown = app_without_password(value);
    printf("%-24s %-12s %s\n%-24s %-12s %s\n", rows[i].name, sources[i], hidden && value[0] ? "(set)" : shown, "", "", rows[i].meaning);
    free(shown);
  }
}

int settings_number(const char *text, int dflt) {
  int64_t n;
  return text && parse_i64(text, &n) == 0 && n >= 0 && n < 1000000000 ? (int)n : dflt;
}
