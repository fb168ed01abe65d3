"""Video from a browser or any other WebRTC publisher, as frames of a session.

In: an SDP offer, then RTP video, device motion and clock exchanges. Out: I420 frames and IMU
batches for a session; status and advice for the person who holds the camera. Threads: aiortc
decodes in one per publisher, everything else on the event loop. It must not import aiortc's private
parts anywhere but in `adapter.py`, nor hold more than a bounded number of packets and frames.
"""
