"""Proof without numbers: two versions of a function compute the same terms (see `terms.py`), or where they part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..dialects.kernels import KERNELS
from ..dialects.levels import is_known, level_of
from ..dialects.opaque import opaque_ops
from ..dialects.tile_ops import ExecBase
from ..dialects.tiles import Coord, TiledType, can_tile
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, UnregisteredOp, Value, structurally_equal
from ..ir.diagnostics import Diagnostic, DiagnosticError, are_enough
from ..ir.types import TensorType, Type
from ..planner.arena import count_of
from .graph_terms import GraphTerms, Hints, TilingError
from .graph_tiles import common_tiles, has_views
from .softmax_terms import SoftmaxTerms
from .terms import NONE, Function, Term, Terms
from .tile_terms import TileTerms, TooManyTilesError

Side = TileTerms | GraphTerms

MAX_ERRORS = 10


def prove_module(model: ModuleOp, module: ModuleOp) -> None:
    """Shows that each function computes what the function of the same name in `model` computes.

    Raises `DiagnosticError`, located in `module`, naming the tile, what is missing or extra, and the operation.
    """
    models, functions = dict(model.qualified_functions()), dict(module.qualified_functions())
    errors = [*_same_names(model, module), *_same_names(module, module)]
    if len(functions) < len(models) or len(models) > 1:
        errors += [Diagnostic(f"the model's function {n} is missing", module.loc) for n in models if n not in functions]
    for name, func in functions.items():
        reference = models.get(name)
        if reference is None and len(models) == len(functions) == 1:
            (reference,) = models.values()
        if reference is None:
            errors.append(Diagnostic(f"the model has no function {name} to hold this one against", func.loc))
        else:
            errors += prove(reference, func)
    if errors:
        raise DiagnosticError(errors, module.source)


def _same_names(module: ModuleOp, shown: ModuleOp) -> Iterator[Diagnostic]:
    """Functions that can't be told by their names, in modules of one name; located in the module that is `shown`."""
    names = Counter(name for name, _ in module.qualified_functions())
    which = "" if module is shown else "the model has "
    return (Diagnostic(f"{which}{n} functions called {name}", shown.loc) for name, n in names.items() if n > 1)


def prove(model: FuncOp, func: FuncOp) -> list[Diagnostic]:
    """The errors that keep a function from being the same as its model; none if it is proved.

    Both must be valid. Linear in the number of operations, but for sorting each tile's products.
    """
    errors = _signature_errors(model, func) or _unknown_errors(func) or _unknown_errors(model)
    errors = errors or _other_errors(model, func)
    if errors:
        return errors
    whole = level_of(model) == level_of(func) == "graph"
    try:
        errors = _prove_tiles(model, func, _argument_tiles(model, func), whole)
        return _prove_finer(model, func, errors) if errors and whole and has_views(model, func) else errors
    except TooManyTilesError as error:
        own = next((a for a, b in zip(func.args, model.args, strict=True) if b is error.value), error.value)
        return [Diagnostic(str(error), own.loc if own in func.args or _is_inside(own, func) else func.loc)]
    except TilingError as error:
        return [Diagnostic(f"the tiles of {func.symbol} don't fit the model: {error}", func.loc)]


def _prove_tiles(model: FuncOp, func: FuncOp, shapes: list[Coord], whole: bool) -> list[Diagnostic]:
    """As `prove`, with arguments in tiles of these shapes. Raises `TooManyTilesError` and `TilingError`."""
    terms, hints = SoftmaxTerms(), Hints(_opaque_tiles(model, func), _moved_tiles(model, func))
    expected, found = [_side(terms, side, shapes, hints, whole) for side in (model, func)]
    return _compare(terms, expected, found)


def _prove_finer(model: FuncOp, func: FuncOp, errors: list[Diagnostic]) -> list[Diagnostic]:
    """Two graphs that are not the same on whole tensors, of whose views nothing is known, on tiles of which views are
    made; `errors` where there are no such tiles."""
    try:
        return _prove_tiles(model, func, common_tiles(model, func), whole=False)
    except (TilingError, TooManyTilesError):
        return errors


def _is_inside(value: Value, func: FuncOp) -> bool:
    return any(value in op.results for op in func.ops)


