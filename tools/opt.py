"""opt: reads a module, runs passes over it in command-line order, prints it."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterable, Sequence

from ..ir.collector import collector_off
from ..ir.light_typing import TYPE_CHECKING, Any
from ..passes.manager import (
    UsageError,
    find_pass,
    find_plugin_pass,
    load_passes,
    make_pass,
    options_of,
    pass_text,
    plugin_passes,
    read_choice,
)
from .cli import Parser, add_version, file_name, run_command, takes_blocks
from .files import read_text, say, say_or_fail, write_text
from .machine import HINT, add_target_options, aim, target_given, targets_text
from .signals import leave

if TYPE_CHECKING:
    from ..analysis.report import Reporter
    from ..ir.builtin import ModuleOp
    from ..ir.diagnostics import Diagnostic, DiagnosticError
    from ..ir.source import Source
    from ..passes.manager import Pass

DESCRIPTION = """\
Reads a module (.mir), runs passes over it in the order given, and prints the result.

The levels of the language, each a text that can be fed back in:
  graph   whole tensors:            %h = graph.matmul %x, %w : (...) -> ...
  uop     tiles, no addresses:      uop.load %x[0, 0]
  sched   tiles at SRAM addresses:  sched.load %x[0, 0] @0x0000 {bytes = 4096}
"""

EXAMPLES = """\
examples:
  opt --schedule model.mir                        a memory-planned schedule, from any level
  opt --schedule='sram=64KiB evict=lru' model.mir for a smaller SRAM
  opt -O1='sram=64KiB tile=32x32x32' model.mir    a planned order, for least traffic
  opt -O2 --target=npu-small model.mir            for least time on a machine that --list-targets has
  opt --fuse --tile='sizes=16x16x16' --lower model.mir | opt --schedule
  opt sched.mir                                   checks a schedule and prints it again
  opt --schedule --report model.mir -o sched.mir  with a summary on standard error

A pass's options stand behind '=', separated by blanks. Exit status: 0; 1 for errors in the input; 2 for wrong usage.
"""

SPLIT_MARK = "// -----"


HELP = ("-h", "--help")

USAGE = "opt [passes] [options] [FILE]"


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit status."""
    with collector_off():
        return run_command("opt", USAGE, run, argv)


def run(argv: list[str]) -> int:
    """The whole command. Raises `UsageError` and `InputError`."""
    steps = _step_options(argv)
    args, unknown = _parse_words(argv, steps)
    more = _plugin_steps(unknown)
    if more:
        args, unknown = _parse_words(argv, [*steps, *more])
    if unknown:
        raise UsageError(_unknown(unknown[0], args.input))
    if args.list_passes:
        plugin_passes().find_all()
        write_text("-", _describe_passes(load_passes()) + "\n")
        return 0
    if args.list_targets:
        write_text("-", targets_text() + "\n")
        return 0
    args.pipeline = _passes_to_run(args)
    args.machine = target_given(args)
    if args.dump_pass_pipeline:
        say_or_fail(_dumped(args))
    text = read_text(args.input)
    model = _read_model(args.verify_against, args) if args.verify_against else None
    return _compile(text, args, model)


def _end_of_options(argv: Sequence[str]) -> int:
    return argv.index("--") if "--" in argv else len(argv)


