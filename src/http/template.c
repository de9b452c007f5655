#include "http/template.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PARTIALS = 40, MOST_RENDERED = 100000, MOST_CONTEXTS = 100, MOST_SECTIONS = 100, MOST_PARTS = 16,
       MOST_DELIMITER = 16, MOST_TEMPLATE = 1024 * 1024 };

/* ---- compiled form: a flat list of nodes; a section knows where it ends ------------------ */

enum kind { DROPPED, TEXT, INDENT, NAME, RAW, SECTION, INVERTED, END, PARTIAL };

struct node {
  enum kind kind;
  const char *text;                /* TEXT: into the source; PARTIAL: its indentation, NULL when it is not alone on its line */
  size_t size;                     /* of the text, or of the name */
  char *name;                      /* parts of a dotted name, each ended by NUL; PARTIAL: name of the template */
  size_t parts;                    /* 0: the implicit iterator */
  size_t end;                      /* index of the matching END */
};

struct compiled {
  char *name, *source;
  struct node *nodes; size_t count, room;
};

struct template_set { struct compiled **all; size_t count; };

static void compiled_free(struct compiled *c)
{
  if (!c) return;
  for (size_t i = 0; i < c->count; i++) free(c->nodes[i].name);
  free(c->nodes);
  free(c->name);
  free(c->source);
  free(c);
}

static struct compiled *find(const struct template_set *s, const char *name)
{
  size_t lo = 0, hi = s->count;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    int order = strcmp(name, s->all[mid]->name);
    if (!order) return s->all[mid];
    if (order < 0) hi = mid; else lo = mid + 1;
  }
  return NULL;
}

/* ---- compiling --------------------------------------------------------------------------- */

struct compiler {
  struct compiled *out;
  const char *at, *end;
  char open[MOST_DELIMITER + 1], close[MOST_DELIMITER + 1];
  size_t line_first;               /* first node of this line */
  const char *line_start;
  bool tag, ink;                   /* the line has a tag; something that shows */
  size_t tags;                     /* on this line */
  size_t sections[MOST_SECTIONS], depth;
  struct err *err;
};

static int fail(const struct compiler *c, const char *what)
{
  size_t line = 1;
  for (const char *p = c->out->source; p < c->at && p < c->end; p++) line += *p == '\n';
  return err_set(c->err, ERR_MALFORMED, "%s:%zu: %s", c->out->name, line, what);
}

static struct node *emit(struct compiler *c, enum kind kind)
{
  struct compiled *o = c->out;
  if (o->count == o->room) {
    o->room = o->room ? o->room * 2 : 32;
    o->nodes = base_realloc(o->nodes, o->room * sizeof *o->nodes);
  }
  o->nodes[o->count] = (struct node){.kind = kind};
  return &o->nodes[o->count++];
}

static bool blank(char ch)
{
  return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n' || ch == '\v' || ch == '\f';
}

/* The line ends: if there were tags on it and nothing that shows, its white space goes with it. */
static void end_line(struct compiler *c)
{
  for (size_t i = c->line_first; c->tag && !c->ink && i < c->out->count; i++)
    if (c->out->nodes[i].kind == TEXT || c->out->nodes[i].kind == INDENT) c->out->nodes[i].kind = DROPPED;
  c->tag = c->ink = false;
  c->tags = 0;
}

static void begin_line(struct compiler *c)
{
  c->line_first = c->out->count;
  c->line_start = c->at;
  if (c->at < c->end && *c->at != '\n') emit(c, INDENT);
}

/* Text up to the next tag or the end of the template, in pieces of at most a line. */
static void take_text(struct compiler *c)
{
  size_t open = strlen(c->open);
  const char *stop = memmem(c->at, (size_t)(c->end - c->at), c->open, open);
  if (!stop) stop = c->end;
  while (c->at < stop) {
    const char *newline = memchr(c->at, '\n', (size_t)(stop - c->at));
    const char *until = newline ? newline + 1 : stop;
    for (const char *p = c->at; p < until; p++) c->ink |= !blank(*p);
    struct node *n = emit(c, TEXT);
    n->text = c->at;
    n->size = (size_t)(until - c->at);
    c->at = until;
    if (newline) {
      end_line(c);
      begin_line(c);
    }
  }
}