def _side(terms: Terms, func: FuncOp, shapes: list[Coord], hints: Hints, whole: bool) -> Side:
    others = _other_values(terms, func)
    if level_of(func) == "graph":
        return GraphTerms(terms, func, shapes, others, hints, whole)
    return TileTerms(terms, func, shapes, others)


def _opaque_tiles(*functions: FuncOp) -> dict[tuple[str, int], Coord]:
    """The tiles of what opaque operations give, by node and number, of the functions that have tiles."""
    found = ((op.node, i, v.type) for f in functions for op in opaque_ops(f) for i, v in enumerate(op.results))
    return {(node, i): type.tile for node, i, type in found if isinstance(type, TiledType)}


def _moved_tiles(*functions: FuncOp) -> dict[tuple[str, str], Coord]:
    """The tiles of what moves write, by name and tensor, of the functions that have tiles."""
    execs = (op for f in functions for op in f.ops if isinstance(op, ExecBase) and op.steps is not None)
    buffers = dict.fromkeys(op.operands[0] for op in execs)
    return {(v.name, v.type.tensor.text): v.type.tile for v in buffers if isinstance(v.type, TiledType)}


def _other_values(terms: Terms, func: FuncOp) -> dict[Value, Term]:
    """The terms of values that are no data: arguments by their number, results of unknown operations by the number of
    that operation, which is the same one in model and function (`_other_errors`)."""
    found = {a: terms.argument(i, ()) for i, a in enumerate(func.args) if not _is_data(a.type)}
    for i, op in enumerate(_others(func)):
        found |= {value: terms.make("other", i, k) for k, value in enumerate(op.results)}
    return found


def _tensor(type: Type) -> Type:
    return type.tensor if isinstance(type, TiledType) else type


def signature_text(func: FuncOp) -> str:
    """The tensors that a function at any level takes and gives."""
    args = ", ".join(_tensor(a.type).text for a in func.args)
    return f"({args}) -> ({', '.join(_tensor(t).text for t in func.result_types)})"


def _signature_errors(model: FuncOp, func: FuncOp) -> list[Diagnostic]:
    wanted, given = signature_text(model), signature_text(func)
    if wanted != given:
        return [Diagnostic(f"{func.symbol} is {given}, the model is {wanted}", func.loc)]
    tiled = [(a, b) for a, b in zip(model.args, func.args, strict=True) if isinstance(a.type, TiledType)]
    other = next(((a, b) for a, b in tiled if isinstance(b.type, TiledType) and a.type != b.type), None)
    if other is not None:
        return [Diagnostic(f"%{other[1].name} is {other[1].type}, in the model it is {other[0].type}", other[1].loc)]
    return []


def _unknown_errors(func: FuncOp) -> list[Diagnostic]:
    """Unknown operations that touch data, in regions too, where operations of ours are out of sight."""
    return [
        Diagnostic(f"nothing can be proved about {op.name}, which is no operation of this language", op.loc)
        for op in _others(func)
        if any(
            (inner is not op and not isinstance(inner, UnregisteredOp))
            or any(_is_data(v.type) for v in (*inner.operands, *inner.results))
            for inner in op.walk()
        )
    ]


def _others(func: FuncOp) -> list[Operation]:
    """The operations that this language does not know."""
    return [op for op in func.ops if not is_known(op)]


def _other_errors(model: FuncOp, func: FuncOp) -> list[Diagnostic]:
    """Where something is returned that is no data, it may come from any unknown operation: both functions must have the
    same ones, in the same order."""
    if all(_is_data(value.type) for value in func.returned()):
        return []
    wanted, given = _others(model), _others(func)
    values = dict(zip(model.args, func.args, strict=True))
    pairs = zip(wanted, given, strict=False)
    other = next((b for a, b in pairs if not structurally_equal(a, b, values)), None)
    if other is None and len(wanted) == len(given):
        return []
    at = other or func.ops[-1]
    message = "the operations that are none of this language are not the model's, and what they give is returned"
    return [Diagnostic(message, at.loc)]


def _is_data(type: Type) -> bool:
    return isinstance(type, TiledType) or can_tile(type)


