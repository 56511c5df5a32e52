//! VAAPI for a decoder of libavcodec: the calls that `ffmpeg-next` does not wrap.
//!
//! A package of its own, for one reason: these calls are `unsafe`, which Porchlight denies everywhere else. Nothing else belongs
//! here: no threads, no decisions, no copies of pictures.
#![expect(unsafe_code, reason = "libavcodec has no other way to hardware, and no crate wraps it")]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr;

use ffmpeg_next::ffi::{
    AVCodecContext, AVHWDeviceType, AVPixelFormat, av_buffer_unref, av_hwdevice_ctx_create,
    av_hwframe_transfer_data,
};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Error, codec, frame};

/// Opens a render node (`/dev/dri/renderD128`) for a decoder that is not open yet. It decodes there, or not at all: a stream that
/// the device cannot do is an error when its first packet is sent.
pub fn attach(context: &mut codec::Context, render_node: &Path) -> Result<(), Error> {
    let name = CString::new(render_node.as_os_str().as_encoded_bytes()).map_err(|_| Error::InvalidData)?;
    let mut device = ptr::null_mut();
    // SAFETY: the library writes a reference to `device` or leaves it null; it reads `name`, which ends with a zero and outlives
    // the call, and takes null for no options.
    let code = unsafe {
        let kind = AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI;
        av_hwdevice_ctx_create(&raw mut device, kind, name.as_ptr(), ptr::null_mut(), 0)
    };
    if code < 0 {
        return Err(Error::from(code));
    }
    // SAFETY: `context` owns what it points to, and is borrowed for as long as that is written. From here on it owns the reference to
    // the device, too, and gives it back when it is dropped; one that it had before is given back here. `only_vaapi` is a function
    // for as long as the program runs.
    unsafe {
        let context = context.as_mut_ptr();
        av_buffer_unref(&raw mut (*context).hw_device_ctx);
        (*context).hw_device_ctx = device;
        (*context).get_format = Some(only_vaapi);
    }
    Ok(())
}

/// Copies a picture from the device into memory, as NV12. `memory`: a frame without a picture.
pub fn download(picture: &frame::Video, memory: &mut frame::Video) -> Result<(), Error> {
    memory.set_format(Pixel::NV12);
    // SAFETY: both are frames of the library, of which it checks that one is on a device and the other can be filled; `memory` is
    // borrowed alone. Its buffers belong to it afterwards.
    let code = unsafe { av_hwframe_transfer_data(memory.as_mut_ptr(), picture.as_ptr(), 0) };
    if code < 0 { Err(Error::from(code)) } else { Ok(()) }
}

/// Chooses among the formats in which a decoder could give its pictures: on the device, or none. The library calls it.
unsafe extern "C" fn only_vaapi(_: *mut AVCodecContext, offered: *const AVPixelFormat) -> AVPixelFormat {
    // As numbers: a library that is newer than its bindings may know formats that this type does not.
    let mut offered = offered.cast::<c_int>();
    loop {
        // SAFETY: the list ends with `AV_PIX_FMT_NONE`, beyond which nothing is read.
        let format = unsafe { *offered };
        if format == AVPixelFormat::AV_PIX_FMT_NONE as c_int {
            return AVPixelFormat::AV_PIX_FMT_NONE;
        }
        if format == AVPixelFormat::AV_PIX_FMT_VAAPI as c_int {
            return AVPixelFormat::AV_PIX_FMT_VAAPI;
        }
        // SAFETY: this was not the end of the list.
        offered = unsafe { offered.add(1) };
    }
}
