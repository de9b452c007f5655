/* The built-in font for Pango, out of memory: nothing of the machine's fonts or their settings is read. */
#include "print/inside.h"

#include <fontconfig/fontconfig.h>
#include <pango/pangofc-fontmap.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const names[] = {"assets/font/vazirmatn-regular.ttf", "assets/font/vazirmatn-bold.ttf"};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static FcConfig *fonts; /* read by all threads; stays until the end of the process */

/* Fontconfig opens fonts by path: a file without a name, in memory, is one. It stays open. */
static bool take_in(FcConfig *c, const char *name) {
  const struct embedded *e = embedded_find(name);
  char path[64];
  int fd = e ? memfd_create(name, MFD_CLOEXEC) : -1;
  if (fd < 0) return false;
  size_t done = 0;
  while (done < e->size) {
    ssize_t n = write(fd, e->data + done, e->size - done);
    if (n <= 0) break;
    done += (size_t)n;
  }
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (done == e->size && FcConfigAppFontAddFile(c, (const FcChar8 *)path)) return true;
  close(fd);
  return false;
}

static void forget(void *map) { g_object_unref(map); }

static void begin(void) {
  FcConfig *c = FcConfigCreate();
  bool good = c != NULL && pthread_key_create(&key, forget) == 0;
  for (size_t i = 0; good && i < BASE_COUNT(names); i++) good = take_in(c, names[i]);
  /* Pango would make fontconfig read the machine's settings on a thread of its own; with a current configuration it has nothing to read. */
  if (good && FcConfigSetCurrent(c)) fonts = c;
  else if (c) FcConfigDestroy(c);
}

PangoFontMap *print_fonts(struct err *err) {
  pthread_once(&once, begin);
  PangoFontMap *map = fonts ? pthread_getspecific(key) : NULL;
  if (!map && fonts) {
    map = pango_cairo_font_map_new_for_font_type(CAIRO_FONT_TYPE_FT);
    if (map) {
      pango_fc_font_map_set_config(PANGO_FC_FONT_MAP(map), fonts);
      pango_cairo_font_map_set_resolution(PANGO_CAIRO_FONT_MAP(map), 72);
      if (pthread_setspecific(key, map)) {
        g_object_unref(map);
        map = NULL;
      }
    }
  }
  if (!map) err_set(err, ERR_UNAVAILABLE, "the built-in font cannot be opened");
  return map;
}
