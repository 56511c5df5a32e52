//! One camera is asked for its services, its model and its streams.

use jiff::SignedDuration;
use reqwest::Client;
use url::Url;

use super::address::{Mended, mend};
use super::media::{Media, View, profiles, stream_address, views};
use super::soap::{Caller, Refusal};
use super::ws::Announced;
use super::xml::{all, first, parse, printable, text};
use crate::config::Credentials;

const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
/// A clock that is off by less does not matter to anybody.
const CLOCK_OFF: SignedDuration = SignedDuration::from_secs(60);

/// A camera on the network.
#[derive(Debug, Clone)]
pub struct NetworkCamera {
    /// Its address.
    pub host: String,
    /// Its device service.
    pub service: Url,
    /// What its owner called it, else its model.
    pub name: Option<String>,
    /// Maker and model.
    pub model: Option<String>,
    /// One for each lens. Empty if it does not tell.
    pub views: Vec<View>,
    /// Why it does not.
    pub problem: Option<String>,
    /// What is odd about it.
    pub remarks: Vec<String>,
}

impl NetworkCamera {
    pub(super) fn silent(announced: &Announced) -> Self {
        Self {
            host: announced.host.clone(),
            service: announced.service.clone(),
            name: announced.name.clone(),
            model: announced.hardware.clone(),
            views: Vec::new(),
            problem: Some("takes too long to answer".to_owned()),
            remarks: Vec::new(),
        }
    }
}

/// Asks for everything.
pub(super) async fn ask(
    announced: Announced,
    client: Client,
    credentials: Option<&Credentials>,
) -> NetworkCamera {
    let mut camera = NetworkCamera { problem: None, ..NetworkCamera::silent(&announced) };
    let mut caller = Caller::new(client, credentials);
    if let Err(refusal) = caller.learn_time(&announced.service).await {
        return NetworkCamera { problem: Some(refusal.describe(false)), ..camera };
    }
    if caller.skew.abs() > CLOCK_OFF {
        camera.remarks.push(format!(
            "its clock is {} {}; switch its NTP on",
            lasting(caller.skew.abs()),
            if caller.skew.is_negative() { "behind" } else { "ahead" }
        ));
    }
    let outcome = fill(&mut camera, &mut caller).await;
    camera.problem = match outcome {
        Err(refusal) => Some(refusal.describe(credentials.is_some())),
        Ok(()) if camera.views.is_empty() => Some("offers no RTSP stream".to_owned()),
        Ok(()) => None,
    };
    camera
}

