//! What the server costs, without a client library in the way: frames are built once and sent as they are.
//!
//! `cargo bench -p moldau-server` prints one line per row: one-record synchronous produce (the percentiles of a round
//! trip), produce in batches, fetch from the start, and a long poll (from the producer's send to the consumer's
//! receive). `cargo bench -p moldau-server -- fetch` runs the rows whose name contains the word.

#[path = "../tests/broker/mod.rs"]
mod broker;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use broker::records::{Ask, fetch_request, produce_request};
use broker::{Broker, Client, FETCH, PRODUCE, batch};

fn read_answer(client: &mut Client, buffer: &mut Vec<u8>) -> usize {
    let mut size = [0; 4];
    client.stream.read_exact(&mut size).unwrap();
    let size = i32::from_be_bytes(size) as usize;
    buffer.resize(buffer.len().max(size), 0);
    client.stream.read_exact(&mut buffer[..size]).unwrap();
    size
}

/// CPU time of this process so far, kernel time included.
fn cpu() -> Duration {
    // SAFETY: the struct is plain data that the call fills.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_nanos() as f64 / 1000.0;
    format!(
        "p50 {:.1} us  p99 {:.1} us  p99.9 {:.1} us",
        at(0.5),
        at(0.99),
        at(0.999)
    )
}

fn synchronous_produce(acks: i16) -> String {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let request = produce_request(&broker, 9, acks, "orders", &[(0, batch(&[&[b'x'; 100]]))]);
    let (_, frame) = client.frame(PRODUCE, 9, &request);
    let mut buffer = Vec::new();
    let mut times = Vec::new();
    for round in 0..30_000 {
        let began = Instant::now();
        client.stream.write_all(&frame).unwrap();
        read_answer(&mut client, &mut buffer);
        if round > 5_000 {
            times.push(began.elapsed());
        }
    }
    percentiles(times)
}

/// Produce `total` bytes in batches of `batch_bytes`, so many requests in flight, over so many partitions.
fn produce_throughput(partitions: i32, value_bytes: usize, batch_bytes: usize, in_flight: usize) -> String {
    let broker = Broker::start();
    broker.create_topic("orders", partitions);
    let mut client = broker.connect();
    let value = vec![b'x'; value_bytes];
    let per_batch = (batch_bytes / (value_bytes + 8)).max(1);
    let records = batch(&vec![&value[..]; per_batch]);
    let batches: Vec<_> = (0..partitions).map(|partition| (partition, records.clone())).collect();
    let (_, frame) = client.frame(PRODUCE, 9, &produce_request(&broker, 9, -1, "orders", &batches));
    let requests = (1_500_000_000 / frame.len()).min(40_000);
    let mut reader = Client {
        stream: client.stream.try_clone().unwrap(),
        next_correlation_id: 0,
    };
    let (permits, taken) = std::sync::mpsc::sync_channel::<()>(in_flight);
    let (began, before) = (Instant::now(), cpu());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..requests {
                permits.send(()).unwrap();
                client.stream.write_all(&frame).unwrap();
            }
        });
        let mut buffer = Vec::new();
        for _ in 0..requests {
            read_answer(&mut reader, &mut buffer);
            taken.recv().unwrap();
        }
    });
    let bytes = requests * records.len() * partitions as usize;
    rate(
        bytes,
        requests * per_batch * partitions as usize,
        began.elapsed(),
        cpu() - before,
    )
}

fn rate(bytes: usize, messages: usize, elapsed: Duration, cpu: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let per_gb = cpu.as_secs_f64() / (bytes as f64 / 1e9);
    let (megabytes, thousands) = (bytes as f64 / 1e6 / seconds, messages as f64 / 1e3 / seconds);
    format!("{megabytes:.0} MB/s  {thousands:.0} k messages/s  {per_gb:.2} CPU s/GB, client included")
}

fn fetch_throughput(partitions: i32, max_bytes: i32) -> String {
    let broker = Broker::start();
    broker.create_topic("orders", partitions);
    let mut client = broker.connect();
    let records = batch(&vec![&[b'x'; 1000][..]; 100]);
    let batches: Vec<_> = (0..partitions).map(|partition| (partition, records.clone())).collect();
    let (_, frame) = client.frame(PRODUCE, 9, &produce_request(&broker, 9, 1, "orders", &batches));
    let mut buffer = Vec::new();
    for _ in 0..(800 / partitions).max(20) {
        client.stream.write_all(&frame).unwrap();
        read_answer(&mut client, &mut buffer);
    }
    let asked: Vec<_> = (0..partitions).map(|partition| (partition, 0)).collect();
    let (_, frame) = client.frame(
        FETCH,
        12,
        &fetch_request(
            &broker,
            &Ask {
                partitions: &asked,
                max_bytes,
                ..Ask::default()
            },
        ),
    );
    let (began, before, mut bytes) = (Instant::now(), cpu(), 0);
    while bytes < 4_000_000_000 && began.elapsed() < Duration::from_secs(4) {
        client.stream.write_all(&frame).unwrap();
        bytes += read_answer(&mut client, &mut buffer);
    }
    rate(bytes, bytes / 1008, began.elapsed(), cpu() - before)
}

/// From a producer's send to a parked consumer's receive.
fn long_poll() -> String {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut producer = broker.connect();
    let mut consumer = broker.connect();
    let request = produce_request(&broker, 9, 1, "orders", &[(0, batch(&[&[b'x'; 100]]))]);
    let (_, frame) = producer.frame(PRODUCE, 9, &request);
    let mut buffer = Vec::new();
    let mut times = Vec::new();
    for round in 0..5_000 {
        let ask = Ask {
            partitions: &[(0, round)],
            max_wait_ms: 5_000,
            ..Ask::default()
        };
        let (_, poll) = consumer.frame(FETCH, 12, &fetch_request(&broker, &ask));
        consumer.stream.write_all(&poll).unwrap();
        std::thread::sleep(Duration::from_micros(200));
        let began = Instant::now();
        producer.stream.write_all(&frame).unwrap();
        read_answer(&mut consumer, &mut buffer);
        times.push(began.elapsed());
        read_answer(&mut producer, &mut buffer);
    }
    percentiles(times)
}

/// A name and what it measures.
type Row = (&'static str, fn() -> String);

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let rows: [Row; 9] = [
        ("sync produce, 1 record of 100 B, acks=1", || synchronous_produce(1)),
        ("sync produce, 1 record of 100 B, acks=all", || synchronous_produce(-1)),
        ("produce, 1 partition, 16 KB batches, 5 in flight", || {
            produce_throughput(1, 100, 16_000, 5)
        }),
        ("produce, 1 partition, 1 MB batches, 5 in flight", || {
            produce_throughput(1, 1000, 1_000_000, 5)
        }),
        ("produce, 24 partitions, 16 KB batches, 5 in flight", || {
            produce_throughput(24, 1000, 16_000, 5)
        }),
        ("fetch, 1 partition, up to 1 MB", || fetch_throughput(1, 1 << 20)),
        ("fetch, 24 partitions, up to 50 MB", || fetch_throughput(24, 50 << 20)),
        ("fetch, 24 partitions, up to 1 MB", || fetch_throughput(24, 1 << 20)),
        ("long poll, produce to consume", long_poll),
    ];
    for (name, measure) in rows {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            println!("{name:<52} {}", measure());
        }
    }
}