def _argument_tiles(model: FuncOp, func: FuncOp) -> list[tuple[int, ...]]:
    """The tile of each argument: that of the side which has tiles; whole tensors where neither has."""
    shapes: list[tuple[int, ...]] = []
    for a, b in zip(model.args, func.args, strict=True):
        tiled = next((t for t in (b.type, a.type) if isinstance(t, TiledType)), None)
        shapes.append(tiled.tile if tiled else a.type.shape if isinstance(a.type, TensorType) else ())
    return shapes


def _compare(terms: Terms, expected: Side, found: Side) -> list[Diagnostic]:
    errors: list[Diagnostic] = []
    seen: set[tuple[Term, Term, Term, bool]] = set()
    for wanted, given in zip(expected.results(), found.results(), strict=True):
        if wanted.tile != given.tile:
            shapes = ["x".join(map(str, result.tile)) or "whole" for result in (given, wanted)]
            message = f"a result has tiles of {shapes[0]} elements, the model's tiles make ones of {shapes[1]}"
            return [Diagnostic(message, found.func.loc)]
        for w, g in zip(wanted.terms, given.terms, strict=True):
            parted = _deepest(terms, expected, found, w, g) if w != g else None
            if parted is None or parted in seen:
                continue
            seen.add(parted)
            errors.append(_describe(terms, expected, found, *parted))
            if are_enough(errors, errors[-1].loc, MAX_ERRORS):
                return errors
    return errors


def _deepest(terms: Terms, expected: Side, found: Side, wanted: Term, given: Term) -> tuple[Term, Term, Term, bool]:
    """Follows two different terms down while the difference lies within a single part of both, or within parts that
    both sides call the same: then within the one that is computed first. It ends where both sides have both parts,
    which are right in themselves, and use the one in place of the other.

    Returns that part of both, the innermost term on the way that a tile of `found` holds, and whether the part is all
    that this tile holds.
    """
    holder, whole = given, True
    while True:
        if not whole and _is_mixed_up(terms, expected, found, wanted, given):
            return wanted, given, holder, whole
        if given in (found.holders if isinstance(found, TileTerms) else found.ops):
            holder, whole = given, True
        keys = terms.keys[wanted], terms.keys[given]
        parts = _single_difference(*keys) or _same_name(_differing(*keys), expected.names, found.names)
        if parts is None:
            return wanted, given, holder, whole
        wanted, given = parts
        whole = False


def _single_difference(wanted: tuple[Any, ...], given: tuple[Any, ...]) -> tuple[Term, Term] | None:
    """The one pair of subterms in which two terms of one kind differ, if there is just one such pair."""
    if wanted[0] != given[0] or wanted[0] in ("argument", "full", "moved", "other", "unwritten"):
        return None
    if wanted[0] == "sum":
        return _differing_factor(Counter(wanted[1:]) - Counter(given[1:]), Counter(given[1:]) - Counter(wanted[1:]))
    if wanted[0] == "plus":
        missing, extra = Counter(wanted[1:]) - Counter(given[1:]), Counter(given[1:]) - Counter(wanted[1:])
        differing = list(zip(missing, extra, strict=True)) if missing.total() == extra.total() == 1 else []
    else:
        names = ("apply", "rows", "seen", "shifted", "view", "within")
        first = 4 if wanted[0] in ("opaque", "given") else 2 if wanted[0] in names else 1
        same = wanted[:first] == given[:first] and len(wanted) == len(given)
        differing = [(w, g) for w, g in zip(wanted[first:], given[first:], strict=True) if w != g] if same else []
    return differing[0] if len(differing) == 1 else None


def _is_mixed_up(terms: Terms, expected: Side, found: Side, wanted: Term, given: Term) -> bool:
    """Whether both sides compute both terms: each is right in itself, and one stands in place of the other."""
    return all(
        term in expected.names and term in found.names and terms.keys[term][0] != "argument" for term in (wanted, given)
    )


def _differing(wanted: tuple[Any, ...], given: tuple[Any, ...]) -> tuple[set[Term], set[Term]]:
    """The subterms that only one of two terms of one kind has; none of terms that have no subterms."""
    if wanted[0] != given[0] or wanted[0] not in ("sum", "plus", "apply"):
        return set(), set()
    if wanted[0] == "sum":
        mine, other = ({factor for product in key[1:] for factor in product} for key in (wanted, given))
    else:
        first = 1 if wanted[0] == "plus" else 2
        mine, other = set(wanted[first:]), set(given[first:])
    return mine - other, other - mine


