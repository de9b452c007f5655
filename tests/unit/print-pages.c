/* Documents as PDF: what can be read out of them, how they break, that they are the same again, on several threads. */
#include "print/print.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const struct print_options plain = {.lang = LANG_FA, .title = "گزارش هفتگی", .author = "استانداری", .head = "استانداری خراسان رضوی", .foot = "چاپار — میز خدمت",
  .at = 1795682100000};

/* What poppler reads in the file. */
static char *read_back(const char *tool, const char *options, const void *pdf, size_t n) {
  char path[] = "/tmp/chapar-print-XXXXXX", line[256];
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, pdf, n), (ssize_t)n);
  close(fd);
  snprintf(line, sizeof line, "%s %s %s", tool, path, options);
  FILE *f = popen(line, "r");
  struct buf b;
  buf_init(&b, 1 << 20);
  char part[4096];
  for (size_t k; (k = fread(part, 1, sizeof part, f)) > 0;) buf_add(&b, part, k);
  assert_int_equal(pclose(f), 0);
  unlink(path);
  return buf_take(&b);
}

static struct arena *memory;

/* Folded, as a search sees it: a reader may give the joined lam-alef as one character, and leaves out what has no shape. */
static char *folded(const char *text) {
  char *out = text_fold(memory, text);
  assert_non_null(out);
  return out;
}

static char *words_of(const void *pdf, size_t n) {
  char *raw = read_back("pdftotext -layout", "-", pdf, n), *out = folded(raw);
  free(raw);
  return out;
}

static void finish(struct print *p, void **pdf, size_t *n) {
  struct err err = {0};
  if (print_finish(p, pdf, n, &err)) fail_msg("%s", err.message);
  const char *keep = getenv("CHAPAR_PRINT_KEEP"); /* a folder to look at the pages */
  static int number;
  if (keep) {
    char *path = base_printf("%s/%d.pdf", keep, number++);
    assert_int_equal(file_write(path, *pdf, *n, 0644, &err), 0);
    free(path);
  }
}

/* Everything that a document can hold. */
static struct print *everything(const struct print_options *o) {
  static const char *const names[] = {"زهرا احمدی", "محمد کریمی"}, *const titles[] = {"کارشناس شهرسازی", "شهردار"};
  static const char *const lines[] = {"درستی این برگه را اینجا ببینید:", "https://example.ir/verify", "کد: ۱۲۳۴-۵۶۷۸"};
  static const struct print_column columns[] = {{"خدمت", 3, PRINT_START}, {"درخواست‌ها", 1, PRINT_END}, {"code", 1, PRINT_CENTER}};
  static const char *const cells[] = {"پروانهٔ ساختمان", "۱۲٬۳۴۵", "building-permit", "کارت سبز", "۷", NULL};
  static const struct print_bar bars[] = {{"شهرداری مشهد", "\u2067۸۲\u200F٪\u2069", 0.82, 0.9}, {"فرمانداری نیشابور", "۴۰٪", 0.4, 0.9}, {"اداره‌ای با نامی بسیار بلند که در یک خط جا نمی‌گیرد", "۱۰۰٪", 1, -1}};
  struct print *p = print_new(o);
  print_heading(p, 1, "گواهی سکونت");
  print_text(p, PRINT_NORMAL, PRINT_START, "می‌خواهم بدانم که خانم زهرا احمدی، دارندهٔ کد ملی ۰۴۹۹۳۷۰۸۹۹، در مشهد سکونت دارد.\nبند دوم با واژهٔ English در میان.");
  print_text(p, PRINT_BOLD, PRINT_CENTER, "پررنگ در میانه");
  print_text(p, PRINT_NORMAL, PRINT_START, "An English paragraph (1405) of its own, with a number 12,345.");
  print_heading(p, 2, "بخش دوم");
  print_fact(p, "شماره", "۱۴۰۵/۱۲۳۴");
  print_fact(p, "کد رهگیری", "1234 5678 9012 3452");
  print_fact(p, "نشانی", "خیابان امام رضا، کوچهٔ ۱۲، پلاک ۷، واحد ۳، طبقهٔ همکف، پشت ساختمان پزشکان، روبه‌روی پارک ملت، مشهد، خراسان رضوی");
  print_rule(p);
  print_table(p, columns, 3, cells, 2);
  print_heading(p, 3, "سهم به‌موقع");
  print_bars(p, bars, 3);
  print_space(p, 4);
  print_qr(p, "https://example.ir/verify/ABCD-EFGH", 28, lines, 3);
  print_signatures(p, names, titles, 2);
  return p;
}

