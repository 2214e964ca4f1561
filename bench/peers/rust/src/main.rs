//! The Rust contenders, `rust-peers CONTENDER WORKLOAD`: rayon, tokio, crossbeam (its channel) and
//! std (locks and channels of the standard library).
//!
//! Rayon's spawn gives no future: tasks are counted when they have run. Tokio's gives a JoinHandle.
//! The sizes are those of bench.h.

mod coroutines;

use std::arch::asm;
use std::collections::VecDeque;
use std::future::Future;
use std::hint::spin_loop;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;

const TASKS: u64 = 1_000_000;
const WINDOW: u64 = 1024;
const PARKED_TRIPS: usize = 200;
const QUEUE: usize = 1024;

type Message = [u64; 8];

/// Nanoseconds an item; see bench_each in bench.h.
fn each(most: u64, mut work: impl FnMut(u64)) -> f64 {
    let mut n = 1000;
    let mut took = 0.0;
    for seconds in [0.02, 0.3, 0.0] {
        let start = Instant::now();
        work(n);
        took = start.elapsed().as_secs_f64() / n as f64;
        n = most.min((seconds / took) as u64 + 1);
    }
    took * 1e9
}

fn trips(mut trip: impl FnMut()) -> f64 {
    each(u64::MAX, |n| {
        for _ in 0..n {
            trip();
        }
    })
}