/* Split a dotted name at its dots; "." alone is the implicit iterator. */
static int set_name(struct compiler *c, struct node *n, const char *s, size_t size, bool dotted)
{
  if (!size) return fail(c, "a tag without a name");
  n->name = base_alloc(size + 1);
  memcpy(n->name, s, size);
  if (n->kind != PARTIAL) n->size = size;
  if (!dotted || (size == 1 && *s == '.')) return 0;
  n->parts = 1;
  for (char *p = n->name; *p; p++)
    if (*p == '.') {
      *p = '\0';
      if (++n->parts > MOST_PARTS) return fail(c, "a name with too many parts");
    }
  return 0;
}

static int set_delimiters(struct compiler *c, const char *s, size_t n)
{
  char text[2 * MOST_DELIMITER + 8], first[sizeof text], second[sizeof text], rest[2];
  if (n >= sizeof text) return fail(c, "delimiters are too long");
  memcpy(text, s, n);
  text[n] = '\0';
  if (sscanf(text, "%39s %39s %1s", first, second, rest) != 2 || strlen(first) > MOST_DELIMITER || strlen(second) > MOST_DELIMITER
      || strchr(text, '='))
    return fail(c, "two delimiters are expected");
  memcpy(c->open, first, strlen(first) + 1);
  memcpy(c->close, second, strlen(second) + 1);
  return 0;
}

static int close_section(struct compiler *c, const char *s, size_t n)
{
  if (!c->depth) return fail(c, "a section ends that did not begin");
  size_t begin = c->sections[--c->depth];
  struct node *end = emit(c, END), *open = &c->out->nodes[begin];
  if (set_name(c, end, s, n, true)) return -1;
  if (end->size != open->size || memcmp(end->name, open->name, end->size)) return fail(c, "another section ends than the one that began");
  open->end = c->out->count - 1;
  return 0;
}

static int take_named(struct compiler *c, char sigil, const char *s, size_t n, const char *tag)
{
  struct node *node;
  switch (sigil) {
  case '!': return 0;
  case '=': return set_delimiters(c, s, n);
  case '/': return close_section(c, s, n);
  case '#': case '^':
    if (c->depth == MOST_SECTIONS) return fail(c, "sections too deep");
    c->sections[c->depth++] = c->out->count;
    return set_name(c, emit(c, sigil == '#' ? SECTION : INVERTED), s, n, true);
  case '>':
    node = emit(c, PARTIAL);
    if (c->tags == 1) {
      node->text = c->line_start;
      node->size = (size_t)(tag - c->line_start);
    }
    return set_name(c, node, s, n, false);
  default:
    c->ink = true;
    return set_name(c, emit(c, sigil ? RAW : NAME), s, n, true);
  }
}

static int take_tag(struct compiler *c)
{
  const char *tag = c->at, *s = c->at + strlen(c->open), *stop;
  char sigil = 0, closing[MOST_DELIMITER + 3];
  while (s < c->end && blank(*s)) s++;
  if (s < c->end && strchr("#^/>{&=!", *s) && *s) sigil = *s++;
  snprintf(closing, sizeof closing, "%s%s", sigil == '=' ? "=" : sigil == '{' ? "}" : "", c->close);
  stop = memmem(s, (size_t)(c->end - s), closing, strlen(closing));
  if (!stop) return fail(c, "a tag does not end");
  c->tag = true;
  c->tags++;
  const char *from = s, *to = stop;
  while (from < to && blank(*from)) from++;
  while (to > from && blank(to[-1])) to--;
  if (take_named(c, sigil, from, (size_t)(to - from), tag)) return -1;
  c->at = stop + strlen(closing);
  return 0;
}

/* A partial is indented when it stands alone on its line (which was dropped then), by what stands before it: its text is not NULL. */
static void settle_indentation(struct compiled *o)
{
  for (size_t i = 0; i < o->count; i++) {
    struct node *n = &o->nodes[i];
    if (n->kind == PARTIAL && n->text && o->nodes[i - 1].kind != DROPPED) n->text = NULL;
  }
}

