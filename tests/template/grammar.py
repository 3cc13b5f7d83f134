"""Random templates and data for the differential test, as trees, so that a failing one can be shrunk."""

import random

# A tree is (kind, parts): parts are strings and trees. Only trees of one kind may take each other's place.
NAMES = {
    "i": 5,
    "j": -3,
    "z": 0,
    "f": 2.5,
    "g": -0.75,
    "s": "Hello World",
    "t": "a,b;c d",
    "n": "42",
    "uni": "straße ÄÖ ñ 😀x",
    "empty": "",
    "html": "<b>x & 'y'</b>",
    "yes": True,
    "no": False,
    "nil": None,
    "nums": [3, 1, 2, 5, 4],
    "words": ["pear", "Apple", "fig", "apple"],
    "mixed": [1, "a", None, True, 2.5],
    "nested": [[1, 2], [3, [4, 5]], []],
    "none_list": [],
    "d": {"a": 1, "b": "two", "c": [1, 2], "items": 5},
    "people": [{"name": "Bob", "age": 30}, {"name": "alice", "age": 25}, {"name": "Carl", "age": 30, "x": {"y": 1}}],
    "context": {"user": {"name": "Ada", "tags": ["x", "y"]}, "n": 3},
}
NUMBERS = ["i", "j", "z", "f", "g"]
STRINGS = ["s", "t", "n", "uni", "empty", "html"]
LISTS = ["nums", "words", "mixed", "nested", "none_list", "people"]
DICTS = ["d", "context", "people[0]", "context.user"]
UNDEFINED = ["u", "u.x", "d.nope", "nums[9]"]

TEXT_FILTERS = """upper lower title capitalize trim length wordcount reverse e escape striptags urlencode string list first last
  int float tojson pprint urlize forceescape safe trim('a') center(9) truncate(5) truncate(6,true,'.',0) truncate(7,leeway=0)
  replace('a','o') replace('l','') indent indent(2,true) indent('>',blank=true) wordwrap(5) wordwrap(7,false) default('d')
  default('d',true) batch(3)|list join('-') sort|join unique|join min max filesizeformat count d('x')""".split()
NUMBER_FILTERS = """abs round round(1) round(1,'ceil') round(-1) round(0,'floor') int float string filesizeformat
  filesizeformat(true) tojson default(5) upper length pprint""".split()
LIST_FILTERS = """length first last join join(',') join('|',attribute='name') sort sort(reverse=true) sort(attribute='age') unique|list
  min max sum sum(attribute='age') list reverse|list batch(2)|list batch(2,'x')|list slice(2)|list slice(3,0)|list tojson pprint
  map('upper')|list map('string')|join map(attribute='name')|list map(attribute='age',default=0)|list map('length')|list
  select|list reject|list select('odd')|list select('string')|list reject('none')|list select('>',2)|list
  selectattr('age')|list selectattr('age','>',26)|list rejectattr('name','defined')|list groupby('age') groupby('name')|list
  groupby('x',default=1)|length map('int')|list map('default','q')|list first|default('e') string
  sort(case_sensitive=true) max(attribute='age') dictsort items|list count xmlattr map('first')|list sum(start=1)""".split()
DICT_FILTERS = """length list dictsort dictsort(by='value') dictsort(true,'key',true) tojson tojson(1) items|list first join xmlattr
  urlencode pprint string map('upper')|list sort reverse|list max""".split()
TEXT_METHODS = """upper() lower() title() capitalize() swapcase() strip() strip('a\\x20') split() split(',') split('l',1) rsplit('\\x20',1)
  splitlines() find('l') rfind('o') index('l') count('l') startswith('H') endswith(('d','x')) replace('l','L') replace('l','L',1)
  partition(',') rpartition('\\x20') zfill(8) center(15,'*') ljust(13) rjust(13,'.') isalpha() isdigit() isupper() islower() istitle()
  isspace() isalnum() isnumeric() isidentifier() isprintable() removeprefix('He') removesuffix('d') casefold() lstrip('H') rstrip()
  format(1) join(words) join('xy') expandtabs()""".split()
