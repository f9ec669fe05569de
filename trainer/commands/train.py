"""`python -m trainer train`."""

from rich.console import Console
from tyro.conf import OmitArgPrefixes

from trainer.recipe import RecipeOptions, train_decoupled


def run(options: OmitArgPrefixes[RecipeOptions] = RecipeOptions()) -> None:  # noqa: B008
    """Run the whole recipe: generate, pretrain, demonstrate, adapt, roll out, report."""
    console = Console(highlight=False)
    report = train_decoupled(options, console)
    console.print(f"[bold green]report[/bold green] {report}", soft_wrap=True)
