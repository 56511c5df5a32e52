"""Makes clips as cameras would send them, from any video that ffmpeg reads."""

import subprocess


def add_arguments(parser):
    parser.add_argument("source")
    parser.add_argument("target", help="a .mkv or .mp4 file; it is overwritten")
    parser.add_argument("--codec", choices=["h264", "h265", "mjpeg"], default="h264")
    parser.add_argument("--size", metavar="WxH", help="scale into this size, with black bars if the shape differs")
    parser.add_argument("--fps", help="pictures per second")
    parser.add_argument("--gop", type=int, default=20, help="a key frame every so many pictures")
    parser.add_argument("--kbps", type=int, help="bit rate of H.264 and H.265")
    parser.add_argument("--quality", type=int, default=5, help="MJPEG quality, 2 (best) to 31")
    parser.add_argument("--skip", metavar="SECONDS", help="leave out the beginning")
    parser.add_argument("--seconds", help="length of the clip")


def run(options):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    if options.skip:
        command += ["-ss", options.skip]
    if options.seconds:
        command += ["-t", options.seconds]
    command += ["-i", options.source, "-an", "-sn", "-dn", "-map_metadata", "-1"]
    filters = video_filters(options)
    if filters:
        command += ["-vf", ",".join(filters)]
    command += [*encoder(options), options.target]
    return subprocess.run(command, check=False).returncode


def video_filters(options):
    filters = []
    if options.size:
        width, height = options.size.split("x")
        filters.append(f"scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:-1:-1")
    if options.fps:
        filters.append(f"fps={options.fps}")
    if options.codec == "mjpeg":
        # RTP carries JPEG sizes in units of 8 pixels (RFC 2435).
        filters.append("scale=trunc(iw/8)*8:trunc(ih/8)*8")
    return filters


def encoder(options):
    if options.codec == "mjpeg":
        # RTP carries no Huffman tables: only the standard ones will do (RFC 2435).
        return ["-c:v", "mjpeg", "-huffman", "default", "-pix_fmt", "yuvj420p", "-q:v", str(options.quality)]
    gop = options.gop
    if options.codec == "h264":
        arguments = ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-pix_fmt", "yuv420p"]
        arguments += ["-bf", "0", "-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0"]
    else:
        settings = f"log-level=error:bframes=0:keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0"
        arguments = ["-c:v", "libx265", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-x265-params", settings]
    if options.kbps:
        arguments += ["-b:v", f"{options.kbps}k", "-maxrate", f"{options.kbps}k", "-bufsize", f"{2 * options.kbps}k"]
    return arguments
