"""Plugins: found when a name is unknown, refused with one line that names the package, left out only if told so."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tilewright as tw
from tilewright.dialects.target import MACHINES
from tilewright.ir.opdef import DIALECTS, REGISTRIES, all_dialects
from tilewright.tools import opt, run, sim, translate, viz

from ..plugin_packages import (
    DIALECT,
    GRAMMAR,
    HEAD,
    PASS,
    ROW,
    TEXT,
    Points,
    SoftsignOp,
    forgotten_afterwards,
    write_package,
)

KNOWN = TEXT.replace("demo.softsign", "graph.relu")
GENERIC = TEXT.replace(
    "demo.softsign %h : tensor<8x8xf32>", '"demo.softsign"(%h) : (tensor<8x8xf32>) -> tensor<8x8xf32>'
)
ONE: Points = {"dialects": {"demo": "one_plugin"}}
MACHINE = 'NPU = {"sram_bytes": 65536, "kernel_cycles": {"softsign": 9}}'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python searches; what its packages register is taken back afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    with forgotten_afterwards():
        yield folder


@pytest.fixture
def model(tmp_path: Path) -> str:
    file = tmp_path / "model.mir"
    file.write_text(TEXT, encoding="utf-8")
    return str(file)


def tables() -> list[dict[str, Any]]:
    """Everything that is registered."""
    return [dict(table) for table in (*REGISTRIES, *(t for dialect in all_dialects() for t in dialect.tables()))]


# What works


@pytest.mark.parametrize("text", [TEXT, GENERIC, "\n\n" + GENERIC.replace("%y = ", "%y =\n    ")])
@pytest.mark.parametrize("words", [[], ["--parser=lark"], ["--allow-unregistered-dialect"]])
def test_an_operation_of_an_unknown_dialect_is_looked_up(
    text: str, words: list[str], site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "one", ONE, one_plugin=DIALECT)
    Path(model).write_text(text, encoding="utf-8")
    assert opt.main([*words, model]) == 0
    assert capsys.readouterr().out == TEXT


def test_a_kernel_that_only_a_plugin_has_is_found_without_its_dialect(site: Path) -> None:
    write_package(site, "one", ONE, one_plugin=DIALECT)
    fused = TEXT.replace("%w :", '%w {activation = "softsign"} :').replace("demo.softsign", "graph.relu")
    module = tw.parse(fused)
    assert [op.name for func in module.functions() for op in func.ops] == ["graph.matmul", "graph.relu", "func.return"]
    assert "demo" in DIALECTS


@pytest.mark.parametrize("level", ["fuse", "fuse,tile,lower", "O1{sram=4KiB tile=4x4x4}", "schedule,sync"])
def test_all_levels(level: str, site: Path) -> None:
    write_package(site, "one", ONE, one_plugin=DIALECT)
    model = tw.parse(TEXT)
    made = tw.run_passes(model, level, prove_each=True)
    tw.prove(model, made)
    inputs = [[[0.25 * (i - j) for i in range(8)] for j in range(8)]] * 2
    (expected,), (found,) = tw.run(model, inputs), tw.run(made, inputs)
    assert abs(expected - found).max() < 1e-6
    assert str(tw.parse(str(made))) == str(made)
    assert pickle.loads(pickle.dumps(made)) == made == copy.deepcopy(made)
    assert tw.report(made).functions


def test_a_function_of_two_tensors(site: Path) -> None:
    source = DIALECT.replace("unary", "binary").replace(
        "lambda np, x: x / (1 + np.abs(x))", "lambda np, a, b: a + 2 * b"
    )
    source = source.replace("steepest(1)", "steepest(1, 2)").replace("plain_type", "function_type")
    write_package(site, "one", ONE, one_plugin=source)
    types = "(tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>"
    text = TEXT.replace("demo.softsign %h : tensor<8x8xf32>", f"demo.softsign %h, %x : {types}")
    made = tw.run_passes(text, "schedule", prove_each=True)
    x, w = [[1.0] * 8] * 8, [[0.5] * 8] * 8
    (found,) = tw.run(made, [x, w])
    assert found.tolist() == [[6.0] * 8] * 8


def test_the_wrong_kernel_is_not_proved(site: Path) -> None:
    write_package(site, "one", ONE, one_plugin=DIALECT)
    with pytest.raises(tw.DiagnosticError, match=r"relu of .* instead of softsign of "):
        tw.prove(tw.parse(TEXT), tw.parse(KNOWN))


def test_a_builder_finds_the_operation(site: Path) -> None:
    write_package(site, "one", ONE, one_plugin=DIALECT)
    b = tw.FuncBuilder("f")
    x = b.op("demo.softsign", b.arg("x", (4, 4)))
    b.returns(b.elementwise("softsign", x))
    assert str(b.module()).count("demo.softsign") == 2


def test_threads_find_it_together(site: Path) -> None:
    write_package(site, "one", ONE, one_plugin=DIALECT)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: str(tw.parse(TEXT)), range(16)))
    assert set(found) == {TEXT}


def test_passes_and_targets(site: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    points: Points = {**ONE, "passes": {"demo-keep": "one_pass:KeepPass"}, "targets": {"demo-npu": "one_npu:NPU"}}
    write_package(site, "one", points, one_plugin=DIALECT, one_pass=PASS, one_npu=MACHINE)
    fused = TEXT.replace("%h", "%y").replace(" :", ' {activation = "softsign"} :', 1)
    for words in (["--demo-keep"], ["--pass-pipeline=demo-keep"]):
        assert opt.main([*words, model]) == 0
        assert 'activation = "softsign"' in capsys.readouterr().out, fused
    assert opt.main(["--demo-keep", "--schedule", "--target=demo-npu", model, "--dump-pass-pipeline"]) == 0
    done = capsys.readouterr()
    assert "sram_bytes = 65536" in done.out
    assert "kernel_cycles = {softsign = 9}" in done.out
    assert done.err == "demo-keep,schedule\n"
    assert opt.main(["--list-passes"]) == 0
    assert re.search(r"^demo-keep +Keeps what it is given. \(one 1.0\)$", capsys.readouterr().out, re.MULTILINE)
    assert opt.main(["--list-targets"]) == 0
    assert re.search(r"^demo-npu +\{.*sram_bytes = 65536\}  \(one 1.0\)$", capsys.readouterr().out, re.MULTILINE)


def test_names_of_plugins_are_suggested(site: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(site, "one", {"passes": {"demo-keep": "no_module"}, "targets": {"demo-npu": "no_module"}})
    assert opt.main(["--demo-kepe", model]) == 2
    assert "unknown option '--demo-kepe' (did you mean --demo-keep?)" in capsys.readouterr().err
    assert opt.main(["--pass-pipeline=demo-kepe", model]) == 2
    assert "unknown pass 'demo-kepe' (did you mean demo-keep?)" in capsys.readouterr().err
    assert opt.main(["--target=demo-nup", model]) == 2
    assert "unknown target 'demo-nup' (did you mean demo-npu?)" in capsys.readouterr().err


def test_a_pass_that_breaks_the_module_is_blamed_on_its_package(site: Path) -> None:
    broken = PASS.replace("return module", "module.ops[0].ops.pop()\n        return module")
    write_package(site, "one", {"passes": {"demo-keep": "one_pass"}}, one_pass=broken)
    with pytest.raises(tw.DiagnosticError, match=r"pass 'demo-keep' produced invalid IR \(a bug in one 1.0\)"):
        tw.run_passes(KNOWN, "demo-keep")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return None", r"pass 'demo-keep' returned NoneType in place of a module \(a bug in one 1.0\)"),
        ("return 1 / 0", r"pass 'demo-keep' failed \(a bug in one 1.0\): ZeroDivisionError: division by zero"),
        (
            "module.ops[0].ops[0].group = 'zz'\n        return module",
            r"pass 'demo-keep' produced invalid IR \(a bug in one 1.0\): graph.matmul: attribute 'group' must be",
        ),
    ],
)
def test_a_pass_that_goes_wrong_is_one_error(
    source: str, message: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "one", {"passes": {"demo-keep": "one_pass"}}, one_pass=PASS.replace("return module", source))
    with pytest.raises(tw.DiagnosticError, match=message):
        tw.run_passes(tw.parse(KNOWN), "demo-keep")
    Path(model).write_text(KNOWN, encoding="utf-8")
    assert opt.main(["--demo-keep", model]) == 1
    assert re.search(f"error: {message}", capsys.readouterr().err)


# What is refused

MISSPELT = {
    "matmul": "uop.exec matmull %y[0, 0] = %x[0, 0], %x[0, 0]",
    "bias": '"uop.exec"(%y) {accumulate = false, coords = [[0, 0]], kernel = "biass"} : (TILED) -> ()',
    "relu": 'uop.store %y[0, 0] {activation = "rellu"}',
}
UNUSABLE = r"broken-demo 1\.0: the dialect 'demo' can't be used: ZeroDivisionError: division by zero"


@pytest.mark.parametrize("kernel", MISSPELT)
def test_a_misspelt_kernel_is_named_beside_a_broken_plugin(
    kernel: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "broken-demo", ONE, one_plugin="1 / 0")
    text = f"func.func @f(%x: TILED) {{\n  %y = uop.alloc : TILED\n  {MISSPELT[kernel]}\n  return\n}}\n"
    Path(model).write_text(text.replace("TILED", "!uop.tiled<tensor<4x4xf32>, [4, 4]>"), encoding="utf-8")
    assert opt.main([model]) == 1
    message = capsys.readouterr().err
    wanted = rf"model\.mir:3:\d+: error: .*\(did you mean {kernel}\?\), or a plugin's \({UNUSABLE}\)"
    assert re.search(wanted, message), message


def test_a_misspelt_kernel_of_a_machine_is_told_with_a_broken_plugin(site: Path) -> None:
    write_package(site, "broken-demo", ONE, one_plugin="1 / 0")
    text = "module attributes {sched.target = {kernel_cycles = {rellu = 3}}} {}"
    with pytest.raises(tw.DiagnosticError, match=rf"cycles by kernel \(matmul, .*or of a plugin's \({UNUSABLE}\)"):
        tw.parse(text)
    b = tw.FuncBuilder("f")
    x = b.arg("x", (4, 4))
    with pytest.raises(tw.OpError, match=rf"the kernel must be one of .*or a plugin's \({UNUSABLE}\), got .rellu"):
        b.elementwise("rellu", x)


def test_a_package_without_metadata_is_named_by_its_folder(
    site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "nameless", ONE, one_plugin="1 / 0")
    (site / "nameless-1.0.dist-info" / "METADATA").unlink()
    assert opt.main([model]) == 1
    where = f"a package without a name in {site}"
    reason = "the dialect 'demo' can't be used: ZeroDivisionError: division by zero"
    assert capsys.readouterr().err == f"opt: error: {where}: {reason}\n"


@pytest.mark.parametrize("point", ["demo", "demo = ", "demo = :::", "demo = a b c", ""])
def test_damaged_entry_points_are_one_line(
    point: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "broken-demo", ONE, one_plugin="")
    points = f"[tilewright.dialects]\n{point}\n" if point else "demo = one\n"
    (site / "broken_demo-1.0.dist-info" / "entry_points.txt").write_text(points, encoding="utf-8")
    assert opt.main([model]) == 1
    message = capsys.readouterr().err
    assert re.fullmatch(r"opt: error: broken-demo 1\.0: .*\n", message) or "unknown operation" in message, message
    assert "NoneType" not in message
    assert opt.main(["--ignore-broken-plugins", model]) == 1
    assert "error: unknown operation 'demo.softsign'" in capsys.readouterr().err


STOLEN = """
from tilewright.dialects.graph import GRAPH, KERNELS
mapped_operation(GRAPH, KERNELS["relu"], __name__)
"""
BROKEN = {
    "a missing module": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "a bug": ("1 / 0", "ZeroDivisionError: division by zero"),
    "an exit": ("raise SystemExit", "SystemExit"),
    "no Python": ("def", "SyntaxError: invalid syntax"),
    "a missing facet": (HEAD + ROW.replace("ulps=1, ", ""), "TypeError: .*'ulps'"),
    "a facet too many": (HEAD + ROW.replace("ulps", "ulp"), "TypeError: .*'ulp'"),
    "nothing": ("", "ValueError: it registers no dialect 'demo'"),
    "our dialect": (HEAD.replace('"demo"', '"graph"'), "DeclarationError: there is a dialect 'graph' already"),
    "our kernel": (HEAD + ROW.replace('"softsign"', '"relu"'), "KernelError: kernel 'relu' is declared twice"),
    "its operation twice": (DIALECT + SoftsignOp, "DeclarationError: .*is called 'demo.softsign' already"),
    "an operation of ours": (DIALECT + STOLEN, "DeclarationError: .*is called 'graph.relu' already"),
    "a broken grammar": (DIALECT.replace("attr_dict?", "no_such_rule"), "GrammarError: .*no_such_rule"),
    "a grammar with conflicts": (
        DIALECT.replace("%extend op: demo_softsign", "%extend op: demo_softsign | demo_more").replace(
            "\nDEMO_S", '\ndemo_more: DEMO_SOFTSIGN value_list attr_dict? ":" plain_type\nDEMO_S'
        ),
        "GrammarError: Reduce/Reduce collision",
    ),
    "a rule that nobody answers": (HEAD + ROW, "ValueError: no operation answers the rule 'demo_softsign'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_dialect_is_one_line_and_leaves_nothing(
    name: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, reason = BROKEN[name]
    write_package(site, "broken-demo", ONE, one_plugin=source)
    before = tables()
    for _ in range(2):
        assert opt.main([model]) == 1
        message = capsys.readouterr().err
        assert re.fullmatch(rf"opt: error: broken-demo 1\.0: the dialect 'demo' can't be used: {reason}.*\n", message)
    assert tables() == before
    assert str(tw.parse(KNOWN)) == KNOWN


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_dialect_is_left_out_if_told_so(
    name: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "broken-demo", ONE, one_plugin=BROKEN[name][0])
    assert opt.main(["--ignore-broken-plugins", model]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("opt: warning: broken-demo 1.0: the dialect 'demo' can't be used: ")
    assert "model.mir:3:8: error: unknown operation 'demo.softsign'" in lines[1]
    assert sum("warning" in line for line in lines) == 1
    Path(model).write_text(KNOWN, encoding="utf-8")
    assert opt.main(["--ignore-broken-plugins", model]) == 0
    assert capsys.readouterr() == (KNOWN, "")


def test_repaired_and_renamed_it_works(site: Path) -> None:
    """What a plugin that failed has left would be in the way of the same operations."""
    write_package(site, "broken-demo", ONE, one_plugin=DIALECT + "raise OSError('late')\n")
    with pytest.raises(tw.PluginError, match=r"broken-demo 1\.0: the dialect 'demo' can't be used: OSError: late"):
        tw.parse(TEXT)
    for file in site.rglob("*"):
        if file.is_file():
            file.unlink()
    write_package(site, "good-demo", {"dialects": {"demo": "good_plugin"}}, good_plugin=DIALECT)
    assert str(tw.parse(TEXT)) == TEXT


def test_two_packages_with_one_name(site: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(site, "one", ONE, one_plugin=DIALECT)
    write_package(site, "other", {"dialects": {"demo": "other_plugin"}}, other_plugin=DIALECT)
    assert opt.main([model]) == 1
    message = capsys.readouterr().err
    assert re.fullmatch(
        r"opt: error: (one 1.0 and other 1.0|other 1.0 and one 1.0): the dialect 'demo' can't be used: two packages "
        r"can't have one name; uninstall one of them\n",
        message,
    )


@pytest.mark.parametrize(
    ("group", "entry", "words", "kind"),
    [
        ("dialects", "graph", ["MODEL"], "dialect"),
        ("passes", "fuse", ["--no-such-pass", "MODEL"], "pass"),
        ("passes", "fuse", ["--list-passes"], "pass"),
        ("targets", "npu-small", ["--target=no-such-target", "MODEL"], "target"),
        ("targets", "npu-small", ["--list-targets"], "target"),
    ],
)
def test_names_of_our_own_are_taken(
    group: str, entry: str, words: list[str], kind: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "one", {group: {entry: "one_plugin"}}, one_plugin="")
    assert opt.main([model if word == "MODEL" else word for word in words]) == 1
    message = capsys.readouterr().err
    assert message == f"opt: error: one 1.0: the {kind} '{entry}' can't be used: there is a {kind} '{entry}' already\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "ValueError: it registers no pass 'demo-keep'"),
        (PASS.replace("demo-keep", "fuse"), "DeclarationError: .*FusePass is called 'fuse' already"),
        (PASS.replace("    needs:", "    wants:"), "TypeError: KeepPass has no 'needs'"),
        (PASS.replace("apply", "run"), "TypeError: KeepPass has no 'apply'"),
        (PASS.replace("@dataclass(frozen=True)\n", ""), "TypeError: KeepPass is no dataclass"),
    ],
)
def test_broken_passes(source: str, reason: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(site, "one", {"passes": {"demo-keep": "one_pass"}}, one_pass=source)
    before = tables()
    for words in (["--demo-keep", model], ["--pass-pipeline=demo-keep", model], ["--list-passes"]):
        assert opt.main(words) == 1
        message = capsys.readouterr().err
        assert re.fullmatch(f"opt: error: one 1.0: the pass 'demo-keep' can't be used: {reason}\n", message)
    assert tables() == before
    assert opt.main(["--list-passes", "--ignore-broken-plugins"]) == 0
    done = capsys.readouterr()
    assert "demo-keep" not in done.out
    assert done.err.startswith("opt: warning: one 1.0: the pass 'demo-keep' can't be used: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "NPU = {'sram_bytes': 0}",
            "the target 'demo-npu' must be a dictionary in which 'sram_bytes' is a positive .*",
        ),
        ("NPU = {'sram': 1}", "the target 'demo-npu' must be a dictionary with the keys .*; 'sram' is unknown.*"),
        ("NPU = {1: 2}", "the target 'demo-npu' must be a dictionary with the keys .*; '1' is unknown.*"),
        ("NPU = {None: 2}", "the target 'demo-npu' must be a dictionary with the keys .*; 'None' is unknown.*"),
        (
            "NPU = {'kernel_cycles': {1: 2}}",
            "the target 'demo-npu' must be a dictionary in which 'kernel_cycles' is .*",
        ),
        ("NPU = {'evict': ['min']}", "the target 'demo-npu' must be a dictionary in which 'evict' is one of .*"),
        ("NPU = {'tile': [1, 2, 3]}", "the target 'demo-npu' must be a dictionary in which 'tile' is three .*"),
        ("NPU = 3", "the target 'demo-npu' must be a dictionary such as .*"),
        (
            MACHINE.replace("softsign", "no_kernel"),
            "the target 'demo-npu' must be a dictionary in which 'kernel_cycles' .*",
        ),
    ],
)
def test_broken_targets(source: str, reason: str, site: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(site, "one", {"targets": {"demo-npu": "one_npu:NPU"}}, one_npu=source)
    for words in (["--target=demo-npu", model], ["--list-targets"]):
        assert opt.main(words) == 1
        message = capsys.readouterr().err
        assert re.fullmatch(
            f"opt: error: one 1.0: the target 'demo-npu' can't be used: ValueError: {reason}\n", message
        )
    assert "demo-npu" not in MACHINES
    assert opt.main(["--list-targets", "--ignore-broken-plugins"]) == 0
    done = capsys.readouterr()
    assert "npu-small" in done.out
    assert done.err.startswith("opt: warning: one 1.0: the target 'demo-npu' can't be used: ")


def test_what_a_target_has_loaded_goes_with_it(site: Path) -> None:
    """Its kernel's dialect is loaded on the way; the next one that asks for it finds it all the same."""
    points: Points = {**ONE, "targets": {"demo-npu": "one_npu:NPU"}}
    late = MACHINE.replace("}}", "}, 'sram': 1}")
    write_package(site, "one", points, one_plugin=DIALECT, one_npu=late)
    assert opt.main(["--list-targets"]) == 1
    assert "demo" not in DIALECTS
    assert str(tw.parse(TEXT)) == TEXT


@pytest.mark.parametrize("tool", [opt, run, sim, viz, translate])
def test_every_command_reports_and_ignores(
    tool: Any, site: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(site, "broken-demo", ONE, one_plugin="1 / 0")
    words = {viz: ["-o", str(tmp_path / "x.svg")], translate: ["--to-dot"]}.get(tool, [])
    assert tool.main([*words, model]) == 1
    name = tool.USAGE.split()[0]
    reason = "broken-demo 1.0: the dialect 'demo' can't be used: ZeroDivisionError: division by zero"
    assert capsys.readouterr().err == f"{name}: error: {reason}\n"
    assert tool.main([*words, "--ignore-broken-plugins", model]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{name}: warning: {reason}"
    assert "unknown operation 'demo.softsign'" in lines[1]


def test_the_grammar_of_the_tests_is_the_examples() -> None:
    lark = Path(__file__).resolve().parents[3] / "examples/plugin/tilewright_demo/dialect.lark"
    rules = [line for line in lark.read_text(encoding="utf-8").splitlines() if line and not line.startswith("//")]
    assert rules == GRAMMAR.split("\n")[1:-1]
