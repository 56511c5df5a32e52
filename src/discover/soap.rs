//! One question to a camera and its answer: SOAP 1.2 over HTTP, signed with a digest of the password (WS-Security UsernameToken
//! profile 1.0), or where a camera wants that, by HTTP digest. HTTP basic would hand the password to whoever claims to be a camera.
//!
//! A digest carries the time, and a camera refuses one that is too old by its own clock; cameras without NTP are years off. So the
//! camera is asked for its time first, and digests are made for that.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_auth::{PasswordClient, PasswordParams};
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use secrecy::ExposeSecret as _;
use url::{Position, Url};

use super::DiscoverError;
use super::xml::{first, number, parse, text};
use crate::config::Credentials;
use crate::http::plain_client;

/// One answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest are some 100 kB: the profiles of a recorder.
const MOST_BYTES: usize = 1 << 20;

/// Why a camera did not answer as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It wants a user and password, or others.
    Login,
    /// It does not answer at all.
    Silent(String),
    /// Anything else.
    Other(String),
}

impl Refusal {
    /// For people.
    pub(super) fn describe(&self, logged_in: bool) -> String {
        match self {
            Self::Login if logged_in => {
                "refuses user or password; some cameras have users of their own for ONVIF".to_owned()
            }
            Self::Login => {
                "asks for a user; give --username, and --password-env or --password-file".to_owned()
            }
            Self::Silent(what) | Self::Other(what) => what.clone(),
        }
    }
}

/// Who asks.
pub(super) struct Caller<'c> {
    client: Client,
    credentials: Option<&'c Credentials>,
    /// The camera's clock minus ours.
    pub(super) skew: SignedDuration,
    login: Option<PasswordClient>,
}

/// For all cameras. They speak plain HTTP.
pub(super) fn client() -> Result<Client, DiscoverError> {
    plain_client(PATIENCE).map_err(|error| DiscoverError::Client(error.to_string()))
}

impl<'c> Caller<'c> {
    pub(super) fn new(client: Client, credentials: Option<&'c Credentials>) -> Self {
        Self { client, credentials, skew: SignedDuration::ZERO, login: None }
    }

    /// Learns the camera's time, which it tells everybody; one that does not is taken to be right. Fails if it is silent.
    pub(super) async fn learn_time(&mut self, service: &Url) -> Result<(), Refusal> {
        const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
        let body = format!("<GetSystemDateAndTime xmlns=\"{DEVICE}\"/>");
        let credentials = self.credentials.take();
        let answer = self.ask(service, &format!("{DEVICE}/GetSystemDateAndTime"), &body).await;
        self.credentials = credentials;
        match answer {
            Ok(answer) => {
                let skew = camera_time(&answer).map(|time| time.duration_since(Timestamp::now()));
                self.skew = skew.unwrap_or_default();
                Ok(())
            }
            Err(Refusal::Silent(what)) => Err(Refusal::Silent(what)),
            Err(Refusal::Login | Refusal::Other(_)) => Ok(()),
        }
    }

    /// The answer's text, which is XML and no fault.
    pub(super) async fn ask(&mut self, service: &Url, action: &str, body: &str) -> Result<String, Refusal> {
        let mut answer = self.send(service, action, body).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.credentials.is_some() {
            let mut challenges = PasswordClient::builder();
            for value in answer.headers().get_all(WWW_AUTHENTICATE) {
                challenges = challenges.challenges(value.to_str().unwrap_or_default());
            }
            let login = challenges.build().map_err(|_| Refusal::Login)?;
            if !matches!(login, PasswordClient::Digest(_)) {
                return Err(Refusal::Other(
                    "wants the password itself, which is not shown around".to_owned(),
                ));
            }
            self.login = Some(login);
            answer = self.send(service, action, body).await?;
        }
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                return Err(Refusal::Other("answers with more than 1 MB".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Refusal::Login);
        }
        if let Some(refusal) = fault(&text) {
            return Err(refusal);
        }
        if status.is_success() { Ok(text) } else { Err(Refusal::Other(format!("answers with {status}"))) }
    }

    async fn send(&mut self, service: &Url, action: &str, body: &str) -> Result<Response, Refusal> {
        let envelope = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">{}<s:Body>{body}</s:Body></s:Envelope>",
            self.credentials.map(|who| self.header(who)).unwrap_or_default()
        );
        let kind = format!("application/soap+xml; charset=utf-8; action=\"{action}\"");
        let mut request = self.client.post(service.clone()).header(CONTENT_TYPE, kind);
        if let (Some(login), Some(who)) = (&mut self.login, self.credentials) {
            let authorization = login.respond(&PasswordParams {
                username: &who.username,
                password: who.password.expose_secret(),
                uri: &service[Position::BeforePath..Position::AfterQuery],
                method: "POST",
                body: Some(envelope.as_bytes()),
            });
            request = request.header(AUTHORIZATION, authorization.map_err(|_| Refusal::Login)?);
        }
        request.body(envelope).send().await.map_err(failed)
    }

    fn header(&self, who: &Credentials) -> String {
        let mut nonce = [0; 16];
        if getrandom::fill(&mut nonce).is_err() {
            // Without chance the time makes it another one each time, which is all it is for.
            nonce = Timestamp::now().as_nanosecond().to_le_bytes();
        }
        let created = Timestamp::now().checked_add(self.skew).unwrap_or_else(|_| Timestamp::now());
        let created = created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        token(&who.username, who.password.expose_secret(), &nonce, &created)
    }
}

