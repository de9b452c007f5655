/* Replies of a gateway: the headers of another server's answer, and nothing of ours. */
#include "http/inner.h"

#include <fcntl.h>
#include <unistd.h>

size_t http_headers(const struct http_req *r, const struct http_pair **list)
{
  *list = r->headers;
  return r->header_count;
}

const struct http_content *http_content(const struct http_req *r)
{
  return &r->content;
}

void http_reply_relay(struct http_req *r, int status, const struct http_pair *headers, size_t count, struct http_content *content)
{
  if (reply_twice(r)) {
    http_content_free(content);
    return;
  }
  struct MHD_Response *response;
  size_t size = (size_t)content->size;
  if (content->fd >= 0) {
    response = MHD_create_response_from_fd64((uint64_t)size, content->fd);
    if (response) { /* the library closes it: counted until then */
      r->relayed = (struct http_content){.fd = -1, .share = content->share, .room = content->room};
      *content = HTTP_NO_CONTENT;
    }
  } else {
    response = MHD_create_response_from_buffer(size, size ? content->data : (void *)(uintptr_t)"", size ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response && size) content->data = NULL;
  }
  http_content_free(content);
  if (!response) {
    reply_refuse(r, 503);
    return;
  }
  for (size_t i = 0; i < count; i++)
    if (!header_sound(headers[i].name, headers[i].value) || MHD_add_response_header(response, headers[i].name, headers[i].value) != MHD_YES)
      log_write(LOG_DEBUG, "http", "a header of an answer is not passed on: %.60s", headers[i].name);
  r->reply_size = size;
  r->follows = size && !r->head && status >= 200 && status != 204 && status != 304;
  r->status = status;
  r->response = response;
}
