//! Where messages may go and how they get there: the guard, plain HTTP, `.local` names, the source address, health checks.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdns_sd::{ServiceDaemon, ServiceInfo};
use porchlight::config::{Config, HealthConfig, HealthMethod, Reach};
use porchlight::delivery::{Health, Look, Registry, Seen, Webhooks};
use porchlight::model::WebhookId;
use tokio_util::sync::CancellationToken;

use crate::agent::{config, event, first_attempt};
use crate::receiver::{Receiver, Reply};

const ONCE: &str = "timeout_s = 5\nretry_schedule_s = []";

fn hook(url: &str) -> Config {
    config(&[("hook", url)], ONCE)
}

/// Answers 200 on all addresses of this machine, and tells whom it saw.
fn listener() -> (u16, Arc<Mutex<Vec<IpAddr>>>) {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            shared.lock().unwrap().push(stream.peer_addr().unwrap().ip().to_canonical());
            let _ = BufReader::new(&stream).lines().map_while(Result::ok).find(String::is_empty);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (port, seen)
}

#[test]
fn guard_a_name_that_leads_where_it_may_not_is_an_attempt_that_failed_with_ssrf_blocked() {
    let (port, seen) = listener();
    let mut config = hook(&format!("http://localhost:{port}/hook?token=url-secret"));
    config.outbound.mode = Reach::Public;
    let attempt = first_attempt(&config, &event());
    assert_eq!(attempt.error_code.as_deref(), Some("ssrf_blocked"));
    let message = attempt.error_message.expect("a reason");
    assert!(message.contains("not an address of the internet") && !message.contains("secret"), "{message}");
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn guard_an_address_that_may_not_be_reached_is_a_problem_of_the_configuration() {
    for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "0xa9fea9fe", "0.0.0.0", "127.0.0.1:8420"] {
        let problems = Webhooks::compile(&hook(&format!("http://{host}/x?token=secret"))).expect_err(host);
        assert_eq!(problems[0].key, "webhook[1].url");
        let message = &problems[0].message;
        assert!(message.contains("may not be reached") && !message.contains("secret"), "{message}");
    }
}

#[test]
fn s1_30_plain_http_can_be_refused() {
    let mut config = hook("http://192.168.1.20/hook");
    config.outbound.https_only = true;
    let problems = Webhooks::compile(&config).expect_err("refused");
    assert!(problems[0].message.contains("outbound.https_only"), "{problems:?}");
}

#[test]
fn s1_33_requests_come_from_the_address_that_is_set() {
    let (port, seen) = listener();
    let mut config = hook(&format!("http://localhost:{port}/hook"));
    config.outbound.local_address = Some(IpAddr::from([127, 7, 7, 7]));
    assert_eq!(first_attempt(&config, &event()).status_code, Some(200));
    assert_eq!(*seen.lock().unwrap(), [IpAddr::from([127, 7, 7, 7])]);
}

/// A machine announces itself as Home Assistant does, and is found by asking the network.
#[test]
fn s1_25_a_local_name_is_found_by_multicast() {
    let (port, seen) = listener();
    let name = format!("porchlight-test-{}.local", std::process::id());
    let daemon = ServiceDaemon::new().unwrap();
    let service =
        ServiceInfo::new("_http._tcp.local.", "porchlight-test", &format!("{name}."), "", port, None);
    daemon.register(service.unwrap().enable_addr_auto()).unwrap();
    let config = hook(&format!("http://{name}:{port}/api/webhook/argusai_alerts"));
    let attempt = first_attempt(&config, &event());
    assert_eq!(attempt.status_code, Some(200), "{attempt:?}");
    assert_eq!(seen.lock().unwrap().len(), 1);

    // What the network says is not believed more than anything else.
    let mut public = config;
    public.outbound.mode = Reach::Public;
    assert_eq!(first_attempt(&public, &event()).error_code.as_deref(), Some("ssrf_blocked"));
    daemon.shutdown().unwrap();

    let nobody = hook("http://porchlight-nobody-has-this-name.local/x");
    let attempt = first_attempt(&nobody, &event());
    assert_eq!(attempt.error_code.as_deref(), Some("dns_error"), "{attempt:?}");
    assert!(attempt.duration < Duration::from_secs(4), "{attempt:?}");
}

fn health(config: &Config) -> Health {
    Health::new(Registry::new(Webhooks::compile(config).expect("valid")))
}

fn id() -> WebhookId {
    WebhookId::parse("hook").unwrap()
}

fn look(config: &Config) -> Look {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(health(config).of(&id())).expect("a webhook")
}