DICT_METHODS = "keys() values() items() get('a') get('q') get('q',7) keys()|list values()|list copy()".split()
LIST_METHODS = "index(1) count(1) copy() pop() pop(0) append(1)".split()
TESTS = """defined undefined none boolean true false integer float number string mapping sequence iterable callable odd even lower
  upper divisibleby(2) eq(1) ne(1) gt(1) lt('a') in([1,2]) sameas(true) escaped equalto(none)""".split()
LITERALS = {
    "number": ["0", "1", "2", "3", "7", "10", "1.5", "0.1", "-2", "100", "2.0", "1e3", "1_0", "0x1f"],
    "string": ["''", "'a'", "'abc'", "\"it's\"", "'l'", "'%s'", "'{}'", "'é'", "'a b'", "'\\n'", "'1'", "','", "'x\\ty'"],
    "list": ["[]", "[1,2]", "['a','b']", "(1,)", "()", "[1,[2]]", "(1,'a')", "range(3)", "range(1,9,3)", "[none,true]", "['b','A']"],
    "dict": ["{}", "{'a':1}", "{'b':[1],'a':none}", "{1:2}", "dict(k=1)"],
    "bool": ["true", "false", "none"],
}
FORMATS = """%s %d %5.1f %x %r %05d %-4s| %e %g %% %s-%s %(a)s %c %+d {} {0} {:>5} {:05.1f} {!r} {:,} {:x} {:^7}| {a} {0[0]} {:%}
  {:.2} {:<4}| {:+} {:e} {:#x} {:_} {:*^9} {{}} {:s} {:d}""".split()


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.locals = []
        self.macros = []
        self.loops = 0

    def pick(self, items):
        return self.random.choice(items)

    def chance(self, probability):
        return self.random.random() < probability

    # --- expressions

    def any_kind(self):
        return self.pick(["number", "number", "string", "string", "list", "list", "dict", "bool"])

    def expr(self, depth, kind=None):
        if kind is None or self.chance(0.03):
            kind = self.any_kind()
        if depth <= 0 or self.chance(0.25):
            return ("expr", [self.atom(kind)])
        if self.chance(0.07):
            return ("expr", ["(", self.expr(depth - 1, kind), " if ", self.expr(depth - 1, "bool"), self.pick([" else ", " else "]),
                             self.expr(depth - 1, kind), ")"])
        if self.chance(0.03):
            return ("expr", ["(", self.expr(depth - 1, kind), " if ", self.expr(depth - 1, "bool"), ")"])
        if self.macros and self.chance(0.06):
            return ("expr", [self.pick(self.macros), "(", self.expr(depth - 1), ")"])
        return ("expr", getattr(self, kind)(depth))

    def atom(self, kind):
        if self.chance(0.04):
            return self.pick(UNDEFINED)
        if self.locals and self.chance(0.35):
            return self.pick(self.locals)
        if self.loops and self.chance(0.1):
            return self.pick(["loop.index", "loop.index0", "loop.first", "loop.last", "loop.length", "loop.revindex", "loop.depth",
                              "loop.previtem", "loop.nextitem", "loop.cycle(1,2)", "loop.changed(1)"])
        names = {"number": NUMBERS, "string": STRINGS, "list": LISTS, "dict": DICTS, "bool": ["yes", "no", "nil"]}[kind]
        return self.pick(names) if self.chance(0.55) else self.pick(LITERALS[kind])

    def number(self, depth):
        form = self.random.randrange(7)
        if form == 0:
            op = self.pick([" + ", " - ", " * ", " / ", " // ", " % "])
            return ["(", self.expr(depth - 1, "number"), op, self.expr(depth - 1, "number"), ")"]
        if form == 1:
            return ["(", self.expr(depth - 1, "number"), " ** ", self.pick(["2", "0", "-1", "3", "0.5", "1"]), ")"]
        if form == 2:
            return ["(", self.pick(["-", "+", "- ", "not "]), self.expr(depth - 1, "number"), ")"]
        if form == 3:
            return ["(", self.expr(depth - 1, "number"), "|", self.pick(NUMBER_FILTERS), ")"]
        if form == 4:
            return ["(", self.expr(depth - 1, "list"), "|", self.pick(["length", "sum", "first", "last", "min", "max", "count"]), ")"]
        if form == 5:
            return ["(", self.expr(depth - 1, "string"), "|", self.pick(["length", "int", "float", "wordcount", "int(7)", "float(0.5)"]), ")"]
        return [self.expr(depth - 1, "list"), "[", self.expr(depth - 1, "number"), "]"]

    def string(self, depth):
        form = self.random.randrange(10)
        if form == 0:
            return ["(", self.expr(depth - 1), self.pick([" ~ ", " ~ ", " + "]), self.expr(depth - 1, "string"), ")"]
        if form == 1:
            return ["(nil or ", self.expr(depth - 1, "string"), ")[", self.slice(depth), "]"]
        if form in (2, 3):
            return ["(", self.expr(depth - 1, "string"), "|", self.pick(TEXT_FILTERS), ")"]
        if form in (4, 5):
            return [self.expr(depth - 1, "string"), ".", self.pick(TEXT_METHODS)]
        if form == 6:
            return ["'", self.pick(FORMATS), "'.format(", self.expr(depth - 1), ", ", self.expr(depth - 1), ")"]
        if form == 7:
            return ["('", self.pick(FORMATS), "' % ", self.expr(depth - 1), ")"]
        if form == 8:
            return ["(", self.expr(depth - 1, "string"), " * ", self.pick(["0", "1", "2", "3", "-1", "i"]), ")"]
        return ["(", self.expr(depth - 1, "list"), "|join(", self.expr(depth - 1, "string"), "))"]

    def slice(self, depth):
        def part():
            return self.expr(0, "number") if self.chance(0.3) else self.pick(["", "", "1", "2", "-1", "-2", "0", "9"])

        if self.chance(0.4):
            return ("index", [self.pick(["0", "1", "-1", "9", "'a'", "i", "u"])])
        return ("index", [part(), ":", part(), self.pick(["", "", ":", ":2", ":-1", ":1"])])

    def list(self, depth):
        form = self.random.randrange(8)
        if form == 0:
            return ["[", self.expr(depth - 1), ", ", self.expr(depth - 1), "]"]
        if form == 1:
            return ["(", self.expr(depth - 1), ", ", self.expr(depth - 1), ")"]
        if form == 2:
            return ["(", self.expr(depth - 1, "list"), "|list + ", self.expr(depth - 1, "list"), "|list)"]
        if form == 3:
            return ["(nil or ", self.expr(depth - 1, "list"), ")[", self.slice(depth), "]"]
        if form in (4, 5):
            return ["(", self.expr(depth - 1, "list"), "|", self.pick(LIST_FILTERS), ")"]
        if form == 6:
            return [self.expr(depth - 1, "list"), ".", self.pick(LIST_METHODS)]
        return ["(range(", self.expr(depth - 1, "number"), "|int)|list)"]

    def dict(self, depth):
        form = self.random.randrange(5)
        if form == 0:
            return ["{'k': ", self.expr(depth - 1), ", 'j': ", self.expr(depth - 1), "}"]
        if form == 1:
            return ["(", self.expr(depth - 1, "dict"), "|", self.pick(DICT_FILTERS), ")"]
        if form == 2:
            return [self.expr(depth - 1, "dict"), ".", self.pick(DICT_METHODS)]
        if form == 3:
            return [self.expr(depth - 1, "dict"), self.pick([".a", ".b", "['a']", ".name", "['nope']", ".user.name", ".nope.x", "['items']"])]
        return ["{", self.expr(depth - 1, "string"), ": ", self.expr(depth - 1), "}"]

    def bool(self, depth):
        form = self.random.randrange(6)
        if form == 0:
            kind = self.pick(["number", "string", "number", "string", "list", None])
            op = self.pick([" == ", " != ", " < ", " <= ", " > ", " >= "] if kind else [" == ", " != "])
            return ["(", self.expr(depth - 1, kind), op, self.expr(depth - 1, kind), ")"]
        if form == 1:
            kind = self.pick(["list", "string", "dict"])
            item = self.expr(depth - 1, "string" if kind == "string" else self.pick(["number", "string", "bool"]))
            return ["(", item, self.pick([" in ", " not in "]), self.expr(depth - 1, kind), ")"]
        if form == 2:
            return ["(", self.expr(depth - 1), self.pick([" and ", " or "]), self.expr(depth - 1), ")"]
        if form == 3:
            return ["(not ", self.expr(depth - 1), ")"]
        if form == 4:
            return ["(", self.expr(depth - 1), self.pick([" is ", " is not "]), self.pick(TESTS), ")"]
        return ["(", self.expr(depth - 1, "number"), " < ", self.expr(depth - 1, "number"), " < ", self.expr(depth - 1, "number"), ")"]

    # --- statements

    def open(self):
        return self.pick(["{% ", "{% ", "{% ", "{%- ", "{%+ "])

    def close(self):
        return self.pick([" %}", " %}", " %}", " -%}"])

    def text(self):
        return ("stmt", [self.pick(["a", " ", "\n", "Hi, ", "é", " x\n ", "{", "}", "%", "#", "'", "\"", "\r\n", "."])])

    def print(self, depth):
        start = self.pick(["{{ ", "{{ ", "{{ ", "{{- "])
        return ("stmt", [start, self.expr(depth), self.pick([" }}", " }}", " }}", " -}}"])])

    def body(self, depth):
        kept = len(self.locals)
        macros = len(self.macros)
        parts = [self.stmt(depth) for _ in range(self.random.randrange(1, 4))]
        del self.locals[kept:]
        del self.macros[macros:]
        return ("body", parts)

    def stmt(self, depth):
        if depth <= 0:
            return self.print(1) if self.chance(0.7) else self.text()
        form = self.random.randrange(16)
        if form < 6:
            return self.print(2)
        if form < 8:
            return self.text()
        make = [self.branch, self.branch, self.loop, self.loop, self.set, self.block, self.macro, self.namespace][form - 8]
        return ("stmt", make(depth))

    def branch(self, depth):
        parts = [self.open(), "if ", self.expr(2, "bool"), self.close(), self.body(depth - 1)]
        if self.chance(0.3):
            parts += [self.open(), "elif ", self.expr(2), self.close(), self.body(depth - 1)]
        if self.chance(0.5):
            parts += [self.open(), "else", self.close(), self.body(depth - 1)]
        return parts + [self.open(), "endif", self.close()]

    def loop(self, depth):
        form = self.random.randrange(4)
        target, source = "it", self.expr(2, "list")
        names = ["it"]
        if form == 0:
            target, source, names = "k, v", ("expr", [self.pick(["d.items()", "d|dictsort", "[(1,2),(3,4)]", "['ab','cd']", "people[0]|items"])]), ["k", "v"]
        parts = [self.open(), "for ", target, " in ", source]
        kept = len(self.locals)
        self.locals += names
        if self.chance(0.25):
            parts += [" if ", self.expr(2, "bool")]
        parts += [self.close()]
        self.loops += 1
        parts += [self.body(depth - 1)]
        self.loops -= 1
        del self.locals[kept:]
        if self.chance(0.3):
            parts += [self.open(), "else", self.close(), self.body(depth - 1)]
        return parts + [self.open(), "endfor", self.close()]

    def set(self, depth):
        name = self.pick(["q", "r", "i", "s"])
        self.locals.append(name)
        form = self.random.randrange(4)
        if form == 0:
            return [self.open(), "set ", name, self.close(), self.body(depth - 1), self.open(), "endset", self.close()]
        if form == 1:
            return [self.open(), "set ", name, ", o2 = ", self.expr(1), ", ", self.expr(1), self.close()]
        return [self.open(), "set ", name, " = ", self.expr(2), self.close()]

    def block(self, depth):
        form = self.random.randrange(4)
        if form == 0:
            kept = len(self.locals)
            value = self.expr(2)
            self.locals.append("w")
            body = self.body(depth - 1)
            del self.locals[kept:]
            return [self.open(), "with w = ", value, self.close(), body, self.open(), "endwith", self.close()]
        if form == 1:
            name = self.pick(["upper", "trim", "replace('a','b')", "length", "title|trim", "indent(2)"])
            return [self.open(), "filter ", name, self.close(), self.body(depth - 1), self.open(), "endfilter", self.close()]
        if form == 2:
            return ["{% raw %}", self.pick(["{{ x }}", "{% if %}", " a "]), "{% endraw %}"]
        return [self.pick(["{# c #}", "{#- c -#}", "{# {{ x }} #}"])]

    def macro(self, depth):
        name = f"m{len(self.macros)}"
        locals_before, self.locals = self.locals, ["p", "o"]
        loops, self.loops = self.loops, 0
        body = self.body(depth - 1)
        self.locals, self.loops = locals_before, loops
        form = self.random.randrange(3)
        definition = [self.open(), "macro ", name, "(p, o=", self.expr(1), ")", self.close(), body]
        if form == 0:
            definition += ["{{ caller() if caller }}"]
        definition += [self.open(), "endmacro", self.close()]
        self.macros.append(name)
        if form == 0:
            return definition + ["{% call ", name, "(", self.expr(1), ") %}", self.body(depth - 1), "{% endcall %}"]
        return definition + ["{{ ", name, "(", self.expr(1), self.pick(["", ", 1", ", o=2", ", z=1"]), ") }}"]

    def namespace(self, depth):
        self.locals.append("ns.v")
        return ["{% set ns = namespace(v=", self.expr(1), ") %}{% for it in nums %}{% set ns.v = ", self.expr(1), " %}{% endfor %}"]

    def template(self):
        return ("template", [self.stmt(2) for _ in range(self.random.randrange(1, 4))])


