//! A USB camera, in a virtual machine that has one: `make usb`.

use std::time::Duration;

use porchlight::model::Offline;

use crate::rig::{HASTE, Running, camera};

/// The kernel's test driver; what is unbound from it is pulled out.
const DRIVER: &str = "/sys/bus/platform/drivers/vivid";

fn plug(how: &str) {
    std::fs::write(format!("{DRIVER}/{how}"), "vivid.0").expect("inside the virtual machine, as root");
}

#[test]
#[ignore = "needs a camera that can be pulled out: make usb"]
fn a_usb_camera_is_seen_pulled_out_and_plugged_in_again() {
    for (source, size) in
        [("/dev/video0", "640x360"), ("usb:0", "320x180"), ("/dev/v4l/by-id/porch", "640x480")]
    {
        if source.contains("by-id") {
            // What udev would do; the machine has none.
            std::fs::create_dir_all("/dev/v4l/by-id").expect("room");
            std::os::unix::fs::symlink("../../video0", source).expect("room");
        }
        let running = Running::start(camera(source, &format!("size = \"{size}\"")));
        running.wait_for_frames(5);
        let frames = running.frames();
        let (width, height) = frames[0].size;
        assert_eq!(format!("{width}x{height}"), size);
        // The test picture moves.
        assert!(frames.windows(2).any(|pair| pair[0].hash != pair[1].hash), "a frozen picture");
        for _ in 0..2 {
            plug("unbind");
            let detail = running.wait_for(Offline::Unreachable);
            assert!(detail.contains("plugged in?"), "{detail}");
            // For longer than the longest pause: patience has no end.
            std::thread::sleep(HASTE.longest_pause * 2);
            plug("bind");
            running.wait_for_online();
            running.wait_for_more_frames(5);
        }
        assert!(running.sessions() >= 3, "{}", running.sessions());
        running.stop();
        // The driver's thread has let go of the device.
        std::thread::sleep(Duration::from_millis(300));
    }
}
