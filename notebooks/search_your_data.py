# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Search your own data from Python
#
# No command line: a configuration, `prepare`, `carry_out`. The images here are scikit-learn's digits, written as a
# folder of PNG files with one folder per class; put the path of your own folder in their place. The settings are tiny, so
# that this takes less than a minute on a laptop: accuracies are accordingly low.

# %%
import os
import tempfile
from pathlib import Path

work = Path(os.environ.get("BINARYNAS_NOTEBOOK", tempfile.mkdtemp()))
images = work / "images"

# %% [markdown]
# ## The images
#
# A folder per class is all it takes. Where there are also folders `train`, `validation` and `test` above the classes, they
# are taken as they are; here there are none, so both splits are cut by a seeded, stratified rule.

# %%
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images, digits.target)):
    folder = images / f"digit-{label}"
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(folder / f"{number}.png")

sorted((path.name, len(list(path.iterdir()))) for path in images.iterdir())[:3]

# %% [markdown]
# ## The space
#
# What may be built: a named space (`binarynas spaces` lists them) or one of your own, as here. Every list is a choice of
# the search; `count` says how many networks that makes, and `cost` what each of them needs, before anything is trained.

# %%
from binarynas.spaces import NasBnnSpace, Stage

space = NasBnnSpace(
    "notebook",
    stem_widths=(8, 16),
    stem_stride=1,
    stages=(
        Stage(depths=(1, 2), widths=(16, 32), kernel_sizes=(3,), groups=(1,), stride=2),
        Stage(depths=(1, 2), widths=(32, 64), kernel_sizes=(3, 5), groups=(1, 2), stride=2),
    ),
    image_size=8,
    classes=10,
    channels=1,
)
print(
    f"{space.count():,} networks of {space.cost(space.smallest()).ops:,.0f} to {space.cost(space.largest()).ops:,.0f} OPs"
)

# %% [markdown]
# ## The run
#
# `RunConfig` is checked as a whole: whatever is wrong is said now, not after an hour. `prepare` looks at every image,
# cuts the splits and makes the run's folder; `carry_out` does what is left to do of it, so calling it again after an
# interruption goes on where it was.

# %%
from binarynas.search import (
    DataConfig,
    ExecutionConfig,
    FinetuneConfig,
    InlineExecutor,
    RunConfig,
    SearchConfig,
    SpaceConfig,
    SupernetConfig,
    carry_out,
    make_view,
    prepare,
    writing,
)

config = RunConfig(
    seed=0,
    space=SpaceConfig.of(space),
    data=DataConfig(name="folder", path=images, channels=1),
    supernet=SupernetConfig(epochs=2, batch_size=64),
    search=SearchConfig(trials=16, generation=8),
    finetune=FinetuneConfig(networks=2, epochs=2, batch_size=64, learning_rate=1e-3),
    execution=ExecutionConfig(executor="inline", training_threads=1),
)
run = prepare(config, work / "run")
print(f"{run.info['data']['train']} images to train on, {run.info['data']['validation']} to choose by")

# %%
with writing(run), make_view() as view:
    carry_out(run, InlineExecutor(run), view)

# %% [markdown]
# ## What came out
#
# The front: networks that no other one beats in accuracy and operations at once. The test split was touched once, for
# `test_accuracy`. The other notebook, `decide`, goes on from here.

# %%
from binarynas.analysis import load_front

front = load_front(run.path)
front[["architecture", "accuracy", "test_accuracy", "ops", "bytes", "stage"]]

# %%
from binarynas.models import load_network

network = load_network(run.path / "front" / front["id"].iloc[-1])
print(network.architecture)
