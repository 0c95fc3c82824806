"""The operation computes what it should, at every level."""

import numpy as np
import pytest

import tilewright as tw


def layer() -> tw.ModuleOp:
    b = tw.FuncBuilder("layer")
    x, w = b.arg("x", (40, 24)), b.arg("w", (24, 16), param=True)
    b.returns(b.elementwise("softsign", b.matmul(x, w)))
    return b.module()


@pytest.mark.parametrize("pipeline", ["", "fuse,tile{sizes=16x16x8},lower", "O1{sram=8KiB tile=16x16x8}", "O2,sync"])
def test_softsign(pipeline: str) -> None:
    model = layer()
    made = tw.run_passes(model, pipeline, prove_each=True)
    tw.prove(model, made)
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(shape, np.float32) for shape in ((40, 24), (24, 16)))
    (found,) = tw.run(made, {"x": x, "w": w})
    product = x.astype(np.float64) @ w.astype(np.float64)
    np.testing.assert_allclose(found, product / (1 + abs(product)), rtol=0, atol=1e-5)


def test_the_machine_has_the_kernels_cycles() -> None:
    target = "module attributes {sched.target = {kernel_cycles = {softsign = 96}}} {"
    planned = tw.run_passes(tw.parse(f"{target}\n{layer()}}}\n"), "tile,lower,schedule")
    execs = str(planned).count("sched.exec softsign")
    assert execs == 2
    assert tw.simulate(planned).makespan > 96 * execs
