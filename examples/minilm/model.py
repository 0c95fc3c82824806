"""A sentence encoder as an ONNX model, made from its weights with `onnx` alone.

The layers of BERT (Devlin et al., 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding"), as all-MiniLM-L6-v2 has them: attention by heads, a residual and a layer norm, two products with a gelu
between, a residual and a layer norm. One sentence of a fixed number of tokens:

    input_ids [T] i64, attention_mask [T] i64  ->  embeddings [T, D], mask [T]  ->  hidden [T, D]

What is before `embeddings` and `mask` is integers and look-ups, which the host does.

Run: python examples/minilm/model.py WEIGHTS.safetensors -o model.onnx    (needs safetensors)
     python examples/minilm/model.py --random -o small.onnx               (one small layer, not trained)
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]

HIDDEN, EMBEDDINGS, MASK = "hidden", "embeddings", "mask"
"""The encoder's result, and the two tensors that its layers begin with."""

MASKED = -1e4
"""What is added to the scores of tokens that only fill up: exp of it is 0."""


@dataclass(frozen=True)
class Config:
    """The sizes of an encoder; as they stand here, those of all-MiniLM-L6-v2."""

    layers: int = 6
    tokens: int = 128
    heads: int = 12
    width: int = 384
    inner: int = 1536
    eps: float = 1e-12


SMALL = Config(layers=1, tokens=64, heads=2, width=64, inner=256)
"""One layer, to look at."""


