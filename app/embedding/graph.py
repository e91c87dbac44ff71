"""The model as an ONNX graph, written operator by operator for speed on CPUs.

The architecture is BERT (Devlin et al. 2018) with 6 layers, mean pooling and length 1, as in
sentence-transformers/all-MiniLM-L6-v2. Choices that were measured (onnxruntime 1.32, AVX512-VNNI):

- one text per run and no mask: nothing is padded, the activations stay in the cache, and a text's vector
  never depends on which other texts came with it;
- `Add` + `LayerNormalization` instead of the fused `SkipLayerNormalization`, which takes seven times as long;
- `MultiHeadAttention` with its inputs from three products that share one quantised input;
- int8: weights per output channel and symmetric, activations per text and asymmetric (u8), products in
  `MatMulIntegerToFloat`, which also adds the bias. One scale per weight matrix would lose quality.

The graph is meant to be run as it is, with onnxruntime's own graph optimisation off.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from app.embedding.weights import Weights

Variant = Literal["fp32", "int8"]
DIMENSION = 384
LAYERS = 6
HEADS = 12
MAX_TOKENS = 256

_CONTRIB = "com.microsoft"  # the domain of onnxruntime's own operators
_OPSETS = (("", 21), (_CONTRIB, 1))
_IR_VERSION = 10
_EPSILON = 1e-12


def build_graph(weights: Weights, variant: Variant) -> ModelProto:
    """Return the model: `input_ids` int64 (texts, tokens) to `embedding` float32 (texts, 384).

    Each row of the output has length 1. All texts of one run must have the same number of tokens. The same
    weights give the same bytes.
    """
    graph = _Graph(weights, variant)
    hidden = graph.embeddings()
    for layer in range(LAYERS):
        hidden = graph.attention(hidden, f"encoder.layer.{layer}.attention.")
        hidden = graph.feed_forward(hidden, f"encoder.layer.{layer}.")
    graph.pooling(hidden)
    return graph.model()


class _Graph:
    def __init__(self, weights: Weights, variant: Variant) -> None:
        self._weights = weights
        self._variant = variant
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def embeddings(self) -> str:
        """Words, positions and the one segment there is."""
        prefix = "embeddings."
        words = self._weights[prefix + "word_embeddings.weight"]
        # half precision halves the file and changes no vector beyond the fourth digit
        stored = words.astype(np.float16) if self._variant == "int8" else words
        found = self._node("Gather", [self._constant(prefix + "words", stored), "input_ids"])
        if self._variant == "int8":
            found = self._node("Cast", [found], to=TensorProto.FLOAT)
        segment = self._weights[prefix + "token_type_embeddings.weight"][0]
        positions = self._weights[prefix + "position_embeddings.weight"][:MAX_TOKENS] + segment
        zero = self._constant("zero", np.zeros(1, np.int64))
        tokens = self._node("Shape", ["input_ids"], start=1, end=2)
        placed = self._node("Slice", [self._constant(prefix + "positions", positions), zero, tokens, zero])
        return self._norm(self._node("Add", [found, placed]), prefix + "LayerNorm")

    def attention(self, hidden: str, prefix: str) -> str:
        shared = self._quantised(hidden)
        inputs = [self._dense(shared, f"{prefix}self.{part}") for part in ("query", "key", "value")]
        context = self._node("MultiHeadAttention", inputs, domain=_CONTRIB, num_heads=HEADS)
        return self._add_dense(hidden, context, prefix + "output.")

    def feed_forward(self, hidden: str, prefix: str) -> str:
        inner = self._dense(self._quantised(hidden), prefix + "intermediate.dense")
        return self._add_dense(hidden, self._node("Gelu", [inner]), prefix + "output.")

    def pooling(self, hidden: str) -> None:
        """Mean over the tokens, then length 1 (nothing is padded, so no mask)."""
        mean = self._node("ReduceMean", [hidden, self._constant("one", np.ones(1, np.int64))], keepdims=0)
        self._nodes.append(helper.make_node("LpNormalization", [mean], ["embedding"], axis=-1, p=2))

    def model(self) -> ModelProto:
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", DIMENSION])
        graph = helper.make_graph(
            self._nodes, f"all-MiniLM-L6-v2-{self._variant}", [ids], [embedding], self._constants
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="knowledge-assistant"
        )

    def _add_dense(self, hidden: str, inner: str, prefix: str) -> str:
        added = self._node("Add", [self._dense(self._quantised(inner), prefix + "dense"), hidden])
        return self._norm(added, prefix + "LayerNorm")

    def _norm(self, hidden: str, key: str) -> str:
        scale, bias = (
            self._constant(f"{key}.{part}", self._weights[f"{key}.{part}"]) for part in _NORM_PARTS
        )
        return self._node("LayerNormalization", [hidden, scale, bias], axis=-1, epsilon=_EPSILON)

    def _quantised(self, hidden: str) -> list[str]:
        """Return value, scale and zero point; for fp32 the value alone."""
        if self._variant == "fp32":
            return [hidden]
        return self._nodes_outputs("DynamicQuantizeLinear", [hidden], 3)

    def _dense(self, value: list[str], key: str) -> str:
        matrix, bias = (
            self._weights[key + ".weight"].T,
            self._constant(key + ".bias", self._weights[key + ".bias"]),
        )
        if self._variant == "fp32":
            product = self._node("MatMul", [*value, self._constant(key, matrix)])
            return self._node("Add", [product, bias])
        whole, scales = _per_channel(matrix)
        quantised, scale, zero = value
        inputs = [
            quantised,
            self._constant(key, whole),
            scale,
            self._constant(key + ".scales", scales),
            zero,
            self._constant(key + ".zeros", np.zeros(len(scales), np.int8)),
            bias,
        ]
        return self._node("MatMulIntegerToFloat", inputs, domain=_CONTRIB)

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        if all(known.name != name for known in self._constants):
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], domain: str = "", **attributes: float) -> str:
        return self._nodes_outputs(kind, inputs, 1, domain, **attributes)[0]

    def _nodes_outputs(
        self, kind: str, inputs: list[str], outputs: int, domain: str = "", **attributes: float
    ) -> list[str]:
        name = f"{kind}_{len(self._nodes)}"
        names = [f"{name}_{i}" for i in range(outputs)]
        node = helper.make_node(kind, inputs, names, name=name, domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return names


_NORM_PARTS = ("weight", "bias")


def _per_channel(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise to -127..127 with one scale per column: matrix ≈ whole * scales."""
    scales = (np.abs(matrix).max(axis=0) / np.float32(127)).astype(np.float32)
    whole = np.clip(np.rint(matrix / scales), -127, 127).astype(np.int8)
    return whole, scales
