//! The guard and the client together: every spelling of what is forbidden, the three modes, names that change their mind.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::guard::Rule;
use super::resolve::SystemNames;
use super::{Client, Clients, Guard};
use crate::config::Config;
use crate::delivery::failure::Failure;

fn config(more: &str) -> Config {
    let text = format!("{more}\n[[webhook]]\nid = \"hook\"\nurl = \"http://placeholder/\"\nsecret = \"x\"\n");
    Config::parse(&text).unwrap_or_else(|error| unreachable!("{error}"))
}

fn guard(more: &str) -> Guard {
    Guard::new(&config(more))
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// What stands against an address.
fn rule(guard: &Guard, text: &str) -> Option<Rule> {
    guard.target(&url(text)).err().map(|blocked| blocked.rule)
}

/// One IPv4 address in the ways that `http` addresses allow.
fn spellings(address: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = address;
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let whole = u32::from_be_bytes(address);
    let wide = |text: String| -> String {
        text.chars().map(|c| c.to_digit(10).and_then(|n| char::from_u32(0xff10 + n)).unwrap_or(c)).collect()
    };
    let dotted = format!("{a}.{b}.{c}.{d}");
    vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("{whole:#o}").replace("0o", "0"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a}.{b:#x}.0{c:o}.{d}"),
        format!("{a}.{b}.{low}"),
        format!("{a}.{}", whole & 0x00ff_ffff),
        format!("%{:02x}{}", dotted.as_bytes()[0], &dotted[1..]),
        wide(format!("{a}.{b}.{c}.{d}")),
        format!("{a}。{b}。{c}。{d}"),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:04x}:{low:04x}]"),
        format!("[::{a}.{b}.{c}.{d}]"),
        format!("[64:ff9b::{a}.{b}.{c}.{d}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:1:2:3:4:{:x}:{:x}]", !high, !low),
    ]
}

#[test]
fn guard_forbidden_addresses_are_refused_in_every_spelling_and_mode() {
    for mode in ["lan", "public", "strict"] {
        // Not even a list that allows everything allows these.
        let guard = guard(&format!("[outbound]\nmode = \"{mode}\"\nallow = [\"0.0.0.0/0\", \"::/0\"]"));
        for (address, expected) in [
            ([169, 254, 169, 254], Rule::Metadata),
            ([100, 100, 100, 200], Rule::Metadata),
            ([169, 254, 1, 1], Rule::LinkLocal),
            ([224, 0, 0, 251], Rule::NoMachine),
            ([239, 255, 255, 250], Rule::NoMachine),
            ([255, 255, 255, 255], Rule::NoMachine),
            ([240, 0, 0, 1], Rule::NoMachine),
        ] {
            for spelling in spellings(address) {
                for scheme in ["http", "https"] {
                    let text = format!("{scheme}://{spelling}:8123/x");
                    assert_eq!(rule(&guard, &text), Some(expected), "{mode}: {text}");
                }
            }
        }
        for (text, expected) in [
            ("http://0/", Rule::NoMachine),
            ("http://0.0.0.0/", Rule::NoMachine),
            ("http://0x0/", Rule::NoMachine),
            ("http://0.1.2.3/", Rule::NoMachine),
            ("http://[::]/", Rule::NoMachine),
            ("http://[::ffff:0:0]/", Rule::NoMachine),
            ("http://[64:ff9b::]/", Rule::NoMachine),
            ("http://[ff02::fb]/", Rule::NoMachine),
            ("http://[fe80::1]/", Rule::LinkLocal),
            ("http://[FEBF::1]/", Rule::LinkLocal),
            ("http://[fd00:ec2::254]/", Rule::Metadata),
            ("http://[fd00:0ec2:0:0:0:0:0:0254]/", Rule::Metadata),
        ] {
            assert_eq!(rule(&guard, text), Some(expected), "{mode}: {text}");
        }
    }
}