def _same_name(
    differing: tuple[set[Term], set[Term]], names: dict[Term, str], own: dict[Term, str]
) -> tuple[Term, Term] | None:
    """Of subterms that differ the one that is computed first, and its namesake on the other side, where each has
    one."""
    by_name = {own[term]: term for term in differing[1] if term in own}
    pairs = [(term, by_name[names[term]]) for term in sorted(differing[0]) if names.get(term) in by_name]
    return pairs[0] if pairs and len(pairs) == len(differing[0]) == len(differing[1]) else None


def _differing_factor(missing: Counter[Any], extra: Counter[Any]) -> tuple[Term, Term] | None:
    """A factor that has another in its place, if that explains every missing and extra product."""
    for shared, other in ((1, 0), (0, 1)):
        by_factor = {product[shared]: product[other] for product in extra}
        if missing.total() == extra.total() == len(by_factor) and all(p[shared] in by_factor for p in missing):
            first = next(iter(missing))
            return first[other], by_factor[first[shared]]
    return None


def _describe(
    terms: Terms, expected: Side, found: Side, wanted: Term, given: Term, holder: Term, whole: bool
) -> Diagnostic:
    names = expected.names | found.names
    model_names = found.names | expected.names
    missing_wrappers, extra_wrappers = _wrappers(terms, wanted, given), _wrappers(terms, given, wanted)
    part = given
    keys = terms.keys[wanted], terms.keys[given]
    missing, extra = Counter(keys[0][1:]) - Counter(keys[1][1:]), Counter(keys[1][1:]) - Counter(keys[0][1:])
    tile, op = names.get(holder, "a result"), None
    if not whole and _is_mixed_up(terms, expected, found, wanted, given):
        text = f"{names[given]} instead of {model_names[wanted]}"
        extra.clear()
    elif missing_wrappers or extra_wrappers:
        wrappers, shown = (missing_wrappers, expected.names) if missing_wrappers else (extra_wrappers, found.names)
        parts = [_wrapper_text(terms, wrapper, names, shown, tile) for wrapper in wrappers or ()]
        state = "missing" if missing_wrappers else "extra"
        text = f"{' and '.join(parts)} {'is' if len(parts) == 1 else 'are'} {state}"
        whole = False
        extra.clear()
        part = extra_wrappers[0].part if extra_wrappers else given
    elif keys[0][0] == keys[1][0] == "sum":
        parts = [
            f"{what} {_products(terms, some, names)}" for what, some in (("missing", missing), ("extra", extra)) if some
        ]
        text = ", ".join(parts)
    else:
        text = f"{_text(terms, keys[1], names)} instead of {_text(terms, keys[0], model_names)}"
        extra.clear()
    if isinstance(found, GraphTerms):
        op = found.ops.get(holder)
    elif holder in found.holders:
        tile, value = found.holders[holder]
        op = value.op_of(terms, part, extra)
    error = Diagnostic(f"{tile} is not what the model computes: {text}", op.loc if op else found.func.loc)
    if whole and wanted in expected.names:
        error.message += f"; it should be the model's {expected.names[wanted]}"
    return error


class Wrapper(NamedTuple):
    """A function or addition around a term `inner`; `part` is what it brings: itself, or the other operand."""

    key: tuple[Any, ...]
    part: Term
    inner: Term


def _wrappers(terms: Terms, outer: Term, inner: Term, most: int = 4) -> list[Wrapper] | None:
    """What stands around `inner` to make it `outer`, from the outside in; None where that does not explain it."""
    if outer == inner:
        return []
    key = terms.keys[outer]
    if most == 0 or key[0] not in ("apply", "plus"):
        return None
    parts = key[1:] if key[0] == "plus" else key[2:]
    steps = [(parts[0], parts[1]), (parts[1], parts[0])] if len(parts) == 2 else [(parts[0], outer)]
    for below, part in steps:
        rest = _wrappers(terms, below, inner, most - 1)
        if rest is not None:
            return [Wrapper(key, part, below), *rest]
    return None