def text_of(tree):
    if isinstance(tree, str):
        return tree
    return "".join(text_of(part) for part in tree[1])


MINIMAL = {"expr": [("expr", ["1"]), ("expr", ["'a'"]), ("expr", ["[]"]), ("expr", ["u"])], "stmt": [("stmt", [""])], "body": [("body", [""])],
           "index": [("index", ["0"])]}


def descendants(tree, kind):
    for part in tree[1]:
        if not isinstance(part, str):
            if part[0] == kind:
                yield part
            yield from descendants(part, kind)


def smaller(tree, path=()):
    """(path, replacement) pairs, larger cuts first."""
    for index, part in enumerate(tree[1]):
        if isinstance(part, str):
            continue
        here = path + (index,)
        size = len(text_of(part))
        for candidate in MINIMAL.get(part[0], []) + list(descendants(part, part[0])):
            if len(text_of(candidate)) < size:
                yield here, candidate
        yield from smaller(part, here)


def replaced(tree, path, new):
    if not path:
        return new
    parts = list(tree[1])
    parts[path[0]] = replaced(parts[path[0]], path[1:], new)
    return (tree[0], parts)


def shrink(tree, still_fails, attempts=2000):
    """The smallest tree found that still fails."""
    progress = True
    while progress and attempts > 0:
        progress = False
        for path, new in list(smaller(tree)):
            attempts -= 1
            if attempts <= 0:
                break
            candidate = replaced(tree, path, new)
            if still_fails(candidate):
                tree = candidate
                progress = True
                break
    return tree