#[test]
fn guard_neighbours_loopback_and_the_internet_are_reached_by_default() {
    let guard = guard("");
    for text in [
        "http://homeassistant.local:8123/api/webhook/x",
        "http://192.168.1.20:8080/",
        "http://10.0.0.1/",
        "http://172.16.4.4/",
        "http://100.64.0.9/",
        "http://[fd12::1]/",
        "http://127.0.0.1:1880/",
        "http://localhost:1880/",
        "http://[::1]:1880/",
        "https://example.com/",
        "https://1.1.1.1/",
        "https://abc-def-123.ngrok-free.app/argusai-webhook",
    ] {
        assert_eq!(rule(&guard, text), None, "{text}");
    }
}

#[test]
fn guard_link_local_is_reached_where_the_user_says_so_and_metadata_still_is_not() {
    let guard = guard("[outbound]\nallow_link_local = true");
    for text in ["http://169.254.7.7/", "http://[fe80::1]/", "http://[::ffff:169.254.7.7]/"] {
        assert_eq!(rule(&guard, text), None, "{text}");
    }
    for spelling in spellings([169, 254, 169, 254]) {
        assert_eq!(rule(&guard, &format!("http://{spelling}/")), Some(Rule::Metadata), "{spelling}");
    }
}

#[test]
fn guard_public_mode_reaches_the_internet_and_what_is_allowed() {
    let more = "[outbound]\nmode = \"public\"\nallow = [\"192.168.1.0/24\", \"nas.lan\", \"*.corp.example\"]";
    let guard = guard(more);
    for spelling in spellings([10, 0, 0, 1]).into_iter().chain(spellings([127, 0, 0, 1])) {
        assert_eq!(rule(&guard, &format!("http://{spelling}/")), Some(Rule::NotPublic), "{spelling}");
    }
    for spelling in spellings([8, 8, 8, 8]) {
        assert_eq!(rule(&guard, &format!("http://{spelling}/")), None, "{spelling}");
    }
    assert_eq!(rule(&guard, "http://192.168.1.9/"), None);
    assert_eq!(rule(&guard, "http://192.168.2.9/"), Some(Rule::NotPublic));
    let reaches = |name: &str, address: &str| {
        let target = guard.target(&url(name)).unwrap_or_else(|error| unreachable!("{error}"));
        guard
            .check(&target, address.parse().unwrap_or(IpAddr::from([0, 0, 0, 0])))
            .map_err(|blocked| blocked.rule)
    };
    assert_eq!(reaches("http://NAS.lan./", "10.0.0.5"), Ok(()));
    assert_eq!(reaches("http://a.corp.example/", "fd00::5"), Ok(()));
    assert_eq!(reaches("http://corp.example/", "10.0.0.5"), Err(Rule::NotPublic));
    assert_eq!(reaches("http://nas.lan/", "169.254.169.254"), Err(Rule::Metadata));
}

#[test]
fn guard_strict_mode_reaches_the_list_only_and_deny_wins() {
    let more = "[outbound]\nmode = \"strict\"\nallow = [\"10.0.0.0/8\", \"hooks.example\"]\ndeny = [\"10.9.0.0/16\", \"*.bad.example\"]";
    let guard = guard(more);
    for (text, expected) in [
        ("http://10.1.2.3/", None),
        ("http://[::ffff:10.1.2.3]/", None),
        ("http://8.8.8.8/", Some(Rule::NotOnTheList)),
        ("http://127.0.0.1/", Some(Rule::NotOnTheList)),
        ("http://10.9.2.3/", Some(Rule::Denied)),
        ("http://[::ffff:10.9.2.3]/", Some(Rule::Denied)),
        ("http://[64:ff9b::10.9.2.3]/", Some(Rule::Denied)),
        ("http://a.bad.example/", Some(Rule::Denied)),
        ("http://A.BAD.example./", Some(Rule::Denied)),
        ("http://hooks.example/", None),
    ] {
        assert_eq!(rule(&guard, text), expected, "{text}");
    }
    let other = guard.target(&url("http://other.example/")).unwrap_or_else(|error| unreachable!("{error}"));
    let refused = guard.check(&other, IpAddr::from([8, 8, 8, 8])).map_err(|blocked| blocked.rule);
    assert_eq!(refused, Err(Rule::NotOnTheList));
}

