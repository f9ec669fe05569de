"""`python -m trainer summarize`."""

from pathlib import Path

from tyro.conf import Positional

from shared.errors import ConfigError
from trainer.settings import check_number


def run(
    demonstrations: Positional[Path],
    out: Path | None = None,
    count: int | None = None,
    held_out: float = 0.2,
    rate_hz: float | None = None,
    windows: int = 256,
    horizon: int = 16,
    position_tolerance: float = 0.010,
    angle_tolerance: float = 5.0,
    mapping: Path | None = None,
) -> None:
    """Summarize demonstrations, for fitted requests and for reports of the service.

    Args:
        demonstrations: our simulator's, or a robomimic file.
        out: summary to write; by default beside the demonstrations, as <name>.summary.json.
        count: use the first so many demonstrations.
        held_out: share of them that is not fitted, to measure against.
        rate_hz: resample to this rate, which a dataset must share to be compared.
        windows: most windows in each of the two samples, fitted and held out.
        horizon: steps of a window.
        position_tolerance: how far a demonstration may be from its waypoints' straight lines [m].
        angle_tolerance: and its orientation [degrees].
        mapping: what the columns of the demonstrations mean (.toml or .json, docs/your-data.md), if they aren't our
            simulator's.
    """
    check_number("--count", count, 1)
    import numpy as np

    from shared.summary_file import write_summary
    from trainer.data.demonstrations import read_demonstrations
    from trainer.data.demonstrations.episode import moving
    from trainer.data.demonstrations.mapping.mapping_file import read_mapping
    from trainer.data.resampling import resample
    from trainer.data.summarize import Tolerance, describe, summarize

    meaning = read_mapping(mapping) if mapping else None
    read, left_out = moving(read_demonstrations(demonstrations, count, mapping=meaning, pictures=False), demonstrations)
    if rate_hz is not None:
        if not 1 <= rate_hz <= 1000:
            raise ConfigError(f"--rate-hz {rate_hz:g}: give 1 to 1000")
        read = resample(read, rate_hz)
    tolerance = Tolerance(position_tolerance, float(np.deg2rad(angle_tolerance)))
    summary = summarize(read, held_out=held_out, tolerance=tolerance, windows=windows, horizon=horizon)
    path = out or demonstrations.with_suffix(".summary.json")
    write_summary(summary, path)
    print("\n".join([*describe(summary), *([left_out] if left_out else [])]))
    print(f"summary: {path} ({path.stat().st_size / 1024:.0f} KiB)")
