/* The exchange at work: figures of every service and side, last errors with what to do. Empty where no gateway runs in this process. */
#include "channels/web/inside.h"

#include <string.h>

json_t *web_exchange_uses(struct http_req *r) {
  return json_object();
}

void web_exchange_figures(struct http_req *r, json_t *page, const char *organisation) {
  put_list(page, "figures", json_array());
}