#[test]
fn guard_the_agents_own_api_is_not_reached_but_for_the_inspector() {
    let own: Vec<String> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .filter(|own| !own.is_link_local())
        .map(|own| SocketAddr::new(own.ip(), 8420).to_string())
        .chain(spellings([127, 0, 0, 1]).into_iter().map(|spelling| format!("{spelling}:8420")))
        .chain(["127.8.8.8:8420", "[::1]:8420"].map(ToOwned::to_owned))
        .collect();
    let (off, on) = (guard(""), guard("[inspector]\nenabled = true"));
    for host in own {
        let text = |path: &str| format!("http://{host}{path}");
        for path in [
            "/",
            "/api/v1/webhooks",
            "/webhook-test/../api/v1/webhooks",
            "/webhook-test/%2e%2e/api",
            "/webhook-test/logs",
        ] {
            assert_eq!(rule(&off, &text(path)), Some(Rule::OwnApi), "{host}{path}");
            assert_eq!(rule(&on, &text(path)), Some(Rule::OwnApi), "{host}{path}");
        }
        for path in ["/webhook-test", "/webhook-test/", "/webhook-test?status=503"] {
            assert_eq!(rule(&off, &text(path)), Some(Rule::OwnApi), "{host}{path}");
            assert_eq!(rule(&on, &text(path)), None, "{host}{path}");
        }
    }
    assert_eq!(rule(&off, "http://127.0.0.1:8421/"), None);
    assert_eq!(rule(&off, "http://203.0.113.77:8420/"), None);
}

#[test]
fn guard_only_http_and_https_to_a_fixed_host() {
    let (guard, https_only) = (guard(""), guard("[outbound]\nhttps_only = true"));
    for text in ["ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:25/x", "ws://example.com/"] {
        assert_eq!(rule(&guard, text), Some(Rule::Scheme), "{text}");
    }
    for text in ["http://{{event.host}}/", "http://a.{{x}}.example/", "https://a$b/", "http://a'b/"] {
        assert_eq!(rule(&guard, text), Some(Rule::Host), "{text}");
    }
    assert_eq!(rule(&guard, "http://example.com/{{event.id}}?x={{event.type}}"), None);
    assert_eq!(rule(&https_only, "http://example.com/"), Some(Rule::HttpsOnly));
    assert_eq!(rule(&https_only, "https://example.com/"), None);
}

/// A name server at the lowest seam: each look-up takes the next answer.
struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

impl Resolve for Answers {
    fn resolve(&self, _: Name) -> Resolving {
        let next = self.0.lock().ok().and_then(|mut answers| answers.pop_front()).unwrap_or_default();
        let addresses = next.into_iter().map(|address| SocketAddr::new(address, 0));
        Box::pin(async move { Ok(Box::new(addresses) as Addrs) })
    }
}

fn answers(answers: &[&[&str]]) -> Arc<dyn Resolve> {
    let parse = |texts: &&[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    Arc::new(Answers(Mutex::new(answers.iter().map(parse).collect())))
}

/// Answers one request a connection, on any number of connections.
async fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Ok(mut seen) = shared.lock() {
                seen.push(text);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
        }
    });
    (port, seen)
}

async fn post(client: &Client) -> Result<u16, (&'static str, String)> {
    let sent = client.request(Method::POST).body("x").send().await;
    let sent = sent.map_err(Failure::of_error).map_err(|failure| (failure.code, failure.message))?;
    Ok(sent.status().as_u16())
}

fn client(more: &str, text: &str, names: Arc<dyn Resolve>) -> Client {
    let config = config(more);
    let made = Clients::new(&config).client_asking(&config.webhooks[0], &url(text), names);
    made.unwrap_or_else(|(key, message)| unreachable!("{key}: {message}"))
}

#[tokio::test]
async fn guard_a_name_that_changes_its_mind_gains_nothing() {
    let (port, seen) = server().await;
    let names = answers(&[&["127.0.0.1"], &["169.254.169.254"], &["::ffff:169.254.169.254"], &["127.0.0.1"]]);
    let client = client("", &format!("http://rebinding.example:{port}/hook"), names);
    assert_eq!(post(&client).await, Ok(200));
    for address in ["169.254.169.254", "::ffff:169.254.169.254"] {
        let (code, message) = post(&client).await.expect_err("refused");
        assert_eq!(code, "ssrf_blocked", "{message}");
        assert_eq!(message, format!("`{address}` may not be reached: a cloud metadata address"));
    }
    assert_eq!(post(&client).await, Ok(200));
    assert_eq!(seen.lock().expect("no panic").len(), 2);
}

