//! The four codecs of Kafka, in both directions.
//!
//! Snappy travels in the block framing of snappy-java (Xerial), as Kafka's own clients write it; a bare Snappy block
//! is read too, because some clients send that. Decompression streams into a buffer that grows with what really
//! comes out and stops at a limit, so a small batch that unfolds into gigabytes costs an error.

use super::BatchError;
use crate::config::CompressionSetting;
use std::fmt;
use std::io::{self, Read, Write};

/// The most that one batch may decompress to.
pub const DECOMPRESSED_LIMIT_BYTES: usize = 256 * 1024 * 1024;

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// A Snappy copy element of three bytes yields at most 64.
const SNAPPY_EXPANSION_LIMIT: usize = 64;

/// How the records of a batch are compressed; the numbers are those in the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// 0
    None,
    /// 1
    Gzip,
    /// 2
    Snappy,
    /// 3
    Lz4,
    /// 4
    Zstd,
}

impl Codec {
    /// The codec that a batch's attributes name.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn from_number(number: u8) -> Result<Codec, BatchError> {
        match number {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            other => Err(BatchError::UnsupportedCompression(other)),
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    /// The setting that asks for this codec at its default level.
    #[must_use]
    pub fn setting(self) -> CompressionSetting {
        match self {
            Codec::None => CompressionSetting::Uncompressed,
            Codec::Gzip => CompressionSetting::Gzip { level: -1 },
            Codec::Snappy => CompressionSetting::Snappy,
            Codec::Lz4 => CompressionSetting::Lz4 { level: 9 },
            Codec::Zstd => CompressionSetting::Zstd { level: 3 },
        }
    }
}

impl CompressionSetting {
    /// The codec that batches are to have; `None` to keep the producer's.
    #[must_use]
    pub fn codec(self) -> Option<Codec> {
        match self {
            CompressionSetting::Producer => None,
            CompressionSetting::Uncompressed => Some(Codec::None),
            CompressionSetting::Gzip { .. } => Some(Codec::Gzip),
            CompressionSetting::Snappy => Some(Codec::Snappy),
            CompressionSetting::Lz4 { .. } => Some(Codec::Lz4),
            CompressionSetting::Zstd { .. } => Some(Codec::Zstd),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        })
    }
}

/// Compresses `records` as `setting` asks (`Producer` and `Uncompressed` leave them as they are).
///
/// # Errors
/// Only what a codec says about its own level.
pub fn compress(setting: CompressionSetting, records: &[u8]) -> io::Result<Vec<u8>> {
    match setting {
        CompressionSetting::Producer | CompressionSetting::Uncompressed => Ok(records.to_vec()),
        CompressionSetting::Gzip { level } => {
            let level = u32::try_from(level).map_or(flate2::Compression::default(), flate2::Compression::new);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(records)?;
            encoder.finish()
        }
        CompressionSetting::Snappy => compress_xerial(records),
        CompressionSetting::Lz4 { .. } => {
            // Kafka's readers want independent blocks.
            let info = lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(records)?;
            encoder.finish().map_err(io::Error::other)
        }
        CompressionSetting::Zstd { level } => zstd::bulk::compress(records, level),
    }
}

