#!/bin/sh
# Install the system libraries that the wheels need, where this user may; else say how.
# ORB-SLAM3's wheel: GL and X11. numba: OpenMP. The page test: Chromium. Python: venv.
# With the argument `bench`, what Open3D's wheel needs, too: libusb. With `test`, GStreamer as a WebRTC
# publisher: its plugins, and bindings for the system's Python; and Vulkan on the processor.
set -eu
packages=""
want() { # want FILE PACKAGE: the package, if nothing on the machine provides the file
    if ! ldconfig -p | grep -q "$1" && ! command -v "$1" >/dev/null 2>&1; then
        packages="$packages $2"
    fi
}
want libGL.so.1 libgl1
want libEGL.so.1 libegl1
want libOpenGL.so.0 libopengl0
want libX11.so.6 libx11-6
want libSM.so.6 libsm6
want libICE.so.6 libice6
want libgomp.so.1 libgomp1
want chromium chromium
want_package() { # want_package PACKAGE: for what no library or command tells
    dpkg -s "$1" >/dev/null 2>&1 || packages="$packages $1"
}
[ "${1:-}" != bench ] || want libusb-1.0.so.0 libusb-1.0-0
if [ "${1:-}" = test ]; then
    for package in gstreamer1.0-nice gstreamer1.0-plugins-bad gstreamer1.0-plugins-base \
        gstreamer1.0-plugins-good gir1.2-gst-plugins-bad-1.0 libvulkan1 mesa-vulkan-drivers \
        python3-gi; do
        want_package "$package"
    done
fi
python3 -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
[ -n "$packages" ] || exit 0

install="apt-get install -y --no-install-recommends$packages"
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif sudo -n true 2>/dev/null; then
    sudo="sudo"
else
    echo "These system packages are missing; run this once, then again what you ran:" >&2
    echo "    sudo apt-get update && sudo $install" >&2
    exit 1
fi
echo "installing:$packages"
$sudo apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive $sudo $install >/dev/null
