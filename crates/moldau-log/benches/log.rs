//! What the log costs beside what the machine can do at all: append against memcpy and CRC-32C, the position of an
//! offset, validation, reads, compaction of few and of many keys. `cargo bench -p moldau-log`; the folder is in `MOLDAU_BENCH_DIR` or the system's
//! temporary one.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use moldau_log::batch::{BatchBuilder, BatchView, Codec};
use moldau_log::{
    AppendOrigin, CleanerLimits, LeaderEpoch, LogConfig, LogManager, LogManagerConfig, Offset, PartitionLog,
    PartitionSpec, TopicId, TopicPartition, Unhurried,
};
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;

struct Fixture {
    folder: PathBuf,
    manager: LogManager,
}

impl Fixture {
    fn new(name: &str) -> Fixture {
        let root = std::env::var_os("MOLDAU_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = root.join(format!("moldau-bench-{name}-{}", std::process::id()));
        let directories = vec![folder.clone()];
        let config = LogManagerConfig {
            directories,
            durable: false,
            ..LogManagerConfig::default()
        };
        Fixture {
            manager: LogManager::open(config).expect("a fresh folder"),
            folder,
        }
    }

    fn log(&self, topic: &str) -> Arc<PartitionLog> {
        // Old data is deleted as the bench goes on, so that it may run for long.
        self.log_with(
            topic,
            LogConfig {
                segment_bytes: 64 << 20,
                retention_bytes: 128 << 20,
                file_delete_delay_ms: 0,
                ..LogConfig::default()
            },
        )
    }

    fn log_with(&self, topic: &str, config: LogConfig) -> Arc<PartitionLog> {
        let topic_partition = TopicPartition::new(topic, 0);
        let spec = PartitionSpec {
            topic_partition,
            topic_id: TopicId::from_u128(1),
            config,
        };
        self.manager.create(spec, NOW).expect("a partition")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// About `total` bytes of records of `size` bytes.
fn batch(size: usize, total: usize) -> bytes::BytesMut {
    let mut builder = BatchBuilder::new();
    let value = vec![b'x'; size];
    builder.append(NOW, None, Some(&value), &[]);
    while builder.size_bytes() < total {
        builder.append(NOW, None, Some(&value), &[]);
    }
    builder.finish()
}

fn append(criterion: &mut Criterion) {
    let fixture = Fixture::new("append");
    let mut group = criterion.benchmark_group("append");
    for (name, size, total) in [
        ("100 B x 1", 100, 1),
        ("100 B, 16 KiB batch", 100, 16 << 10),
        ("1 KiB, 16 KiB batch", 1024, 16 << 10),
        ("1 KiB, 1 MB batch", 1024, 1_000_000),
    ] {
        let log = fixture.log(&name.replace([' ', ','], "_"));
        let bytes = batch(size, total);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            let mut since = 0;
            bencher.iter_batched(
                || {
                    since += bytes.len();
                    if since > 64 << 20 {
                        since = 0;
                        fixture.manager.housekeeping(NOW);
                    }
                    bytes.clone()
                },
                |bytes| {
                    log.append(bytes, LeaderEpoch(0), AppendOrigin::Client, NOW)
                        .expect("an append");
                    log.advance_high_watermark(Offset(i64::MAX));
                },
                BatchSize::PerIteration,
            );
        });
    }
}

fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits");
    for (name, total) in [("16 KiB", 16 << 10), ("1 MB", 1_000_000)] {
        let bytes = batch(1024, total);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("memcpy {name}"), |bencher| {
            let mut out = vec![0; bytes.len()];
            bencher.iter(|| out.copy_from_slice(black_box(&bytes)));
        });
        group.bench_function(format!("crc {name}"), |bencher| {
            let view = BatchView::parse(&bytes).expect("a batch");
            bencher.iter(|| black_box(&view).crc_matches());
        });
    }
}

fn read(criterion: &mut Criterion) {
    let fixture = Fixture::new("read");
    let log = fixture.log("reads");
    let bytes = batch(1024, 4096);
    let records = i64::from(BatchView::parse(&bytes).expect("a batch").record_count());
    for _ in 0..12_000 {
        log.append(bytes.clone(), LeaderEpoch(0), AppendOrigin::Client, NOW)
            .expect("an append");
    }
    let end = log.log_end_offset();
    let mut group = criterion.benchmark_group("read");
    group.bench_function("at the tail", |bencher| {
        bencher.iter(|| log.read(Offset(end.0 - records), 1 << 20, end, true).expect("a slice"));
    });
    group.bench_function("anywhere, by the index", |bencher| {
        let mut next = 0;
        bencher.iter(|| {
            next = (next + 7919 * records) % (end.0 - 64 * records);
            log.read(Offset(next), 1 << 20, end, true).expect("a slice")
        });
    });
}

/// A log of so many records under so many keys, in an order that is not theirs, that no pass has seen yet.
fn dirty(codec: Codec, records: u64, keys: u64) -> Fixture {
    let fixture = Fixture::new("compaction");
    let config = LogConfig {
        segment_bytes: 16 << 20,
        min_cleanable_dirty_ratio: 0.0,
        delete: false,
        compact: true,
        ..LogConfig::default()
    };
    let log = fixture.log_with("prices", config);
    for first in (0..records).step_by(100) {
        let mut builder = BatchBuilder::new().codec(codec);
        for number in first..records.min(first + 100) {
            let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let value = format!("{scattered:0>100}");
            let key = (scattered >> 20) % keys;
            builder.append(NOW, Some(&key.to_be_bytes()), Some(value.as_bytes()), &[]);
        }
        log.append(builder.finish(), LeaderEpoch(0), AppendOrigin::Client, NOW)
            .expect("an append");
    }
    log.advance_high_watermark(Offset(i64::MAX));
    fixture
}

fn compact(criterion: &mut Criterion) {
    let limits = CleanerLimits {
        map_bytes: 128 << 20,
        map_load_factor: 0.9,
        buffer_bytes: 256 << 10,
    };
    let mut group = criterion.benchmark_group("compact");
    group.sample_size(10);
    for (codec_name, codec) in [("uncompressed", Codec::None), ("lz4", Codec::Lz4)] {
        for (keys_name, keys) in [("100 keys", 100), ("1 M keys", 1_000_000)] {
            let records = 1_200_000;
            // Of keys and values, so that the codecs can be compared.
            group.throughput(Throughput::Bytes(records * 108));
            group.bench_function(format!("{codec_name}, {keys_name}"), |bencher| {
                bencher.iter_batched_ref(
                    || dirty(codec, records, keys),
                    |fixture| {
                        let cleaned = fixture.manager.clean_filthiest(limits, &mut Unhurried, NOW);
                        cleaned.expect("something to do")
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

criterion_group!(benches, limits, append, read, compact);
criterion_main!(benches);