static void has(const char *text, const char *phrase) {
  const char *word = folded(phrase);
  if (!strstr(text, word)) fail_msg("«%s» is missing in:\n%s", word, text);
}

static void words_can_be_read_again(void **state) {
  void *pdf;
  size_t n;
  finish(everything(&plain), &pdf, &n);
  assert_true(n > 1000 && n < 200 * 1024);
  assert_memory_equal(pdf, "%PDF-", 5);
  char *text = words_of(pdf, n), *fonts = read_back("pdffonts", "", pdf, n), *info = read_back("pdfinfo", "", pdf, n);
  static const char *const words[] = {"گواهی سکونت", "می‌خواهم", "دارندهٔ کد ملی", "پلاک", "۰۴۹۹۳۷۰۸۹۹", "English", "paragraph (1405)", "12,345", "building-permit", "۱۲٬۳۴۵", "زهرا احمدی",
    "شهردار", "1234 5678 9012 3452", "استانداری خراسان رضوی", "میز خدمت", "https://example.ir/verify"};
  for (size_t i = 0; i < BASE_COUNT(words); i++) has(text, words[i]);
  assert_non_null(strstr(fonts, "Vazirmatn-Bold"));
  assert_non_null(strstr(fonts, "Vazirmatn-Regular"));
  assert_null(strstr(fonts, " no  no"));
  assert_non_null(strstr(info, "گزارش هفتگی"));
  assert_non_null(strstr(info, "Pages:           1\n"));
  assert_null(strstr(text, "صفحه")); /* a single page has no number */
  free(fonts);
  free(info);
  free(pdf);
}

static void long_ones_break(void **state) {
  enum { ROWS = 300 };
  static const struct print_column columns[] = {{"ردیف", 1, PRINT_START}, {"نام", 4, PRINT_START}};
  static const char *cells[ROWS * 2];
  char numbers[ROWS][8];
  for (int i = 0; i < ROWS; i++) {
    snprintf(numbers[i], sizeof numbers[i], "%d", i + 1);
    cells[2 * i] = numbers[i];
    cells[2 * i + 1] = i == 100 ? NULL : "شهرداری";
  }
  struct buf b;
  buf_init(&b, 0);
  while (b.len < 60000) buf_adds(&b, "این یک جملهٔ بلند است. ");
  cells[2 * 100 + 1] = buf_str(&b); /* one cell that is longer than pages */
  struct print *p = print_new(&plain);
  print_table(p, columns, 2, cells, ROWS);
  assert_true(print_pages(p) > 10);
  print_page(p);
  print_page(p); /* an empty page is not left behind */
  int before = print_pages(p);
  print_text(p, PRINT_NORMAL, PRINT_START, buf_str(&b));
  assert_true(print_pages(p) > before + 3);
  for (int i = 0; i < 200; i++) print_fact(p, "برچسب", "مقدار");
  void *pdf;
  size_t n;
  finish(p, &pdf, &n);
  char *text = words_of(pdf, n);
  has(text, "صفحهٔ ۱");
  has(text, "صفحهٔ ۱۲");
  size_t heads = 0;
  for (const char *at = text; (at = strstr(at, "ردیف")); at++) heads++;
  assert_true(heads > 10); /* the table's head stands on each of its pages */
  has(text, "شهرداری 300");
  free(pdf);
  buf_free(&b);
}

