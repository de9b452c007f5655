#include "app/app.h"

#include <malloc.h>

int main(int argc, char **argv) {
  /* The C library raises these by itself, and then keeps twice the memory that is in use (docs/notes/performance.md). */
  mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
  mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
  return app_main(argc, argv);
}
