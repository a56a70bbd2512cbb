"""What accuracy follows from genes: a Gaussian process over them and the costs."""

# scikit-learn is untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from spaces import Space
from spaces.parameters import Choice, Ordered, Parameter, Value, to_places

A = TypeVar("A")
Floats = npt.NDArray[np.float64]

_ITERATIONS = 12


class AccuracyModel(Generic[A]):
    """A Gaussian process: a linear trend, a Matern kernel (nu = 5/2) with one length for all features, and noise, each
    as large as makes what was measured most likely (Rasmussen and Williams, "Gaussian processes for machine learning",
    2006, chapter 5). Features are in deviations of what was measured: genes by their places in the lists of
    values, words one for each, and the logs of operations and parameters."""

    def __init__(self, space: Space[A]) -> None:
        self._space = space
        self._parameters = space.parameters()

    def fit(self, members: Sequence[A], accuracy: Sequence[float]) -> None:
        """Learn from what was measured; at least two members."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor  # takes a second to load
        from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

        features, values = self._features(members), np.asarray(accuracy, dtype=np.float64)
        self._middle, self._spread = features.mean(axis=0), features.std(axis=0)
        self._used = self._spread > 1e-9
        self._mean, self._scale = float(values.mean()), float(values.std()) + 1e-9
        long = math.sqrt(max(int(self._used.sum()), 1))  # distances grow with the root of the number of features
        matern = Matern(1.5 * long, (0.3 * long, 20 * long), nu=2.5)
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * matern + WhiteKernel(0.1, (0.02, 1.0))
        kernel += ConstantKernel(0.1 / long**2, (1e-5, 10.0)) * DotProduct(1.0, "fixed")
        self._process: Any = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=cast("Any", _likeliest))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound says that nothing is learnt
            self._process.fit(self._scaled(features), (values - self._mean) / self._scale)

    def predict(self, members: Sequence[A]) -> tuple[Floats, Floats]:
        """Mean and deviation of what would be measured of members, its noise included; (members,) each."""
        mean, deviation = self._process.predict(self._scaled(self._features(members)), return_std=True)
        return mean * self._scale + self._mean, deviation * self._scale

    def _scaled(self, features: Floats) -> Floats:
        """The features that differ, in deviations; one that is 0 where none does."""
        if not self._used.any():
            return np.zeros((len(features), 1))
        return ((features - self._middle) / np.maximum(self._spread, 1e-9))[:, self._used]

    def _features(self, members: Sequence[A]) -> Floats:
        """Shape (members, features)."""
        rows: list[list[float]] = []
        for member in members:
            places = to_places(self._parameters, self._space.encode(member))
            rows.append([each for p in self._parameters for each in _numbers(p, places[p.name])])
        costs = self._space.costs(list(members))
        return np.column_stack([np.asarray(rows), np.log1p(costs.ops), np.log1p(costs.params)])


def _likeliest(
    objective: Callable[[Floats], tuple[float, Floats]], start: Floats, bounds: Floats
) -> tuple[Floats, float]:
    """The kernel's settings after some steps, by far the most of which the first few gain; each takes a decomposition
    of the matrix of all trials."""
    from scipy.optimize import minimize

    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": _ITERATIONS})
    return found.x, float(found.fun)


def _numbers(parameter: Parameter, value: Value) -> list[float]:
    """A gene as numbers that are near where its values are."""
    match parameter:
        case Choice():
            return [float(value == choice) for choice in parameter.choices]
        case Ordered():
            return [float(value)]
        case _:
            return [math.log(float(value)) if parameter.log else float(value)]