/// Median nanoseconds of a trip that finds the other side asleep.
fn trips_parked(mut trip: impl FnMut()) -> f64 {
    let mut took: Vec<f64> = (0..PARKED_TRIPS)
        .map(|_| {
            let end = Instant::now() + Duration::from_millis(1);
            while Instant::now() < end {
                spin_loop();
            }
            let start = Instant::now();
            trip();
            start.elapsed().as_secs_f64() * 1e9
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[PARKED_TRIPS / 2]
}

/// An empty task's body: the compiler may inline it but not remove it.
fn nop() {
    unsafe { asm!("") };
}

/// Makes the compiler believe that all of `data` is read.
fn keep(data: &[f64]) {
    unsafe { asm!("/* {0} */", in(reg) data.as_ptr()) };
}

fn fib_value(n: u32) -> u64 {
    let (mut a, mut b) = (0, 1);
    for _ in 0..n {
        (a, b) = (b, a + b);
    }
    a
}

fn fib_spawns(n: u32) -> f64 {
    (fib_value(n + 1) - 1) as f64
}

fn map(n: usize, square: impl Fn(&[f64], &mut [f64])) -> f64 {
    let input: Vec<f64> = (0..n).map(|i| (i % 1000) as f64).collect();
    let mut output = vec![0.0; n];
    let rounds = 40_000_000 / n + 1;
    for _ in 0..rounds / 10 + 1 {
        square(&input, &mut output);
    }
    let start = Instant::now();
    for _ in 0..rounds {
        square(&input, &mut output);
        keep(&output);
    }
    let us = start.elapsed().as_secs_f64() * 1e6 / rounds as f64;
    assert!(input.iter().zip(&output).all(|(x, y)| x * x == *y));
    us
}

fn cpu_ms() -> f64 {
    // The times of /proc/self/stat count in hundredths; schedstat of each thread in nanoseconds.
    let mut ns = 0.0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(path).unwrap();
        ns += text
            .split_whitespace()
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap();
    }
    ns * 1e-6
}

fn idle_cpu() -> f64 {
    let before = cpu_ms();
    thread::sleep(Duration::from_secs(2));
    cpu_ms() - before
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

fn rayon_submit(pool: &rayon::ThreadPool, n: u64) {
    let ran = Arc::new(AtomicU64::new(0));
    for i in 0..n {
        while i - ran.load(Ordering::Acquire) >= WINDOW {
            thread::yield_now();
        }
        let ran = ran.clone();
        pool.spawn(move || {
            nop();
            ran.fetch_add(1, Ordering::Release);
        });
    }
    while ran.load(Ordering::Acquire) < n {
        thread::yield_now();
    }
}

fn rayon_fib(n: u32) -> u64 {
    if n < 2 {
        return n as u64;
    }
    let (a, b) = rayon::join(|| rayon_fib(n - 1), || rayon_fib(n - 2));
    a + b
}

fn rayon_fork_join(n: u32, threads: usize) -> f64 {
    rayon_pool(threads).install(|| {
        rayon_fib(n - 5);
        let start = Instant::now();
        assert_eq!(rayon_fib(n), fib_value(n));
        start.elapsed().as_secs_f64() * 1e9 / fib_spawns(n)
    })
}

fn rayon_map(n: usize) -> f64 {
    rayon_pool(2).install(|| {
        map(n, |input, output| {
            output
                .par_iter_mut()
                .zip(input.par_iter())
                .for_each(|(y, x)| *y = x * x)
        })
    })
}

fn rayon_trip_spinning(pool: &rayon::ThreadPool, arrived: &Arc<AtomicBool>) {
    arrived.store(false, Ordering::Relaxed);
    let there = arrived.clone();
    pool.spawn(move || there.store(true, Ordering::Release));
    while !arrived.load(Ordering::Acquire) {
        spin_loop();
    }
}

fn rayon(workload: &str) -> Option<f64> {
    Some(match workload {
        "submit-outside" => {
            let pool = rayon_pool(outside_workers());
            each(TASKS, |n| rayon_submit(&pool, n))
        }
        "submit-bulk" => {
            let pool = rayon_pool(2);
            each(TASKS, |n| {
                pool.install(|| {
                    (0..n as u32)
                        .into_par_iter()
                        .with_max_len(1)
                        .for_each(|_| nop())
                })
            })
        }
        "fork-join-1" => rayon_fork_join(32, 1),
        "fork-join-2" => rayon_fork_join(32, 2),
        "map-10k" => rayon_map(10_000),
        "map-10m" => rayon_map(10_000_000),
        "round-trip-spin" => {
            let (pool, arrived) = (rayon_pool(1), Arc::new(AtomicBool::new(false)));
            trips(|| rayon_trip_spinning(&pool, &arrived))
        }
        "round-trip-steady" => {
            let pool = rayon_pool(1);
            trips(|| pool.install(nop))
        }
        "round-trip-parked" => {
            let pool = rayon_pool(1);
            trips_parked(|| pool.install(nop))
        }
        "idle-cpu" => {
            let pool = rayon_pool(2);
            rayon_submit(&pool, TASKS / 10);
            idle_cpu()
        }
        _ => return None,
    })
}

fn tokio_runtime(threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .build()
        .unwrap()
}

async fn tokio_submit(n: u64) {
    let mut window = VecDeque::with_capacity(WINDOW as usize);
    for _ in 0..n {
        if window.len() == WINDOW as usize {
            let oldest: tokio::task::JoinHandle<()> = window.pop_front().unwrap();
            oldest.await.unwrap();
        }
        window.push_back(tokio::spawn(async { nop() }));
    }
    for handle in window {
        handle.await.unwrap();
    }
}

fn tokio_fib(n: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n as u64;
        }
        let a = tokio::spawn(tokio_fib(n - 1));
        let b = tokio_fib(n - 2).await;
        a.await.unwrap() + b
    })
}

fn tokio(workload: &str) -> Option<f64> {
    Some(match workload {
        "submit-outside" => {
            let runtime = tokio_runtime(outside_workers());
            each(TASKS, |n| runtime.block_on(tokio_submit(n)))
        }
        "nested-submit" => {
            let (runtime, n) = (tokio_runtime(2), 20);
            runtime.block_on(tokio::task::unconstrained(async {
                tokio::spawn(tokio_fib(n - 5)).await.unwrap();
                let start = Instant::now();
                assert_eq!(tokio::spawn(tokio_fib(n)).await.unwrap(), fib_value(n));
                start.elapsed().as_secs_f64() * 1e9 / fib_spawns(n)
            }))
        }
        "round-trip-steady" => {
            let runtime = tokio_runtime(1);
            trips(|| runtime.block_on(runtime.spawn(async { nop() })).unwrap())
        }
        "round-trip-parked" => {
            let runtime = tokio_runtime(1);
            trips_parked(|| runtime.block_on(runtime.spawn(async { nop() })).unwrap())
        }
        "queue-64b" => {
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<Message>(QUEUE);
            messages(
                move |m| sender.blocking_send(m).unwrap(),
                move || receiver.blocking_recv().unwrap(),
            )
        }
        "idle-cpu" => {
            let runtime = tokio_runtime(2);
            runtime.block_on(tokio_submit(TASKS / 10));
            idle_cpu()
        }
        _ => return coroutines::run(workload),
    })
}

