"""The recipe's steps that collect demonstrations and have copies of them made."""

from trainer.recipe.presets import TaskPlan
from trainer.recipe.recipe_files import RecipeFiles
from trainer.recipe.service import Service
from trainer.recipe.step_runner import Step


def demonstrate_step(files: RecipeFiles, plan: TaskPlan) -> Step:
    """Collects demonstrations of a task with the scripted expert."""
    path = files.demonstrations(plan)
    arguments = ("demonstrate", "--task", plan.task, "--successes", str(plan.collected), "--out", str(path))
    return Step(f"demonstrate-{plan.task}", arguments, path)


def copy_steps(files: RecipeFiles, plan: TaskPlan, seed: int, service: Service) -> list[Step]:
    """Takes the motions out of the demonstrations, and asks the service for copies of them."""
    motions, copies = files.motions(plan, seed), files.copies(plan, seed)
    arguments = ["motions", str(files.demonstrations(plan)), "--count", str(plan.demonstrations)]
    arguments += ["--out", str(motions)]
    arguments += [] if plan.pool is None else ["--draw", str(seed)]
    needs = (f"demonstrate-{plan.task}",) if files.options.demos is None else ()
    name = copies.stem
    trained = [files.checkpoint(*one).exists() for one in files.trainings() if (one[0], one[2]) == (plan, seed)]
    url = ""
    if not all(trained):
        # It may listen elsewhere now; asked again, it finds what it has made.
        copies.unlink(missing_ok=True)
        service.client().close()
        url = service.url
    ask = ("copies", str(motions), "--count", str(plan.copies), "--service", url, "--out", str(copies))
    return [
        Step(f"motions-{name}", tuple(arguments), motions, needs),
        Step(f"copies-{name}", ask, copies, (f"motions-{name}",)),
    ]
