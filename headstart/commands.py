"""Which command of `headstart` is which command of which program."""

from typing import Literal, NamedTuple

Program = Literal["services", "trainer"]


class Command(NamedTuple):
    """One command of `headstart`.

    Attributes:
        name: what is typed after `headstart`.
        program: the package whose command it is.
        command: its name there: `python -m <program> <command>`.
        summary: one line of help.
    """

    name: str
    program: Program
    command: str
    summary: str


COMMANDS = (
    Command("generate", "services", "generate", "Make a dataset of trajectories; again, to go on where it stopped."),
    Command("serve", "services", "serve", "Serve trajectories over REST, while they are made."),
    Command("audit", "services", "audit", "Check a dataset from its files alone."),
    Command("report", "services", "report", "Write a page to look at a dataset."),
    Command("export", "services", "export", "Write a dataset in another format."),
    Command(
        "train", "trainer", "train", "Run the whole recipe: trajectories, pretraining, adaptation, rollouts, report."
    ),
    Command("pretrain", "trainer", "pretrain", "Stage 1: pretrain a head on trajectories."),
    Command("adapt", "trainer", "adapt", "Stage 2: adapt a head to demonstrations."),
    Command("evaluate", "trainer", "evaluate", "Roll a policy out in simulation."),
    Command("policy", "trainer", "serve", "Serve a policy: observations in, action chunks out."),
    Command("export-policy", "trainer", "export", "Write a policy as a program that needs no Headstart."),
    Command("push", "trainer", "push", "Publish a policy or a pretrained head on the Hugging Face Hub, with a card."),
    Command(
        "fetch", "trainer", "fetch", "Fetch a policy or a pretrained head from the Hub, by its hash where it is given."
    ),
    Command("inspect", "trainer", "inspect", "Say what is in demonstrations, and whether they can be trained on."),
    Command("summarize", "trainer", "summarize", "Describe demonstrations, so that trajectories can be like them."),
    Command("motions", "trainer", "motions", "Take out of demonstrations what copies are made of."),
    Command("copies", "trainer", "copies", "Have copies of demonstrations made by kinematics."),
    Command("basis", "trainer", "basis", "Learn a motion basis from a dataset."),
    Command("demonstrate", "trainer", "demonstrate", "Record scripted demonstrations in simulation."),
    Command("render", "trainer", "render", "Give recorded demonstrations their pictures."),
    Command("replay", "trainer", "replay", "Command copies in simulation, to see which do the task."),
)
"""In the order of `headstart --help`. A table, because importing the commands for their summaries takes seconds."""
