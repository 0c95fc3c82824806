"""Hypothesis strategies: unknown operations in generic form."""

from __future__ import annotations

from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "attr_1", "d.key", "$odd", "two words", "", "f32", "true", "unit", "dense", "é"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", "\n", "//", "{", "\0"]
)
SCALARS = st.sampled_from(["i1", "i8", "si16", "ui64", "index", "f16", "bf16", "f32", "f64", "none", "i64"])
TYPES = SCALARS | st.sampled_from(
    ["tensor<2x3xf32>", "tensor<?x4xf32>", "tensor<*xf32>", "tensor<f32>", "memref<4x?xf32, 1>", "vector<4xf32>",
     "!d.t", "!d.t<1, [2], {a = 3}>", "(i1, f32) -> i8", "() -> ()", "() -> (() -> ())", "tuple<i1, f32>",
     "!uop.tiled<tensor<8x8xf32>, [4, 4]>"]
)  # fmt: skip
OPAQUE = st.sampled_from(
    ["dense<[1, 2]> : tensor<2xi32>", "affine_map<(d0, d1) -> (d1 >= 0)>", "array<i64: 1, 2>", '#d.a<"x>", [1]>',
     "#d.plain", "dense<> : tensor<0xi8>", '"typed" : !d.t', "strided<[?, 1], offset: 2>"]
)  # fmt: skip


def quoted(text: str) -> str:
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else escaped(c) for c in text) + '"'


def escaped(char: str) -> str:
    return "".join(f"\\{byte:02X}" for byte in char.encode())


def integers_of_a_type() -> st.SearchStrategy[str]:
    small = st.integers(-128, 127).map(lambda n: f"{n} : i8")
    large = st.integers(0, (1 << 64) - 1).map(lambda n: f"{n} : ui64")
    return small | large | st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: f"{n} : index")


def floats() -> st.SearchStrategy[str]:
    plain = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.17e}")
    typed = st.tuples(plain, st.sampled_from(["f16", "bf16", "f32", "f64"])).map(lambda pair: f"{pair[0]} : {pair[1]}")
    bits = st.integers(0, 0xFFFF).map(lambda n: f"0x{n:04X} : f16") | st.integers(0, 0xFFFFFFFF).map(
        lambda n: f"0x{n:08X} : f32"
    )
    return plain | typed | bits


def symbols() -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(["@f", "@g.h", '@"odd name"']), min_size=1, max_size=3).map("::".join)


def dictionary(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """`{key = value, unit_key}` with each key once."""
    entries = st.dictionaries(KEYS, values | st.none(), max_size=4)
    return entries.map(lambda d: "{" + ", ".join(quoted(k) + (f" = {v}" if v else "") for k, v in d.items()) + "}")


def attributes() -> st.SearchStrategy[str]:
    """The text of an attribute of any kind."""
    integers = st.integers(-(1 << 63), (1 << 63) - 1).map(str) | st.integers(0, 255).map(hex)
    words = st.sampled_from(["true", "false", "unit"])
    leaves = integers | integers_of_a_type() | floats() | TEXTS.map(quoted) | words | symbols() | TYPES | OPAQUE

    def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.lists(inner, max_size=4).map(lambda xs: f"[{', '.join(xs)}]") | dictionary(inner)

    return st.recursive(leaves, nested, max_leaves=6)


@st.composite
def unknown_ops(draw: st.DrawFn, max_ops: int = 3, depth: int = 2, outer: tuple[tuple[str, str], ...] = ()) -> str:
    """Statements in generic form: operands of earlier results, packs of results, properties, regions with arguments."""
    seen = list(outer)
    lines: list[str] = []
    for _ in range(draw(st.integers(1, max_ops))):
        operands = draw(st.lists(st.sampled_from(seen), max_size=2)) if seen else []
        results = draw(st.lists(TYPES, max_size=3))
        name = f"%r{len(seen)}_{depth}"
        head = f"{name}:{len(results)} = " if len(results) > 1 else f"{name} = " if results else ""
        head += f'"{draw(st.sampled_from(["t.op", "other.op_2", "d.e.f"]))}"({", ".join(n for n, _ in operands)})'
        if draw(st.booleans()):
            head += f" <{draw(dictionary(attributes()))}>"
        if depth and draw(st.integers(0, 3)) == 0:
            argument = (f"%a{len(seen)}_{depth}", draw(TYPES))
            inner = draw(unknown_ops(max_ops=2, depth=depth - 1, outer=(*seen, argument)))
            head += f" ({{\n^bb0({argument[0]}: {argument[1]}):\n{inner}}})"
        shown = results[0] if len(results) == 1 and "->" not in results[0] else f"({', '.join(results)})"
        tail = f" {draw(dictionary(attributes()))} : ({', '.join(t for _, t in operands)}) -> {shown}"
        lines.append(head + tail + "\n")
        names = [f"{name}#{i}" for i in range(len(results))] if len(results) > 1 else [name] * len(results)
        seen += zip(names, results, strict=True)
    return "".join(lines)
