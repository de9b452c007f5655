/* Letters of a service: templates, who adds initials, who signs. */
#include "catalog/compile.h"

#include <string.h>

static const unsigned offices = 1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER;

static int office_role(struct compiler *c, unsigned line, const char *key, const char *text) {
  int role = text ? role_parse(text) : -1;
  if (role >= 0 && (offices & 1u << role)) return role;
  if (text) fail(c, line, "'%s' names '%s': it is officer, supervisor or manager", key, text);
  return -1;
}

static void read_letter(struct compiler *c, const struct yaml_node *n, struct letter *l) {
  static const char *const fixed[] = {"tracking", "service", "state", "date", "submitted", "organisation", NULL}, *const to[] = {"citizen", "organisation", NULL};
  l->name = name_of(c, n, "letter", "letter", '-');
  l->title = text_of(c, n, "letter", "title", 120, true);
  l->subject = text_of(c, n, "letter", "subject", 200, true);
  l->body = text_of(c, n, "letter", "body", 4000, true);
  l->to_citizen = word_of(c, n, "to", to, 0) == 0;
  const struct yaml_node *subject = yaml_get(n, "subject"), *body = yaml_get(n, "body"), *paraph = yaml_get(n, "paraph"), *sign = yaml_get(n, "sign");
  if (subject) check_letter_text(c, subject->line, "subject", &l->subject, fixed);
  if (body) check_letter_text(c, body->line, "body", &l->body, fixed);
  l->sign = ROLE_MANAGER;
  int role = sign ? office_role(c, sign->line, "sign", scalar(c, sign, "sign")) : ROLE_MANAGER;
  if (role >= 0) l->sign = (enum role)role;
  if (!paraph || !is_list(c, paraph, "paraph")) return;
  for (const struct yaml_node *i = paraph->first; i; i = i->next) {
    role = office_role(c, i->line, "paraph", scalar(c, i, "paraph"));
    if (role >= 0) l->paraph |= 1u << role;
  }
}

void compile_letters(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = yaml_get(root, "letters");
  struct service *s = c->s;
  if (!is_list(c, list, "letters")) return;
  s->letters = keep_alloc(c, list->count * sizeof *s->letters);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "letter", "letter title subject body to paraph sign")) continue;
    struct letter *l = &s->letters[s->letter_count];
    read_letter(c, i, l);
    for (size_t k = 0; k < s->letter_count; k++)
      if (l->name[0] && strcmp(s->letters[k].name, l->name) == 0) fail(c, i->line, "letter '%s' stands twice", l->name);
    s->letter_count++;
  }
}

const struct letter *service_letter(const struct service *s, const char *name) {
  for (size_t i = 0; s && name && i < s->letter_count; i++)
    if (strcmp(s->letters[i].name, name) == 0) return &s->letters[i];
  return NULL;
}
