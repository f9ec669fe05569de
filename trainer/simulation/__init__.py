"""The physics simulator: tasks, scripted experts, demonstrations and rollouts, on robosuite's Panda.

Outside this package every pose is of the tool centre point (`panda_hand_tcp`) in the robot's base frame, and
every action is `ee_pose`: position [m] 3, rotation_6d 6, gripper 1 (+1 close, -1 open). The rest of the trainer
imports this package only where it simulates, so that training on a data set needs no simulator.
"""