@dataclass
class Builder:
    """The nodes and the constants of a model, as they are made. A node is called as its output."""

    config: Config
    weights: Mapping[str, Array]
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    constants: dict[str, Array] = field(default_factory=dict[str, Array])

    def node(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output; returns that one's name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        self.constants.setdefault(name, np.ascontiguousarray(value, dtype))
        return name

    def linear(self, name: str, x: str, key: str) -> str:
        """x W + b of a linear layer, whose matrix PyTorch keeps transposed."""
        matrix = self.constant(f"{name}.w", self.weights[f"{key}.weight"].T)
        product = self.node("MatMul", f"{name}.product", x, matrix)
        return self.node("Add", name, product, self.constant(f"{name}.b", self.weights[f"{key}.bias"]))

    def norm(self, name: str, x: str, key: str) -> str:
        scale = self.constant(f"{name}.scale", self.weights[f"{key}.weight"])
        shift = self.constant(f"{name}.shift", self.weights[f"{key}.bias"])
        return self.node("LayerNormalization", name, x, scale, shift, axis=-1, epsilon=self.config.eps)

    def front(self) -> None:
        """Tokens to embeddings; 1 for a token and 0 for what fills up to what is added to the scores."""
        words, places, kind = (
            self.constant(name, rows)
            for name, rows in zip(("words", "places", "kind"), embedding_rows(self.config, self.weights), strict=True)
        )
        found = self.node("Gather", "found", words, "input_ids")
        self.node("Add", EMBEDDINGS, self.node("Add", "placed", found, places), kind)
        shown = self.node("Cast", "shown", "attention_mask", to=TensorProto.FLOAT)
        filled = self.node("Sub", "filled", self.constant("one", 1), shown)
        self.node("Mul", MASK, filled, self.constant("far_below", MASKED))

    def heads(self, x: str) -> str:
        """[T, D] to [heads, T, D / heads]."""
        config = self.config
        sizes = [config.tokens, config.heads, config.width // config.heads]
        parts = self.node("Reshape", f"{x}.parts", x, self.constant("by_heads", sizes, np.int64))
        return self.node("Transpose", f"{x}.heads", parts, perm=[1, 0, 2])

    def attention(self, n: str, x: str, key: str) -> str:
        config = self.config
        q, k, v = (
            self.heads(self.linear(f"{n}.{name}", x, f"{key}.self.{name}")) for name in ("query", "key", "value")
        )
        turned = self.node("Transpose", f"{n}.turned", k, perm=[0, 2, 1])
        scores = self.node("MatMul", f"{n}.scores", q, turned)
        root = self.constant("root", math.sqrt(config.width // config.heads))
        masked = self.node("Add", f"{n}.masked", self.node("Div", f"{n}.scaled", scores, root), MASK)
        mixed = self.node("MatMul", f"{n}.mixed", self.node("Softmax", f"{n}.shares", masked, axis=-1), v)
        side_by_side = self.node("Transpose", f"{n}.side_by_side", mixed, perm=[1, 0, 2])
        rows = self.constant("as_rows", [config.tokens, config.width], np.int64)
        joined = self.node("Reshape", f"{n}.joined", side_by_side, rows)
        added = self.node("Add", f"{n}.with_input", self.linear(f"{n}.output", joined, f"{key}.output.dense"), x)
        return self.norm(f"{n}.attended", added, f"{key}.output.LayerNorm")

    def layer(self, number: int, x: str) -> str:
        n, key = f"l{number}", f"encoder.layer.{number}"
        x = self.attention(n, x, f"{key}.attention")
        wide = self.node("Gelu", f"{n}.gelu", self.linear(f"{n}.wide", x, f"{key}.intermediate.dense"))
        added = self.node("Add", f"{n}.sum", self.linear(f"{n}.narrow", wide, f"{key}.output.dense"), x)
        last = number == self.config.layers - 1
        return self.norm(HIDDEN if last else f"{n}.result", added, f"{key}.output.LayerNorm")


def embedding_rows(config: Config, weights: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """A row for each word of the vocabulary, one for each place, and the one for texts of the first kind, which are
    added up."""
    words, places, kinds = (weights[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
    return words, places[: config.tokens], kinds[:1]


def encoder(config: Config, weights: Mapping[str, Array]) -> onnx.ModelProto:
    """The model of a checkpoint whose tensors have the names of BERT's in `transformers`. Raises `KeyError` where one
    is missing."""
    builder = Builder(config, weights)
    builder.front()
    x = builder.norm("normed", EMBEDDINGS, "embeddings.LayerNorm")
    for number in range(config.layers):
        x = builder.layer(number, x)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, [config.tokens])
        for name in ("input_ids", "attention_mask")
    ]
    result = helper.make_tensor_value_info(HIDDEN, TensorProto.FLOAT, [config.tokens, config.width])
    constants = [numpy_helper.from_array(value, name) for name, value in builder.constants.items()]
    graph = helper.make_graph(builder.nodes, "encoder", inputs, [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def random_weights(config: Config, words: int = 100, seed: int = 0) -> dict[str, Array]:
    """The weights of an encoder that has learnt nothing."""
    width, inner = config.width, config.inner
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (words, width),
        "embeddings.position_embeddings.weight": (config.tokens, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }
    linears: dict[str, tuple[int, int]] = {}
    norms = ["embeddings.LayerNorm"]
    for number in range(config.layers):
        key = f"encoder.layer.{number}"
        linears |= {f"{key}.attention.self.{name}": (width, width) for name in ("query", "key", "value")}
        linears |= {f"{key}.attention.output.dense": (width, width)}
        linears |= {f"{key}.intermediate.dense": (inner, width), f"{key}.output.dense": (width, inner)}
        norms += [f"{key}.attention.output.LayerNorm", f"{key}.output.LayerNorm"]
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    generator = np.random.default_rng(seed)
    found = {name: generator.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        found[f"{name}.weight"] = generator.normal(1, 0.1, width).astype(np.float32)
        found[f"{name}.bias"] = generator.normal(0, 0.1, width).astype(np.float32)
    return found


def main() -> None:
    """Writes the model of a file of weights, or one of random weights."""
    parser = argparse.ArgumentParser(description="A sentence encoder as an ONNX model.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("weights", nargs="?", type=Path, help="all-MiniLM-L6-v2's model.safetensors")
    source.add_argument("--random", action="store_true", help="one small layer with random weights")
    parser.add_argument("-o", dest="output", type=Path, required=True, help="the ONNX file")
    given = parser.parse_args()
    if given.random:
        config, weights = SMALL, random_weights(SMALL)
    elif not given.weights.is_file():
        parser.error(f"no such file: {given.weights}")
    else:
        from safetensors.numpy import load_file

        config, weights = Config(), load_file(given.weights)
    onnx.save(encoder(config, weights), given.output)


if __name__ == "__main__":
    main()
