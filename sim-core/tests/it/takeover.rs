//! How long a takeover takes, over many crashes; and how often adverts that are lost make a second master.

use sim_core::config::*;
use sim_core::engine::{Span, Stream, Time, Uniform};
use sim_core::ha::vrrp::{Action, Heard, Link, State, Vrrp, master_down_us, skew_us};
use sim_core::wire::Advert;

const MASTER: core::net::IpAddr = v4(192, 168, 10, 101);

/// Version, interval in microseconds: the backup has priority 100.
const ROWS: [(VrrpVersion, u64); 4] = [
    (VrrpVersion::V2, 1_000_000),
    (VrrpVersion::V2, 3_000_000),
    (VrrpVersion::V3, 100_000),
    (VrrpVersion::V3, 10_000),
];

fn us(us: u64) -> Span {
    Span::from_micros(us)
}

/// A started router.
fn router((version, interval): (VrrpVersion, u64), priority: u8, start: Time) -> Vrrp {
    let mut i = VrrpInstance::new("VI_1", "eth0", 51);
    (i.version, i.priority, i.advert_int) = (version, priority, us(interval));
    let config = VrrpConfig { instances: vec![i], ..VrrpConfig::default() };
    let mut vrrp = Vrrp::new(&config);
    let link = Link { up: true, v4: Some(MASTER), v6: None };
    vrrp.start(start, |_| link, &mut Vec::new());
    vrrp
}

fn advert((version, interval): (VrrpVersion, u64), priority: u8) -> Advert {
    let unit = if version == VrrpVersion::V2 { 1_000_000 } else { 10_000 };
    Advert {
        version: version.number(),
        vrid: 51,
        priority,
        interval: (interval / unit) as u16,
        auth: VrrpAuth::None,
        addresses: Vec::new(),
    }
}

/// A master and a backup that hears it at once.
struct Pair {
    row: (VrrpVersion, u64),
    master: Vrrp,
    backup: Vrrp,
    wishes: Vec<Action>,
}

impl Pair {
    fn new(row: (VrrpVersion, u64)) -> Self {
        let master = router(row, 200, Time::ZERO);
        let backup = router(row, 100, Time::ZERO);
        Self { row, master, backup, wishes: Vec::new() }
    }

    /// Runs until a time.
    fn run(&mut self, until: Time) {
        while self.master.next_deadline() <= until {
            let now = self.master.next_deadline();
            self.master.wake(now, &mut self.wishes);
            self.pass_on(now);
        }
    }

    fn pass_on(&mut self, now: Time) {
        for wish in core::mem::take(&mut self.wishes) {
            if let Action::Advert { priority, .. } = wish {
                let advert = advert(self.row, priority);
                let heard = Heard { advert: &advert, from: MASTER, ttl: 255, multicast: true };
                self.backup.receive(now, 0, &heard, &mut Vec::new());
            }
        }
        assert_eq!(self.backup.state(0), State::Backup);
    }

    /// When the backup takes over if it hears nothing more.
    fn takeover(&self) -> Time {
        let mut backup = self.backup.clone();
        let at = backup.next_deadline();
        backup.wake(at, &mut Vec::new());
        assert_eq!(backup.state(0), State::Master);
        at
    }
}

/// The Kolmogorov-Smirnov distance of a sample from the uniform distribution on an interval.
fn distance(mut sample: Vec<f64>, low: f64, high: f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let steps = sample.iter().enumerate().map(|(i, x)| {
        let f = ((x - low) / (high - low)).clamp(0.0, 1.0);
        (f - i as f64 / n).max((i as f64 + 1.0) / n - f)
    });
    steps.fold(0.0, f64::max)
}

/// The outage after a crash at a random phase is uniform on (2 Adv + skew, 3 Adv + skew]: 10,000 crashes for each row; a
/// distance above 1.628 / sqrt(n) would be seen once in 100 times (Kolmogorov's distribution). After a clean stop it is the
/// skew.
#[test]
fn outages_after_crashes_at_random_phases_are_uniform() {
    const CRASHES: usize = 10_000;
    for (number, row) in ROWS.into_iter().enumerate() {
        let (version, interval) = row;
        let skew = skew_us(version, 100, interval);
        let mut random = Stream::new(7, "crashes", &number.to_string());
        let mut outages = Vec::new();
        let mut pair = Pair::new(row);
        let mut now = Time::ZERO + us(20 * interval);
        for _ in 0..CRASHES {
            // one to three intervals between crashes: the phase is uniform; the pair is as it was before each
            now +=
                Span::from_nanos(interval * 1_000 + (random.unit() * 2e3 * interval as f64) as u64);
            pair.run(now);
            outages.push((pair.takeover() - now).as_nanos() as f64 / 1e3);
        }
        let (low, high) = ((2 * interval + skew) as f64, (3 * interval + skew) as f64);
        assert!(outages.iter().all(|o| *o > low && *o <= high));
        let mean = outages.iter().sum::<f64>() / CRASHES as f64;
        assert!(
            (mean - f64::midpoint(low, high)).abs() < 0.01 * (high - low),
            "row {number}: {mean}"
        );
        let d = distance(outages, low, high);
        assert!(d < 1.628 / (CRASHES as f64).sqrt(), "row {number}: {d}");
        pair.master.stop(&mut pair.wishes);
        pair.pass_on(now);
        assert_eq!(pair.takeover() - now, us(skew));
        assert_eq!(master_down_us(version, 100, interval, 3), 3 * interval + skew);
    }
}

/// The mean number of adverts from one received to three lost in a row is 1/p + 1/p^2 + 1/p^3 if each is lost with
/// probability p: 1,110 for p = 0.1 and 14 for p = 0.5. The interval is the 99 % one of the mean (normal; the number is
/// nearly geometric, so its deviation is no more than its mean).
#[test]
fn three_adverts_lost_in_a_row_make_a_second_master() {
    for (p, runs, mean) in [(0.1, 2_000, 1_110.0), (0.5, 20_000, 14.0)] {
        let row = ROWS[0];
        let mut random = Stream::new(7, "loss", &mean.to_string());
        let heard = advert(row, 200);
        let heard = Heard { advert: &heard, from: MASTER, ttl: 255, multicast: true };
        let mut adverts = 0_u64;
        let mut wishes = Vec::new();
        for _ in 0..runs {
            let mut now = Time::ZERO + us(row.1);
            let mut backup = router(row, 100, Time::ZERO);
            backup.receive(now, 0, &heard, &mut wishes);
            // the last one of three is lost before the takeover, and the next would come too late
            while backup.state(0) == State::Backup {
                now += us(row.1);
                if backup.next_deadline() < now {
                    backup.wake(now, &mut wishes);
                    continue;
                }
                adverts += 1;
                if random.unit() >= p {
                    backup.receive(now, 0, &heard, &mut wishes);
                }
            }
            wishes.clear();
        }
        let found = adverts as f64 / f64::from(runs);
        let half = 2.576 * mean / f64::from(runs).sqrt();
        assert!((found - mean).abs() < half, "p = {p}: {found} instead of {mean} +- {half}");
    }
}
