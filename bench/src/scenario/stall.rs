//! Readers that stall: whether others continue, where data is stored, and whether every byte
//! arrives.

use super::{Numbers, Run, small};
use crate::Outcome;
use crate::load::{Job, Load, Resumed, Served, WARM_MS};
use crate::measures::Metric;
use crate::peer::{Peer, ProxyChain};
use crate::procfs::Proc;

/// How many readers stall.
const STALLED: [usize; 3] = [1, 8, 64];
/// How many small clients continue.
const OTHERS: usize = 4;

/// The longest time for which the others are measured alone, in seconds.
const BEFORE: f64 = 2.0;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    for round in 0..run.rounds {
        for stalled in STALLED {
            for peer in run.proxies(round) {
                // Only ours resume, and once: 64 of them are 64 GiB.
                let resume = peer == Peer::Seacat && round + 1 == run.rounds;
                let measured = measure(run, peer, stalled, resume);
                run.keep(round, &format!("k={stalled}"), peer, measured);
            }
        }
    }
    Ok(())
}

fn measure(run: &Run<'_>, peer: Peer, stalled: usize, resume: bool) -> Outcome<Numbers> {
    // A new pair each time: the peak of memory is that of this number of readers.
    let chain = ProxyChain::start(peer, run.place)?;
    let before = others(&chain, run.seconds.min(BEFORE))?;
    let job = Job::Stall { clients: stalled, bytes: run.bytes };
    let mut readers = Load::start(&job, chain.target())?;
    readers.ready()?;
    let meanwhile = others(&chain, run.seconds)?;
    let kept = rate(&meanwhile) / rate(&before) * 100.0;
    let disk = chain.near().map(Proc::nameless_files_mib).transpose()?;
    let whole = if resume {
        readers.go_on()?;
        Some(share_whole(&readers.result()?, stalled))
    } else {
        None
    };
    drop(readers);
    let mut numbers = vec![(Metric::KeptPercent, Some(kept).filter(|k| k.is_finite()))];
    numbers.extend(small::numbers(&meanwhile));
    numbers.extend([
        (Metric::PeakMib, chain.near().map(Proc::peak_mib).transpose()?),
        (Metric::FarPeakMib, chain.far().map(Proc::peak_mib).transpose()?),
        (Metric::DiskMib, disk),
        (Metric::WholePercent, whole),
    ]);
    Ok(numbers)
}

fn others(chain: &ProxyChain, seconds: f64) -> Outcome<Served> {
    let job =
        Job::Small { clients: OTHERS, keep_alive: true, think_ms: 0, warm_ms: WARM_MS, seconds };
    let mut load = Load::start(&job, chain.target())?;
    load.ready()?;
    load.result()
}

fn rate(served: &Served) -> f64 {
    served.requests as f64 / served.seconds
}

fn share_whole(resumed: &Resumed, of: usize) -> f64 {
    crate::progress(&format!(
        "  {} of {of} readers went on and got every byte, in {:.1} s{}",
        resumed.whole,
        resumed.seconds,
        resumed.last_error.as_deref().map(|e| format!("; {e}")).unwrap_or_default()
    ));
    resumed.whole as f64 * 100.0 / of as f64
}
