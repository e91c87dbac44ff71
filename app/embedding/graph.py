"""The model as an ONNX graph, written operator by operator for speed on CPUs.

The architecture is BERT (Devlin et al. 2018) with 6 layers, mean pooling and length 1, as in
sentence-transformers/all-MiniLM-L6-v2. Choices that were measured (onnxruntime 1.32, AVX512-VNNI):

- one text per run and no mask: nothing is padded, the activations stay in the cache, and a text's vector
  never depends on which other texts came with it;
- `Add` + `LayerNormalization` instead of the fused `SkipLayerNormalization`, which takes seven times as long;
- `MultiHeadAttention` with its inputs from three products that share one quantised input;
- int8: weights per output channel and symmetric, activations per text and asymmetric (u8), products in
  `MatMulIntegerToFloat`, which also adds the bias. One scale per weight matrix would lose quality;
- int8: in a few channels the values of the first token are many times larger than all others and would take
  the 8 bits for themselves. These channels are left out of the whole numbers and computed in fp32 beside them
  (Dettmers et al. 2022, "LLM.int8()"): 5 % of the speed for a sixth of the error.

The graph is meant to be run as it is, with onnxruntime's own graph optimisation off.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from app.embedding.manifest import WORDS
from app.embedding.weights import Weights

Variant = Literal["fp32", "int8"]
DIMENSION = 384
LAYERS = 6
HEADS = 12
MAX_TOKENS = 256

# Channels whose largest value, over 180 passages and questions in English and German, exceeds 6 in a layer's
# input, 10 in the middle of a layer (after its attention), 8 inside its feed-forward part.
_OUTLIERS: dict[str, tuple[int, ...]] = {
    "0.input": (63, 99),
    "0.middle": (63, 99),
    "0.inner": (856,),
    "1.input": (99, 157),
    "1.middle": (99,),
    "1.inner": (607,),
    "2.input": (63, 99, 157),
    "2.middle": (99, 223),
    "2.inner": (218, 1004),
    "3.input": (63, 99, 157),
    "3.middle": (99, 223),
    "3.inner": (358,),
    "4.input": (99, 157, 338),
    "4.middle": (99, 127, 223),
    "5.input": (99, 157, 338),
    "5.middle": (99, 223),
}

_CONTRIB = "com.microsoft"  # the domain of onnxruntime's own operators
_OPSETS = (("", 21), (_CONTRIB, 1))
_IR_VERSION = 10
_EPSILON = 1e-12


def build_graph(weights: Weights, variant: Variant) -> ModelProto:
    """Return the model: `input_ids` int64 (texts, tokens) to `embedding` float32 (texts, 384).

    Each row of the output has length 1. All texts of one run must have the same number of tokens. The same
    weights give the same bytes. The table of words is not inside, but in the file WORDS (`word_table`).
    """
    graph = _Graph(weights, variant)
    hidden = graph.embeddings()
    for layer in range(LAYERS):
        hidden = graph.attention(hidden, layer)
        hidden = graph.feed_forward(hidden, layer)
    graph.pooling(hidden)
    return graph.model()


def word_table(weights: Weights) -> NDArray[np.float16]:
    """Return the vectors of the vocabulary, (words, 384), as the file WORDS holds them.

    Half precision halves the file and changes no text's vector beyond the fourth digit.
    """
    return np.ascontiguousarray(weights["embeddings.word_embeddings.weight"].astype(np.float16))


class _Input(NamedTuple):
    """What a dense layer multiplies: one value in fp32, or whole numbers with scale and zero point.

    `large` holds the `channels` that are zero among the whole numbers.
    """

    value: list[str]
    large: str = ""
    channels: tuple[int, ...] = ()


class _Graph:
    def __init__(self, weights: Weights, variant: Variant) -> None:
        self._weights = weights
        self._variant = variant
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def embeddings(self) -> str:
        """Words, positions and the one segment there is."""
        prefix = "embeddings."
        found = self._node("Gather", [self._words(prefix + "words"), "input_ids"])
        found = self._node("Cast", [found], to=TensorProto.FLOAT)
        segment = self._weights[prefix + "token_type_embeddings.weight"][0]
        positions = self._weights[prefix + "position_embeddings.weight"][:MAX_TOKENS] + segment
        zero = self._constant("zero", np.zeros(1, np.int64))
        tokens = self._node("Shape", ["input_ids"], start=1, end=2)
        placed = self._node("Slice", [self._constant(prefix + "positions", positions), zero, tokens, zero])
        return self._norm(self._node("Add", [found, placed]), prefix + "LayerNorm")

    def attention(self, hidden: str, layer: int) -> str:
        prefix = f"encoder.layer.{layer}.attention."
        shared = self._input(hidden, f"{layer}.input")
        inputs = [self._dense(shared, f"{prefix}self.{part}") for part in ("query", "key", "value")]
        context = self._node("MultiHeadAttention", inputs, domain=_CONTRIB, num_heads=HEADS)
        dense = self._dense(self._input(context, f"{layer}.context"), prefix + "output.dense")
        return self._norm(self._node("Add", [dense, hidden]), prefix + "output.LayerNorm")

    def feed_forward(self, hidden: str, layer: int) -> str:
        prefix = f"encoder.layer.{layer}."
        inner = self._dense(self._input(hidden, f"{layer}.middle"), prefix + "intermediate.dense")
        active = self._input(self._node("Gelu", [inner]), f"{layer}.inner", width=4 * DIMENSION)
        dense = self._dense(active, prefix + "output.dense")
        return self._norm(self._node("Add", [dense, hidden]), prefix + "output.LayerNorm")

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

    def _norm(self, hidden: str, key: str) -> str:
        scale, bias = (
            self._constant(f"{key}.{part}", self._weights[f"{key}.{part}"]) for part in _NORM_PARTS
        )
        return self._node("LayerNormalization", [hidden, scale, bias], axis=-1, epsilon=_EPSILON)

    def _input(self, hidden: str, place: str, width: int = DIMENSION) -> _Input:
        if self._variant == "fp32":
            return _Input([hidden])
        channels = _OUTLIERS.get(place, ())
        if not channels:
            return _Input(self._nodes_outputs("DynamicQuantizeLinear", [hidden], 3))
        keep = np.ones(width, np.float32)
        keep[list(channels)] = 0
        rest = self._node("Mul", [hidden, self._constant(place + ".keep", keep)])
        numbers = self._constant(place + ".large", np.array(channels, np.int64))
        large = self._node("Gather", [hidden, numbers], axis=2)
        return _Input(self._nodes_outputs("DynamicQuantizeLinear", [rest], 3), large, channels)

    def _dense(self, given: _Input, key: str) -> str:
        matrix = self._weights[key + ".weight"].T
        bias = self._constant(key + ".bias", self._weights[key + ".bias"])
        if self._variant == "fp32":
            product = self._node("MatMul", [*given.value, self._constant(key, matrix)])
            return self._node("Add", [product, bias])
        channels = list(given.channels)
        small = matrix.copy()
        small[channels] = 0
        whole, scales = _per_channel(small)
        quantised, scale, zero = given.value
        inputs = [
            quantised,
            self._constant(key, whole),
            scale,
            self._constant(key + ".scales", scales),
            zero,
            self._constant(key + ".zeros", np.zeros(len(scales), np.int8)),
            bias,
        ]
        product = self._node("MatMulIntegerToFloat", inputs, domain=_CONTRIB)
        if not channels:
            return product
        rows = self._constant(key + ".large", matrix[channels])
        return self._node("Add", [product, self._node("MatMul", [given.large, rows])])

    def _words(self, name: str) -> str:
        """The table that both variants share, in a file beside them."""
        table = numpy_helper.from_array(word_table(self._weights), name)
        set_external_data(table, WORDS, offset=0, length=len(table.raw_data))
        table.ClearField("raw_data")
        self._constants.append(table)
        return name

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
