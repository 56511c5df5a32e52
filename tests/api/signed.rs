//! Pictures by an address that opens them for a while.

use std::time::Duration;

use porchlight::model::{Event, PictureLinks, UtcMillis};
use porchlight::store::picture_key;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::common::{logged, record_log};
use crate::rig::{BASE, NOON, Served, event, jpeg, serve_guarded};

const SIGNED: &str = "thumbnail_urls = \"signed\"\nloopback_scopes = []";

/// The path of an event's picture with its signature, as receivers are told.
async fn told(served: &Served, id: impl std::fmt::Display) -> String {
    let token = served.token("read", None);
    let event = served.send_as(&token, Method::GET, &format!("/api/v1/events/{id}"), "").await.json();
    let url = event["thumbnail"]["url"].as_str().expect("an address").to_owned();
    url.strip_prefix(BASE).expect("begins with public_base_url").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_18_a_signed_address_opens_its_picture_and_nothing_else() {
    record_log();
    let served = serve_guarded(SIGNED, "").await;
    let (own, other) = (event(NOON, "front_door", "person"), event(NOON, "yard", "person"));
    for event in [&own, &other] {
        served.commit(event, Some(&jpeg()), &[]).await;
    }
    let path = told(&served, own.id).await;
    let (bare, query) = path.split_once('?').expect("a signature");
    assert_eq!(told(&served, own.id).await, path, "the same however often it is told");
    let picture = served.get(&path).await;
    assert_eq!((picture.status, picture.body), (StatusCode::OK, jpeg()));
    for more in ["&box=true", "&v=3"] {
        assert_eq!(served.get(&format!("{path}{more}")).await.status, StatusCode::OK, "{more}");
    }
    let slash = format!("{bare}/?{query}");
    assert_eq!(served.get(&slash).await.status, StatusCode::OK);

    assert_eq!(served.get(bare).await.status, StatusCode::UNAUTHORIZED);
    let (exp, sig) = query.split_once("&sig=").expect("both parts");
    let last = if sig.ends_with('0') { "1" } else { "0" };
    let later = exp.strip_prefix("exp=").expect("a time").parse::<i64>().expect("a number") + 1;
    for tampered in [
        format!("{bare}?{exp}&sig={}{last}", &sig[..63]),
        format!("{bare}?exp={later}&sig={sig}"),
        format!("{bare}?{exp}&sig="),
        format!("{bare}?sig={sig}"),
        format!("/api/v1/events/{}/thumbnail?{query}", other.id),
    ] {
        let answer = served.get(&tampered).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{tampered}");
        assert_eq!(answer.json(), json!({"detail": "the link's signature is wrong"}));
    }
    for elsewhere in [format!("/api/v1/events/{}", own.id), "/api/v1/events".to_owned()] {
        assert_eq!(served.get(&format!("{elsewhere}?{query}")).await.status, StatusCode::UNAUTHORIZED);
    }
    assert!(!logged().contains(sig));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_18_a_signed_address_expires() {
    let served = serve_guarded(SIGNED, "").await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, Some(&jpeg()), &[]).await;
    let event = served.reader.event(event.id).expect("readable").expect("committed");
    let expires = |path: &str| path.split("exp=").nth(1)?.split('&').next()?.parse::<i64>().ok();
    let recorded_at = event.recorded_at.expect("committed");
    let days = |days: u64| Duration::from_secs(86_400 * days);
    let path = told(&served, event.id).await;
    assert_eq!(expires(&path), Some(recorded_at.after(days(14)).0 / 1000), "counted from the commit");

    // The same address as of an event of fifteen days ago, made with the agent's own key.
    let key = picture_key(served.folder.path()).expect("the agent's");
    let links = PictureLinks::plain(&served.address).signed(key, days(14));
    for (ago, expected) in [(13, StatusCode::OK), (15, StatusCode::FORBIDDEN)] {
        let recorded_at =
            Some(UtcMillis(recorded_at.0 - i64::try_from(days(ago).as_millis()).expect("small")));
        let old = links.fill_in(Event { recorded_at, ..event.clone() });
        let url = old.thumbnail.and_then(|thumbnail| thumbnail.url).expect("an address");
        let answer = served.get(url.strip_prefix(&served.address).expect("our own")).await;
        assert_eq!(answer.status, expected, "{ago} days");
        if expected == StatusCode::FORBIDDEN {
            assert_eq!(answer.json(), json!({"detail": "the link has expired"}));
        }
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_18_an_unsigned_address_needs_a_token() {
    let served = serve_guarded("thumbnail_urls = \"plain\"\nloopback_scopes = []", "").await;
    let event = event(NOON, "front_door", "person");
    served.commit(&event, Some(&jpeg()), &[]).await;
    let path = told(&served, event.id).await;
    assert_eq!(path, format!("/api/v1/events/{}/thumbnail", event.id));
    assert_eq!(served.get(&path).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(served.get(&format!("{path}?exp=9999999999&sig=00")).await.status, StatusCode::FORBIDDEN);
    let token = served.token("read", None);
    assert_eq!(served.send_as(&token, Method::GET, &path, "").await.status, StatusCode::OK);
    served.stop().await;
}
