"""What publishers say in SDP: their offer and their trickled candidates, and our answer."""

import re
from dataclasses import dataclass

from aiortc import RTCIceCandidate, sdp

from mapcast_client.errors import InputError
from stream.errors import UnsupportedCodec
from stream.webrtc.bitrate import MAX_BPS, MIN_BPS, START_BPS

SUPPORTED = ("VP8", "H264")
AUXILIARY = ("rtx", "red", "ulpfec", "flexfec-03")
MALFORMED = (ValueError, AssertionError, KeyError, IndexError, TypeError, AttributeError)
"""What aiortc's parser raises at text that is not SDP, or is wrong in its details."""


MAX_MEDIA = 8
"""Sections of an offer; browsers with a camera, a microphone and data have three."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A trickled part of an offer (RFC 8840)."""

    username: str
    """Of the ICE credentials: another one than the offer's restarts ICE. Empty: not told."""
    candidates: tuple[RTCIceCandidate, ...]


def check_offer(text: str) -> str:
    """The ICE user name of an offer of video. Raises InputError for what cannot be taken."""
    if not text.startswith("v=0"):
        raise InputError("the body is not SDP: it must begin with v=0")
    sections = sum(line.startswith("m=") for line in text.splitlines())
    if sections > MAX_MEDIA:
        raise InputError(f"the offer has {sections} media sections, limit {MAX_MEDIA}")
    try:
        offer = sdp.SessionDescription.parse(text)
    except StopIteration:
        raise InputError("the SDP is malformed: an fmtp line is of no codec in it") from None
    except MALFORMED as error:
        raise InputError(f"the SDP is malformed: {error or type(error).__name__}"[:200]) from None
    video = [media for media in offer.media if media.kind == "video"]
    if not video:
        kinds = ", ".join(media.kind for media in offer.media) or "nothing"
        raise InputError(f"the offer has no video, only {kinds}")
    if video[0].direction not in ("sendonly", "sendrecv"):
        direction = video[0].direction or "without direction"
        raise InputError(f"the offered video is {direction}, must be sendonly")
    _check_codecs(video[0])
    _check_transport(offer)
    ice = video[0].ice
    assert ice is not None
    return str(ice.usernameFragment)


def _check_codecs(video: sdp.MediaDescription) -> None:
    names = list(dict.fromkeys(codec.name for codec in video.rtp.codecs))
    if not any(name.upper() in SUPPORTED for name in names):
        offered = ", ".join(name for name in names if name.lower() not in AUXILIARY) or "none"
        raise UnsupportedCodec(f"the offer's video codecs are {offered}; VP8 or H264 is needed")


def _check_transport(offer: sdp.SessionDescription) -> None:
    for media in offer.media:
        if not (media.ice and media.ice.usernameFragment and media.ice.password):
            raise InputError("the offer has no ICE credentials (ice-ufrag, ice-pwd)")
        if media.dtls is None or not media.dtls.fingerprints:
            raise InputError("the offer has no DTLS fingerprint and setup role")
        if media.kind in ("audio", "video") and not media.rtcp_mux:
            raise InputError("the offer does not multiplex RTP and RTCP (rtcp-mux)")
    _check_bundle(offer)


def _check_bundle(offer: sdp.SessionDescription) -> None:
    """One transport for all media, as RFC 9725 has it."""
    mids = [media.rtp.muxId or "" for media in offer.media]
    bundled = [mid for group in offer.group if group.semantic == "BUNDLE" for mid in group.items]
    if len(set(mids)) < len(mids):
        raise InputError(f"the offer's media have no ids of their own (a=mid): {mids}")
    if (bundled or len(mids) > 1) and sorted(str(mid) for mid in bundled) != sorted(mids):
        raise InputError(
            f"the offer's media {mids} must be bundled (a=group:BUNDLE), {bundled} are"
        )


def for_our_agent(text: str) -> str:
    """The offer without candidates that have mDNS names for addresses, and without their end.

    Looking a name up takes a second, and the browser's own checks tell its address sooner. Until
    candidates have an end, our agent goes on listening for such checks.
    """
    kept = [line for line in text.splitlines() if not _is_mdns(line)]
    return "\r\n".join(line for line in kept if line != "a=end-of-candidates") + "\r\n"


def _is_mdns(line: str) -> bool:
    return line.startswith("a=candidate:") and ".local " in line


def with_bitrates(answer: str) -> str:
    """The answer, telling browsers how much to send: by themselves they start low and go slowly."""
    hints = (
        f"x-google-start-bitrate={START_BPS // 1000};x-google-min-bitrate={MIN_BPS // 1000};"
        f"x-google-max-bitrate={MAX_BPS // 1000}"
    )
    lines = answer.splitlines()
    codecs = re.findall(r"^a=rtpmap:(\d+) (?:VP8|H264)/90000", answer, re.MULTILINE)
    formats = {line.split()[0]: at for at, line in enumerate(lines) if line.startswith("a=fmtp:")}
    for payload_type in codecs:
        if (at := formats.get(f"a=fmtp:{payload_type}")) is not None:
            lines[at] += f";{hints}"
        else:
            rtpmap = next(
                at for at, line in enumerate(lines) if line.startswith(f"a=rtpmap:{payload_type} ")
            )
            lines[rtpmap] += f"\r\na=fmtp:{payload_type} {hints}"
    return "\r\n".join(lines) + "\r\n"


def parse_fragment(text: str) -> Fragment:
    """Read a trickle-ice-sdpfrag. Raises InputError."""
    attributes: dict[str, str] = {}
    candidates = []
    for line in text.splitlines():
        name, _, value = line.removeprefix("a=").partition(":")
        if name == "candidate":
            if not _is_mdns(line):
                candidates.append(_candidate(value))
        else:
            attributes[name] = value
    if not candidates and not attributes.keys() & {"ice-ufrag", "end-of-candidates"}:
        raise InputError("the body is no trickle-ice-sdpfrag: it has no candidates or credentials")
    return Fragment(attributes.get("ice-ufrag", ""), tuple(candidates))


def _candidate(value: str) -> RTCIceCandidate:
    try:
        return sdp.candidate_from_sdp(value)
    except MALFORMED:
        raise InputError(f"malformed ICE candidate: {value:.80}") from None