#[test]
fn s5_24_a_look_is_a_head_request_with_the_users_headers_and_nothing_more() {
    let receiver = Receiver::start(|_, _| Reply::Answer("HTTP/1.1 204 Fine\r\nx: y".to_owned(), vec![]));
    let more = format!("{ONCE}\n[webhook.headers]\nAuthorization = \"Bearer your-token\"");
    let found = look(&config(&[("hook", &receiver.url)], &more));
    assert_eq!((found.status(), &found.seen), ("healthy", &Seen::Answer(204)));
    let request = receiver.requests().remove(0);
    assert_eq!(request.request_line, "HEAD /hook?token=url-secret HTTP/1.1");
    assert_eq!(request.header("Authorization"), Some("Bearer your-token"));
    assert_eq!((request.header("X-ArgusAI-Signature"), request.header("webhook-id")), (None, None));
}

#[test]
fn s5_24_answers_are_healthy_or_unhealthy_and_silence_is_unreachable() {
    for (code, status, flagged) in [
        (200, "healthy", false),
        (405, "healthy", true),
        (501, "healthy", true),
        (302, "unhealthy", false),
        (404, "unhealthy", false),
        (503, "unhealthy", false),
    ] {
        let receiver = Receiver::start(move |_, _| Reply::Answer(format!("HTTP/1.1 {code} X"), vec![]));
        let found = look(&hook(&receiver.url));
        assert_eq!((found.status(), found.is_method_not_allowed()), (status, flagged), "{code}");
        assert_eq!(found.seen, Seen::Answer(code));
    }
    let began = Instant::now();
    let silent = look(&hook(&Receiver::start(|_, _| Reply::Hang).url));
    assert_eq!(
        (silent.status(), &silent.seen),
        ("unreachable", &Seen::Nobody { error: "no answer within 5 s".into() })
    );
    assert!((5.0..6.0).contains(&began.elapsed().as_secs_f64()));
    let gone = look(&hook("http://127.0.0.1:1/secret-path?token=secret"));
    assert_eq!(gone.status(), "unreachable");
    assert!(!format!("{gone:?}").contains("secret"), "{gone:?}");
}

#[test]
fn s5_24_the_method_can_be_chosen_and_the_guard_holds_for_each() {
    for (method, word) in [
        (HealthMethod::Head, "HEAD"),
        (HealthMethod::Get, "GET"),
        (HealthMethod::Options, "OPTIONS"),
        (HealthMethod::Tcp, ""),
    ] {
        let receiver = Receiver::start(|_, _| Reply::Answer("HTTP/1.1 200 OK".to_owned(), vec![]));
        let mut config = hook(&receiver.url.replace("127.0.0.1", "localhost"));
        config.webhooks[0].health = Some(HealthConfig { interval: Duration::from_secs(60), method });
        let found = look(&config);
        assert_eq!(found.status(), "healthy", "{method:?}: {found:?}");
        let lines: Vec<String> =
            receiver.requests().into_iter().map(|request| request.request_line).collect();
        assert!(lines.iter().all(|line| line.starts_with(word)), "{lines:?}");
        assert_eq!(lines.is_empty(), method == HealthMethod::Tcp);
        config.outbound.mode = Reach::Public;
        let refused = look(&config);
        let Seen::Nobody { error } = refused.seen else { panic!("{refused:?}") };
        assert!(error.contains("may not be reached"), "{error}");
        assert_eq!(receiver.requests().len(), lines.len());
    }
}

#[test]
fn s5_24_receivers_are_looked_at_regularly_and_the_last_look_is_remembered() {
    let receiver = Receiver::start(|_, _| Reply::Answer("HTTP/1.1 200 OK".to_owned(), vec![]));
    let mut config = hook(&receiver.url);
    let interval = Duration::from_secs(1);
    config.webhooks[0].health = Some(HealthConfig { interval, method: HealthMethod::Head });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (health, cancel) = (health(&config), CancellationToken::new());
    let running = runtime.spawn(health.clone().run(cancel.clone()));
    receiver.wait_for(2);
    cancel.cancel();
    runtime.block_on(running).expect("no panic");
    std::thread::sleep(Duration::from_millis(100));
    let looks = receiver.requests().len();
    let remembered = runtime.block_on(health.of(&id())).expect("known");
    assert_eq!(remembered.status(), "healthy");
    assert_eq!(receiver.requests().len(), looks, "asked again within a few seconds");
    let unknown = WebhookId::parse("unknown").unwrap();
    assert_eq!(runtime.block_on(health.of(&unknown)), None);
}
