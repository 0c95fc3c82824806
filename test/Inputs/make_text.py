"""Prints large or odd texts that no editor would keep: `make_text.py KIND N`."""

import sys


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    if kind == "brackets":
        print("func.func @f() attributes {t.a = " + "[" * count + "]" * count + "} {\n  return\n}")
    elif kind == "braces":
        print("func.func @f() attributes {t.a = " + "{a = " * count + "1" + "}" * count + "} {\n  return\n}")
    elif kind == "regions":
        print('"t.op"() ({\n' * count + "}) : () -> ()\n" * count, end="")
    elif kind == "modules":
        print("module {\n" * count + "}\n" * count, end="")
    elif kind == "types":
        print('"t.op"() {a = !t.x' + "<" * count + ">" * count + "} : () -> ()")
    elif kind == "functions":
        print('"t.op"() {a = ' + "(() -> " * count + "i32" + ")" * count + "} : () -> ()")
    elif kind == "locations":
        print('"t.op"() : () -> () loc' + "(" * count + ")" * count)
    elif kind == "open":
        print("(" * count)
    elif kind == "line":
        print(f'func.func @f() attributes {{t.a = "{"x" * count}"}} {{\n  return\n}}')
    elif kind == "error":
        print(f'func.func @f() attributes {{t.a = "{"x" * count}", t.b = }} {{\n  return\n}}')
    else:
        print("".join(f"func.func @f{i}() {{\n  return\n}}\n" for i in range(count)), end="")


main()
