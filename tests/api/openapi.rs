//! The API's document: it tells what routes really take, and no request made out of it breaks the agent.

use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{NOON, Served, event, serve};

const DOCUMENT: &str = "/api/v1/openapi.json";

async fn document(served: &Served) -> Value {
    let answer = served.get(DOCUMENT).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json()
}

fn query_of(operation: &Value) -> Vec<&str> {
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
    query.map(|parameter| parameter["name"].as_str().expect("a name")).collect()
}

/// A route that takes no unknown parameters says which it knows.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_tells_the_parameters_that_routes_take() {
    let served = serve("").await;
    let document = document(&served).await;
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let mut compared = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let some_id = "01992f6e-5c11-7000-8000-000000000000";
            let path = path.replace("{id}", some_id).replace("{type}", "object.detected");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let answer = served.send(method.clone(), &format!("{path}?bananas=1"), &[], Vec::new()).await;
            let told = answer.text();
            let Some((_, known)) = told.split_once("unknown parameter; there is ") else { continue };
            let known = known.split('"').next().expect("a message");
            let mut known: Vec<&str> = known.split(", ").filter(|name| !name.is_empty()).collect();
            let mut documented = query_of(operation);
            known.sort_unstable();
            documented.sort_unstable();
            assert_eq!(documented, known, "{method} {path}");
            compared += 1;
        }
    }
    assert!(compared >= 8, "only {compared} routes told their parameters");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_made_out_of_the_document_breaks_the_agent() {
    // Nothing may leave this machine.
    let served = serve("[outbound]\nmode = \"strict\"\nallow = [\"127.0.0.1\"]\n").await;
    let hook =
        json!({"id": "hook", "url": "http://127.0.0.1:9/x", "secret": "s", "retry": {"schedule": [60]}});
    let made = served.send(Method::POST, "/api/v1/webhooks", &[], hook.to_string().into_bytes()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    served.commit(&event(NOON, "front_door", "person"), None, &["hook"]).await;

    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi/venv");
    let checks =
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut run = Command::new(tool);
    // It keeps notes where it runs.
    run.current_dir(folder.path());
    run.args(["-m", "schemathesis.cli", "run", &format!("{}{DOCUMENT}", served.address)])
        .args(["--checks", checks, "--phases", "examples,coverage,fuzzing", "--max-examples", "10"])
        .args(["--seed", "20261122", "--request-timeout", "30", "--no-color"]);
    let output =
        tokio::task::spawn_blocking(move || run.output()).await.expect("it ran").expect("it started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    served.stop().await;
}
