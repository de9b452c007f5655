#!/usr/bin/env python3
"""layercheck and codecheck: each rule is broken on purpose in a temporary folder, and must be told with its line."""
import os, re, subprocess, sys, tempfile, unittest

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools")


class Planted(unittest.TestCase):
    def run_tool(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            done = subprocess.run([sys.executable, os.path.join(TOOLS, self.tool), root], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def fine(self, files):
        self.assertEqual(self.run_tool(files), (0, []))

    def told(self, files, *expected):
        """Exactly these messages: each begins with its place and contains its words."""
        code, lines = self.run_tool(files)
        self.assertEqual(code, 1)
        self.assertEqual(len(lines), len(expected), lines)
        for line, (place, words) in zip(lines, expected):
            self.assertTrue(line.startswith(place + ": "), line)
            self.assertIn(words, line)


class Layers(Planted):
    tool = "layercheck"

    def test_allowed(self):
        self.fine({"src/base/base.h": "", "src/base/inside.h": "", "src/base/a.c": '#include "inside.h"\n#include "base/inside.h"\n#include <stdio.h>\n',
                   "src/http/template.h": "", "src/channels/web/web.h": "", "src/channels/web/a.c": '#include "http/template.h"\n#include "cases/cases.h"\n',
                   "src/main.c": '#include "channels/web/web.h"\n#include "http/http.h"\n// #include "nowhere/x.h"\n/*\n#include "nowhere/x.h"\n*/\n'})

    def test_upward(self):
        self.told({"src/base/a.c": '\n#include "store/store.h"\n'}, ("src/base/a.c:2", "base must not include store"))
        self.told({"src/cases/a.c": '#include "http/http.h"\n'}, ("src/cases/a.c:1", "cases must not include http"))
        self.told({"src/store/a.c": '#include "language/language.h"\n'}, ("src/store/a.c:1", "must not include language"))
        self.told({"src/cases/a.c": '#  include  "app/app.h" // up\n'}, ("src/cases/a.c:1", "must not include app"))

    def test_channels_apart(self):
        self.told({"src/channels/web/a.c": '#include "channels/api/api.h"\n'}, ("src/channels/web/a.c:1", "channels/web must not include channels/api"))
        self.told({"src/channels/api/a.c": '#include "channels/notify/notify.h"\n'}, ("src/channels/api/a.c:1", "must not include"))

    def test_private_headers(self):
        self.told({"src/store/driver.h": "", "src/cases/a.c": '#include "store/driver.h"\n'}, ("src/cases/a.c:1", "not a public header of store"))
        self.told({"src/app/a.c": '#include "http/route.h"\n'}, ("src/app/a.c:1", "not a public header of http"))

    def test_unknown(self):
        self.told({"src/app/a.c": '#include "blockchain/blockchain.h"\n'}, ("src/app/a.c:1", "no room of the table"))
        self.told({"src/blockchain/a.c": ""}, ("src/blockchain/a.c:1", "no room of the table"))
        self.told({"src/app/a.c": '#include "absent.h"\n'}, ("src/app/a.c:1", "in this folder"))

    def test_ways_around(self):
        self.told({"src/store/store.h": "", "src/base/a.c": "#include <store/store.h>\n"}, ("src/base/a.c:1", "with quotes"))
        self.told({"src/base/a.c": '#include "../store/store.h"\n'}, ("src/base/a.c:1", ".."))
        self.told({"src/base/a.c": '#include "base/../store/store.h"\n'}, ("src/base/a.c:1", ".."))
        self.told({"src/base/a.c": "#define H <stdio.h>\n#include H\n"}, ("src/base/a.c:2", "name its file"))

    def test_channels_issue_no_sql(self):
        self.told({"src/channels/api/a.c": 'int x = store_exec(tx, err, "x", "");\n'}, ("src/channels/api/a.c:1", "store_exec"))
        self.told({"src/channels/web/a.c": '\nchar s[] = "SELECT tracking FROM cases";\n'}, ("src/channels/web/a.c:2", "no SQL"))
        self.told({"src/channels/web/a.c": '#define Q "DELETE  FROM cases"\n'}, ("src/channels/web/a.c:1", "no SQL"))
        self.fine({"src/channels/web/a.c": 'char s[] = "Select a form from the list"; /* SELECT x FROM y */\n', "src/cases/a.c": 'char s[] = "SELECT a FROM b";\n'})

    def test_http_knows_no_services(self):
        self.told({"src/http/a.c": "\n\nint x = cases_submit();\n"}, ("src/http/a.c:3", "cases_submit"))
        self.told({"src/http/a.c": 'char s[] = "catalog";\n'}, ("src/http/a.c:1", "catalog"))
        self.fine({"src/http/a.c": "switch (x) { case 1: } /* in both cases */ int lowercases;\n"})

    def test_table(self):
        sys.dont_write_bytecode = True
        tool = {"__name__": "layercheck", "__file__": os.path.join(TOOLS, "layercheck")}
        with open(tool["__file__"], encoding="utf-8") as f:
            exec(compile(f.read(), "layercheck", "exec"), tool)
        self.assertIsNone(tool["cycle"](tool["ALLOWED"]))
        self.assertEqual(tool["cycle"]({"a": {"b"}, "b": {"c"}, "c": {"a"}}), ["a", "b", "c", "a"])
        self.assertEqual(tool["cycle"]({"a": set(), "b": {"b"}}), ["b", "b"])


def table(columns, tail="WITHOUT ROWID"):
    return "CREATE TABLE thing (\n%s\n) %s;\n" % (columns, tail)


class Code(Planted):
    tool = "codecheck"

    def c(self, text, path="src/cases/a.c"):
        return {path: text}

    def test_literals_are_fine(self):
        self.fine(self.c('#define COLUMNS "a," \\\n  "b"\nstatic const char sql_all[] = "SELECT 1";\nstatic const char *const sql_of[] = {"SELECT 1", "SELECT 2"};\n'
                         'void f(void) {\n  store_exec(tx, err, "UPDATE x SET a = ?1"\n    " WHERE b = ?2", "tb", g(a, b), p, n);\n  store_select(tx, err, "SELECT " COLUMNS " FROM x", "");\n'
                         '  store_put(tx, err, sql_all, types, a);\n  store_put(tx, err, sql_of[i], "");\n  store_value(tx, &n, 0, err, COLUMNS, "");\n'
                         '  store_select(tx, err, up ? "A ?1" : down ? "B ?1" : "C ?1", "i", (int64_t)1);\n  s->store_exec(x);\n}\n'))
        self.fine(self.c('#define COLUMNS "a"\n', "src/cases/private.h") | self.c('void f(void) { store_exec(tx, err, "SELECT " COLUMNS, ""); }\n'))

    def test_sql_is_literal(self):
        for sql in ("text", "buf_str(&b)", '"SELECT " + x', "SQL_UNKNOWN", "sql_made", 'x ? "A" : y', '(char *)"A"', "argv[1]"):
            with self.subTest(sql):
                self.told(self.c('\nvoid f(void) {\n  char sql_made[9];\n  store_exec(tx, err, %s, "");\n}\n' % sql), ("src/cases/a.c:4", "must be a literal"))
        self.told(self.c('#define RUN(x) store_exec(tx, err, x, "")\n'), ("src/cases/a.c:1", "must be a literal"))

    def test_parameters_agree(self):
        for call, words in (('"A ?1 ?2", "t", a', "2 parameters"), ('"A ?1", "tt", a, b', "1 parameters"), ('"A ?1 ?3", "tt", a, b', "leave out"), ('"A ?", "t", a', "numbered"),
                            ('"A ?1", "s", a', "letters"), ('"A ?1", "b", a', "want 2 values, given are 1"), ('"A ?1 ?2", "tt", a', "want 2 values"), ("\"A ?1 '?7'\", \"\"", "1 parameters")):
            with self.subTest(call):
                self.told(self.c("void f(void) {\n  store_put(tx, err, %s);\n}\n" % call), ("src/cases/a.c:2", words))

    def test_banned_functions(self):
        for name in ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "system", "popen", "alloca", "atoi", "atol", "strncpy"):
            with self.subTest(name):
                self.told(self.c("void f(void) {\n  %s(x);\n}\n" % name), ("src/cases/a.c:2", name))
        self.told(self.c('int x = sscanf(s, "%d %s", &a, b);\n'), ("src/cases/a.c:1", "sscanf"))
        self.told(self.c("#define GO(x) system(x)\n"), ("src/cases/a.c:1", "system"))
        self.told(self.c("#define GO(x) \\\n  f(); \\\n  system(x)\n"), ("src/cases/a.c:3", "system"))
        self.fine(self.c('int x = sscanf(s, "%d %9s", &a, b); strtok_r(a, b, c); t.system(1); t->gets(2); /* strcpy(a) */ char *s = "strcpy(a)"; int system = 1;\n'))

    def test_html_comes_from_templates(self):
        for text in ("<p>", "</div>", "<a href=", "<br/>", "<!DOCTYPE html", "x <input type='text'>", "<td"):
            with self.subTest(text):
                self.told(self.c('\nchar *s = "%s";\n' % text, "src/channels/web/a.c"), ("src/channels/web/a.c:2", "templates"))
        self.fine(self.c('char *s = "<svg>";\n', "src/channels/web/chart_svg.c"))
        self.fine(self.c('char *s = "a < b, 3 <4, <=>";\n', "src/channels/web/a.c") | self.c('char *s = "<p>";\n', "src/http/a.c"))

    def test_schema_dialect(self):
        good = "-- a; comment, 'with' @anything INTEGER\n" + table("  id @id NOT NULL,\n  n BIGINT DEFAULT 0 CHECK (n IN (1, 2)),\n  t TEXT DEFAULT 'a;b @x',\n  b @blob,\n  at @time,\n  PRIMARY KEY (id, n)")
        self.fine({"schema/030-cases.sql": good + "CREATE UNIQUE INDEX thing_n ON thing (n);\nALTER TABLE thing ADD COLUMN more TEXT;\n"
                   "INSERT INTO thing (id, n) VALUES ('x', 1) ON CONFLICT DO NOTHING;\n"})
        for column, words in (("a INTEGER", "INTEGER"), ("a VARCHAR", "VARCHAR"), ("a", "column a"), ("a @claim", "@claim"), ("a BLOB", "BLOB"), ("a text", "column a")):
            with self.subTest(column):
                code, lines = self.run_tool({"schema/030-cases.sql": table("  id @id PRIMARY KEY,\n  " + column)})
                self.assertEqual(code, 1)
                self.assertTrue(any(re.match(r"schema/030-cases\.sql:3: .*" + words, x) for x in lines), lines)
        for text, line, words in ((table("  id @id"), 1, "no PRIMARY KEY"), (table("  id @id PRIMARY KEY", ""), 1, "WITHOUT ROWID"),
                                  (table("  id @id PRIMARY KEY REFERENCES other"), 2, "REFERENCES"), ("\nCREATE TRIGGER x;\n", 2, "TRIGGER"),
                                  ("CREATE VIEW v AS SELECT 1;\n", 1, "kind of statement"), ("PRAGMA x;\n", 1, "kind of statement"), ("DELETE FROM a; DELETE FROM b;\n", 1, "end of its line"),
                                  ("DELETE FROM a\n", 1, "does not end"), ("INSERT OR REPLACE INTO a VALUES (1);\n", 1, "kind of statement"),
                                  ("\nALTER TABLE a ADD COLUMN b REAL;\n", 2, "REAL"), (table("  n BIGINT PRIMARY KEY AUTOINCREMENT"), 2, "AUTOINCREMENT")):
            with self.subTest(text):
                code, lines = self.run_tool({"schema/030-cases.sql": text})
                self.assertEqual(code, 1)
                self.assertTrue(any(x.startswith("schema/030-cases.sql:%d: " % line) and words in x for x in lines), lines)

    def test_schema_names(self):
        good = table("  id @id PRIMARY KEY")
        self.told({"schema/cases.sql": good}, ("schema/cases.sql:1", "NNN-room.sql"))
        self.told({"schema/030-a.sql": good, "schema/030-b.sql": good}, ("schema/030-b.sql:1", "taken by schema/030-a.sql"))

    def test_lengths(self):
        def function(n):
            return "int\nf(int a)\n{\n" + "  a++; // }\n" * (n - 4) + "}\n"
        self.fine(self.c(function(80) + "static const int rows[] = {\n" + "  1,\n" * 200 + "};\n"))
        self.assertEqual(self.run_tool(self.c("\n" + function(81))), (0, ["src/cases/a.c:2: warning: f has 81 lines"]))
        self.assertEqual(self.run_tool(self.c(function(120)))[0], 0)
        self.told(self.c("int g;\n" + function(121)), ("src/cases/a.c:2", "f has 121 lines"))
        self.fine(self.c("int a;\n" * 800))
        self.assertEqual(self.run_tool(self.c("int a;\n" * 801)), (0, ["src/cases/a.c:1: warning: the file has 801 lines"]))
        self.told(self.c("int a;\n" * 1001), ("src/cases/a.c:1", "1001 lines"))
        self.told(self.c("int a;\n" * 1001, "tests/unit/a.c"), ("tests/unit/a.c:1", "1001 lines"))


if __name__ == "__main__":
    unittest.main()