def _parse_words(argv: Sequence[str], steps: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, of which `steps` run passes, and the words that are none."""
    # A bare --pass takes no value from the next word: `opt --schedule input.mir` reads input.mir.
    end = _end_of_options(argv)
    bare = dict.fromkeys(steps, "") | {"--verify-each": "true", "--report": "text"}
    words = [f"{w}={bare[w]}" if w in bare and i < end else w for i, w in enumerate(argv)]
    return _make_parser(steps, with_help=any(w.startswith(HELP) for w in argv)).parse_known_args(words)


def _plugin_steps(words: Iterable[str]) -> list[str]:
    """The options that run plugins' passes, among words that are no options of our own."""
    found = dict.fromkeys(w.partition("=")[0] for w in words if w.startswith("--"))
    return [option for option in found if find_plugin_pass(option[2:])]


def _step_options(words: Sequence[str]) -> list[str]:
    """The options among the words that run passes: what isn't asked for isn't imported."""
    found = [w.partition("=")[0] for w in words[: _end_of_options(words)]]
    steps = [option for option in found if option.startswith("--") and find_pass(option[2:])]
    if any(option.startswith("-O") for option in found):
        from ..passes.manager.pipelines import PIPELINES

        steps += [f"-{name}" for name in PIPELINES]
    return list(dict.fromkeys(steps))


def _make_parser(steps: Iterable[str], with_help: bool) -> argparse.ArgumentParser:
    parser = Parser("opt", USAGE, DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "input", nargs="?", default="-", type=file_name, metavar="FILE", help="the module; - or nothing: standard input"
    )
    parser.set_defaults(level=None, pipeline=[])
    group = parser.add_argument_group("passes (run in the order given)", _pass_help() if with_help else None)
    for option in steps:
        if option.startswith("--"):
            group.add_argument(option, action=_AppendPass, dest="pipeline", help=argparse.SUPPRESS)
        else:
            group.add_argument(option, action=_SetLevel, dest="level", help=argparse.SUPPRESS)
    group.add_argument("--pass-pipeline", action=_AppendPipeline, dest="pipeline", help=argparse.SUPPRESS)
    _add_options(parser.add_argument_group("input and output"))
    about = parser.add_argument_group("about")
    about.add_argument("--list-passes", action="store_true", help="list the passes with their options")
    add_version(about)
    return parser


def _add_options(options: Any) -> None:
    options.add_argument(
        "-o", dest="output", default="-", type=file_name, metavar="FILE", help="where to write; default standard output"
    )
    options.add_argument("--print-op-generic", action="store_true", help="print MLIR's generic form")
    options.add_argument(
        "--allow-unregistered-dialect", action="store_true", help="keep operations that no dialect declares"
    )
    options.add_argument(
        "--parser", choices=("shapes", "lark"), default="shapes",
        help="lark: read every statement by the grammar, none by shapes made from it; slower, the same result",
    )  # fmt: skip
    options.add_argument(
        "--split-input-file", action="store_true", help=f"process the parts between lines '{SPLIT_MARK}' separately"
    )
    add_target_options(options)
    options.add_argument(
        "--verify-each", choices=("true", "false"), default="true", help="verify after each pass (default true)"
    )
    options.add_argument("--prove-each", action="store_true", help="prove that each pass keeps what is computed")
    options.add_argument(
        "--verify-against", type=file_name, metavar="MODEL", help="prove that the result computes what MODEL does"
    )
    options.add_argument(
        "--report", type=_report_form, metavar="FORM", help="figures of each function on standard error: text or json"
    )
    options.add_argument(
        "--remarks", action="store_true", help="say on standard error what passes could not find, and why"
    )
    options.add_argument(
        "--dump-pass-pipeline", action="store_true", help="print the passes on standard error, for --pass-pipeline"
    )
    options.add_argument(
        "--oom-map", type=_map_file, metavar="FILE", help="where tiles find no room, draw the SRAM at that moment: "
        ".html, .svg or .txt; - prints it on standard error",
    )  # fmt: skip


class _AppendPass(argparse.Action):
    """Appends the pass of this flag to the pipeline."""

    def __call__(self, parser, namespace, values, option_string=None):
        name = self.option_strings[0].removeprefix("--")
        namespace.pipeline = [*namespace.pipeline, make_pass(name, str(values))]


class _AppendPipeline(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        if not values:
            raise UsageError("--pass-pipeline takes passes, got ''")
        from ..passes.manager.pipelines import parse_pipeline

        namespace.pipeline = [*namespace.pipeline, *parse_pipeline(str(values))]
        namespace.has_text = True


class _SetLevel(argparse.Action):
    """Notes the named pipeline with its options: the passes given beside it may stand before or after it."""

    def __call__(self, parser, namespace, values, option_string=None):
        name = self.option_strings[0]
        if namespace.level is not None:
            raise UsageError(f"{namespace.level[0]} and {name}: only one pipeline can be run")
        namespace.level = name, str(values)


def _passes_to_run(args: argparse.Namespace) -> list[Pass]:
    """Those given, or those of the named pipeline with the options of those given."""
    if args.level is None:
        return args.pipeline
    name, options = args.level
    from ..passes.manager.pipelines import make_pipeline

    if getattr(args, "has_text", False):
        raise UsageError(f"{name} and --pass-pipeline don't go together; write {name[1:]} within the text")
    return make_pipeline(name, options, args.pipeline)


def _dumped(args: argparse.Namespace) -> str:
    """What --pass-pipeline reads back: the passes with their options, after comments that say why they stand there."""
    comments: list[str] = []
    if args.level:
        from ..passes.manager.pipelines import reasons

        comments = [f"// {line}" for line in reasons(args.level[0])]
    return "\n".join([*comments, ",".join(map(pass_text, args.pipeline))])


def _report_form(text: str) -> str:
    try:
        return read_choice("text", "json")(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _map_file(text: str) -> str:
    if text != "-" and not text.endswith((".html", ".svg", ".txt")):
        raise argparse.ArgumentTypeError(f"must end in .html, .svg or .txt, or be -, got '{text}'")
    return text


def _option_usage(key: str, metavar: str) -> str:
    return f"{key}={metavar}" if metavar else key


def _pass_help() -> str:
    """Each pass with its options and the first sentence of its docstring."""
    from ..passes.manager.pipelines import PIPELINES, pipeline_text

    lines: list[str] = []
    for name, cls in load_passes().items():
        options = " ".join(_option_usage(key, o.metavar) for key, o in options_of(cls).items())
        lines.append(f"--{name}" + (f"='{options}'" if options else ""))
        lines.append("    " + " ".join((cls.__doc__ or "").split()).split(". ")[0].rstrip("."))
    for name in PIPELINES:
        lines += [
            f"-{name}='sram=BYTES align=BYTES tile=MxNxK ...'",
            f"    {pipeline_text(name)}, by the given options",
        ]
    lines += ["--pass-pipeline='fuse,tile{sizes=32x32x32},lower'", "    Passes as one text"]
    return "\n".join(lines)


def _describe_passes(passes: dict[str, type]) -> str:
    from ..passes.manager.pipelines import PIPELINES, pipeline_text, reasons

    lines: list[str] = []
    packages = plugin_passes().packages
    for name, cls in passes.items():
        of = f" ({packages[name]})" if name in packages else ""
        lines.append(f"{name:<10} {' '.join((cls.__doc__ or '').split())}{of}")
        lines += [f"{'':<10}   {_option_usage(k, o.metavar):<20} {o.help}" for k, o in options_of(cls).items()]
    for name in PIPELINES:
        lines.append(f"-{name:<9} {pipeline_text(name)}")
        lines += [f"{'':<10}   {line}" for line in reasons(name)]
    return "\n".join(lines)


def _unknown(word: str, first: str) -> str:
    """What is wrong with a word that the parser has no place for; `first` is the input that it has taken."""
    from ..ir.diagnostics import did_you_mean
    from ..passes.manager.pipelines import PIPELINES, unknown_pipeline

    if not word.startswith("-") or word == "-":
        looks_like_options = "=" in first and not os.path.exists(first)
        hint = f"; a pass's options stand behind '=', as in --schedule='{first}'" if looks_like_options else ""
        return f"more than one input file: '{first}' and '{word}'{hint}"
    if word.startswith("-O"):
        return unknown_pipeline(word)
    names = dict.fromkeys([*load_passes(), *plugin_passes().names()])
    steps = [*(f"--{name}" for name in names), *(f"-{name}" for name in PIPELINES)]
    known = list(_make_parser(steps, with_help=False)._option_string_actions)
    return f"unknown option '{word}'{did_you_mean(word.partition('=')[0], known)}"


def _compile(text: str, args: argparse.Namespace, model: ModuleOp | None) -> int:
    from ..ir.diagnostics import DiagnosticError

    name = "<stdin>" if args.input == "-" else args.input
    report = None
    if args.report:
        from ..analysis.report import Reporter

        report = Reporter()
    out: list[str] = []
    failed = False
    for source in _split(name, text, args.split_input_file):
        try:
            out.append(_process(source, args, report, model))
        except DiagnosticError as error:
            failed = True
            say(str(error))
            _draw_shortage(error, args)
        if args.split_input_file:
            gc.collect(0)  # what this part has left: a module is full of cycles
    if failed:
        return 1
    write_text(args.output, f"{SPLIT_MARK}\n".join(out))
    if report is not None:
        figures = report.report()
        say_or_fail(figures.to_json() if args.report == "json" else figures.to_text())
    return 0


def _draw_shortage(error: DiagnosticError, args: argparse.Namespace) -> None:
    """Draws the SRAM as it was when a tile found no room, or offers to."""
    from ..lowering.tile_program import ScheduleError

    found = next((d.cause for d in error.diagnostics if isinstance(d.cause, ScheduleError)), None)
    if found is None:
        return
    if args.oom_map is None:
        say("opt: --oom-map FILE draws the SRAM at that moment (.html, .svg, .txt; -: here)")
        return
    from ..viz.shortage import draw

    text = draw(found, args.oom_map, takes_blocks(sys.stderr))
    if args.oom_map == "-":
        say(text.removesuffix("\n"))
    else:
        write_text(args.oom_map, text)


def _split(name: str, text: str, split: bool) -> list[Source]:
    """The text, or its parts between marks; each part knows its first line in the file."""
    from ..ir.source import Source

    if not split:
        return [Source(name, text)]
    sources: list[Source] = []
    lines = text.splitlines(keepends=True)
    marks = [i for i, line in enumerate(lines) if line.rstrip() == SPLIT_MARK]
    for start, end in zip([0, *(m + 1 for m in marks)], [*marks, len(lines)], strict=True):
        sources.append(Source(name, "".join(lines[start:end]), start + 1))
    return sources


def _read_model(path: str, args: argparse.Namespace) -> ModuleOp:
    from ..ir.source import Source

    return _parse(Source(path, read_text(path)), args)


def _parse(source: Source, args: argparse.Namespace) -> ModuleOp:
    from .. import dialects
    from ..ir.reading.parser import parse_source
    from ..ir.verifier import verify

    dialects.load_all()
    module = parse_source(source, args.allow_unregistered_dialect, args.parser == "lark")
    verify(module)
    return module


def _run_passes(module: ModuleOp, args: argparse.Namespace, report: Reporter | None) -> ModuleOp:
    from ..passes.manager.running import run_passes_on
    from ..passes.manager.warnings import listening_to_warnings
    from .status import status_line

    found: list[Diagnostic] = []
    with status_line(), listening_to_warnings(found.append):
        made = run_passes_on(
            module,
            args.pipeline,
            verify_each=args.verify_each == "true",
            prove_each=args.prove_each,
            verify_input=args.machine is not None,
            observe=report.begin() if report else None,
        )
    if found:
        from ..ir.diagnostics import rendered

        say(rendered(found, module.source, "warning"))
    return made


def _run_remarked(module: ModuleOp, args: argparse.Namespace, report: Reporter | None) -> ModuleOp:
    """Runs the passes, then says what they could not do."""
    from ..passes.manager.remarks import remarked

    found: list[Diagnostic] = []
    with remarked(found.append):
        made = _run_held(module, args, report)
    for diagnostic in found:
        say_or_fail(diagnostic.render(module.source, severity="remark"))
    return made


def _run_held(module: ModuleOp, args: argparse.Namespace, report: Reporter | None) -> ModuleOp:
    """Runs the passes; what was scheduled before fits its machine before and after them, unless only speeds count."""
    if args.speeds_only or (args.machine is None and report is None):
        return _run_passes(module, args, report)
    from ..dialects.checks.machine_fit import check_machine, scheduled_names

    names = scheduled_names(module)
    check_machine(module, names, hint=HINT)
    made = _run_passes(module, args, report)
    check_machine(made, names, hint=HINT, when="after the passes ")
    return made


def _process(source: Source, args: argparse.Namespace, report: Reporter | None, model: ModuleOp | None) -> str:
    from ..ir.printer import print_module

    module = _parse(source, args)
    if args.machine is not None:
        aim(module, args.machine.keys)
    if args.pipeline or args.machine is not None or report:
        module = _run_remarked(module, args, report) if args.remarks else _run_held(module, args, report)
    if model is not None:
        from ..analysis.proof import prove_module

        prove_module(model, module)
    return print_module(module, args.print_op_generic)


if __name__ == "__main__":
    leave(main())
