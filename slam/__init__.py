"""Where the camera is: cameras, decoded frames, trackers and the pose graph.

Inputs: wire messages, images and IMU samples, a calibration (or a guess), an ORB vocabulary.
Outputs: frames, their poses in the world and the trajectory as it is corrected. Threads: a tracker
belongs to one thread; ORB-SLAM3 runs two more and prints, so file descriptor 1 is diverted.
Must not: open sockets, read clocks or the environment, or know about voxels and sessions.
"""
