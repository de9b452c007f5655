/*
 * language: Persian and English text: folding, digits, calendars, working days, identifiers, numbers, words.
 * Layer 0, includes base only. All functions are thread-safe after language_init().
 */
#ifndef CHAPAR_LANGUAGE_H
#define CHAPAR_LANGUAGE_H

#include "base/base.h"

enum lang { LANG_FA, LANG_EN };
int language_init(struct err *err);          /* opens ICU, loads locale/words*.csv and locale/hijri.csv; at start, before any
                                              * thread; a second call does nothing. A key said twice, a word without a text, or a
                                              * key that is both a text and a group (nav, nav.home) is an error naming key and file */
enum lang lang_from_accept(const char *accept_language); /* RFC 9110 quality values; NULL or nothing known: LANG_FA */
const char *lang_code(enum lang l);          /* "fa" or "en" */

/* ---- words of the interface: every locale/words*.csv = key,fa,en -------------------- */
const char *word(enum lang l, const char *key);                      /* the key itself when unknown */
bool word_known(const char *key);
/* Named parameters: words_fill(a, LANG_FA, "due.left", "days", "3", NULL) replaces {days}. Arena-owned. */
char *word_fill(struct arena *a, enum lang l, const char *key, ...) __attribute__((sentinel));
json_t *words_all(enum lang l);              /* {"key":"text"} borrowed, for templates; keys nested at dots: {"nav":{"home":…}} */

/* ---- repair and folding ------------------------------------------------------------ */
/* Repair what people paste (stored form): NFC, Arabic yeh/kaf to Persian, removes bidi controls U+202A–E, U+2066–9, U+200E/F,
 * U+061C, U+FEFF, soft hyphen, other C0/C1 controls but \n; a tab becomes a space; collapses ZWNJ runs and drops them beside
 * white space, trims, folds line ends (CR, NEL, U+2028/9 too) to \n. Digits are kept as typed. Idempotent, and so is text_fold.
 * NULL when beyond the arena's cap or invalid UTF-8. */
char *text_repair(struct arena *a, const char *s);
/* Fold for search and comparison: repair, lower case, digits to ASCII, ZWNJ and tatweel removed, diacritics removed,
 * آ أ إ ٱ → ا, ة → ه, ؤ → و, ئ → ی, ۀ → ه, ي ى → ی, ك → ک, punctuation to one space; presentation forms and full-width
 * letters become plain ones (NFKC). Same result on every engine. NULL as text_repair. */
char *text_fold(struct arena *a, const char *s);
/* Folded words of s for the search table, unique, in order of appearance; returns how many were written (≤ most). */
size_t text_terms(struct arena *a, const char *s, const char **terms, size_t most);
char *digits_ascii(struct arena *a, const char *s);   /* ۰–۹ and ٠–٩ become 0–9; everything else kept */
char *digits_local(struct arena *a, enum lang l, const char *s); /* 0–9 become ۰–۹ for LANG_FA; unchanged for LANG_EN */
int text_compare(enum lang l, const char *a, const char *b); /* ICU collation (fa: پ after ب and so on) */
bool text_has_bidi_control(const char *s);            /* any of U+202A–E, U+2066–9 */
/* GSM 03.38: can every character be sent in the 7-bit alphabet? *septets (may be NULL) gets the length (extension
 * characters count 2), or 0 when the answer is no. */
bool text_gsm7(const char *s, size_t *septets);
size_t text_utf16(const char *s);                    /* length in UTF-16 units: what a message or a screen with Persian counts */
/* Does it fit in so many text messages (one: 160 of the 7-bit alphabet, else 70; more: 153, else 67 each)? */
bool text_fits_sms(const char *s, unsigned parts);
/* The last `count` words as text_fold gives them, with one space between; NULL when there are fewer. By these a message is known again. */
const char *text_tail(struct arena *a, const char *s, unsigned count);

/* ---- identifiers: repaired (digits, spaces, dashes, direction marks), judged --------- */
#define IDENTIFIER_TABLE(X)                                               \
  X(IDENT_NATIONAL_ID, "national_id")    /* کد ملی: 10 digits, check digit mod 11; 8 and 9 digits are padded with zeros */ \
  X(IDENT_FIDA, "fida")                  /* کد فراگیر اتباع: 8 to 16 digits as the register issues them (no public check digit) */ \
  X(IDENT_LEGAL_ID, "legal_id")          /* شناسه ملی اشخاص حقوقی: 11 digits, check digit */ \
  X(IDENT_MOBILE, "mobile")              /* stored 09xxxxxxxxx; +98, 0098, 98, 9… accepted; known prefixes */ \
  X(IDENT_POSTAL_CODE, "postal_code")    /* 10 digits, no 0 or 2 among the first five, not all alike */ \
  X(IDENT_SHEBA, "sheba")                /* IR + 24 digits, ISO 13616 mod 97 */ \
  X(IDENT_TRACKING, "tracking")          /* 16 digits, Luhn */
