//! `porchlight cameras`, beside a running agent and without one.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::{Program, Sim, ffmpeg};
use super::{assert_refused, folder, footage, porchlight, stderr, stdout};

const PATIENCE: Duration = Duration::from_secs(40);

/// The cameras by id, as `cameras --json` prints them.
fn cameras(program: &Program) -> Value {
    let output = porchlight(program.folder(), &["cameras", "--json", "--config", "porchlight.toml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .collect::<Vec<_>>();
    rows.into_iter().map(|row| (row["id"].as_str().expect("an id").to_owned(), row)).collect()
}

fn wait_for(program: &Program, what: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let seen = cameras(program);
        if what(&seen) {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "{seen:#}\n{}", program.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn cameras_are_shown_as_the_running_agent_sees_them() {
    let clips = folder();
    let mount = |name: &str, size: &str| {
        let path = clips.path().join(format!("{name}.mkv"));
        let arguments = format!(
            "-i {{in}} -t 10 -vf fps=10,scale={size} -an -c:v libx264 -preset ultrafast -bf 0 -g 20 -pix_fmt yuv420p {{out}}"
        );
        ffmpeg(&arguments, &footage("bikes.mp4"), &path);
        format!("/{name}={}", path.display())
    };
    let (small, main) = (mount("small", "640:272"), mount("main", "1280:544"));
    let sim = Sim::start(&["--mount", &small, "--mount", &main]);
    let settings = format!(
        "[[camera]]\nid = \"street\"\nsource = \"{}\"\nmain = \"{}\"\n\
         [[camera]]\nid = \"gone\"\nname = \"Gone\"\nsource = \"rtsp://viewer:s3cret@127.0.0.1:1/live?pw=s3cret\"\n\
         [[camera]]\nid = \"cellar\"\nsource = \"rtsp://127.0.0.1:1/x\"\nenabled = false\n",
        sim.url("/small"),
        sim.url("/main"),
    );
    let program = Program::start(&settings, &[]);
    let seen = wait_for(&program, |seen| {
        let street = &seen["street"];
        street["fps"].is_f64() && street["main"]["fps"].is_f64() && seen["gone"]["state"] == "offline"
    });
    let (street, gone) = (&seen["street"], &seen["gone"]);
    assert_eq!(
        json!([street["state"], street["width"], street["height"], street["source"], street["reason"]]),
        json!(["online", 640, 272, sim.url("/small"), null])
    );
    let main = &street["main"];
    assert_eq!(
        json!([main["state"], main["width"], main["height"], main["source"]]),
        json!(["online", 1280, 544, sim.url("/main")])
    );
    for fps in [&street["fps"], &main["fps"]] {
        assert!((9.0..=11.0).contains(&fps.as_f64().expect("a number")), "{fps}");
    }
    assert!(street["decoder"].is_string() && street["since"].is_string(), "{street}");
    assert_eq!(
        (&gone["reason"], &gone["fps"], &gone["main"]),
        (&"refused".into(), &Value::Null, &Value::Null)
    );
    assert!(gone["detail"].as_str().expect("words").contains("nobody listens"), "{gone}");
    assert_eq!((&seen["cellar"]["enabled"], &seen["cellar"]["state"]), (&false.into(), &Value::Null));

    let config = program.folder().join("porchlight.toml");
    let table = |expected: bool| {
        let output = porchlight(program.folder(), &["cameras", "--config", "porchlight.toml"]);
        assert_eq!(
            (output.status.success(), stderr(&output).is_empty()),
            (expected, expected),
            "{}",
            stderr(&output)
        );
        stdout(&output)
    };
    let shown = table(true);
    for part in [
        "street",
        "street main",
        "online",
        "640 x 272",
        "1280 x 544",
        "a second",
        "Gone",
        "refused",
        "disabled",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    assert!(!shown.contains("s3cret") && !shown.contains("viewer"), "{shown}");

    // The file has changed since the agent read it.
    let listen = program.address.trim_start_matches("http://").to_owned();
    fs::write(
        &config,
        format!(
            "[api]\nlisten = \"{listen}\"\n[[camera]]\nid = \"new\"\nsource = \"rtsp://127.0.0.1:1/x\"\n"
        ),
    )
    .expect("written");
    let output = porchlight(program.folder(), &["cameras", "--config", "porchlight.toml"]);
    assert!(output.status.success() && stdout(&output).contains("restart the agent"), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("also watches street, which is not in porchlight.toml"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn without_an_agent_the_configured_cameras_are_shown() {
    let folder = folder();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let settings = |listen: &str| {
        let camera = "[[camera]]\nid = \"yard\"\nsource = \"rtsp://u:s3cret@10.0.0.9/cam\"\nmain = \"rtsp://10.0.0.9/big\"\n";
        fs::write(folder.path().join("c.toml"), format!("{camera}[api]\nlisten = \"{listen}\"\n"))
            .expect("written");
    };
    settings(&format!("0.0.0.0:{}", closed.port()));
    let output = porchlight(folder.path(), &["cameras", "--config", "c.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let (said, shown) = (stderr(&output), stdout(&output));
    assert!(
        said.contains(&format!("no agent answers at {closed}")) && said.contains("`porchlight run`"),
        "{said}"
    );
    assert!(shown.contains("rtsp://10.0.0.9/cam") && shown.contains("rtsp://10.0.0.9/big"), "{shown}");
    assert!(!shown.contains("s3cret") && !said.contains("s3cret"), "{shown}");
    let output = porchlight(folder.path(), &["cameras", "--json", "--config", "c.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let row: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(
        (&row["id"], &row["state"], &row["main"]["state"]),
        (&"yard".into(), &Value::Null, &Value::Null)
    );

    // Somebody else answers there.
    let sim = Sim::onvif(&[]);
    settings(&format!("127.0.0.1:{}", sim.number("port")));
    let output = porchlight(folder.path(), &["cameras", "--config", "c.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is no Porchlight"), "{}", stderr(&output));
    settings("127.0.0.1:0");
    let output = porchlight(folder.path(), &["cameras", "--config", "c.toml"]);
    assert!(stderr(&output).contains("api.listen has the port 0"), "{}", stderr(&output));
    assert_refused(
        &porchlight(folder.path(), &["cameras", "--config", "no.toml"]),
        &["no.toml: cannot read"],
    );
}