/// The header of WS-Security: the digest is of the nonce, the time and the password.
fn token(username: &str, password: &str, nonce: &[u8], created: &str) -> String {
    const BASE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in [nonce, created.as_bytes(), password.as_bytes()] {
        digest.update(part);
    }
    let (digest, nonce) = (BASE64.encode(digest.finish()), BASE64.encode(nonce));
    format!(
        "<s:Header><Security s:mustUnderstand=\"1\" xmlns=\"{BASE}-wssecurity-secext-1.0.xsd\"><UsernameToken>\
         <Username>{}</Username><Password Type=\"{BASE}-username-token-profile-1.0#PasswordDigest\">{digest}</Password>\
         <Nonce EncodingType=\"{BASE}-soap-message-security-1.0#Base64Binary\">{nonce}</Nonce>\
         <Created xmlns=\"{BASE}-wssecurity-utility-1.0.xsd\">{created}</Created></UsernameToken></Security></s:Header>",
        escape(username)
    )
}

/// Text as it stands in XML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// What a fault says; `None` if it is none.
pub(super) fn fault(answer: &str) -> Option<Refusal> {
    let Some(document) = parse(answer) else {
        return Some(Refusal::Other("does not answer as an ONVIF camera does".to_owned()));
    };
    let fault = first(document.root(), "Fault")?;
    let words: String = fault.descendants().filter_map(|node| node.text()).collect::<Vec<_>>().join(" ");
    let login =
        ["NotAuthorized", "FailedAuthentication", "not authorized", "Unauthorized", "InvalidSecurity"];
    let words = words.to_ascii_lowercase();
    if login.iter().any(|word| words.contains(&word.to_ascii_lowercase())) {
        return Some(Refusal::Login);
    }
    let said =
        text(fault, "Text").or_else(|| text(fault, "faultstring")).unwrap_or_else(|| "no reason".to_owned());
    Some(Refusal::Other(format!("refuses: {said}")))
}

pub(super) fn camera_time(answer: &str) -> Option<Timestamp> {
    let document = parse(answer)?;
    let utc = first(document.root(), "UTCDateTime")?;
    let part = |name| number::<i16>(utc, name);
    let small = |name| part(name).and_then(|value| i8::try_from(value).ok());
    let (month, day, hour, minute) = (small("Month")?, small("Day")?, small("Hour")?, small("Minute")?);
    let second = small("Second")?.min(59);
    let time = civil::DateTime::new(part("Year")?, month, day, hour, minute, second, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Never with the address.
fn failed(error: reqwest::Error) -> Refusal {
    let error = error.without_url();
    if error.is_timeout() {
        return Refusal::Silent(format!("does not answer within {} s", PATIENCE.as_secs()));
    }
    let cause = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source()).last();
    let cause = cause.map(ToString::to_string).unwrap_or_default();
    Refusal::Silent(format!("does not answer over HTTP: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_specification() {
        // The example of the ONVIF Application Programmer's Guide, 6.1.1.3.
        let nonce = BASE64.decode("LKqI6G/AikKCQrN0zqZFlg==").expect("base64");
        let header = token("user", "userpassword", &nonce, "2010-09-16T07:50:45Z");
        assert!(header.contains(">tuOSpGlFlIXsozq4HFNeeGeFLEI=<"), "{header}");
        assert!(!header.contains("userpassword"));
    }

    #[test]
    fn faults_are_told_apart() {
        let answer = |code: &str, said: &str| {
            format!(
                "<s:Envelope xmlns:s='u'><s:Body><s:Fault><s:Code><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code>\
                 <s:Reason><s:Text>{said}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"
            )
        };
        assert_eq!(fault(&answer("ter:NotAuthorized", "Sender not Authorized")), Some(Refusal::Login));
        assert_eq!(fault(&answer("ter:Other", "busy")), Some(Refusal::Other("refuses: busy".to_owned())));
        assert_eq!(fault("<s:Envelope xmlns:s='u'/>"), None);
        assert!(matches!(fault("<html>"), Some(Refusal::Other(_))));
    }

    #[test]
    fn a_cameras_time_is_read_and_nonsense_is_not() {
        let answer = |year: &str, hour: &str| {
            format!(
                "<a><UTCDateTime><Time><Hour>{hour}</Hour><Minute>2</Minute><Second>60</Second></Time>\
                 <Date><Year>{year}</Year><Month>1</Month><Day>1</Day></Date></UTCDateTime></a>"
            )
        };
        let time = camera_time(&answer("1970", "0")).expect("a time");
        assert_eq!(time.as_second(), 179);
        for (year, hour) in [("1970", "25"), ("x", "1"), ("99999", "1"), ("1970", "-1")] {
            assert_eq!(camera_time(&answer(year, hour)), None);
        }
    }
}