enum identifier {
#define X(name, text) name,
  IDENTIFIER_TABLE(X)
#undef X
};
/* Write the canonical form to out (room ≥ 32) and return 0, or -1 when it cannot be repaired into a valid one. */
int identifier_parse(enum identifier kind, const char *typed, char out[32]);
/* Masked for showing: 0499370899 → 049****899 (national ids, mobiles, FIDA: three at each end; sheba: four); others unchanged. */
void identifier_mask(enum identifier kind, const char *value, char out[32]);
char luhn_digit(const char *digits, size_t n);        /* check digit for n ASCII digits */
/* For showing, in groups: tracking and sheba in fours. ASCII digits. out ≥ 48. */
/* A tracking code anywhere in a text, in groups or not, in whatever digits; -1 when there is none. */
int identifier_find_tracking(struct arena *a, const char *text, char out[32]);
void identifier_group(enum identifier kind, const char *value, char out[48]);

/* ---- calendars --------------------------------------------------------------------- */
struct date { int year, month, day; };                /* in whichever calendar is said */
int32_t day_from_gregorian(struct date d);            /* days since 1970-01-01; INT32_MIN when impossible */
struct date day_to_gregorian(int32_t day);
int32_t day_from_jalali(struct date d);               /* years 1200–1500; INT32_MIN when impossible */
struct date day_to_jalali(int32_t day);               /* outside 1200–1500: the 33-year arithmetic, not the official calendar */
bool jalali_leap(int year);
/* Iranian Hijri by locale/hijri.csv, the first days of its months (1346-01 to 1448-10); ICU's Umm al-Qura outside its range. The column
 * basis says: centre = University of Tehran Calendar Centre; published = calendars and newspapers of the time, as gathered in the
 * public-domain collection "qamari" by R. Pournader and others; predicted = computed for 1447 and 1448, to be replaced when announced. */
struct date day_to_hijri(int32_t day);
int day_weekday(int32_t day);                         /* ISO: Monday 1 … Sunday 7 */
int32_t day_of(int64_t ms);                           /* local day in Asia/Tehran (UTC+03:30 since 2022-09; the tz rules before) */
int64_t day_start(int32_t day);                       /* its first millisecond in Asia/Tehran */
/* "YYYY-MM-DD" or with / and any digits, also 1-digit months; years 1200–1500 are Jalali, 1800–2200 Gregorian. INT32_MIN when impossible. */
int32_t date_parse(const char *typed);
void date_iso(int32_t day, char out[16]);             /* Gregorian 2026-11-23 */
void date_jalali(int32_t day, char out[16]);          /* 1405-09-02, ASCII digits */
char *date_long(struct arena *a, enum lang l, int32_t day);   /* «دوشنبه ۲ آذر ۱۴۰۵» / "Monday 23 November 2026" */
char *date_short(struct arena *a, enum lang l, int32_t day);  /* ۱۴۰۵/۰۹/۰۲ / 23 Nov 2026 */
char *datetime_short(struct arena *a, enum lang l, int64_t ms); /* with hour and minute, Tehran time */
const char *jalali_month(enum lang l, int month);     /* 1–12 */

/* Working days. A calendar is a weekend and a sorted set of closed days; copies are cheap to share, changes make a new version. */
struct calendar;
struct calendar *calendar_new(const char *code, unsigned weekend_mask /* bit (iso weekday-1) */);
struct calendar *calendar_copy(const struct calendar *c);
void calendar_free(struct calendar *c);
const char *calendar_code(const struct calendar *c);
/* A holiday or closure; titles may be NULL. Two holidays on one day: their titles are joined. */
void calendar_close(struct calendar *c, int32_t day, const char *title_fa, const char *title_en);
void calendar_open(struct calendar *c, int32_t day);  /* a weekend or holiday worked */
void calendar_set_horizon(struct calendar *c, int32_t last_known_day); /* holidays are known up to here; nothing is known at first */
int32_t calendar_horizon(const struct calendar *c);
bool calendar_works(const struct calendar *c, int32_t day);
const char *calendar_title(const struct calendar *c, enum lang l, int32_t day); /* why it is closed, NULL when it is not a titled closure */
/* Ordinal: number of working days in (1970-01-01, day]. Monotonic; equal for a closed day and the working day before it. */
int32_t calendar_ordinal(const struct calendar *c, int32_t day);
int32_t calendar_day(const struct calendar *c, int32_t ordinal); /* the working day that has this ordinal; INT32_MAX when none ever has */
/* The n-th working day after `day` (n ≥ 0; day itself does not count) = calendar_day(ordinal(day)+n). */
int32_t calendar_add(const struct calendar *c, int32_t day, int n);
bool calendar_provisional(const struct calendar *c, int32_t day); /* beyond the horizon */

/* ---- numbers ----------------------------------------------------------------------- */
char *number_format(struct arena *a, enum lang l, int64_t n);        /* ۱۲٬۳۴۵ / 12,345 */
char *money_format(struct arena *a, enum lang l, int64_t rial);      /* «۱٬۲۰۰٬۰۰۰ ریال» / "1,200,000 rials" */
char *number_words_fa(struct arena *a, int64_t n);                   /* «یک میلیون و دویست هزار» */
char *number_decimal(struct arena *a, enum lang l, double v, int places);
char *number_percent(struct arena *a, enum lang l, double percent, int places); /* ۹۹٫۵٪ / 99.5%: the sign stands behind the number in reading order wherever it is shown */

#endif
