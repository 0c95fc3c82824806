"""The documents' blocks say what is true: modules are verified, and messages, outputs and results are made again.

    ```mir              a complete module: it is valid
    ```mir error        an invalid one; the ```text block that follows is its message, as `example.mir`
    ```mir error pass=LIST  a valid one that the passes refuse, with that message
    ```mir pass=LIST    a valid one; the ```mir block that follows is what the passes make of it (line breaks are free)
    ```console          `$ command` lines, run at the root, each with its output; a line `...` stands for any lines
    ```python           run; the ```text block that follows, if one does, is what it prints

What stands between `<!-- generated: NAME -->` and `<!-- end -->` is a table made of what is declared.
`python test/unit/test_docs.py [FILE...]` puts what is printed now into the documents, or those named.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import tilewright as tw
from tilewright.dialects.kernels import KERNELS
from tilewright.dialects.kernels.elementwise import ELEMENTWISE

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("examples/*/README.md"), *ROOT.glob("docs/*.md")
])  # fmt: skip
BLOCK = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)(?P<file>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")
SECONDS = 60


@dataclass
class Block:
    """A fenced block; `body` is what stands in the document, `at` its line."""

    info: str
    body: str
    span: tuple[int, int]
    at: int


def blocks(text: str) -> list[Block]:
    return [
        Block(match["info"], match["body"], match.span("body"), text.count("\n", 0, match.start()) + 1)
        for match in BLOCK.finditer(text)
    ]


def expected(text: str) -> Iterator[tuple[Block, str]]:
    """The blocks that show something printed, each with what it should be now. Raises for an invalid module."""
    found = blocks(text)
    for i, block in enumerate(found):
        following = found[i + 1] if i + 1 < len(found) else Block("", "", (0, 0), 0)
        kind, _, rest = block.info.partition(" ")
        if kind == "console":
            yield block, console(block.body)
        elif kind == "python":
            printed = run_python(block.body)
            if printed or following.info == "text":
                assert following.info == "text", f"line {block.at}: the output needs a ```text block"
                yield following, printed
        elif kind == "mir" and rest.startswith("error"):
            assert following.info == "text", f"line {block.at}: the message needs a ```text block"
            yield following, message(block)
        elif kind == "mir":
            verify(block)
            if rest.startswith("pass="):
                assert following.info == "mir", f"line {block.at}: the result needs a ```mir block"
                made = tw.run_passes(block.body, rest.removeprefix("pass="))
                yield following, following.body if following.body.split() == made.split() else made


def verify(block: Block) -> None:
    """Raises where a module is not valid, or not what it is after a round trip."""
    try:
        module = tw.parse(block.body, filename=f"line {block.at}")
    except tw.DiagnosticError as error:
        raise AssertionError(str(error)) from None
    for generic in (False, True):
        assert tw.parse(tw.print(module, generic=generic)) == module


def message(block: Block) -> str:
    """What is said about an invalid module, or by passes about one that they refuse."""
    pipeline = block.info.partition("pass=")[2]
    if pipeline:
        verify(block)
    try:
        tw.run_passes(block.body, pipeline, filename="example.mir")
    except tw.DiagnosticError as error:
        return f"{error}\n"
    raise AssertionError(f"line {block.at}: this module is valid")


def run_python(code: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.chdir(ROOT):
        exec(compile(code, "<document>", "exec"), {"__name__": "__document__"})
    return printed.getvalue()


def console(body: str) -> str:
    """The session with the outputs of now; those that fit a shown one with `...` lines are left as they are shown."""
    made = ""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=os.environ | {"PATH": path}, timeout=SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
        pattern = re.escape(shown).replace(re.escape("...\n"), r"(?:.*\n)*?")
        fits = "...\n" in shown and re.fullmatch(pattern, done.stdout)
        made += f"$ {command}\n{shown if fits else done.stdout}"
    return made


EXACTNESS = {0: "exact", 0.5: "0.5 ULP"}


def elementwise_table() -> Iterator[str]:
    yield "| operation | result | in f32 | element types | keeps zeros | ONNX |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kernel in ELEMENTWISE.values():
        exact = EXACTNESS.get(kernel.ulps, f"{kernel.ulps} ULPs")
        words = (f"`graph.{kernel.name}`", kernel.summary, exact, ", ".join(kernel.dtypes))
        yield f"| {' | '.join(words)} | {'yes' if kernel.keeps_zeros else 'no'} | {kernel.onnx or ''} |"


def kernel_table() -> Iterator[str]:
    """The kernels that are not in the other table."""
    yield "| kernel | computes | assignment | in place | example |"
    yield "| --- | --- | --- | --- | --- |"
    for kernel in (kernel for name, kernel in KERNELS.items() if name not in ELEMENTWISE):
        assignment = "`=`, `+=`" if kernel.combine else "`=`"
        words = (
            f"`{kernel.name}`",
            kernel.summary,
            assignment,
            "yes" if kernel.in_place else "no",
            f"`{kernel.example}`",
        )
        yield f"| {' | '.join(words)} |"


TABLES = {"elementwise": elementwise_table, "kernels": kernel_table}
GENERATED = re.compile(r"(?<=^<!-- generated: )(\w+) -->\n(.*?)(?=^<!-- end -->$)", re.MULTILINE | re.DOTALL)


def with_tables(text: str) -> str:
    """The document with its generated tables made anew."""
    return GENERATED.sub(lambda match: f"{match[1]} -->\n\n{chr(10).join(TABLES[match[1]]())}\n\n", text)


def refreshed(text: str) -> str:
    """The document with everything that it shows as it is printed now."""
    text = with_tables(text)
    for block, now in sorted(expected(text), key=lambda item: -item[0].span[0]):
        text = text[: block.span[0]] + now + text[block.span[1] :]
    return text


def anchors(text: str) -> set[str]:
    """The names that a document's headings can be linked to by."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_documents_show_what_is_printed(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text == with_tables(text), f"{file.name}; accept it with: python test/unit/test_docs.py"
    for block, now in expected(text):
        assert block.body == now, f"{file.name}:{block.at}; accept it with: python test/unit/test_docs.py"


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    for match in LINK.finditer(BLOCK.sub("", file.read_text(encoding="utf-8"))):
        target = file.parent / match["file"] if match["file"] else file
        assert target.exists(), match[0]
        assert not match["anchor"] or match["anchor"] in anchors(target.read_text(encoding="utf-8")), match[0]


