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
# # From a run's folder to a decision
#
# A search has left a folder. Which of its networks do we deploy, and how sure can we be? Reading needs neither torch nor
# ray, and the run may still be going on.

# %%
import os
from pathlib import Path

# `make demo` leaves runs/demo in the repository, whose folder is this one or the one above
demo = next((folder / "runs/demo" for folder in (Path.cwd(), Path.cwd().parent) if (folder / "runs/demo").is_dir()), "")
run = Path(os.environ.get("BINARYNAS_RUN", demo or "runs/demo"))

# %%
from binarynas.analysis import load_trials

trials = load_trials(run)
trials.groupby(["stage", "state"], observed=True).size()

# %% [markdown]
# ## What was found
#
# Every finished trial, and the front: what no other network beats in accuracy and operations at once.

# %%
# %matplotlib inline
from binarynas.analysis import frontier_data, plot_frontier

plot_frontier(frontier_data(trials))

# %%
from binarynas.analysis import load_front

front = load_front(run)
front[["id", "accuracy", "test_accuracy", "ops", "params", "bytes", "stage"]]

# %% [markdown]
# ## How sure is that?
#
# The validation split is finite, so its accuracies are uncertain. The search picked the highest of many, so they are too
# high on average; the test split was touched once, for the front alone, and its figures are those to quote.

# %%
from binarynas.analysis import certainty, run_facts

facts = run_facts(run)
sure = certainty(facts)
top, low, high = sure.best
print(f"best of {sure.finished} trials: {top:.1%}, 95 % interval {low:.1%} to {high:.1%} ({sure.validation} images)")
print(f"trials within that interval: {sure.alike}; validation less test accuracy of the front: {sure.gap:+.1%}")

# %% [markdown]
# Did the search have enough trials? A curve that still rises says no.

# %%
from binarynas.analysis import hypervolume_data, plot_hypervolume

plot_hypervolume(hypervolume_data(trials, stage="inherited"))

# %% [markdown]
# ## The decision
#
# Say what you can afford: operations, parameters, bytes, or the accuracy that you need.

# %%
from binarynas.analysis import Limits, choose

budget = float(front["ops"].median())
chosen = choose(run, Limits(ops=budget))
chosen

# %% [markdown]
# Where do its operations go? A layer that takes most of them is where a smaller space would save most.

# %%
import pandas as pd

cost = facts.space.cost(facts.space.parse(chosen.architecture))
pd.DataFrame(
    [(layer.name, layer.ops, layer.ops / cost.ops, layer.params, layer.bytes) for layer in cost.layers],
    columns=["layer", "OPs", "share", "parameters", "bytes"],
).round(2)

# %% [markdown]
# ## Take it away
#
# The folder holds the network's weights; the report is one file to send to whoever asks why it was this one.

# %%
from binarynas.analysis import write_report

print("weights:", chosen.folder.relative_to(run) if chosen.folder else chosen.weights)
print("report:", write_report([run]).relative_to(run))

# %%
if chosen.folder:
    import torch

    from binarynas.models import load_network

    network = load_network(chosen.folder)
    space = network.space
    images = torch.randn(4, space.channels, space.image_size, space.image_size)  # yours, normalised as the run's were
    print(network(images).argmax(1))
