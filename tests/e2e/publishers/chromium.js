// A WHIP publisher for a page: publish(url, codec) streams the camera, trickling its candidates.
async function publish(url, codec) {
  const camera = await navigator.mediaDevices.getUserMedia({
    video: { width: 640, height: 480, frameRate: 30 },
  });
  const peer = new RTCPeerConnection();
  const transceiver = peer.addTransceiver(camera.getVideoTracks()[0], { direction: "sendonly" });
  const codecs = RTCRtpSender.getCapabilities("video").codecs;
  transceiver.setCodecPreferences(
    codecs.filter((each) => [`video/${codec}`, "video/rtx"].includes(each.mimeType)),
  );
  const channel = peer.createDataChannel("status");
  const publisher = { heard: [], patched: [], state: () => peer.connectionState };
  window.publisher = publisher;
  channel.onmessage = (event) => publisher.heard.push(JSON.parse(event.data));
  channel.onopen = () => channel.send(JSON.stringify({ type: "clock", sent_ms: Date.now() }));

  let tell;
  const answered = new Promise((resolve) => (tell = resolve));
  peer.onicecandidate = async ({ candidate }) => {
    const { resource, etag } = await answered;
    const [credentials] = peer.localDescription.sdp.match(/a=ice-ufrag:.*\r\na=ice-pwd:.*\r\n/);
    const line = candidate?.candidate ? `a=${candidate.candidate}` : "a=end-of-candidates";
    const response = await fetch(resource, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag },
      body: `${credentials}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n${line}\r\n`,
    });
    publisher.patched.push(response.status);
  };
  await peer.setLocalDescription();
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: peer.localDescription.sdp,
  });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  const resource = response.headers.get("Location");
  tell({ resource, etag: response.headers.get("ETag") });
  publisher.stop = async () => {
    const { status } = await fetch(resource, { method: "DELETE" });
    peer.close();
    return status;
  };
}
