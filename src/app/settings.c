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
  return NULL;
}

static int read_flag(struct settings *s, int argc, char **argv, int *at, const struct own_flag *own) {
  const char *arg = argv[*at], *eq = strchr(arg, '=');
  size_t n = eq ? (size_t)(eq - arg) : strlen(arg);
  bool bare = false;
  const struct own_flag *o = find_own(own, arg, n, &bare);
  if (strcmp(arg, "--demo") == 0) {
    s->demo = true;
    return 0;
  }
  if (o && bare) {
    *o->place = "yes";
    return 0;
  }
  int i = find_row(arg + 2, n - 2);
  bool config = n == 8 && strncmp(arg, "--config", n) == 0;
  if (!o && i < 0 && !config) {
    fprintf(stderr, "chapar: there is no flag %.*s\n", (int)n, arg);
    return EXIT_USAGE;
  }
  const char *value = eq ? eq + 1 : *at + 1 < argc ? argv[++*at] : NULL;
  if (!value) {
    fprintf(stderr, "chapar: %s needs a value\n", arg);
    return EXIT_USAGE;
  }
  if (o) *o->place = value;
  else if (config) s->config = value;
  else take(s, i, value, "flag");
  return 0;
}

/* What cannot be meant is refused where it is said, not replaced by a default. */
static int judge(const struct settings *s) {
  static const char *const words[][5] = {{"log_level", "debug", "info", "warn", "error"}, {"access_log", "yes", "no"}};
  for (int i = 0; i < ROWS; i++) {
    const char *value = *place_of((struct settings *)(uintptr_t)s, (size_t)i), *wanted = NULL;
    if (isdigit((unsigned char)rows[i].dflt[0]) && strspn(rows[i].dflt, "0123456789") == strlen(rows[i].dflt) && settings_number(value, -1) < 0) wanted = "a number";
    for (size_t k = 0; k < BASE_COUNT(words); k++) {
      if (strcmp(rows[i].name, words[k][0]) != 0) continue;
      wanted = rows[i].meaning;
      for (size_t w = 1; w < 5 && words[k][w]; w++)
        if (strcmp(value, words[k][w]) == 0) wanted = NULL;
    }
    if (!wanted) continue;
    fprintf(stderr, "chapar: %s (%s): '%s' is not right: %s\n", rows[i].name, sources[i], value, wanted);
    return EXIT_USAGE;
  }
  return 0;
}

int settings_read(struct settings *s, int argc, char **argv, const struct own_flag *own, struct words_left *left) {
  memset(s, 0, sizeof *s);
  memset(left, 0, sizeof *left);
  memset(sources, 0, sizeof sources);
  for (int i = 0; i < argc; i++) {
    if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
      int rc = read_flag(s, argc, argv, &i, own);
      if (rc) return rc;
    } else if (left->count < 16) left->items[left->count++] = argv[i];
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
    printf("%-24s %-12s %s\n%-24s %-12s %s\n", rows[i].name, sources[i], hidden && value[0] ? "(set)" : value, "", "", rows[i].meaning);
  }
}

int settings_number(const char *text, int dflt) {
  int64_t n;
  return text && parse_i64(text, &n) == 0 && n >= 0 && n < 1000000000 ? (int)n : dflt;
}
