"""`python -m trainer train`."""

from tyro.conf import OmitArgPrefixes

from trainer.recipe.recipe_options import RecipeOptions


def run(options: OmitArgPrefixes[RecipeOptions] = RecipeOptions()) -> None:  # noqa: B008
    """Run the whole recipe: generate, pretrain, demonstrate, adapt, roll out, report."""
    from rich.console import Console

    from trainer.recipe.recipe import train_decoupled

    console = Console(highlight=False)
    report = train_decoupled(options, console)
    console.print(f"[bold green]report[/bold green] {report}", soft_wrap=True)
