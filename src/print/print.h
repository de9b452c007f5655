/*
 * print: sheets of paper as PDF, with correctly shaped Persian (Pango and Cairo, the built-in Vazirmatn). Layer 1; includes base, language.
 * A document is built from top to bottom and breaks into A4 pages by itself. Every text is UTF-8 and is set in the direction of its own
 * first strong letter (one without a letter, a number or a code, from left to right), within a page in the direction of the document's
 * language. A code inside a Persian sentence is kept together by the caller with U+2066 … U+2069. A document is begun, filled and finished
 * on one thread; documents of several threads do not disturb each other. A thread's first document costs about 15 ms more than the later
 * ones. Nothing of the machine's fonts is read; a character that Vazirmatn lacks is an empty frame.
 *
 * Faults are kept: after the first, calls do nothing and print_finish tells. The same calls with the same `at` give the same bytes.
 */
#ifndef CHAPAR_PRINT_H
#define CHAPAR_PRINT_H

#include "base/base.h"
#include "language/language.h"

struct print;
struct print_options {
  enum lang lang;
  const char *title, *author, *subject; /* of the file's metadata; author and subject may be NULL */
  const char *head;             /* small line at the top of each page, or NULL */
  const char *foot;             /* small line at the foot of each page, before the page's number, or NULL */
  bool frame;                   /* a double frame around each page, as on a certificate */
  bool landscape;
  int64_t at;                   /* creation time in the metadata, ms */
};
struct print *print_new(const struct print_options *o);   /* never NULL */
void print_free(struct print *p);                          /* gives up; NULL is accepted */

/* NULL texts are left out (in a table or as a value: empty). */
enum print_weight { PRINT_NORMAL, PRINT_BOLD, PRINT_SMALL, PRINT_LARGE };
enum print_align { PRINT_START, PRINT_CENTER, PRINT_END };
void print_heading(struct print *p, int level, const char *text);          /* 1 the title, 2, 3; kept with what follows */
void print_text(struct print *p, enum print_weight w, enum print_align a, const char *text); /* '\n' begins a new paragraph */
void print_fact(struct print *p, const char *label, const char *value);    /* a labelled line; consecutive ones are aligned */
void print_rule(struct print *p);
void print_space(struct print *p, double mm);                              /* never beyond the foot of the page */
void print_language(struct print *p, enum lang l);                         /* of what follows, which begins a new page unless this one is empty */
void print_page(struct print *p);                                          /* a new page, unless this one is empty */

struct print_column { const char *title; double share; enum print_align align; }; /* share: of the width, any unit */
/* cells: rows × count texts in row order, NULL is empty. Up to 24 columns. The head is repeated on each page; none when all titles are NULL. */
void print_table(struct print *p, const struct print_column *columns, size_t count, const char *const *cells, size_t rows);
/* Horizontal bars: label, bar of share (0 to 1), value; mark: a thin line at that share (a limit), negative: none. */
struct print_bar { const char *label, *value; double share, mark; };
void print_bars(struct print *p, const struct print_bar *bars, size_t count);
/* A QR code of `mm` on each side with lines of small text beside it. ERR_INVALID when text is too long for one. */
void print_qr(struct print *p, const char *text, double mm, const char *const *lines, size_t count);
/* Places for signatures, side by side, up to four: name and title of each. */
void print_signatures(struct print *p, const char *const *names, const char *const *titles, size_t count);

/* The file, malloc'ed; frees p in every case. ERR_INVALID: a text that is not UTF-8 or too long (64 KiB); ERR_UNAVAILABLE: no memory, no font. */
int print_finish(struct print *p, void **pdf, size_t *n, struct err *err);
int print_pages(const struct print *p);                                    /* so far, from 1 */

#endif
