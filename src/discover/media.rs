//! What a camera sends: its profiles, put together to one view for each lens.
//!
//! Media 1 knows H.264, MPEG-4 and JPEG only; a profile with H.265 is told by Media 2. Both are asked and read alike.

use roxmltree::Node;
use url::Url;

use super::soap::escape;
use super::xml::{all, first, number, parse, printable, text};

/// More profiles than this are looked at for no camera: recorders have some for each channel.
const MOST_PROFILES: usize = 64;
/// Detection needs no more than this many pixels a row ...
const ENOUGH: u32 = 1280;
/// ... and sees little in fewer.
const TOO_FEW: u32 = 480;

/// A stream that a camera offers.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamOffer {
    /// Its address, without user and password.
    pub url: Url,
    /// As the camera calls it: H264, H265, JPEG.
    pub encoding: String,
    /// Pixels.
    pub size: Option<(u32, u32)>,
    /// Pictures a second.
    pub fps: Option<f32>,
}

/// What one lens sees, in one or several sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Largest first.
    pub streams: Vec<StreamOffer>,
}

impl View {
    /// The stream to detect on: the largest that is no larger than needed; if all others are tiny, the smallest that is not.
    #[must_use]
    pub fn detection(&self) -> Option<&StreamOffer> {
        let width = |stream: &&StreamOffer| stream.size.map_or(0, |(width, _)| width);
        let fits = self.streams.iter().find(|s| (TOO_FEW..=ENOUGH).contains(&width(s)));
        fits.or_else(|| self.streams.iter().rfind(|s| width(s) > ENOUGH)).or_else(|| self.streams.first())
    }

    /// The stream for pictures, if there is a larger one.
    #[must_use]
    pub fn main(&self) -> Option<&StreamOffer> {
        let (largest, detection) = (self.streams.first()?, self.detection()?);
        (largest.size > detection.size && largest.url != detection.url).then_some(largest)
    }
}

/// The service that tells profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    One,
    Two,
}

impl Media {
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::One => "http://www.onvif.org/ver10/media/wsdl",
            Self::Two => "http://www.onvif.org/ver20/media/wsdl",
        }
    }

    /// The question for the profiles.
    pub(super) fn profiles(self) -> String {
        let kinds = match self {
            Self::One => "",
            Self::Two => "<Type>VideoSource</Type><Type>VideoEncoder</Type>",
        };
        format!("<GetProfiles xmlns=\"{}\">{kinds}</GetProfiles>", self.namespace())
    }

    /// The question for the address of one.
    pub(super) fn stream_uri(self, token: &str) -> String {
        let (namespace, token) = (self.namespace(), escape(token));
        match self {
            Self::One => format!(
                "<GetStreamUri xmlns=\"{namespace}\"><StreamSetup>\
                 <Stream xmlns=\"http://www.onvif.org/ver10/schema\">RTP-Unicast</Stream>\
                 <Transport xmlns=\"http://www.onvif.org/ver10/schema\"><Protocol>RTSP</Protocol></Transport>\
                 </StreamSetup><ProfileToken>{token}</ProfileToken></GetStreamUri>"
            ),
            Self::Two => format!(
                "<GetStreamUri xmlns=\"{namespace}\"><Protocol>RTSP</Protocol>\
                 <ProfileToken>{token}</ProfileToken></GetStreamUri>"
            ),
        }
    }
}

/// A profile, not yet with its address.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    pub(super) token: String,
    /// Of the lens.
    pub(super) source: String,
    pub(super) encoding: String,
    pub(super) size: Option<(u32, u32)>,
    pub(super) fps: Option<f32>,
}

/// The profiles with video in an answer.
pub(super) fn profiles(answer: &str) -> Vec<Profile> {
    let Some(document) = parse(answer) else { return Vec::new() };
    all(document.root(), "Profiles").filter_map(profile).take(MOST_PROFILES).collect()
}

fn profile(node: Node<'_, '_>) -> Option<Profile> {
    let token = node.attribute("token").filter(|token| !token.is_empty() && token.len() <= 256)?;
    let encoder = first(node, "VideoEncoderConfiguration").or_else(|| first(node, "VideoEncoder"))?;
    let size = first(encoder, "Resolution").and_then(|size| {
        Some((number::<u32>(size, "Width")?, number::<u32>(size, "Height")?))
            .filter(|(w, h)| *w > 0 && *h > 0)
    });
    Some(Profile {
        token: token.to_owned(),
        source: text(node, "SourceToken").unwrap_or_default(),
        encoding: text(encoder, "Encoding").unwrap_or_default(),
        size,
        fps: number::<f32>(encoder, "FrameRateLimit").filter(|fps| fps.is_finite() && *fps > 0.0),
    })
}

