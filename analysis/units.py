"""Numbers as people read them: operations in K, M or G, sizes in KB or MB, accuracy in percent."""

import math
from dataclasses import dataclass

from analysis.runs.schema import BY_NAME, LATENCY

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "K"))


def prefix(largest: float) -> tuple[float, str]:
    """The factor and the prefix to write numbers up to `largest` with.

    >>> prefix(180e6)
    (1000000.0, 'M')
    """
    # a scale up to 1.5 M reads better in K
    return next((prefix for prefix in _PREFIXES if abs(largest) >= 2 * prefix[0]), (1.0, ""))


def quantity(value: float, unit: str) -> str:
    """A count with three digits and a unit; "-" where it is not finite.

    >>> quantity(20_772_760, "OPs")
    '20.8 M OPs'
    """
    if isinstance(value, int) and value > 10**300:  # members of a space with several ranges of numbers
        return f"over 1e300 {unit}".strip()
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 1e12:
        return f"{value:.2e} {unit}".strip()
    value = float(f"{value:.3g}")  # first, so that 999,999 is 1.00 M and not 1,000 K
    factor, sign = next((prefix for prefix in _PREFIXES if abs(value) >= prefix[0]), (1.0, ""))
    scaled = value / factor
    digits = max(0, 2 - math.floor(math.log10(abs(scaled)))) if sign and scaled else 0
    # a prefix joins a symbol (MB) but not an abbreviation (M OPs)
    written = f"{sign}{unit}" if len(unit) < 2 else f"{sign} {unit}"
    return f"{scaled:,.{digits}f} {written.strip()}".strip()


def cost_words(column: str, value: float) -> str:
    """A value of a cost column with its unit.

    >>> cost_words("bytes", 12_300), cost_words("latency_ms", 0.25)
    ('12.3 KB', '0.25 ms')
    """
    if column == "latency_ms":
        return f"{value:.4g} ms" if math.isfinite(value) else "-"
    units = {"ops": "OPs", "params": "parameters", "bytes": "B", "bits": "bit"}
    return quantity(value, units.get(column, column))


def percent(fraction: float) -> str:
    """A fraction as percent with two digits, as papers print it; "-" where it is not finite.

    >>> percent(0.6954)
    '69.54 %'
    """
    return f"{100 * fraction:.2f} %" if math.isfinite(fraction) else "-"


@dataclass(frozen=True)
class Scale:
    """How a column is written on an axis: values are divided by `factor`, `label` has name and unit."""

    label: str
    factor: float


def axis_scale(column: str, largest: float) -> Scale:
    """The scale for a column of the schema whose values reach up to `largest`.

    >>> axis_scale("ops", 180e6)
    Scale(label='operations (M OPs)', factor=1000000.0)
    """
    if column == "map":
        return Scale("validation mAP (%)", 0.01)
    if column in ("accuracy", "balanced_accuracy"):
        return Scale("validation accuracy (%)", 0.01) if not largest > 1 else Scale("accuracy", 1.0)  # in percent, say
    factor, sign = prefix(largest)
    words = {
        "ops": ("operations", "OPs"),
        "flops": ("float operations", "MACs"),
        "int8_ops": ("8-bit operations", "MACs"),
        "bops": ("binary operations", "MACs"),
        "params": ("parameters", ""),
        "bits": ("size", "bit"),
        "bytes": ("size", "B"),
    }
    if column == LATENCY:
        return Scale("latency of one image (ms)", 1.0)
    if column not in words:
        unit = BY_NAME[column].unit if column in BY_NAME else ""
        return Scale(f"{column} ({unit})" if unit else column, 1.0)
    name, unit = words[column]
    unit = f"{sign} {unit}" if unit in ("OPs", "MACs") else f"{sign}{unit}"
    return Scale(f"{name} ({unit.strip()})" if unit.strip() else name, factor)


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun; `many` is the plural where it is not the noun with an s.

    >>> plural(1, "trial"), plural(1200, "trial"), plural(2, "search", "searches")
    ('1 trial', '1,200 trials', '2 searches')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {many or noun + 's'}"
