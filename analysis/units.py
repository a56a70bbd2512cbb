"""Numbers as people read them: operations in K, M or G, sizes in KB or MB, accuracy in percent."""

import math

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "K"))


def prefix(largest: float) -> tuple[float, str]:
    """The factor and the sign to write numbers up to `largest` with.

    >>> prefix(180e6)
    (1000000.0, 'M')
    """
    # a scale up to 1.5 M reads better in K
    return next(((factor, sign) for factor, sign in _PREFIXES if abs(largest) >= 2 * factor), (1.0, ""))


def quantity(value: float, unit: str) -> str:
    """A count with three digits and a unit; "-" where there is none.

    >>> quantity(20_772_760, "OPs")
    '20.8 M OPs'
    """
    if not math.isfinite(value):
        return "-"
    value = float(f"{value:.3g}")  # first, so that 999,999 is 1.00 M and not 1,000 K
    factor, sign = next(((factor, sign) for factor, sign in _PREFIXES if abs(value) >= factor), (1.0, ""))
    scaled = value / factor
    digits = max(0, 2 - math.floor(math.log10(abs(scaled)))) if sign and scaled else 0
    # a prefix joins a symbol (MB) but not an abbreviation (M OPs)
    written = f"{sign}{unit}" if len(unit) < 2 else f"{sign} {unit}"
    return f"{scaled:,.{digits}f} {written.strip()}".strip()


def cost_words(column: str, value: float) -> str:
    """A value of a cost's column with its unit.

    >>> cost_words("bytes", 12_300), cost_words("latency_ms", 0.25)
    ('12.3 KB', '0.25 ms')
    """
    if column == "latency_ms":
        return f"{value:.4g} ms" if math.isfinite(value) else "-"
    units = {"ops": "OPs", "params": "parameters", "bytes": "B", "bits": "bit"}
    return quantity(value, units.get(column, column))


def percent(fraction: float) -> str:
    """A fraction as percent with two digits, as papers print it; "-" where there is none.

    >>> percent(0.6954)
    '69.54 %'
    """
    return f"{100 * fraction:.2f} %" if math.isfinite(fraction) else "-"