fn compress_xerial(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = XERIAL_MAGIC.to_vec();
    // Version and oldest compatible version of the framing.
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(io::Error::other)?;
        let length = i32::try_from(compressed.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

/// Decompresses `stored`, to at most `limit` bytes.
pub fn decompress(codec: Codec, stored: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let failed = |error: io::Error| BatchError::Decompression {
        codec,
        message: error.to_string(),
    };
    match codec {
        Codec::None => Ok(stored.to_vec()),
        Codec::Gzip => read_limited(codec, flate2::read::MultiGzDecoder::new(stored), limit),
        Codec::Snappy => decompress_snappy(stored, limit),
        Codec::Lz4 => read_limited(codec, lz4_flex::frame::FrameDecoder::new(stored), limit),
        Codec::Zstd => read_limited(
            codec,
            zstd::stream::read::Decoder::with_buffer(stored).map_err(failed)?,
            limit,
        ),
    }
}

fn read_limited(codec: Codec, reader: impl Read, limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    let result = reader.take(limit as u64 + 1).read_to_end(&mut out);
    result.map_err(|error| BatchError::Decompression {
        codec,
        message: error.to_string(),
    })?;
    if out.len() > limit {
        return Err(BatchError::DecompressedTooLarge { limit });
    }
    Ok(out)
}

fn decompress_snappy(stored: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    if !stored.starts_with(&XERIAL_MAGIC) {
        append_snappy_block(stored, limit, &mut out)?;
        return Ok(out);
    }
    let cut_short = || BatchError::Decompression {
        codec: Codec::Snappy,
        message: "cut short".to_owned(),
    };
    let mut rest = stored.get(XERIAL_HEADER_BYTES..).ok_or_else(cut_short)?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| cut_short())?;
        let block = after.get(..length).ok_or_else(cut_short)?;
        append_snappy_block(block, limit, &mut out)?;
        rest = &after[length..];
    }
    Ok(out)
}

fn append_snappy_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let failed = |error: snap::Error| BatchError::Decompression {
        codec: Codec::Snappy,
        message: error.to_string(),
    };
    let length = snap::raw::decompress_len(block).map_err(failed)?;
    if length > block.len().saturating_mul(SNAPPY_EXPANSION_LIMIT) {
        let message = "the block claims more than it can hold".to_owned();
        return Err(BatchError::Decompression {
            codec: Codec::Snappy,
            message,
        });
    }
    if length > limit.saturating_sub(out.len()) {
        return Err(BatchError::DecompressedTooLarge { limit });
    }
    let start = out.len();
    out.resize(start + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, &mut out[start..])
        .map_err(failed)?;
    out.truncate(start + written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    proptest! {
        #[test]
        fn every_codec_gives_back_what_it_took(bytes in proptest::collection::vec(any::<u8>(), 0..100_000)) {
            for codec in CODECS {
                let stored = compress(codec.setting(), &bytes).unwrap();
                prop_assert_eq!(&decompress(codec, &stored, bytes.len()).unwrap(), &bytes);
            }
        }

        #[test]
        fn hostile_bytes_are_an_error_or_stay_in_the_limit(bytes: Vec<u8>, framed: bool) {
            let mut stored = if framed { XERIAL_MAGIC.to_vec() } else { Vec::new() };
            stored.extend_from_slice(&bytes);
            for codec in CODECS {
                if let Ok(out) = decompress(codec, &stored, 4096) {
                    prop_assert!(codec == Codec::None || out.len() <= 4096);
                }
            }
        }

        #[test]
        fn a_flipped_bit_never_panics(at in 0usize..200, bit in 0u8..8) {
            let bytes: Vec<u8> = (0..5000u32).flat_map(|number| (number / 7).to_be_bytes()).collect();
            for codec in CODECS {
                let mut stored = compress(codec.setting(), &bytes).unwrap();
                let at = at % stored.len();
                stored[at] ^= 1 << bit;
                let _ = decompress(codec, &stored, 1 << 20);
            }
        }
    }

    #[test]
    fn a_decompression_bomb_stops_at_the_limit() {
        let zeroes = vec![0; 4 << 20];
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let stored = compress(codec.setting(), &zeroes).unwrap();
            let limit = 1 << 20;
            assert_eq!(
                decompress(codec, &stored, limit),
                Err(BatchError::DecompressedTooLarge { limit }),
                "{codec}"
            );
        }
    }

    #[test]
    fn a_bare_snappy_block_is_read_too() {
        let block = snap::raw::Encoder::new().compress_vec(b"without a frame").unwrap();
        assert_eq!(decompress(Codec::Snappy, &block, 100).unwrap(), b"without a frame");
    }

    #[test]
    fn a_snappy_block_cannot_claim_gigabytes() {
        // 0xff 0xff 0xff 0xff 0x0f is 2^32-1.
        assert!(decompress(Codec::Snappy, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], usize::MAX).is_err());
    }
}
