"""Where Ruckig has no answer, there is another one."""

import numpy as np

from headstart_client import ArmLimits
from headstart_client.motion import MotionPlanner
from headstart_client.path import Path
from headstart_client.stopping import State


def test_an_error_of_ruckig_is_no_error_of_the_executor() -> None:
    """Ruckig 0.19.4 finds no common duration here ("error in step 2 in dof: 2"), so each joint goes by itself."""
    velocity = np.repeat([0.627690212187282, 0.836920282916043], 3)
    acceleration, jerk = np.repeat([3.138451407, 4.18460121], 3), np.repeat([62.769028139999996, 83.6920242], 3)
    limits = ArmLimits(np.full(6, -7.0), np.full(6, 7.0), velocity, acceleration, jerk)
    first = [[0.09252549156973908, 3.065108032739755, 3.029757321822148]]
    first += [[-0.02247676607671134, -0.28868291453549727, -0.5481525095579705]]
    first += [[-3.138451407, 3.138451407, 2.116680414716102]]
    last = [[-0.11408423967094226, 3.1937484474937667, -0.23437590918618392]]
    last += [[-0.8343731885145415, -0.41505454001377745, -0.27113228518986704]]
    last += [[0.6529494410598033, 0.0, 4.18460121]]
    state = State(*np.hstack([first, last]).tolist())
    target = [-3.141529821736721, 3.1058615043763176, 0.33166875748091423]
    target += [-3.141529821736721, 4.865700159814449, 1.1291370914605068]
    towards = [-0.0, 0.627690212187282, -0.0, -0.0, 0.836920282916043, 0.836920282916043]
    knots = np.tile(np.array([target, towards, np.zeros(6)]), (2, 1, 1))
    planner = MotionPlanner(limits, 0.001)
    motion = planner.plan(state, -0.05, Path(0.0, 0.05, knots, None), careful=False)
    assert motion is not None
    careful = planner.plan(state, -0.05, Path(0.0, 0.05, knots, None), careful=True)
    assert careful is not None
    assert (motion.ticks, motion.in_time, motion.at(50)) == (50, False, careful.at(50))