async fn fill(camera: &mut NetworkCamera, caller: &mut Caller<'_>) -> Result<(), Refusal> {
    let services = services(camera, caller).await?;
    let question = format!("<GetDeviceInformation xmlns=\"{DEVICE}\"/>");
    if let Ok(answer) =
        caller.ask(&camera.service, &format!("{DEVICE}/GetDeviceInformation"), &question).await
    {
        camera.model = model(&answer).or(camera.model.take());
    }
    camera.name = camera.name.take().or_else(|| camera.model.clone());
    let mut refusal = None;
    for (media, service) in services {
        match streams(camera, caller, media, &service).await {
            Ok(views) if !views.is_empty() => {
                camera.views = views;
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => refusal = Some(error),
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// Where the camera tells its profiles: Media 2 first, which knows more.
async fn services(camera: &NetworkCamera, caller: &mut Caller<'_>) -> Result<Vec<(Media, Url)>, Refusal> {
    let question =
        format!("<GetServices xmlns=\"{DEVICE}\"><IncludeCapability>false</IncludeCapability></GetServices>");
    let answer = caller.ask(&camera.service, &format!("{DEVICE}/GetServices"), &question).await;
    let mut found = answer.map(|answer| named_services(&answer)).unwrap_or_default();
    if found.is_empty() {
        // Cameras from before 2011 know only this question.
        let question =
            format!("<GetCapabilities xmlns=\"{DEVICE}\"><Category>All</Category></GetCapabilities>");
        let answer = caller.ask(&camera.service, &format!("{DEVICE}/GetCapabilities"), &question).await?;
        found = capability(&answer).into_iter().collect();
    }
    if found.is_empty() {
        return Err(Refusal::Other("tells no media service".to_owned()));
    }
    for (_, url) in &mut found {
        // It has answered at `service`, so its other services are on the same host, whatever it calls itself.
        let _ = url.set_host(camera.service.host_str());
    }
    Ok(found)
}

pub(super) fn named_services(answer: &str) -> Vec<(Media, Url)> {
    let Some(document) = parse(answer) else { return Vec::new() };
    let service = |media: Media| {
        let node = all(document.root(), "Service")
            .find(|node| text(*node, "Namespace").as_deref() == Some(media.namespace()))?;
        Some((media, http(&text(node, "XAddr")?)?))
    };
    [Media::Two, Media::One].into_iter().filter_map(service).collect()
}

pub(super) fn capability(answer: &str) -> Option<(Media, Url)> {
    let document = parse(answer)?;
    let media = first(document.root(), "Media")?;
    Some((Media::One, http(&text(media, "XAddr")?)?))
}

fn http(address: &str) -> Option<Url> {
    Url::parse(address).ok().filter(|url| url.scheme() == "http" && url.has_host())
}

pub(super) fn model(answer: &str) -> Option<String> {
    let document = parse(answer)?;
    let (maker, model) = (text(document.root(), "Manufacturer"), text(document.root(), "Model"));
    printable(&[maker, model].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

async fn streams(
    camera: &mut NetworkCamera,
    caller: &mut Caller<'_>,
    media: Media,
    service: &Url,
) -> Result<Vec<View>, Refusal> {
    let action = |name: &str| format!("{}/{name}", media.namespace());
    let answer = caller.ask(service, &action("GetProfiles"), &media.profiles()).await?;
    let mut streams = Vec::new();
    for profile in profiles(&answer) {
        let question = media.stream_uri(&profile.token);
        let answer = caller.ask(service, &action("GetStreamUri"), &question).await;
        let Some(url) = answer.ok().and_then(|answer| stream_address(&answer)) else { continue };
        let (url, mended) = mend(url, &camera.host);
        let remark = match mended {
            Mended::No => None,
            Mended::Host(was) => {
                Some(format!("gives its streams the host {was}; its address stands there now"))
            }
            Mended::Elsewhere(host) => Some(format!(
                "says that its streams are at {host}; if nothing answers there, try {}",
                camera.host
            )),
        };
        camera.remarks.extend(remark.filter(|remark| !camera.remarks.contains(remark)));
        streams.push((profile, url));
    }
    Ok(views(streams))
}

/// A length of time for people, in its largest unit.
fn lasting(time: SignedDuration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        i64::MIN..120 => format!("{minutes} minutes"),
        120..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_in_both_answers() {
        let service = |namespace: &str| {
            format!("<Service><Namespace>{namespace}</Namespace><XAddr>http://a/m</XAddr></Service>")
        };
        let answer = format!("<r>{}{}</r>", service(Media::One.namespace()), service(Media::Two.namespace()));
        let found: Vec<Media> = named_services(&answer).into_iter().map(|(media, _)| media).collect();
        assert_eq!(found, [Media::Two, Media::One]);
        let answer = "<r><Capabilities><Media><XAddr>http://a/m</XAddr></Media></Capabilities></r>";
        assert_eq!(capability(answer).map(|(media, _)| media), Some(Media::One));
        assert_eq!(capability("<r><Media><XAddr>file:///etc</XAddr></Media></r>"), None);
    }

    #[test]
    fn lengths_of_time_are_told_in_their_unit() {
        for (secs, told) in [(3700, "61 minutes"), (20_000, "5 hours"), (900_000, "10 days")] {
            assert_eq!(lasting(SignedDuration::from_secs(secs)), told);
        }
    }
}
