//! People over HTTP: enrolled from a photo or from what a camera saw, named, corrected, forgotten.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use porchlight::model::{Embedding, EnrolledFace, KnownFace};
use porchlight::store::People;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common;
use crate::rig::{NOON, event, jpeg, serve, serve_guarded};
use crate::webhooks::{call, ok};

/// A picture of a man's face.
fn photo() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("man.jpg");
    common::ffmpeg("-i {in} -frames:v 1 -q:v 2 {out}", &common::footage("carphone.mp4"), &target);
    std::fs::read(target).expect("ffmpeg wrote it")
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_3_a_person_is_enrolled_from_a_photo_and_forgotten() {
    let served = serve("").await;
    let body =
        json!({"name": "John", "photo": STANDARD.encode(photo()), "department": "Sales", "is_vip": true});
    let john = ok(&call(&served, Method::POST, "/api/v1/people", &body).await, 201);
    assert_eq!((&john["name"], &john["is_vip"], &john["faces"]), (&json!("John"), &json!(true), &json!(1)));
    assert!(john.get("embedding").is_none() && john.get("picture").is_none(), "faces stay inside");
    let path = format!("/api/v1/people/{}", john["id"].as_str().expect("an id"));

    let found = event(NOON, "door", "person");
    served.commit(&found, Some(&photo()), &[]).await;
    let more = json!({"event_id": found.id});
    let john = ok(&call(&served, Method::POST, &format!("{path}/faces"), &more).await, 201);
    assert_eq!(john["faces"], 2);
    let johann = ok(&call(&served, Method::PATCH, &path, &json!({"name": "Johann"})).await, 200);
    assert_eq!((&johann["name"], &johann["department"]), (&json!("Johann"), &json!("Sales")));

    assert_eq!(call(&served, Method::DELETE, &path, &Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(served.get(&path).await.status, StatusCode::NOT_FOUND);
    let people = People::open(served.folder.path()).expect("the same folder");
    assert!(people.faces(None).expect("readable").is_empty(), "nothing is left of him");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn this_is_not_john_until_somebody_says_that_it_is() {
    let served = serve("").await;
    let body = json!({"name": "John", "photo": STANDARD.encode(photo())});
    let john = ok(&call(&served, Method::POST, "/api/v1/people", &body).await, 201);
    let path = format!("/api/v1/people/{}", john["id"].as_str().expect("an id"));
    let found = event(NOON, "door", "person");
    served.commit(&found, Some(&photo()), &[]).await;
    let people = People::open(served.folder.path()).expect("the same folder");
    let embedder = people.faces(None).expect("readable").remove(0).face.embedder;
    let others = || people.acquaintances(&embedder).expect("readable")[0].others.len();
    let seen = json!({"event_id": found.id});

    let corrected = ok(&call(&served, Method::POST, &format!("{path}/corrections"), &seen).await, 201);
    assert_eq!((&corrected["faces"], others()), (&json!(1), 1), "a face of somebody else is none of his");
    let again = ok(&call(&served, Method::POST, &format!("{path}/faces"), &seen).await, 201);
    assert_eq!((&again["faces"], others()), (&json!(2), 0), "it was he after all");
    let corrected = ok(&call(&served, Method::POST, &format!("{path}/corrections"), &seen).await, 201);
    assert_eq!((&corrected["faces"], others()), (&json!(1), 1), "and it was not");

    let nobody = "/api/v1/people/01992f6e-5d0a-7cc3-98c4-dc0c0c07398f/corrections";
    assert_eq!(call(&served, Method::POST, nobody, &seen).await.status, StatusCode::NOT_FOUND);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_a_name_afterwards() {
    let served = serve("").await;
    let people = People::open(served.folder.path()).expect("the same folder");
    let face = EnrolledFace {
        source: "camera:door".into(),
        picture: jpeg().into(),
        face: KnownFace {
            embedding: Embedding::new(vec![1.0, 0.0]).expect("a direction"),
            eye_distance: 30.0,
        },
        sharpness: 50.0,
        embedder: "mobilefacenet".into(),
    };
    let stranger = people.remember(&[face], NOON).expect("stored");
    let list = ok(&served.get("/api/v1/people").await, 200);
    assert_eq!(
        (&list["items"][0]["name"], &list["items"][0]["enrolled"]),
        (&json!("unknown-1"), &json!(false))
    );
    let path = format!("/api/v1/people/{}", stranger.id);
    let nameless = call(&served, Method::PATCH, &path, &json!({"is_vip": true})).await;
    assert_eq!(nameless.status, StatusCode::UNPROCESSABLE_ENTITY);
    let anna = ok(&call(&served, Method::PATCH, &path, &json!({"name": "Anna"})).await, 200);
    assert_eq!((&anna["name"], &anna["enrolled"], &anna["faces"]), (&json!("Anna"), &json!(true), &json!(1)));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_without_a_face_is_refused_with_what_to_do() {
    let served = serve("").await;
    let refuse = async |body: Value, status: u16, part: &str| {
        let answer = call(&served, Method::POST, "/api/v1/people", &body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert!(answer.text().contains(part), "{}", answer.text());
    };
    refuse(json!({"name": "Grey", "photo": STANDARD.encode(jpeg())}), 409, "there is no face in it").await;
    refuse(json!({"name": "Text", "photo": STANDARD.encode("hello")}), 409, "this is no picture").await;
    refuse(json!({"name": "Nobody"}), 422, "give either photo or event_id").await;
    refuse(json!({"name": "unknown-7", "photo": "AAAA"}), 422, "names of strangers are taken").await;
    refuse(json!({"name": "Gone", "event_id": event(NOON, "a", "person").id}), 404, "no such event").await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_for_those_who_may_see_everything() {
    let served = serve_guarded("", "").await;
    let (reader, customer) = (served.token("read", None), served.token("admin", Some("1")));
    assert_eq!(served.send_as(&reader, Method::GET, "/api/v1/people", "").await.status, StatusCode::OK);
    let refused = served.send_as(&reader, Method::POST, "/api/v1/people", "{}").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(
        served.send_as(&customer, Method::GET, "/api/v1/people", "").await.status,
        StatusCode::NOT_FOUND
    );
    served.stop().await;
}