static int compile(struct compiled *out, struct err *err)
{
  struct compiler c = {.out = out, .at = out->source, .end = out->source + strlen(out->source), .open = "{{", .close = "}}", .err = err};
  begin_line(&c);
  while (c.at < c.end) {
    take_text(&c);
    if (c.at < c.end && take_tag(&c)) return -1;
  }
  end_line(&c);
  if (c.depth) return fail(&c, "a section does not end");
  settle_indentation(out);
  return 0;
}

struct template_set *template_new(void)
{
  return base_alloc(sizeof(struct template_set));
}

void template_free(struct template_set *s)
{
  if (!s) return;
  for (size_t i = 0; i < s->count; i++) compiled_free(s->all[i]);
  free(s->all);
  free(s);
}

int template_add(struct template_set *s, const char *name, const char *text, struct err *err)
{
  if (strlen(text) > MOST_TEMPLATE || !utf8_valid(text, strlen(text)))
    return err_set(err, ERR_MALFORMED, "%s:1: too large, or not UTF-8", name);
  if (find(s, name)) return err_set(err, ERR_CONFLICT, "%s: there is a template of this name", name);
  struct compiled *c = base_alloc(sizeof *c);
  c->name = base_strdup(name);
  c->source = base_strdup(text);
  if (compile(c, err)) {
    compiled_free(c);
    return -1;
  }
  s->all = base_realloc(s->all, (s->count + 1) * sizeof *s->all);
  size_t i = s->count++;
  for (; i && strcmp(s->all[i - 1]->name, name) > 0; i--) s->all[i] = s->all[i - 1];
  s->all[i] = c;
  return 0;
}

int template_load(const char *prefix, struct template_set **out, struct err *err)
{
  static const char suffix[] = ".mustache";
  size_t count, before = strlen(prefix), after = sizeof suffix - 1;
  const struct embedded *files = embedded_all(&count);
  struct template_set *s = template_new();
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(files[i].name);
    if (!base_starts(files[i].name, prefix) || n <= before + after || strcmp(files[i].name + n - after, suffix)) continue;
    char *name = base_printf("%.*s", (int)(n - before - after), files[i].name + before);
    int failed = template_add(s, name, (const char *)files[i].data, err);
    free(name);
    if (failed) {
      template_free(s);
      return -1;
    }
  }
  *out = s;
  return 0;
}

/* ---- rendering --------------------------------------------------------------------------- */

struct render {
  const struct template_set *set;
  struct buf *out;
  const json_t *contexts[MOST_CONTEXTS]; size_t depth;
  struct buf indent;               /* of the partials around us */
  size_t partials, rendered;       /* partials inside each other, and altogether */
  struct err *err;
};

static void escape(struct buf *out, const char *s, size_t n)
{
  size_t from = 0;
  for (size_t i = 0; i < n; i++) {
    const char *with;
    switch (s[i]) {
    case '&': with = "&amp;"; break;
    case '<': with = "&lt;"; break;
    case '>': with = "&gt;"; break;
    case '"': with = "&quot;"; break;
    case '\'': with = "&#39;"; break;
    case '/': with = "&#x2F;"; break;
    case '`': with = "&#x60;"; break;
    case '=': with = "&#x3D;"; break;
    default: continue;
    }
    buf_add(out, s + from, i - from);
    buf_adds(out, with);
    from = i + 1;
  }
  buf_add(out, s + from, n - from);
}

/* The shortest text that reads back as the same number. */
static void add_real(struct buf *out, double v)
{
  char text[40];
  if (fabs(v) < 1e15 && v == trunc(v)) {
    buf_addf(out, "%.0f", v + 0.0);
    return;
  }
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (strtod(text, NULL) == v) break;
  }
  buf_adds(out, text);
}

static void add_value(struct buf *out, const json_t *v, bool raw)
{
  switch (v ? json_typeof(v) : JSON_NULL) {
  case JSON_STRING:
    if (raw) buf_add(out, json_string_value(v), json_string_length(v));
    else escape(out, json_string_value(v), json_string_length(v));
    break;
  case JSON_INTEGER: buf_addf(out, "%lld", (long long)json_integer_value(v)); break;
  case JSON_REAL: add_real(out, json_real_value(v)); break;
  case JSON_TRUE: buf_adds(out, "true"); break;
  case JSON_FALSE: buf_adds(out, "false"); break;
  default: break;
  }
}

