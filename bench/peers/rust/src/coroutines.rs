//! Area coroutines: tasks of tokio on its runtime of one thread. It has neither timers nor descriptors
//! where the work needs none, as it is faster so.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{sleep, Sleep};

use crate::{cpu_ms, each, nop};

const TIMERS: u64 = 100_000;
const TIMERS_A_TURN: u32 = 1000;
const SLEEPS: usize = 200;
const SLEEP_100K: Duration = Duration::from_secs(2);
const SLEEP_1M: Duration = Duration::from_secs(7);

fn bare() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn with_timers() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

async fn yields_among(among: u64, n: u64) {
    let all: Vec<_> = (0..among)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..n / among {
                    yield_now().await;
                }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
}

async fn spawns(n: u64) {
    for _ in 0..n {
        tokio::spawn(async { nop() }).await.unwrap();
    }
}

async fn spawns_that_yield(n: u64) {
    for _ in 0..n {
        tokio::spawn(yield_now()).await.unwrap();
    }
}

async fn hops(n: u64) {
    let (there, mut from_there) = mpsc::channel(1);
    let (back, mut from_back) = mpsc::channel(1);
    let other = tokio::spawn(async move {
        while let Some(message) = from_there.recv().await {
            back.send(message).await.unwrap();
        }
    });
    let one = tokio::spawn(async move {
        for i in 0..n / 2 {
            there.send(i).await.unwrap();
            assert_eq!(from_back.recv().await, Some(i));
        }
    });
    one.await.unwrap();
    other.await.unwrap();
}

fn timer_delay(n: u32) -> Duration {
    Duration::from_millis(10_000 + (n.wrapping_mul(2_654_435_761) >> 8) as u64 % 60_000)
}

fn timer_index(n: u32) -> usize {
    (n as u64 * 7919 % TIMERS) as usize
}

/// Set, and polled once: before that it does not count as set.
struct Started(Option<Pin<Box<Sleep>>>);

impl Future for Started {
    type Output = Pin<Box<Sleep>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut timer = self.0.take().unwrap();
        assert!(timer.as_mut().poll(cx).is_pending(), "a timer fired");
        Poll::Ready(timer)
    }
}

async fn rearm(all: &mut [Pin<Box<Sleep>>], set: &mut u32, n: u64) {
    for _ in 0..n {
        let timer = &mut all[timer_index(*set)];
        timer
            .as_mut()
            .reset((Instant::now() + timer_delay(*set)).into());
        *set = set.wrapping_add(1);
        if *set % TIMERS_A_TURN == 0 {
            yield_now().await;
        }
    }
}

fn timer_rearm() -> f64 {
    let runtime = with_timers();
    let mut set = TIMERS as u32;
    let mut all: Vec<_> = runtime.block_on(async {
        let mut all = Vec::new();
        for i in 0..TIMERS as u32 {
            all.push(Started(Some(Box::pin(sleep(timer_delay(i))))).await);
        }
        all
    });
    each(u64::MAX, |n| runtime.block_on(rearm(&mut all, &mut set, n)))
}

async fn timer_late() -> f64 {
    let mut late = Vec::new();
    for i in 0..SLEEPS {
        let mut start = Instant::now();
        let end = start + Duration::from_micros(i as u64 * 617 % 1000);
        while start < end {
            start = Instant::now();
        }
        sleep(Duration::from_millis(1)).await;
        late.push(start.elapsed().as_secs_f64() * 1e6 - 1e3);
    }
    late.sort_by(f64::total_cmp);
    late[SLEEPS / 2]
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib: f64 = text
        .lines()
        .filter(|line| line.starts_with("VmRSS:") || line.starts_with("VmPTE:"))
        .map(|line| {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<f64>()
                .unwrap()
        })
        .sum();
    kib * 1024.0
}

/// bench_sleepers of bench.h. A task is a bare `Sleep`, to be small: who looks how much memory there
/// is, is a task more, which is first polled after all of them.
fn sleepers(tasks: u64, pause: Duration) -> f64 {
    let runtime = with_timers();
    let (memory, used, start) = (resident(), cpu_ms(), Instant::now());
    let with = runtime.block_on(async {
        let all: Vec<_> = (0..tasks).map(|_| tokio::spawn(sleep(pause))).collect();
        let with = tokio::spawn(async move {
            let all = start.elapsed() < pause;
            assert!(all, "they do not all sleep at the same time");
            resident()
        });
        for one in all {
            one.await.unwrap();
        }
        with.await.unwrap()
    });
    let ms = (start.elapsed() - pause).as_secs_f64() * 1e3;
    println!("cpu {:.6}", cpu_ms() - used);
    println!("memory {:.6}", (with - memory) / tasks as f64);
    ms
}

pub fn run(workload: &str) -> Option<f64> {
    let runtime = bare();
    Some(match workload {
        "yield-2" => each(u64::MAX, |n| runtime.block_on(yields_among(2, n))),
        "yield-1000" => each(u64::MAX, |n| runtime.block_on(yields_among(1000, n))),
        "spawn-join" => each(u64::MAX, |n| runtime.block_on(spawns(n))),
        "spawn-yield-join" => each(u64::MAX, |n| runtime.block_on(spawns_that_yield(n))),
        "channel-hop" => each(u64::MAX, |n| runtime.block_on(hops(n))),
        "timer-rearm" => timer_rearm(),
        "timer-late" => with_timers().block_on(timer_late()),
        "sleepers-100k" => sleepers(100_000, SLEEP_100K),
        "sleepers-1m" => sleepers(1_000_000, SLEEP_1M),
        _ => return None,
    })
}