/// The address in an answer.
pub(super) fn stream_address(answer: &str) -> Option<Url> {
    let document = parse(answer)?;
    let response = first(document.root(), "GetStreamUriResponse")?;
    let url = Url::parse(&printable(first(response, "Uri")?.text()?)?).ok()?;
    (url.scheme() == "rtsp" && url.has_host()).then_some(url)
}

/// One view for each lens, in the order of the camera.
pub(super) fn views(streams: Vec<(Profile, Url)>) -> Vec<View> {
    let mut views: Vec<(String, View)> = Vec::new();
    for (profile, url) in streams {
        let offer = StreamOffer { url, encoding: profile.encoding, size: profile.size, fps: profile.fps };
        match views.iter_mut().find(|(source, _)| *source == profile.source) {
            Some((_, view)) if view.streams.iter().any(|known| known.url == offer.url) => {}
            Some((_, view)) => view.streams.push(offer),
            None => views.push((profile.source, View { streams: vec![offer] })),
        }
    }
    let largest_first = |(_, mut view): (String, View)| {
        view.streams.sort_by_key(|stream| {
            std::cmp::Reverse(stream.size.map_or(0, |(w, h)| u64::from(w) * u64::from(h)))
        });
        view
    };
    views.into_iter().map(largest_first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(widths: &[u32]) -> View {
        let stream = |width: &u32| {
            let url = Url::parse(&format!("rtsp://a/{width}")).expect("an address");
            let profile = Profile {
                token: String::new(),
                source: "1".into(),
                encoding: "H264".into(),
                size: Some((*width, width * 9 / 16)),
                fps: None,
            };
            (profile, url)
        };
        views(widths.iter().map(stream).collect()).remove(0)
    }

    #[test]
    fn the_small_stream_detects_and_the_large_one_shows() {
        for (widths, small, large) in [
            (&[1920, 640][..], 640, Some(1920)),
            (&[320, 640, 2560, 1280], 1280, Some(2560)),
            (&[3840, 1920, 352], 1920, Some(3840)),
            (&[1280], 1280, None),
            (&[352], 352, None),
        ] {
            let view = view(widths);
            let width = |stream: Option<&StreamOffer>| stream.and_then(|s| s.size).map(|(w, _)| w);
            assert_eq!((width(view.detection()), width(view.main())), (Some(small), large), "{widths:?}");
        }
    }

    #[test]
    fn a_recorder_with_two_lenses_has_two_views() {
        // Media 2, with a profile for sound only.
        let profile = |token: &str, source: &str, encoding: &str, width: u32| {
            format!(
                "<t:Profiles token='{token}'><t:Name>x</t:Name><t:Configurations><t:VideoSource><s:SourceToken>{source}\
                 </s:SourceToken></t:VideoSource><t:VideoEncoder><s:Encoding>{encoding}</s:Encoding><s:Resolution>\
                 <s:Width>{width}</s:Width><s:Height>360</s:Height></s:Resolution><s:RateControl><s:FrameRateLimit>12.5\
                 </s:FrameRateLimit></s:RateControl></t:VideoEncoder></t:Configurations></t:Profiles>"
            )
        };
        let answer = format!(
            "<r xmlns:t='t' xmlns:s='s'>{}{}{}<t:Profiles token='sound'/></r>",
            profile("a", "1", "H265", 2560),
            profile("b", "1", "H264", 640),
            profile("c", "2", "H265", 2560)
        );
        let found = profiles(&answer);
        assert_eq!(found.len(), 3);
        assert_eq!(
            (found[0].encoding.as_str(), found[0].size, found[0].fps),
            ("H265", Some((2560, 360)), Some(12.5))
        );
        let url = |token: &str| Url::parse(&format!("rtsp://a/{token}")).expect("an address");
        let views = views(found.into_iter().map(|profile| (profile.clone(), url(&profile.token))).collect());
        assert_eq!(views.iter().map(|view| view.streams.len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn an_address_of_another_kind_is_none() {
        let answer = |uri: &str| {
            format!(
                "<a><GetStreamUriResponse><MediaUri><Uri>{uri}</Uri></MediaUri></GetStreamUriResponse></a>"
            )
        };
        let good = stream_address(&answer("rtsp://a:554/s?x=1&amp;y=2")).expect("an address");
        assert_eq!(good.as_str(), "rtsp://a:554/s?x=1&y=2");
        for bad in ["", "http://a/", "rtsp:///x", "javascript:alert(1)", "rtsp://"] {
            assert_eq!(stream_address(&answer(bad)), None, "{bad}");
        }
    }
}
