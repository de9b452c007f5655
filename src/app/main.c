#include "app/app.h"

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

int app_main(int argc, char **argv) {
  struct err err;
  if (argc < 2) return app_usage(NULL, "say what to do:");
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) return app_usage(argc > 2 ? argv[2] : NULL, NULL);
  if (strcmp(argv[1], "--version") == 0) return command_version(argc - 2, argv + 2);
  for (size_t i = 0; i < BASE_COUNT(commands); i++) {
    if (strcmp(argv[1], commands[i].name) != 0) continue;
    for (int k = 2; k < argc; k++)
      if (strcmp(argv[k], "--help") == 0) return app_usage(argv[1], NULL);
    if (language_init(&err)) {
      fprintf(stderr, "chapar: %s\n", err.message);
      return EXIT_REFUSED;
    }
    return commands[i].run(argc - 2, argv + 2);
  }
  fprintf(stderr, "chapar: there is no command '%s'\n", argv[1]);
  return app_usage(NULL, "the commands are:");
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