#[tokio::test]
async fn guard_of_good_and_bad_addresses_only_the_good_are_connected_to() {
    let (port, seen) = server().await;
    let names =
        answers(&[&["169.254.169.254", "fe80::1", "127.0.0.1", "0.0.0.0"], &["0.0.0.0", "fe80::1"], &[]]);
    let client = client("", &format!("http://mixed.example:{port}/hook"), names);
    assert_eq!(post(&client).await, Ok(200));
    // 0.0.0.0 would have led to the same server.
    assert_eq!(post(&client).await.expect_err("refused").0, "ssrf_blocked");
    assert_eq!(post(&client).await.expect_err("no address").0, "dns_error");
    assert_eq!(seen.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn guard_names_are_held_to_the_mode_by_their_addresses() {
    let (port, seen) = server().await;
    let text = format!("http://localhost:{port}/hook");
    let public = client("[outbound]\nmode = \"public\"", &text, Arc::new(SystemNames));
    let (code, message) = post(&public).await.expect_err("refused");
    assert_eq!(code, "ssrf_blocked", "{message}");
    assert!(public.connect().await.is_err());
    assert!(seen.lock().expect("no panic").is_empty());
    let lan = client("", &text, Arc::new(SystemNames));
    assert_eq!(post(&lan).await, Ok(200));
    assert!(lan.connect().await.is_ok());
}

/// The same holds for hosts that are addresses, should what may be reached have changed since the client was made: such hosts
/// never come to a resolver.
#[tokio::test]
async fn guard_addresses_are_checked_in_the_connector_too() {
    let (port, seen) = server().await;
    let (lenient, strict) = (config(""), config("[outbound]\nmode = \"strict\""));
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let text = url(&format!("http://{host}:{port}/hook"));
        let place = Guard::new(&lenient).target(&text).expect("allowed then");
        let client =
            Clients::new(&strict).client_of(&strict.webhooks[0], &text, vec![place], Arc::new(SystemNames));
        let client = client.unwrap_or_else(|(key, message)| unreachable!("{key}: {message}"));
        assert_eq!(post(&client).await.expect_err("refused").0, "ssrf_blocked", "{host}");
        assert!(client.connect().await.is_err());
    }
    assert!(seen.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn guard_a_proxy_is_held_to_the_same_rules_and_so_is_what_lies_behind_it() {
    let (port, seen) = server().await;
    let mut config = config("");
    let clients = Clients::new(&config);
    let problem = |config: &Config, text: &str| {
        let made = clients.client_asking(&config.webhooks[0], &url(text), Arc::new(SystemNames));
        made.map(|_| ()).expect_err("refused")
    };
    config.webhooks[0].proxy = Some(url("http://169.254.169.254:3128"));
    assert_eq!(problem(&config, "http://example.com/").0, "proxy");
    config.webhooks[0].proxy = Some(url("http://127.0.0.1:8420"));
    assert_eq!(problem(&config, "http://example.com/").0, "proxy");
    config.webhooks[0].proxy = Some(url("socks5://127.0.0.1:1080"));
    assert_eq!(problem(&config, "http://example.com/").0, "proxy");
    config.webhooks[0].proxy = Some(url(&format!("http://user:pass@proxy.example:{port}")));
    assert_eq!(problem(&config, "http://169.254.169.254/latest/meta-data").0, "url");
    assert_eq!(problem(&config, "http://[::ffff:a9fe:a9fe]/latest/meta-data").0, "url");

    let names = answers(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let made =
        clients.client_asking(&config.webhooks[0], &url("http://receiver.example/hook?token=x"), names);
    let client = made.unwrap_or_else(|(key, message)| unreachable!("{key}: {message}"));
    assert_eq!(post(&client).await, Ok(200));
    assert_eq!(post(&client).await.expect_err("refused").0, "ssrf_blocked");
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with("POST http://receiver.example/hook?token=x HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz"), "{}", seen[0]);
}
