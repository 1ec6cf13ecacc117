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

/// A fast user.
const BETWEEN_CLICKS: Duration = Duration::from_millis(250);

/// How soon a click must be on the screen, and how much of its throughput the proxy may lose.
const CLICK_MS: f64 = 100.0;
const LOSS: f64 = 0.05;

/// What a round measured.
struct Round {
    /// Answered requests a second.
    rate: f64,
    /// From a request to the end of its answer, median, in milliseconds.
    time: f64,
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
            times.push(asked.elapsed().as_secs_f64() * 1000.0);
        }
        times
    };
    let clients: Vec<_> = (0..CLIENTS).map(|nth| thread::spawn(move || client(nth))).collect();
    let times: Vec<f64> = clients.into_iter().flat_map(|it| it.join().unwrap()).collect();
    let rate = times.len() as f64 / began.elapsed().as_secs_f64();
    Round { rate, time: percentile(times, 0.5) }
}

/// How long real clicks took, in milliseconds and in order.
struct Clicks {
    /// From the system's time of the click until it was handled and the page's elements have
    /// changed.
    handled: Vec<f64>,
    /// Until the second frame after that; what a frame costs is up to the display.
    painted: Vec<f64>,
}

/// Clicks on "Pause", each measured in the page, until `done`.
fn clicks(window: &Window, done: impl Fn() -> bool) -> Clicks {
    window.run(
        "window.handled = []; window.painted = []; \
         addEventListener('click', (event) => { \
           const since = (list) => list.push(performance.now() - event.timeStamp); \
           setTimeout(() => since(window.handled)); \
           requestAnimationFrame(() => requestAnimationFrame(() => since(window.painted))); \
         }, true);",
    );
    while !done() {
        window.click("pause");
        thread::sleep(BETWEEN_CLICKS);
    }
    let times = window.run("return [window.handled, window.painted]");
    let list = |nth: usize| {
        let times = times[nth].as_array().unwrap();
        times.iter().map(|time| time.as_f64().unwrap()).collect()
    };
    Clicks { handled: list(0), painted: list(1) }
}

/// The value that this share of them does not exceed.
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

#[test]
fn ten_thousand_requests_a_minute() {
    let origin = Origin::start();
    let gateway = Gateway::start(&[Host { name: "origin", port: origin.port(), tunnel: false }]);
    let session = Session::start(&(gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS));
    session.icon().wait_for_line("Connected to localhost");
    let port = session.port;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let (mut handled, mut painted) = (Vec::new(), Vec::new());
    load(port);
    for _ in 0..ROUNDS {
        without.push(load(port));
        let window = session.window("requests");
        let round = thread::spawn(move || load(port));
        let clicks = clicks(&window, || round.is_finished());
        handled.extend(clicks.handled);
        painted.extend(clicks.painted);
        with.push(round.join().unwrap());
        window.picture("window-requests-load");
        window.close(&session.desktop);
    }
    let rate = |rounds: &[Round]| percentile(rounds.iter().map(|it| it.rate).collect(), 0.5);
    let time = |rounds: &[Round]| percentile(rounds.iter().map(|it| it.time).collect(), 0.5);
    println!(
        "requests a second: {:.1} with the list open, {:.1} without; a request took {:.2} ms and {:.2} ms",
        rate(&with),
        rate(&without),
        time(&with),
        time(&without),
    );
    for (what, times) in [("handled", &handled), ("on the screen", &painted)] {
        let at = |share| percentile(times.clone(), share);
        let (half, most, all) = (at(0.5), at(0.95), at(1.0));
        println!(
            "{} clicks {what}: {half:.0} ms median, {most:.0} ms 95 %, {all:.0} ms all",
            times.len()
        );
    }
    assert!(handled.len() > 30, "{} clicks", handled.len());
    let slow = percentile(handled, 0.95);
    assert!(slow <= CLICK_MS, "a click took {slow} ms");
    let (with, without) = (rate(&with), rate(&without));
    assert!(with >= without * (1.0 - LOSS), "{with} a second, {without} without the window");
}