static void the_same_again(void **state) {
  void *first, *second, *third;
  size_t n, m, k;
  struct print_options later = plain;
  later.at += 60000;
  finish(everything(&plain), &first, &n);
  finish(everything(&plain), &second, &m);
  finish(everything(&later), &third, &k);
  assert_int_equal(n, m);
  assert_memory_equal(first, second, n);
  assert_true(k != n || memcmp(first, third, n) != 0);
  free(first);
  free(second);
  free(third);
}

static void *one_thread(void *arg) {
  struct err err;
  void **pdf = arg;
  size_t n = 0;
  for (int i = 0; i < 4; i++) {
    free(*pdf);
    *pdf = NULL;
    if (print_finish(everything(&plain), pdf, &n, &err)) return NULL;
  }
  return (void *)n;
}

static void threads_do_not_disturb_each_other(void **state) {
  enum { THREADS = 4 };
  pthread_t t[THREADS];
  void *pdf[THREADS] = {NULL}, *n[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, one_thread, &pdf[i]), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(t[i], &n[i]);
  for (int i = 0; i < THREADS; i++) {
    assert_non_null(n[i]);
    assert_ptr_equal(n[i], n[0]);
    assert_memory_equal(pdf[i], pdf[0], (size_t)n[0]);
  }
  for (int i = 0; i < THREADS; i++) free(pdf[i]);
}

static void faults_are_told_at_the_end(void **state) {
  struct err err;
  void *pdf = NULL;
  size_t n;
  struct print *p = print_new(&plain);
  print_text(p, PRINT_NORMAL, PRINT_START, "bad \xff bytes");
  print_heading(p, 1, "هیچ");
  assert_int_equal(print_finish(p, &pdf, &n, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  char *big = base_alloc(70000);
  memset(big, 'a', 69999);
  p = print_new(&plain);
  print_fact(p, "a", big);
  assert_int_equal(print_finish(p, &pdf, &n, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  p = print_new(&plain);
  print_qr(p, big, 30, NULL, 0);
  assert_int_equal(print_finish(p, &pdf, &n, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  assert_null(pdf);
  free(big);
  print_free(NULL);
  p = print_new(&plain);
  print_fact(p, "نیمه", "کاره");
  print_free(p);
}

static void an_english_page_begins_at_the_left(void **state) {
  struct print_options o = {.lang = LANG_EN, .title = "Certificate", .frame = true, .landscape = true, .foot = "Chapar", .at = 1795682100000};
  void *pdf;
  size_t n;
  struct print *p = print_new(&o);
  print_heading(p, 1, "Certificate of residence");
  print_fact(p, "Number", "1405/1234");
  print_fact(p, "Name", "زهرا احمدی");
  print_text(p, PRINT_LARGE, PRINT_START, "Large text. 漢字 😀");
  finish(p, &pdf, &n);
  char *text = words_of(pdf, n), *info = read_back("pdfinfo", "", pdf, n);
  has(text, "Certificate of residence");
  has(text, "Number");
  has(text, "زهرا احمدی");
  assert_non_null(strstr(info, "841.89 x 595.276 pts"));
  free(info);
  free(pdf);
}

static int words(void **state) {
  struct err err;
  setenv("FONTCONFIG_FILE", "/nonexistent", 1); /* nothing of the machine's fonts is needed */
  setenv("FONTCONFIG_PATH", "/nonexistent", 1);
  memory = arena_new(64 << 20);
  return language_init(&err);
}

static int done(void **state) {
  arena_free(memory);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(words_can_be_read_again), cmocka_unit_test(long_ones_break), cmocka_unit_test(the_same_again),
    cmocka_unit_test(threads_do_not_disturb_each_other), cmocka_unit_test(faults_are_told_at_the_end), cmocka_unit_test(an_english_page_begins_at_the_left)};
  return cmocka_run_group_tests(tests, words, done);
}
