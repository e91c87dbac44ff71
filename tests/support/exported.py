"""What the fleet measures: names of metrics, each with its labels."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from app import metrics
from app.stores.documents import STATES

ROOT = Path(__file__).parent.parent.parent
LISTS = ROOT / "monitoring" / "metrics"
FACTS = ROOT / "ansible/roles/exporters/templates/tree/usr/local/lib/knowledge-assistant/facts"
# what Prometheus adds to each series
TARGET = {"job", "instance", "host", "group"}
_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)\{([\w,]*)\}$")
_FACT = re.compile(r"\b(ka_\w+)(?:\{(\w+)=)?")
_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}
Exported = dict[str, set[str]]


def exported() -> Exported:
    """By name, the labels of every metric of every exporter."""
    found: defaultdict[str, set[str]] = defaultdict(lambda: set(TARGET))
    for part in (scraped(), _assistant(), _facts()):
        for name, labels in part.items():
            found[name] |= labels
    return dict(found)


def scraped() -> Exported:
    """What a fleet's exporters had, as ``tools/metric_names.py`` wrote it down."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(LISTS.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = _LINE.match(line)
            assert match, f"{path.name}: {line}"
            found[match[1]] |= set(filter(None, match[2].split(",")))
    return dict(found)


def _assistant() -> Exported:
    """The product's own, from its code: not all are there in a young fleet."""
    families = [
        (family, set(one._labelnames))
        for one in vars(metrics).values()
        if isinstance(one, MetricWrapperBase)
        for family in one.describe()
    ]
    momentary = metrics.Momentary(dict.fromkeys(STATES, 0), 0.0)
    families += [(family, _labels(family)) for family in momentary.collect()]
    return {
        family.name + suffix: labels | ({"le"} if suffix == "_bucket" else set())
        for family, labels in families
        for suffix in _SUFFIXES[family.type]
    }


def _labels(family: Metric) -> set[str]:
    return {label for sample in family.samples for label in sample.labels}


def _facts() -> Exported:
    """What each host's facts may hold; not every host has all of them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, label in _FACT.findall(FACTS.read_text(encoding="utf-8")):
        found[name] |= {label} - {""}
    return dict(found)
