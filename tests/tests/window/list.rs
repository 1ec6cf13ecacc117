//! The list of requests while ten thousand a minute go by.

use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Client, Gateway, Host, Origin, Window};

use crate::session::{ANONYMOUS, Session, gateway_at};

/// Between two requests, at 10 000 a minute.
const INTERVAL: Duration = Duration::from_millis(6);

/// Who send them: their turns come one after the other.
const CLIENTS: u32 = 4;

/// How long the load of one round lasts, and how many rounds there are with and without the window.
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

/// How soon a click must be on the screen, and how much of its throughput the proxy may lose.
const CLICK_MS: f64 = 100.0;
const LOSS: f64 = 0.05;

/// What a round measured.
#[derive(Debug)]
struct Round {
    /// Answered requests a second.
    rate: f64,
    /// From a request to the end of its answer, median, in microseconds.
    time: u128,
}

/// Requests at the pace of [`INTERVAL`] for a [`ROUND`]; all are answered with 200.
fn load(port: u16) -> Round {
    let began = Instant::now();
    let client = move |nth: u32| {
        let mut client = Client::connect(port).unwrap();
        let mut times = Vec::new();
        for turn in (nth..).step_by(CLIENTS as usize) {
            let due = INTERVAL * turn;
            if due >= ROUND {
                return times;
            }
            // The pace is what is asked for, not something that is waited for.
            thread::sleep(due.saturating_sub(began.elapsed()));
            let asked = Instant::now();
            let answer = client.get(&format!("http://origin.seacat/orders/{turn}")).unwrap();
            assert_eq!(answer.status, 200);
            times.push(asked.elapsed().as_micros());
        }
        times
    };
    let clients: Vec<_> = (0..CLIENTS).map(|nth| thread::spawn(move || client(nth))).collect();
    let mut times: Vec<u128> = clients.into_iter().flat_map(|it| it.join().unwrap()).collect();
    let rate = times.len() as f64 / began.elapsed().as_secs_f64();
    times.sort_unstable();
    Round { rate, time: times[times.len() / 2] }
}

/// Real clicks on "Pause" until `done`, each measured in the page: from the system's time of the click
/// to the second frame after it was handled.
fn clicks(window: &Window, done: impl Fn() -> bool) -> Vec<f64> {
    window.run(
        "window.clicks = []; \
         addEventListener('click', (event) => { \
           const painted = () => window.clicks.push(performance.now() - event.timeStamp); \
           requestAnimationFrame(() => requestAnimationFrame(painted)); \
         }, true);",
    );
    while !done() {
        window.click("pause");
    }
    let times = window.run_async(
        "const done = arguments[0]; \
         requestAnimationFrame(() => requestAnimationFrame(() => done(window.clicks)))",
    );
    times.as_array().unwrap().iter().map(|time| time.as_f64().unwrap()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn ten_thousand_requests_a_minute() {
    let origin = Origin::start();
    let gateway = Gateway::start(&[Host { name: "origin", port: origin.port(), tunnel: false }]);
    let session = Session::start(&(gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS));
    session.icon().wait_for_line("Connected to localhost");
    let port = session.port;
    let (mut with, mut without, mut handled) = (Vec::new(), Vec::new(), Vec::new());
    load(port);
    for _ in 0..ROUNDS {
        without.push(load(port));
        let window = session.window("requests");
        let round = thread::spawn(move || load(port));
        handled.extend(clicks(&window, || round.is_finished()));
        with.push(round.join().unwrap());
        window.wait_for_text("request-count", |text| text.contains("request"));
        window.picture("window-requests-load");
        window.close(&session.desktop);
    }
    handled.sort_by(f64::total_cmp);
    let worst = handled[handled.len() - 1];
    println!("without the window: {without:#?}\nwith its list of requests: {with:#?}");
    println!(
        "{} clicks on the list under load: median {:.1} ms, slowest {worst:.1} ms",
        handled.len(),
        handled[handled.len() / 2],
    );
    let rate = |rounds: &[Round]| median(rounds.iter().map(|round| round.rate).collect());
    let (with, without) = (rate(&with), rate(&without));
    println!("throughput: {with:.1} requests a second with, {without:.1} without");
    assert!(worst <= CLICK_MS, "a click took {worst} ms");
    assert!(with >= without * (1.0 - LOSS), "{with} a second, {without} without the window");
}
