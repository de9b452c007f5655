/* The pack that is served: the folder, and beside it the definitions that organisations have written and two have approved, at the start and while
 * serving. A pack that is served is never changed: another is compiled beside it and takes its place. */
#include "app/app.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int drop_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  remove(path);
  return 0;
}

void overlay_drop(char *folder) {
  if (folder) nftw(folder, drop_one, 16, FTW_DEPTH | FTW_PHYS);
  free(folder);
}

/* A link for everything in a folder but the names that are left out. */
static int link_all(const char *from, const char *to, const char *but, struct err *err) {
  DIR *dir = opendir(from);
  int rc = dir ? 0 : err_set(err, ERR_NOT_FOUND, "%s cannot be read", from);
  for (struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
    if (e->d_name[0] == '.' || base_same(e->d_name, but)) continue;
    char *a = base_printf("%s/%s", from, e->d_name), *b = base_printf("%s/%s", to, e->d_name);
    if (symlink(a, b)) rc = err_set(err, ERR_UNAVAILABLE, "%s cannot be linked", a);
    free(a);
    free(b);
  }
  if (dir) closedir(dir);
  return rc;
}

static int begin(const char *pack, char **folder, struct err *err) {
  const char *tmp = getenv("TMPDIR");
  char *real = realpath(pack, NULL), *made = base_printf("%s/chapar-served-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
  int rc = real && mkdtemp(made) ? 0 : err_set(err, ERR_UNAVAILABLE, "no folder for temporary files");
  if (rc == 0) {
    char *from = base_printf("%s/services", real), *to = base_printf("%s/services", made);
    rc = link_all(real, made, "services", err);
    if (rc == 0) rc = dir_make(to, 0700, err);
    if (rc == 0) rc = link_all(from, to, NULL, err);
    free(from);
    free(to);
    if (rc) {
      overlay_drop(made);
      made = NULL;
    }
  } else {
    free(made);
    made = NULL;
  }
  free(real);
  *folder = made;
  return rc;
}

static void hear(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  if (!warning) log_write(LOG_ERROR, "packs", "with the approved definitions: %s:%u: %s", file, line, message);
}

/* 1 added, 0 the folder has a file of that name. */
static int add(const char *folder, const json_t *one, struct err *err) {
  char *path = base_printf("%s/%s", folder, json_str(one, "file"));
  struct stat st;
  int rc = lstat(path, &st) == 0 ? 0 : file_write(path, json_str(one, "text"), strlen(json_str(one, "text")), 0600, err) ? -1 : 1;
  free(path);
  return rc;
}

static void take_away(const char *folder, const json_t *one) {
  char *path = base_printf("%s/%s", folder, json_str(one, "file"));
  unlink(path);
  free(path);
}

/* All of them; where that does not compile any more (the folder has changed since), each that does. */
static struct pack *compile(const char *folder, const json_t *list, struct err *err) {
  struct pack_report loud = {.line = hear}, silent = {0};
  struct pack *p = NULL;
  json_t *one, *ours = json_array();
  size_t i, added = 0;
  int rc = 0;
  json_array_foreach(list, i, one) {
    rc = add(folder, one, err);
    if (rc < 0) break;
    if (rc == 1) json_array_append(ours, one);
  }
  if (rc >= 0 && json_array_size(ours)) p = pack_compile(folder, &loud);
  if (rc >= 0 && !p) {
    json_array_foreach(ours, i, one) take_away(folder, one);
    json_array_foreach(ours, i, one) {
      if (add(folder, one, err) < 0) break;
      struct pack *with = pack_compile(folder, &silent);
      if (!with) {
        log_write(LOG_ERROR, "packs", "the approved definition %s is left out: it does not compile with this folder", json_str(one, "file"));
        take_away(folder, one);
        continue;
      }
      pack_unref(p);
      p = with;
      added++;
    }
  } else {
    added = json_array_size(ours);
  }
  if (p) log_write(LOG_INFO, "packs", "served with %zu approved definitions of organisations", added);
  json_decref(ours);
  return p;
}

int overlay_open(struct platform *p, struct err *err) {
  json_t *list = NULL;
  if (cases_proposals_approved(p->main, NULL, &list, err)) return -1;
  int rc = json_array_size(list) ? begin(p->set.pack, &p->served, err) : 0;
  if (rc == 0 && p->served) {
    struct pack *with = compile(p->served, list, err);
    if (with) {
      pack_unref(p->pack);
      p->pack = with;
    } else {
      overlay_drop(p->served);
      p->served = NULL;
    }
  }
  json_decref(list);
  return rc;
}

/* ---- while serving ---- */

enum { LOOK_EVERY = 2000 };

/* Those that this process has not tried yet: what was left out once is left out until the next start. */
static json_t *untried(struct platform *p, const json_t *list) {
  json_t *out = json_array(), *one;
  size_t i;
  json_array_foreach(list, i, one)
    if (!json_object_get(p->tried, json_str(one, "id"))) json_array_append(out, one);
  json_array_foreach(out, i, one) json_object_set_new(p->tried, json_str(one, "id"), json_true());
  return out;
}

static int take_up(struct platform *p, const json_t *list, struct err *err) {
  const char *tmp = getenv("TMPDIR");
  char *folder = base_printf("%s/chapar-served-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
  if (!mkdtemp(folder)) {
    free(folder);
    return err_set(err, ERR_UNAVAILABLE, "no folder for temporary files");
  }
  int rc = cases_pack_folder(p->cases, folder, err);
  struct pack *with = rc == 0 ? compile(folder, list, err) : NULL;
  if (with) rc = cases_serve_pack(p->cases, with, folder, err);
  if (with && rc == 0 && (registries_rights_pack(p->registries, with, err) || exchange_data_forms(p->data, with, err)))
    log_write(LOG_WARN, "packs", "new forms cannot ask other organisations yet: %s", err->message);
  pack_unref(with);
  overlay_drop(folder);
  return rc;
}

void overlay_renew(struct platform *p) {
  json_t *list = NULL, *fresh;
  struct err err;
  if (p->looked && clock_mono() - p->looked < LOOK_EVERY) return;
  p->looked = clock_mono();
  if (!p->tried) p->tried = json_object();
  if (cases_proposals_approved(p->main, cases_pack(p->cases), &list, &err)) return log_write(LOG_WARN, "packs", "approved definitions: %s", err.message);
  fresh = untried(p, list);
  if (json_array_size(fresh) && take_up(p, fresh, &err)) {
    log_write(LOG_ERROR, "packs", "approved definitions: %s", err.message);
    if (err.code == ERR_UNAVAILABLE) json_object_clear(p->tried); /* the store may be back in a moment */
  }
  json_decref(fresh);
  json_decref(list);
}
