"""The functions of the public face: texts and modules in; texts, modules, arrays and figures out.

Each imports what it needs when it is called: nothing but `run` needs NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import ArrayLike

    from .analysis.report import Report
    from .analysis.simulation import Simulation
    from .ir.builtin import FuncOp, ModuleOp

    # bf16 is ml_dtypes' own type, which type checkers see as no scalar of NumPy's; it calculates like f16.
    Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.float16 | np.int32 | np.int8 | np.uint8]]
    Inputs: TypeAlias = Mapping[str, ArrayLike] | Sequence[ArrayLike]


def parse(text: str, *, filename: str = "<string>", allow_unregistered: bool = False, verify: bool = True) -> ModuleOp:
    """Reads a module, and verifies it unless `verify` is false.

    `allow_unregistered` keeps operations that no dialect declares. Raises `DiagnosticError` with every independent
    error; its text has `filename`, lines and columns. Raises `PluginError` where the text needs a plugin that can't be
    used, and TypeError for what is no string, as all functions here do for an argument of another type.

    >>> module = tw.parse("func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }")
    >>> [func.sym_name for func in module.functions()]
    ['f']
    """
    from . import dialects
    from .ir import verifier
    from .ir.reading.parser import parse_source
    from .ir.source import Source

    _expect("parse", text, str)
    dialects.load_all()
    module = parse_source(Source(filename, text.removeprefix("\ufeff")), allow_unregistered)
    if verify:
        verifier.verify(module)
    return module


def print(module: ModuleOp | FuncOp, *, generic: bool = False) -> str:
    """The text of a module or a function, in the pretty form (which `str()` gives too) or in MLIR's generic form.

    A value that nothing defines prints as `<<UNKNOWN SSA VALUE>>`, as in MLIR. Raises `DiagnosticError` for what no
    text can have, such as an object that is no attribute in the place of one.
    """
    from .ir.builtin import FuncOp, ModuleOp
    from .ir.printer import print_module

    _expect("print", module, ModuleOp, FuncOp)
    return print_module(module, generic)


def verify(module: ModuleOp) -> None:
    """Raises `DiagnosticError` with every independent error of a module: values, types and attributes that are what
    their operations declare; SSA form, each operation by itself, and what makes a function valid at its level (a
    schedule is replayed byte range by byte range)."""
    from . import dialects
    from .ir import verifier
    from .ir.builtin import ModuleOp
    from .ir.diagnostics import DiagnosticError
    from .ir.structure import structure_errors

    _expect("verify", module, ModuleOp)
    dialects.load_all()
    errors = structure_errors(module)
    if errors:
        raise DiagnosticError(errors, module.source)
    verifier.verify(module)


@overload
def run_passes(
    program: str,
    pipeline: str,
    *,
    filename: str = "<string>",
    allow_unregistered: bool = False,
    generic: bool = False,
    prove_each: bool = False,
) -> str: ...


@overload
def run_passes(program: ModuleOp, pipeline: str, *, prove_each: bool = False) -> ModuleOp: ...


def run_passes(
    program: str | ModuleOp,
    pipeline: str,
    *,
    filename: str = "<string>",
    allow_unregistered: bool = False,
    generic: bool = False,
    prove_each: bool = False,
) -> str | ModuleOp:
    """Runs a pipeline such as `"fuse,tile{sizes=32x32x32},lower,schedule{sram=256KiB}"` or `"O1{sram=64KiB}"`: a new
    text of a text, a new module of a module, which stays as it is: the new one has nothing in common with it that can
    be changed, also where no pass had anything to do.

    What each pass makes is verified, and with `prove_each` proved to compute what went in. The other options go with a
    text. Raises `DiagnosticError` for faults in the program, `UsageError` for faults in the pipeline, and `PluginError`
    where one of them needs a plugin that can't be used. What `opt` warns of is a `DiagnosticWarning`.

    >>> text = "func.func @f(%x: tensor<4x8xf32>, %w: tensor<8x4xf32>) -> tensor<4x4xf32> {"
    >>> text += " %y = graph.matmul %x, %w : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>"
    >>> text += " return %y : tensor<4x4xf32> }"
    >>> tw.run_passes(tw.parse(text), "schedule")
    <builtin.module, 1 operations>
    """
    from .lowering.rewriting import apart
    from .passes.manager.pipelines import parse_pipeline
    from .passes.manager.running import run_passes_on
    from .passes.manager.warnings import python_warning

    _expect("run_passes", pipeline, str)
    passes = parse_pipeline(pipeline)
    is_text = isinstance(program, str)
    module = parse(program, filename=filename, allow_unregistered=allow_unregistered) if is_text else program
    if not is_text:
        _verified(program, "run_passes")
    with python_warning(module.source):
        made = run_passes_on(module, passes, prove_each=prove_each, verify_input=False)
    return print(made, generic=generic) if is_text else apart(made, module)


def prove(model: str | ModuleOp, program: str | ModuleOp) -> None:
    """Shows that each function of a program computes what the function of that name in `model` does, at whatever
    levels they stand: term by term, without numbers.

    Raises `DiagnosticError`, located in `program`, naming the tile, what is missing or extra, and the operation; and
    for a side that is not valid.
    """
    from .analysis.proof import prove_module

    prove_module(_verified(model, "prove"), _verified(program, "prove"))


def run(
    program: str | ModuleOp,
    inputs: Inputs,
    *,
    function: str | None = None,
    poison: bool = True,
    wrap: bool = False,
) -> tuple[Array, ...]:
    """Executes a function with NumPy, at whatever level it stands; an array for each result, in order.

    `inputs` are arrays by argument name (without `%`), or in the order of the arguments; each has its argument's shape,
    and elements that its type holds. `function` names the function, if there are several. A schedule runs on a byte
    array of the SRAM's size, at its own addresses; with `poison` a read of bytes that hold no live tile is an error.
    i32 sums that overflow are errors unless they may `wrap`.

    Raises `DiagnosticError` for a program that is not valid, a missing or misshapen input and what goes wrong at run
    time; ValueError for an unknown function or input; ImportError for bf16 without the package `ml_dtypes`.

    >>> text = "func.func @f(%x: tensor<3xf32>) -> tensor<3xf32> { %y = graph.relu %x : tensor<3xf32>"
    >>> (y,) = tw.run(text + " return %y : tensor<3xf32> }", {"x": [-1.0, 0.0, 2.0]})
    >>> y.tolist()
    [0.0, 0.0, 2.0]
    """
    from .runtime.execute import execute_function

    func, module = _chosen(_verified(program, "run"), function)
    arrays = _named(func, inputs)
    made = execute_function(func, module, arrays, verified=True, poison=poison, wrap=wrap).arrays
    return tuple([array.copy() for array in made])  # a result may be an argument's array


def simulate(program: str | ModuleOp | FuncOp, *, function: str | None = None) -> Simulation:
    """Runs a scheduled function on its machine's model, in-order engines that wait for each other; cycles.

    `function` names the function, if there are several. A function alone is taken to stand in a module without
    attributes. Raises `DiagnosticError` for a program that is not valid or not scheduled, and ValueError for an unknown
    function.
    """
    from .analysis.simulation import simulation_of
    from .dialects.levels import level_of
    from .ir.builtin import FuncOp, ModuleOp
    from .ir.diagnostics import Diagnostic, DiagnosticError

    module = _verified(ModuleOp([program]) if isinstance(program, FuncOp) else program, "simulate")
    func, parent = _chosen(module, function)
    if level_of(func) != "sched":
        message = (
            f"function @{func.sym_name} stands at {level_of(func)} level; the pass schedule makes a schedule of it"
        )
        raise DiagnosticError([Diagnostic(message, func.loc)], module.source)
    return simulation_of(func, parent)


def report(
    program: str | ModuleOp | Sequence[str | ModuleOp], pipeline: str = "", *, speeds_only: bool = False
) -> Report:
    """The figures of each function: what it is at each level, what its schedule moves and takes, and bounds for that.

    `program` is a text or a module, which the passes of `pipeline` are run on; or several of one program, at one
    level after the other. `str()` of the report is what `opt --report` prints, `to_dict()` what `opt --report=json`
    prints. Sizes in bytes, times in cycles; None for what is not known.

    Raises as `run_passes` does, and `DiagnosticError` for a schedule that doesn't fit the SRAM of its machine, of which
    `speeds_only` takes nothing but the speeds.

    >>> text = "func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> { %y = graph.relu %x : tensor<4x8xf32>"
    >>> report = tw.report(text + " return %y : tensor<4x8xf32> }", "O1{sram=64KiB}")
    >>> report.function("f").cost.traffic_bytes
    256
    """
    from .analysis.report import Reporter
    from .dialects.checks.machine_fit import check_machine, scheduled_names
    from .passes.manager.pipelines import parse_pipeline
    from .passes.manager.running import run_passes_on
    from .passes.manager.warnings import python_warning

    _expect("report", pipeline, str)
    passes = parse_pipeline(pipeline)
    reporter = Reporter()
    observe = reporter.begin()
    stages = [_verified(stage, "report") for stage in _stages(program)]
    names = [set[str]() if speeds_only else scheduled_names(stage) for stage in stages]
    for stage, scheduled in zip(stages, names, strict=True):
        check_machine(stage, scheduled)
    for stage in stages[:-1]:
        observe("", stage)
    with python_warning(stages[-1].source):
        made = run_passes_on(stages[-1], passes, verify_input=False, observe=observe)
    check_machine(made, names[-1], when="after the passes ")
    return reporter.report()


def _stages(program: Any) -> list[Any]:
    """The programs to report on, one or more. Raises ValueError for none, TypeError for what is none."""
    from .ir.builtin import ModuleOp

    if isinstance(program, str | ModuleOp):
        return [program]
    _expect("report", program, str, ModuleOp, Sequence)
    found: list[Any] = list(program)
    if not found:
        raise ValueError("report takes a program, or several of one program; got none")
    return found


def _expect(who: str, given: object, *kinds: type) -> None:
    """Raises TypeError for an argument of another type."""
    if not isinstance(given, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        hint = "; ModuleOp([func]) is a module of one function" if type(given).__name__ == "FuncOp" else ""
        raise TypeError(f"{who} takes {wanted}, got {type(given).__name__}{hint}")


def _verified(program: Any, who: str) -> ModuleOp:
    """The module of a text, or a module; valid. Raises `DiagnosticError`, and TypeError for anything else."""
    from .ir.builtin import ModuleOp

    if isinstance(program, str):
        return parse(program)
    _expect(who, program, str, ModuleOp)
    verify(program)
    return program


def _chosen(module: ModuleOp, name: str | None) -> tuple[FuncOp, ModuleOp]:
    """The function of a name, or the only one, with the module that it stands in. Raises ValueError."""
    functions = list(module.scoped_functions())
    found = [(func, parent) for func, parent in functions if name is None or func.sym_name == name]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"@{func.sym_name}" for func, _ in functions) or "none"
    wanted = "name a function" if name is None else f"no function @{name}"
    raise ValueError(f"{wanted}; there are: {known}")


def _named(func: FuncOp, inputs: Inputs) -> dict[str, Array]:
    """The inputs by argument name. Raises ValueError for one that is no argument's, and a wrong number of them."""
    import numpy as np

    names = [arg.name for arg in func.args]
    if isinstance(inputs, Mapping):
        unknown = next((name for name in inputs if name not in names), None)
        if unknown is not None:
            known = ", ".join(f"%{name}" for name in names) or "none"
            raise ValueError(f"@{func.sym_name} has no argument %{unknown}; it has {known}")
        return {name: np.asarray(given) for name, given in inputs.items()}
    if len(inputs) != len(names):
        raise ValueError(f"@{func.sym_name} takes {len(names)} arrays, got {len(inputs)}")
    return {name: np.asarray(given) for name, given in zip(names, inputs, strict=True)}