/* The first part is looked for from the innermost context outwards, the others inside what it found. */
static const json_t *lookup(const struct render *r, const struct node *n)
{
  if (!n->parts) return r->contexts[r->depth - 1];
  const json_t *v = NULL;
  const char *part = n->name;
  for (size_t i = r->depth; i-- > 0 && !v;) v = json_object_get(r->contexts[i], part);
  for (size_t i = 1; i < n->parts && v; i++) {
    part += strlen(part) + 1;
    v = json_object_get(v, part);
  }
  return v;
}

static bool truthy(const json_t *v)
{
  switch (v ? json_typeof(v) : JSON_NULL) {
  case JSON_NULL: case JSON_FALSE: return false;
  case JSON_STRING: return json_string_length(v) > 0;
  case JSON_INTEGER: return json_integer_value(v) != 0;
  case JSON_REAL: return json_real_value(v) != 0;
  case JSON_ARRAY: return json_array_size(v) > 0;
  default: return true;
  }
}

static int render_nodes(struct render *r, const struct compiled *c, size_t from, size_t to);

static int render_in(struct render *r, const struct compiled *c, size_t from, size_t to, const json_t *context)
{
  if (r->depth == MOST_CONTEXTS) return err_set(r->err, ERR_LIMIT, "%s: contexts too deep", c->name);
  r->contexts[r->depth++] = context;
  int failed = render_nodes(r, c, from, to);
  r->depth--;
  return failed;
}

static int render_section(struct render *r, const struct compiled *c, size_t at)
{
  const struct node *n = &c->nodes[at];
  const json_t *v = lookup(r, n);
  if (!truthy(v)) return 0;
  if (json_is_true(v)) return render_nodes(r, c, at + 1, n->end);
  if (!json_is_array(v)) return render_in(r, c, at + 1, n->end, v);
  for (size_t i = 0; i < json_array_size(v); i++)
    if (render_in(r, c, at + 1, n->end, json_array_get(v, i))) return -1;
  return 0;
}

static int render_partial(struct render *r, const struct node *n)
{
  const struct compiled *c = find(r->set, n->name);
  if (!c) return 0;
  if (r->partials == MOST_PARTIALS || ++r->rendered > MOST_RENDERED) return err_set(r->err, ERR_LIMIT, "%s: too many partials", c->name);
  struct buf around = r->indent;
  r->indent = (struct buf){0};
  if (n->text) {
    buf_add(&r->indent, around.data, around.len);
    buf_add(&r->indent, n->text, n->size);
  }
  r->partials++;
  int failed = render_nodes(r, c, 0, c->count);
  r->partials--;
  buf_free(&r->indent);
  r->indent = around;
  return failed;
}

static int render_nodes(struct render *r, const struct compiled *c, size_t from, size_t to)
{
  for (size_t i = from; i < to; i++) {
    const struct node *n = &c->nodes[i];
    int failed = 0;
    switch (n->kind) {
    case TEXT: buf_add(r->out, n->text, n->size); break;
    case INDENT: if (r->indent.len) buf_add(r->out, r->indent.data, r->indent.len); break;
    case NAME: add_value(r->out, lookup(r, n), false); break;
    case RAW: add_value(r->out, lookup(r, n), true); break;
    case SECTION: failed = render_section(r, c, i); i = n->end; break;
    case INVERTED: if (!truthy(lookup(r, n))) failed = render_nodes(r, c, i + 1, n->end); i = n->end; break;
    case PARTIAL: failed = render_partial(r, n); break;
    case DROPPED: case END: break;
    }
    if (failed) return -1;
    if (buf_overflowed(r->out)) return err_set(r->err, ERR_LIMIT, "%s: the page is too large", c->name);
  }
  return 0;
}

int template_render(const struct template_set *s, const char *name, const json_t *context, struct buf *out, struct err *err)
{
  const struct compiled *c = find(s, name);
  if (!c) return err_set(err, ERR_NOT_FOUND, "no template %s", name);
  struct render r = {.set = s, .out = out, .contexts = {context}, .depth = 1, .err = err};
  int failed = render_nodes(&r, c, 0, c->count);
  buf_free(&r.indent);
  return failed;
}
