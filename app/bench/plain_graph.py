"""The model as a plain export would write it, for measuring Chroma's default embedding function.

Chroma downloads such a file (fp32, basic operators, last hidden state as output) from a server of its own.
This one has the same operators as an export by torch, so onnxruntime fuses and runs it in the same way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from app.embedding.weights import Weights

_HEADS, _HEAD = 12, 32
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def plain_model(weights: Weights, layers: int = 6) -> ModelProto:
    """Return BERT: three inputs int64 (texts, tokens), one output float32 (texts, tokens, 384)."""
    graph = _Plain(weights)
    hidden = graph.embeddings()
    mask = graph.mask()
    for layer in range(layers):
        hidden = graph.layer(hidden, mask, f"encoder.layer.{layer}.")
    graph.nodes.append(helper.make_node("Identity", [hidden], ["last_hidden_state"]))
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in _INPUTS]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", 384])
    return helper.make_model(
        helper.make_graph(graph.nodes, "plain", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", 14)],
        ir_version=8,
    )


class _Plain:
    def __init__(self, weights: Weights) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._weights = weights

    def embeddings(self) -> str:
        prefix = "embeddings."
        words = self._op("Gather", self._weight(prefix + "word_embeddings.weight"), "input_ids")
        kinds = self._op("Gather", self._weight(prefix + "token_type_embeddings.weight"), "token_type_ids")
        tokens = self._op("Gather", self._op("Shape", "input_ids"), self._const(np.array([1])))
        zero, one = self._const(np.array([0])), self._const(np.array([1]))
        numbers = self._const(np.arange(512).reshape(1, 512))
        places = self._op("Slice", numbers, zero, tokens, one)
        positions = self._op("Gather", self._weight(prefix + "position_embeddings.weight"), places)
        return self._norm(self._op("Add", self._op("Add", words, kinds), positions), prefix + "LayerNorm")

    def mask(self) -> str:
        wide = self._op("Unsqueeze", "attention_mask", self._const(np.array([1, 2])))
        floats = self._op("Cast", wide, to=TensorProto.FLOAT)
        lowest = self._const(np.float32(np.finfo(np.float32).min))
        return self._op("Mul", self._op("Sub", self._const(np.float32(1)), floats), lowest)

    def layer(self, hidden: str, mask: str, prefix: str) -> str:
        own = prefix + "attention.self."
        query = self._heads(self._dense(hidden, own + "query"), [0, 2, 1, 3])
        key = self._heads(self._dense(hidden, own + "key"), [0, 2, 3, 1])
        value = self._heads(self._dense(hidden, own + "value"), [0, 2, 1, 3])
        scores = self._op("Div", self._op("MatMul", query, key), self._const(np.float32(_HEAD**0.5)))
        shares = self._op("Softmax", self._op("Add", scores, mask), axis=-1)
        together = self._op("Transpose", self._op("MatMul", shares, value), perm=[0, 2, 1, 3])
        context = self._op("Reshape", together, self._const(np.array([0, 0, _HEADS * _HEAD])))
        attended = self._op("Add", self._dense(context, prefix + "attention.output.dense"), hidden)
        hidden = self._norm(attended, prefix + "attention.output.LayerNorm")
        inner = self._gelu(self._dense(hidden, prefix + "intermediate.dense"))
        return self._norm(
            self._op("Add", self._dense(inner, prefix + "output.dense"), hidden), prefix + "output.LayerNorm"
        )

    def _heads(self, hidden: str, order: list[int]) -> str:
        split = self._op("Reshape", hidden, self._const(np.array([0, 0, _HEADS, _HEAD])))
        return self._op("Transpose", split, perm=order)

    def _gelu(self, x: str) -> str:
        erf = self._op("Erf", self._op("Div", x, self._const(np.float32(2**0.5))))
        product = self._op("Mul", x, self._op("Add", erf, self._const(np.float32(1))))
        return self._op("Mul", product, self._const(np.float32(0.5)))

    def _norm(self, x: str, key: str) -> str:
        centred = self._op("Sub", x, self._op("ReduceMean", x, axes=[-1]))
        square = self._op("Pow", centred, self._const(np.float32(2)))
        variance = self._op("Add", self._op("ReduceMean", square, axes=[-1]), self._const(np.float32(1e-12)))
        scaled = self._op("Div", centred, self._op("Sqrt", variance))
        return self._op(
            "Add", self._op("Mul", scaled, self._weight(key + ".weight")), self._weight(key + ".bias")
        )

    def _dense(self, x: str, key: str) -> str:
        product = self._op("MatMul", x, self._const(self._weights[key + ".weight"].T))
        return self._op("Add", self._weight(key + ".bias"), product)

    def _weight(self, key: str) -> str:
        return self._const(self._weights[key])

    def _const(self, value: NDArray[np.generic] | np.generic) -> str:
        name = f"constant_{len(self.constants)}"
        # ascontiguousarray would make a vector of a scalar
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def _op(self, kind: str, *inputs: str, **attributes: int | list[int]) -> str:
        name = f"{kind}_{len(self.nodes)}"
        node = helper.make_node(kind, list(inputs), [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name