def test_every_operation_is_in_the_reference() -> None:
    from tilewright.ir.opdef import all_ops

    reference = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    assert [name for name in all_ops() if f"### {name}" not in reference and f"| `{name}` |" not in reference] == []


def test_every_pass_and_option_is_in_the_reference() -> None:
    from tilewright.passes.manager import load_passes, options_of

    reference = (ROOT / "docs" / "passes.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL))
    missing = [
        f"{name} {option}"
        for name, cls in load_passes().items()
        for option in ["", *options_of(cls)]
        if name not in sections or option not in sections[name]
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("```mir\nfunc.func @f() {\n```\n", "expected"),
        ("```mir error\nfunc.func @f() {\n  return\n}\n```\n\n```text\nx\n```\n", "this module is valid"),
    ],
)
def test_a_wrong_block_is_found(document: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        list(expected(document))


def test_a_wrong_output_is_found() -> None:
    assert refreshed("```console\n$ echo one; echo two\n...\nthree\n```\n") == (
        "```console\n$ echo one; echo two\none\ntwo\n```\n"
    )
    assert refreshed("```console\n$ echo one; echo two\n...\ntwo\n```\n") == (
        "```console\n$ echo one; echo two\n...\ntwo\n```\n"
    )


if __name__ == "__main__":
    for document in [Path(name).resolve() for name in sys.argv[1:]] or DOCUMENTS:
        document.write_text(refreshed(document.read_text(encoding="utf-8")), encoding="utf-8")
