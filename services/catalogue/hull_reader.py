"""Reads a stranger's mesh files and writes their convex hulls. A program of its own, since it may crash.

    python -P hull_reader.py FOLDER

For each mesh `FOLDER/<name>` in the list on its standard input it writes the hull's triangles, shape (n, 3, 3), as
`FOLDER/<name>.npy`. It gives up when it has used too much memory, time or disk. Its last words, if it fails, are a line
on standard output: the mesh's name and what is wrong with it.
"""

import resource
import sys
from pathlib import Path

MEMORY_BYTES = 8 << 30
CPU_S = 45
FILE_BYTES = 64 << 20
GREATEST_LENGTH = 1e6


def main() -> int:
    """Reads every mesh. Returns 1 after one that can't be read."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    # Within the limits.
    import coal
    import numpy as np
    from scipy.spatial import ConvexHull, QhullError

    for name in sys.stdin.read().split():
        path = Path(sys.argv[1], name)
        try:
            try:
                points = np.array(coal.MeshLoader().load(str(path)).vertices(), np.float64)
            except Exception:
                raise ValueError("it is damaged, or of another format than its name says") from None
            if len(points) < 3 or not np.isfinite(points).all() or np.abs(points).max() > GREATEST_LENGTH:
                raise ValueError("it has no surface, or corners that are not finite or too far away")
            points = np.unique(points.astype(np.float32), axis=0).astype(np.float64)
            try:
                hull = ConvexHull(points)
            except QhullError:
                # Flat: the corners of the box around it, made a little thicker.
                low, high = points.min(0), points.max(0)
                thickness = 1e-3 * max(float(np.linalg.norm(high - low)), 1e-6)
                grid = np.meshgrid(*np.stack([low - thickness, high + thickness], axis=1))
                hull = ConvexHull(np.stack(grid, axis=-1).reshape(-1, 3))
            np.save(f"{path}.npy", hull.points[hull.simplices].astype(np.float32))
        except Exception as error:
            print(f"{name} {error}"[:500].replace("\n", " "), flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
