"""Publish a 640×480 Y4M file by WHIP with GStreamer's webrtcbin: PATH URL. SIGTERM ends it.

Runs in the system's Python, which has the bindings (python3-gi).
"""

import signal
import sys
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

WIDTH, HEIGHT, PERIOD_MS = 640, 480, 33
IMAGE_BYTES = WIDTH * HEIGHT * 3 // 2
PIPELINE = f"""
    appsrc name=camera is-live=true do-timestamp=true format=time
    caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate=30/1
    ! queue leaky=downstream max-size-buffers=2
    ! vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=96
    ! application/x-rtp,media=video,encoding-name=VP8,payload=96
    ! webrtcbin name=sender bundle-policy=max-bundle
"""


def images(path):
    """The file's images, again and again."""
    while True:
        with open(path, "rb") as file:
            file.readline()
            while file.readline():
                yield file.read(IMAGE_BYTES)


def ask(method, url, body=None):
    headers = {"Content-Type": "application/sdp"} if body else {}
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request) as response:
        return response.headers["Location"], response.read().decode()


def main(path, url):
    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE)
    camera = pipeline.get_by_name("camera")
    source = images(path)
    sender = pipeline.get_by_name("sender")
    loop = GLib.MainLoop()
    resources = []

    def play():
        camera.emit("push-buffer", Gst.Buffer.new_wrapped(next(source)))
        return True

    def begin(sender):
        made = Gst.Promise.new_with_change_func(use_offer)
        sender.emit("create-offer", None, made)

    def use_offer(promise):
        promise.wait()
        reply = promise.get_reply()  # owns the offer
        sender.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def send_offer(sender, _):
        if sender.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        offer = sender.get_property("local-description").sdp.as_text()
        resource, answer = ask("POST", url, offer.encode())
        resources.append(urllib.parse.urljoin(url, resource))
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        sender.emit("set-remote-description", description, Gst.Promise.new())

    sender.connect("on-negotiation-needed", begin)
    sender.connect("notify::ice-gathering-state", send_offer)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    GLib.timeout_add(PERIOD_MS, play)
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    for resource in resources:
        ask("DELETE", resource)
    pipeline.set_state(Gst.State.NULL)


main(*sys.argv[1:])
