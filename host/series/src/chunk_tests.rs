//! Chunks: everything comes back bit for bit, and no bytes make the decoder panic.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn encode(samples: &[(i64, u64)]) -> Open {
    let mut open = Open::default();
    let mut last = (0, 0);
    for sample in samples {
        open.push(last, *sample);
        last = *sample;
    }
    open
}

fn decoded(chunk: &[u8]) -> Result<Vec<(i64, u64)>, Damaged> {
    let mut samples = Vec::new();
    decode(chunk, |time, value| {
        samples.push((time, value.to_bits()));
        ControlFlow::Continue(())
    })?;
    Ok(samples)
}

fn samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let step =
        prop_oneof![4 => Just(15_000_i64), 3 => 14_990..15_010_i64, 1 => 1..100_000_i64, 1 => 1..1_i64 << 45];
    let value = prop_oneof![
        any::<u64>(),
        (0..1000_i64).prop_map(|value| (value as f64).to_bits()),
        (0..1000_i64).prop_map(|value| (value as f64 / 10.0).to_bits()),
        Just(picket_model::STALE_NAN),
        Just(f64::NAN.to_bits()),
        Just((-0.0_f64).to_bits()),
    ];
    let steps = prop::collection::vec((step, value), 1..usize::from(MAX_SAMPLES));
    (0..1_i64 << 45, steps).prop_map(|(start, steps)| {
        let mut time = start;
        let next = |(step, value)| {
            time += step;
            (time, value)
        };
        steps.into_iter().map(next).collect()
    })
}

proptest! {
    #[test]
    fn samples_come_back_bit_for_bit(samples in samples()) {
        let chunk = encode(&samples).closed();
        prop_assert_eq!(decoded(&chunk), Ok(samples));
    }

    #[test]
    fn any_bytes_are_a_chunk_or_damaged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(samples) = decoded(&bytes) {
            prop_assert!(samples.is_sorted_by(|a, b| a.0 < b.0));
        }
    }

    #[test]
    fn a_flipped_or_cut_chunk_does_no_harm(samples in samples(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut chunk = encode(&samples).closed().to_vec();
        let at = at.index(chunk.len());
        let _ = decoded(&chunk[..at]);
        chunk[at] ^= 1_u8 << bit;
        let _ = decoded(&chunk);
    }
}

#[test]
fn the_ends_of_each_width_come_back() {
    let mut time = 1 << 40;
    let mut times = vec![(time, 0)];
    let mut delta = 1 << 38;
    for change in [63_i64, -64, 64, -65, 2047, -2048, 2048, -2049, 524_287, -524_288, 524_288, -524_289] {
        delta += change;
        time += delta;
        times.push((time, 0));
    }
    assert_eq!(decoded(&encode(&times).closed()), Ok(times));
}

#[test]
fn a_reader_that_has_enough_ends_it() {
    let chunk = encode(&[(1, 0), (2, 0), (3, 0)]).closed();
    let mut seen = 0;
    decode(&chunk, |time, _| {
        seen += 1;
        if time == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, 2);
}
