"""The little of C that layercheck and codecheck must understand: tokens with their lines."""
import os, re

TOKEN = re.compile(r"""
  (?P<comment>/\*.*?(?:\*/|\Z)|//(?:\\\n|[^\n])*)
 |(?P<space>[ \t\r\f\v]+|\\\n)
 |(?P<newline>\n)
 |(?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*(?:"|(?=\n)|\Z))
 |(?P<char>(?:[uUL])?'(?:\\.|[^'\\\n])*(?:'|(?=\n)|\Z))
 |(?P<word>[A-Za-z_]\w*)
 |(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
 |(?P<mark>->|\+\+|--|<<|>>|[<>=!]=|&&|\|\||.)
""", re.X | re.S)
DIRECTIVE = re.compile(r"#(?:\\\n|/\*.*?\*/|[^\n])*", re.S)


class Token:
    __slots__ = ("kind", "text", "line")

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line


def tokens(text):
    """Tokens without comments and spaces. A preprocessor line is one token of the kind 'directive'."""
    out, at, line, fresh = [], 0, 1, True
    while at < len(text):
        if fresh and text[at] == "#":
            found = DIRECTIVE.match(text, at)
            out.append(Token("directive", found.group(), line))
            kind = "directive"
        else:
            found = TOKEN.match(text, at)
            kind = found.lastgroup
            if kind not in ("comment", "space", "newline"):
                out.append(Token(kind, found.group(), line))
        if kind == "newline":
            fresh = True
        elif kind not in ("space", "comment"):
            fresh = False
        line += found.group().count("\n")
        at = found.end()
    return out


def expand(stream):
    """The same tokens with the replacement text of #define laid open, so that macros are checked like other code."""
    out = []
    for t in stream:
        found = re.match(r"#\s*define\s+\w+(?:\([^)]*\))?", t.text) if t.kind == "directive" else None
        if not found:
            out.append(t)
            continue
        before = t.text[:found.end()].count("\n")
        for inner in tokens(" " + t.text[found.end():]):
            inner.line += t.line + before - 1
            out.append(inner)
    return out


def files_under(root, folder, endings):
    """Paths relative to root, sorted."""
    out = []
    for base, dirs, names in os.walk(os.path.join(root, folder)):
        dirs.sort()
        out += [os.path.relpath(os.path.join(base, n), root) for n in sorted(names) if n.endswith(endings)]
    return out


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace", newline="") as f:
        return f.read()
