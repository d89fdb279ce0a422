use std::io::Write;

use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;

use super::{Broken, CHUNK, Gunzip, Step};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Feeds `input` in pieces of `piece` bytes; the output, and whether it may end there.
fn run(input: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Broken> {
    let mut gunzip = Gunzip::new();
    let mut output = Vec::new();
    for piece in input.chunks(piece.max(1)) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Step::Data(data) = gunzip.step(&mut piece)? {
            assert!(!data.is_empty() && data.len() <= CHUNK);
            output.extend_from_slice(&data);
        }
        assert!(piece.is_empty(), "all input is used");
    }
    Ok((output, gunzip.may_end()))
}

#[test]
fn members_follow_one_another() {
    let two = [gzip(b"hello "), gzip(b""), gzip(b"world")].concat();
    for piece in [1, 7, 1000] {
        assert_eq!(run(&two, piece).unwrap(), (b"hello world".to_vec(), true));
    }
}

#[test]
fn optional_header_fields_are_passed_over() {
    let fields: [fn(GzBuilder) -> GzBuilder; 4] = [
        |b| b.filename("a name"),
        |b| b.comment("a comment"),
        |b| b.extra("extra"),
        |b| b.extra("x").filename("y").comment("z").mtime(7),
    ];
    for add in fields {
        let mut encoder = add(GzBuilder::new()).write(Vec::new(), Compression::fast());
        encoder.write_all(b"text").unwrap();
        let mut input = encoder.finish().unwrap();
        assert_eq!(run(&input, 1).unwrap(), (b"text".to_vec(), true));
        // With a header checksum, which nobody writes but the format has; it stands before the deflate data.
        let deflate = input.len() - 8 - 6;
        input[3] |= 2;
        input.splice(deflate..deflate, [0, 0]);
        assert_eq!(run(&input, 3).unwrap(), (b"text".to_vec(), true));
    }
}

#[test]
fn what_is_not_gzip_is_refused() {
    let good = gzip(b"some text that is long enough to be compressed, long enough");
    let mut wrong_sum = good.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let mut wrong_length = good.clone();
    *wrong_length.last_mut().unwrap() ^= 1;
    let mut reserved = good.clone();
    reserved[3] = 0x80;
    let mut wrong_method = good.clone();
    wrong_method[2] = 7;
    let mut wrong_deflate = good.clone();
    wrong_deflate[10] = 0x07;
    let trailing = [good.clone(), b"garbage".to_vec()].concat();
    let mut endless_name = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0];
    endless_name.resize(70 << 10, b'n');
    for input in [
        wrong_sum,
        wrong_length,
        reserved,
        wrong_method,
        wrong_deflate,
        trailing,
        endless_name,
        b"plain text".to_vec(),
    ] {
        assert_eq!(run(&input, 5), Err(Broken));
    }
}

#[test]
fn an_input_that_stops_early_may_not_end_there() {
    let data: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
    let input = gzip(&data);
    for length in 1..input.len() {
        let (output, may_end) = run(&input[..length], 100).unwrap();
        assert!(!may_end && data.starts_with(&output), "{length}");
    }
}

#[test]
fn output_that_is_there_does_not_wait_for_more_input() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&vec![b'a'; 300 << 10]).unwrap();
    encoder.flush().unwrap();
    assert_eq!(run(encoder.get_ref(), 1 << 20).unwrap(), (vec![b'a'; 300 << 10], false));
}

#[test]
fn members_of_nothing_share_one_room() {
    let mut gunzip = Gunzip::new();
    let mut input = Bytes::from(gzip(b"").repeat(100));
    assert_eq!(gunzip.step(&mut input), Ok(Step::Hungry));
    let room = gunzip.room.as_ptr();
    let mut input = Bytes::from(gzip(b"").repeat(100));
    assert_eq!(gunzip.step(&mut input), Ok(Step::Hungry));
    assert!(!gunzip.room.is_empty() && gunzip.room.as_ptr() == room);
    // Nor does a little output take the room with it.
    let mut input = Bytes::from(gzip(b"x"));
    assert_eq!(gunzip.step(&mut input), Ok(Step::Data(Bytes::from_static(b"x"))));
    assert_eq!(gunzip.room.as_ptr(), room);
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back(data: Vec<u8>, repeat in 1_usize..2000, piece in 1_usize..5000) {
        let data = data.repeat(repeat);
        prop_assert_eq!(run(&gzip(&data), piece).unwrap(), (data, true));
    }

    #[test]
    fn no_input_is_fatal(input: Vec<u8>, piece in 1_usize..50) {
        let _ = run(&input, piece);
        let _ = run(&[&[0x1f, 0x8b, 8], &input[..]].concat(), piece);
        let _ = run(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], &input[..]].concat(), piece);
    }
}