/// Millions of messages a second from a thread that sends to this one, which receives.
fn messages(mut send: impl FnMut(Message) + Send, mut receive: impl FnMut() -> Message) -> f64 {
    1e3 / each(u64::MAX, |n| {
        thread::scope(|s| {
            s.spawn(|| {
                for i in 0..n {
                    send([i, 0, 0, 0, 0, 0, 0, 0]);
                }
            });
            for i in 0..n {
                assert_eq!(receive()[0], i);
            }
        })
    })
}

fn crossbeam_submit_outside() -> f64 {
    let (sender, receiver) =
        crossbeam_channel::bounded::<Box<dyn FnOnce() + Send>>(WINDOW as usize);
    let ran = Arc::new(AtomicU64::new(0));
    for _ in 0..outside_workers() {
        let (receiver, ran) = (receiver.clone(), ran.clone());
        thread::spawn(move || {
            for task in receiver {
                task();
                ran.fetch_add(1, Ordering::Release);
            }
        });
    }
    each(TASKS, |n| {
        ran.store(0, Ordering::Relaxed);
        for _ in 0..n {
            sender.send(Box::new(nop)).unwrap();
        }
        while ran.load(Ordering::Acquire) < n {
            thread::yield_now();
        }
    })
}

fn crossbeam(workload: &str) -> Option<f64> {
    Some(match workload {
        "submit-outside" => crossbeam_submit_outside(),
        "queue-64b" => {
            let (sender, receiver) = crossbeam_channel::bounded::<Message>(QUEUE);
            messages(|m| sender.send(m).unwrap(), || receiver.recv().unwrap())
        }
        _ => return None,
    })
}

fn lock_loop(lock: &Mutex<u64>, n: u64) {
    for _ in 0..n {
        *lock.lock().unwrap() += 1;
    }
}

fn std_condition_handover() -> f64 {
    let (turn, changed) = (Mutex::new(0), Condvar::new());
    let hand_over = |mine: u32, rounds: u64| {
        for _ in 0..rounds {
            let mut now = changed
                .wait_while(turn.lock().unwrap(), |t| *t != mine)
                .unwrap();
            *now = 1 - mine;
            changed.notify_one();
        }
    };
    each(u64::MAX, |n| {
        thread::scope(|s| {
            s.spawn(|| hand_over(1, n / 2));
            hand_over(0, n / 2);
        })
    })
}

fn standard(workload: &str) -> Option<f64> {
    Some(match workload {
        "lock-alone" => {
            let lock = Mutex::new(0);
            each(u64::MAX, |n| lock_loop(&lock, n))
        }
        "lock-contended" => each(u64::MAX, |n| {
            let lock = Mutex::new(0);
            thread::scope(|s| {
                s.spawn(|| lock_loop(&lock, n / 2));
                lock_loop(&lock, n / 2);
            });
            assert_eq!(*lock.lock().unwrap(), n / 2 * 2);
        }),
        "condition-handover" => std_condition_handover(),
        "barrier-handover" => each(u64::MAX, |n| {
            let barrier = Barrier::new(2);
            let meet = || {
                for _ in 0..n {
                    barrier.wait();
                }
            };
            thread::scope(|s| {
                s.spawn(meet);
                meet();
            })
        }),
        "queue-64b" => {
            let (sender, receiver) = sync_channel::<Message>(QUEUE);
            messages(
                move |m| sender.send(m).unwrap(),
                move || receiver.recv().unwrap(),
            )
        }
        _ => return None,
    })
}

fn outside_workers() -> usize {
    std::env::var("OUTSIDE_WORKERS").map_or(1, |s| s.parse().unwrap())
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = match args.get(1..).unwrap_or(&[]) {
        [contender, workload] => match contender.as_str() {
            "rayon" => rayon(workload),
            "tokio" => tokio(workload),
            "crossbeam" => crossbeam(workload),
            "std" => standard(workload),
            _ => None,
        },
        _ => None,
    };
    match value {
        Some(value) => println!("{} {:.6}", args[2], value),
        None => {
            eprintln!("usage: rust-peers rayon|tokio|crossbeam|std WORKLOAD");
            std::process::exit(2);
        }
    }
}
