#include "app/app.h"
#include "app/gateway.h"

#include <stdio.h>
#include <string.h>

static const struct { const char *name; int (*run)(int, char **); const char *usage, *help; } commands[] = {
#define X(name, fn, usage, help) {name, fn, usage, help},
  COMMAND_TABLE(X)
#undef X
};

int app_usage(const char *command, const char *problem) {
  FILE *out = problem ? stderr : stdout;
  if (problem) fprintf(out, "chapar: %s\n", problem);
  for (size_t i = 0; i < BASE_COUNT(commands); i++) {
    if (command && strcmp(command, commands[i].name) != 0) continue;
    fprintf(out, command ? "usage: chapar %s %s\n  %s\n" : "  chapar %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].help);
  }
  if (!problem && command) fputs("Settings may also come from the environment (CHAPAR_NAME) and a file (--config FILE): see chapar settings.\n", out);
  return problem ? EXIT_USAGE : EXIT_DONE;
}

static const char *running = "";
const char *app_command(void) { return running; }

static int no_command(const char *typed) {
  const char *names[BASE_COUNT(commands)];
  for (size_t i = 0; i < BASE_COUNT(commands); i++) names[i] = commands[i].name;
  const char *near = app_near(typed, names, BASE_COUNT(commands));
  fprintf(stderr, "chapar: there is no command '%s'", typed);
  if (near) fprintf(stderr, "; did you mean %s?\n", near);
  else fputs("; `chapar --help` names them\n", stderr);
  return EXIT_USAGE;
}

static bool asks_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

int app_main(int argc, char **argv) {
  struct err err;
  if (argc < 2) return app_usage(NULL, "say what to do:");
  bool help = asks_help(argv[1]) || strcmp(argv[1], "help") == 0;
  const char *name = help ? argc > 2 ? argv[2] : NULL : argv[1];
  if (help && !name) return app_usage(NULL, NULL);
  if (strcmp(name, "--version") == 0) name = "version";
  for (size_t i = 0; i < BASE_COUNT(commands); i++) {
    if (strcmp(name, commands[i].name) != 0) continue;
    for (int k = 2; k < argc && !help; k++) help = asks_help(argv[k]);
    if (help && commands[i].run == command_gateway) return gateway_usage(argc > 2 && !asks_help(argv[1]) && !asks_help(argv[2]) ? argv[2] : NULL, NULL);
    if (help) return app_usage(name, NULL);
    running = commands[i].name;
    if (language_init(&err)) {
      fprintf(stderr, "chapar: %s\n", err.message);
      return EXIT_REFUSED;
    }
    return commands[i].run(argc - 2, argv + 2);
  }
  return no_command(name);
}

int command_version(int argc, char **argv) {
  if (argc > 0) return app_usage("version", "there is a word too many");
  puts("chapar " CHAPAR_VERSION);
  return EXIT_DONE;
}

int command_settings(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  int rc = settings_read(&s, argc, argv, NULL, &left);
  if (rc) return rc;
  if (left.count) return app_usage("settings", "there is a word too many");
  settings_print(&s);
  return EXIT_DONE;
}
