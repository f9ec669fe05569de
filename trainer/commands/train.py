"""`python -m trainer train`."""

from tyro.conf import OmitArgPrefixes

from trainer.commands.config_file import ConfigFile
from trainer.recipe.recipe_options import RecipeOptions


def run(
    options: OmitArgPrefixes[RecipeOptions] = RecipeOptions(),  # noqa: B008
    config_file: ConfigFile = None,
) -> None:
    """Run the whole recipe: generate, pretrain, demonstrate, adapt, roll out, report."""
    from rich.console import Console

    from trainer.recipe.recipe import train_decoupled

    console = Console(highlight=False)
    report = train_decoupled(options, console)
    console.print(f"[bold green]report[/bold green] {report}", soft_wrap=True)
