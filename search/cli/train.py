"""Commands about given networks: which ones have a name, and training some of them."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Json, complete_space
from search.cli.output import fail, note, print_json, print_table
from search.cli.run import ADDRESS, begin, use_of


def complete_network(incomplete: str) -> list[str]:
    """Names of networks, for the shell's completion."""
    from spaces.catalogue import NETWORKS

    return [name for name in NETWORKS if name.startswith(incomplete)]


def complete_recipe(incomplete: str) -> list[str]:
    """Names of recipes, for the shell's completion."""
    from search.config.recipes import recipes

    return [name for name in recipes() if name.startswith(incomplete)]


def list_networks(as_json: Json = False) -> None:
    """List the networks of papers that have a name, and the recipes to train them by."""
    from analysis.units import quantity
    from search.config.recipes import recipes
    from spaces.catalogue import NETWORKS, get_space
    from spaces.joint.networks import published_ops

    counted = {name: published_ops(network) for name, network in NETWORKS.items()}
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "space": each.space,
                    "architecture": each.architecture,
                    "ops": counted[name],
                    "published_ops": each.ops,
                    "image_size": get_space(each.space).image_size,
                    "source": each.source,
                }
                for name, each in NETWORKS.items()
            ]
        )
        return
    rows = [
        (name, each.space, quantity(counted[name], ""), quantity(each.ops, ""), each.source)
        for name, each in NETWORKS.items()
    ]
    print_table(("network", "space", "OPs", "published", "source"), rows, left=(0, 1, 4), wrapped=4)
    typer.echo()
    for name, text in recipes().items():
        typer.echo(f"recipe {name}: {text.splitlines()[0].removeprefix('#').strip()}")


def train(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...",
            help="Names (`binarynas networks` lists them), or text forms: SPACE: TEXT, or TEXT with --space.",
            autocompletion=complete_network,
        ),
    ],
    data: Annotated[
        str | None, typer.Option(help="Your images: a folder, Parquet or tar files, or the name of a data set.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="How they are trained; adam if left out.", autocompletion=complete_recipe),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/NETWORK if left out.")] = None,
    space: Annotated[
        str | None,
        typer.Option(help="The space whose text forms the networks are.", autocompletion=complete_space),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=4, help="Pixels; as the data or the networks have them.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of each stage; the recipe's own if left out.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings of each network.")] = 1,
    seed: Annotated[int | None, typer.Option(help="The root of all randomness.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Networks that are trained at once.")] = None,
    address: Annotated[str | None, typer.Option(help=ADDRESS)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Of the training: batch_size=64; or any: data.flip=horizontal."
        ),
    ] = None,
) -> None:
    """Train given networks, those of papers by name or any by its text form; each is a trial of a run of its own.

    Ends with their accuracies, their files and a plot beside what papers report. resume, status, best, report, compare,
    export and predict work on the run.
    """
    if data is None:
        fail("say which images with --data: a folder, Parquet or tar files, or the name of a data set such as digits")
    from search.data.config import recognise
    from search.pipeline.networks import networks_config

    given = [_with_space(network, space) for network in networks] if space else networks
    options = {
        "seed": seed,
        "final": {"epochs": epochs},
        "execution": {"workers": workers, "address": address},
    }
    config = networks_config(given, recognise(data), recipe, image_size, seeds, options, settings or ())
    from search.execution.address import require_reachable
    from search.pipeline.prepare import prepare
    from search.worker.tasks import ExecutionError

    try:
        require_reachable(config.execution.address)
    except ExecutionError as error:
        fail(str(error))
    run = prepare(config, (out or Path("runs") / folder_name(given[0])).expanduser())
    for sentence in (*use_of(run.info["data"]), *run.info.get("notes", [])):
        note(sentence)
    begin(run, address)


def _with_space(network: str, space: str) -> str:
    """A text form with its space; a name, or what has its space already, as it is."""
    from spaces.catalogue import NETWORKS

    return network if network in NETWORKS or network.startswith(f"{space}:") else f"{space}: {network}"


def folder_name(network: str) -> str:
    """A name for the folder of a run of this network: its own, or that of its space."""
    return network.partition(":")[0].strip().replace("@", "-").replace("/", "-")
