"""The checks in tools/ must fail where they should: each case is a small tree with one violation."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import apt_mirror  # noqa: E402
import check_layers  # noqa: E402
import check_text  # noqa: E402


def tree(files):
    folder = tempfile.TemporaryDirectory()
    for path, text in files.items():
        full = os.path.join(folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
    return folder


def lines(n):
    return "  x += 1;\n" * n


class Layers(unittest.TestCase):
    def found(self, path, text):
        with tree({path: text}) as root:
            return list(check_layers.findings(root))

    def expect(self, path, text, part):
        found = self.found(path, text)
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def test_allowed_arrows_pass(self):
        self.assertEqual(self.found("winnow/engine/a.cpp", '#include "winnow/prune/plan.h"\n#include <vector>\n'), [])
        self.assertEqual(self.found("winnow/cli/a.cpp", '#include "winnow/eval/b.h"\n'), [])
        self.assertEqual(self.found("tests/prune/a.cpp", '#include "winnow/engine/b.h"\n'), [])

    def test_every_other_arrow_fails(self):
        for room, allowed in check_layers.ROOMS.items():
            for other in check_layers.ROOMS:
                if other != room and other not in allowed:
                    self.expect(f"winnow/{room}/a.h", f'#include "winnow/{other}/b.h"\n', f"{room} -> {other}")

    def test_unknown_rooms_fail(self):
        self.expect("winnow/misc/a.h", "int a;\n", "unknown room 'misc'")
        self.expect("winnow/base/a.h", '#include "winnow/misc/b.h"\n', "unknown room 'misc'")

    def test_library_including_tests_fails(self):
        self.expect("winnow/base/a.cpp", '#include "tests/support/b.h"\n', "not part of the library")

    def test_includes_start_at_the_root(self):
        self.expect("winnow/base/a.cpp", '#include "error.h"\n', "project root")
        self.expect("winnow/base/a.cpp", '#include "../prune/plan.h"\n', "project root")
        self.expect("winnow/base/a.cpp", "#include <winnow/base/error.h>\n", "with quotes")

    def test_file_size(self):
        self.assertEqual(self.found("winnow/base/a.cpp", "int a;\n" * 600), [])
        self.expect("winnow/base/a.cpp", "int a;\n" * 601, "601 lines")
        self.expect("fuzz/a.cpp", "int a;\n" * 601, "601 lines")

    def test_function_size(self):
        for head in ("int f(int x) {\n", "namespace a { namespace {\nint f(int x) {\n",
                     "struct S : B {\n  S(int x) : B{x}, a_{1}, b_(2) {\n", "TEST(Room, name) {\n",
                     "template <class T>\nauto f(T x) -> T {\n", 'extern "C" {\nint f(int x) {\n',
                     "enum class E { A, B };\nclass C final {\n public:\n  bool operator()(int x) const noexcept {\n"):
            n_head = head.split("{\n")[-2].count("\n") + 1 if head.startswith("template") else 1
            close = "}\n" * (head.count("{") - head.count("}"))
            passing = head + lines(80 - n_head - 1) + close
            self.assertEqual(self.found("winnow/base/a.cpp", passing), [], head)
            self.expect("winnow/base/a.cpp", head + lines(80 - n_head) + close, "function has 81 lines")

    def test_braces_that_are_no_functions(self):
        table = "const int kTable[] = {\n" + "  1,\n" * 100 + "};\n"
        text = 'const char* kText = R"x(\nvoid f() {\n' + "\n" * 100 + ')x";\n'
        comment = "/* void f() {\n" + "\n" * 100 + "*/\n// }\n"
        quote = "char f() { return '{'; }\nint g() { return 1'000; }\n" + "int a;\n" * 100 + "int h() { return 1; }\n"
        macro = "#define M(x) \\\n  if (x) { \\\n  }\n"
        for part in (table, text, comment, quote, macro):
            self.assertEqual(self.found("winnow/base/a.cpp", part), [], part)

    def test_characters(self):
        self.expect("winnow/base/a.cpp", "// \u00e9\n", "ASCII")
        self.expect("cmake/a.cmake", "\tset(a b)\n", "tab")
        self.expect("tools/a.py", "a = 1 \n", "end of the line")


class Text(unittest.TestCase):
    def expect(self, path, text, part):
        with tree({path: text}) as root:
            found = list(check_text.findings(root))
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def test_machine_names(self):
        self.expect("docs/a.md", "see /wor" + "k/shared/x\n", "path of a build machine")
        self.expect("tools/a.sh", "curl http://deb." + "debian.org/debian\n", "mirror")
        self.expect(".npmrc", "registry=https://registry.npm" + "js.org\n", "mirror")

    def test_sizes(self):
        self.expect("README.md", "a\n" * 151, "151 lines")
        self.expect("CONTRIBUTING.md", "a\n" * 81, "81 lines")
        self.expect("winnow/base/README.md", "a\n" * 41, "41 lines")

    def test_clean(self):
        with tree({"README.md": "a framework/library, src/" + "work/x\n", "build/x": "/wor" + "k/x"}) as root:
            self.assertEqual(list(check_text.findings(root)), [])


class AptMirror(unittest.TestCase):
    def line(self, name, text):
        with tree({name: text}) as root:
            return apt_mirror.source_line([os.path.join(root, name)], "bookworm", "testing")

    def test_one_line_form(self):
        self.assertEqual(self.line("a.list", "# deb http://no/debian bookworm main\n"
                                   "deb http://other/x bookworm-x main\n"
                                   "deb-src http://m/debian bookworm main\n"
                                   "deb [arch=amd64 signed-by=/k.gpg] http://m/debian bookworm contrib main # yes\n"),
                         "deb [signed-by=/k.gpg] http://m/debian testing main")
        self.assertEqual(self.line("a.list", "deb http://m/debian bookworm main"), "deb http://m/debian testing main")

    def test_deb822_form(self):
        off = "Enabled: no\nTypes: deb\nURIs: http://off/debian\nSuites: bookworm\nComponents: main\n\n"
        self.assertEqual(self.line("a.sources", off + "Types: deb deb-src\n# a comment\nURIs: http://m/debian http://n/\n"
                                   "Suites: bookworm\n bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n"),
                         "deb [signed-by=/k.gpg] http://m/debian testing main")

    def test_no_mirror(self):
        self.assertIsNone(self.line("a.list", "deb http://m/ubuntu noble main\n"))
        self.assertIsNone(apt_mirror.source_line(["/nowhere/a.list"], "bookworm", "testing"))


if __name__ == "__main__":
    unittest.main()