def _wrapper_text(terms: Terms, wrapper: Wrapper, names: dict[Term, str], own: dict[Term, str], tile: str) -> str:
    """A wrapper in words; of what it is, where its own side has another tile for that."""
    if wrapper.key[0] == "plus":
        bias = terms.keys[wrapper.part][0] == "rows"
        return _inner(terms, wrapper.part, names) if bias else f"the addend {_inner(terms, wrapper.part, names)}"
    inner = own.get(wrapper.inner, tile)
    of = "" if inner == tile else f" of {inner}"
    function: Function = wrapper.key[1]
    other = "" if len(wrapper.key) == 3 else f" with {_inner(terms, wrapper.part, names)}"
    return f"the {function.name}{of}{other}{' ' + function.words if function.words else ''}"


def _products(terms: Terms, products: Counter[tuple[Term, Term]], names: dict[Term, str]) -> str:
    one = terms.numbers.get(("one",))
    shown = [
        f"{_name(terms, a, names)} * {_name(terms, b, names)}" if b != one else _text(terms, terms.keys[a], names)
        for a, b in products.elements()
    ]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more products" if len(shown) > 3 else "")


def _name(terms: Terms, term: Term, names: dict[Term, str]) -> str:
    key = terms.keys[term]
    if key[0] == "transposed":
        return f"{_name(terms, key[1], names)} transposed"
    if key[0] == "shifted":
        return f"({_name(terms, key[2], names)} less {key[1]})"
    return names.get(term, "an intermediate tile")


def _text(terms: Terms, key: tuple[Any, ...], names: dict[Term, str]) -> str:
    """A term in words, one level deep."""
    kind = key[0]
    if kind == "sum":
        part = key[1][0]
        if key[1][1] == terms.numbers.get(("one",)):
            return f"a {terms.keys[part][1].name} of {count_of(len(key) - 1, 'tile')}"
        return f"a sum of {count_of(len(key) - 1, 'product')}"
    if kind == "unwritten":
        return f"{key[1]}, which was never written,"
    if kind == "plus":
        return f"a sum of {_inner(terms, key[1], names)} and {_inner(terms, key[2], names)}"
    if kind == "within":
        return f"{_inner(terms, key[2], names)} on tiles of which {'x'.join(map(str, key[1]))} elements are no padding"
    if kind == "moved":
        parts = dict.fromkeys(tile for tile, *_ in key[2:])
        return f"elements of {' and '.join([_inner(terms, tile, names) for tile in parts if tile != NONE])}"
    if kind == "seen":
        return f"{_inner(terms, key[2], names)} as {'x'.join(map(str, key[1][0]))} elements"
    if kind == "view":
        return f"{key[1].split()[0]} of {' and '.join(_inner(terms, source, names) for source in key[2:])}"
    if kind == "full":
        return f"a tile full of {key[1]}"
    if kind == "rows":
        return f"the bias {_name(terms, key[2], names)} in {count_of(key[1][0], 'row')}"
    if kind == "given":
        return _text(terms, terms.keys[key[4]], names)
    if kind == "opaque":
        return f"what {key[1]} '{key[2]}' gives"
    if kind == "apply":
        return _function_text(terms, key[1], key[2:], names)
    if kind in ("argument", "shifted", "other", "transposed"):
        return _name(terms, terms.numbers[key], names)
    raise ValueError(f"a term of an unknown kind: {kind}")


def _function_text(terms: Terms, function: Function, sources: Sequence[Term], names: dict[Term, str]) -> str:
    kernel = KERNELS[function.name]
    given = list(zip(kernel.parameters, function.params, strict=bool(function.params)))
    shown = [f"{p.name} = {text}" for p, text in given if not (p.is_operand and text == repr(p.default))]
    with_them = f" with {' and '.join(shown)}" if any(text != repr(p.default) for p, text in given) else ""
    words = f" {function.words}" if function.words else ""
    inner = " and ".join(_inner(terms, source, names) for source in sources)
    return f"{'a ' if words else ''}{function.name} of {inner}{words}{with_them}"


def _inner(terms: Terms, term: Term, names: dict[Term, str]) -> str:
    key = terms.keys[term]
    if key[0] == "rows":
        return f"the bias {_name(terms, key[2], names)}"
    if key[0] == "full":
        return _text(terms, key, names)
    if key[0] in ("shifted", "transposed"):
        return _name(terms, term, names)
    return names.get(term) or ("a sum of products" if key[0] == "sum" else "an intermediate tile")
