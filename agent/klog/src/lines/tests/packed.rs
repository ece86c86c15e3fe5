//! Logs that are compressed, or not in UTF-8.
use super::*;
use crate::read::{budget::Budget, input, watch::Watch};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstd(text: &str) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn compressed_logs() {
    let line = format!("{FAILURE}\n");
    for pack in [gzip, zstd] {
        // Members one after another.
        let packed = [pack(&line), pack("second\n")].concat();
        assert_eq!(texts(&packed), [format!("1-1 {FAILURE}"), "2-2 second".to_owned()]);
        assert!(!read(&packed).1.compressed_tail_lost);
        // Cut: what came before is used.
        let cut = [pack(&line), pack("second\n")[..9].to_vec()].concat();
        let (lines, stats) = read(&cut);
        assert_eq!((lines.len(), stats.compressed_tail_lost), (1, true));
        assert!(read(&packed[..packed.len() - 1]).1.compressed_tail_lost);
    }
    let twice = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&gzip(&line)).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    };
    assert_eq!(texts(twice), [format!("1-1 {FAILURE}")]);
}

#[test]
fn utf_16_and_byte_order_marks() {
    let text = format!("{FAILURE} 𝄞\n");
    let units = || text.encode_utf16();
    let little: Vec<u8> =
        b"\xff\xfe".iter().copied().chain(units().flat_map(u16::to_le_bytes)).collect();
    let big: Vec<u8> =
        b"\xfe\xff".iter().copied().chain(units().flat_map(u16::to_be_bytes)).collect();
    let expected = [format!("1-1 {FAILURE} 𝄞")];
    assert_eq!(texts(&little), expected);
    assert_eq!(texts(&big), expected);
    assert_eq!(texts(format!("\u{feff}{text}")), expected);
    // Halves of characters, and half a unit at the end.
    let lone: Vec<u8> = [0xfeffu16, 0xd834, 0x41, 0xdd1e, 0xd834]
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .chain([7])
        .collect();
    let watch = Watch::new(&Budget::unlimited());
    let opened = input::open(Box::new(Cursor::new(lone)), &watch, 0);
    let mut bytes = Vec::with_capacity(64);
    opened.expect("it is no other form").read_to_end(&mut bytes).expect("memory can be read");
    assert_eq!(String::from_utf8_lossy(&bytes), "\u{fffd}A\u{fffd}\u{fffd}");
}

/// A line, compressed with xz.
const XZ: &[u8] = b"\
    \xfd\x37\x7a\x58\x5a\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x1c\x00\x00\x00\
    \x10\xcf\x58\xcc\xe0\x00\x5c\x00\x4f\x5d\x00\x36\x9a\xc8\xb0\xb0\xf8\xf4\x4f\xa8\
    \x9a\x82\x21\x9c\x75\xd0\xe7\x76\x26\xda\x4c\x74\xc1\x77\xa0\x63\xc0\x06\xec\x76\
    \x1d\xb8\x18\x99\x12\xc0\x4a\xda\x20\x98\x57\x1d\x26\x15\xdc\xeb\x6e\xe7\x35\x2e\
    \xea\xdd\x22\xd1\x02\x5d\xcd\xb4\xf0\x1c\x7c\xd3\xbb\x7f\x26\xb7\x2e\x73\x82\x2c\
    \x6f\xb9\xb9\x8f\xe1\xee\x14\x67\x80\x00\x00\x00\xec\xdf\xb7\x2f\x00\x01\x67\x5d\
    \x02\x65\xe0\x1f\x90\x42\x99\x0d\x01\x00\x00\x00\x00\x01\x59\x5a";
/// Where it says how much memory it takes to unpack it, and the checksum of what says so.
const XZ_DICTIONARY: usize = 16;
const XZ_CHECKSUM: std::ops::Range<usize> = 20..24;

#[test]
fn xz_and_bzip2_are_unpacked_as_far_as_they_go() {
    let found = |bytes: &[u8]| {
        let (lines, stats) = read(bytes);
        (lines.len(), stats.compressed_tail_lost)
    };
    assert_eq!(found(XZ), (1, false));
    assert_eq!(found(&XZ.repeat(2)), (2, false));
    assert!(found(&XZ[..XZ.len() - 60]).1);
    assert!(found(b"BZh91AY").1);
    // It asks for 4 GiB.
    let mut large = XZ.to_vec();
    large[XZ_DICTIONARY] = 40;
    large[XZ_CHECKSUM].copy_from_slice(b"\xe6\xa0\x11\xb3");
    assert_eq!(found(&large), (0, true));
}

#[test]
fn other_forms_are_refused_with_advice() {
    for form in [&b"PK\x03\x04"[..], b"LPKSHHRH", b"\x04\x22\x4d\x18"] {
        let mut lines = Lines::new(Cursor::new(form.to_vec()));
        let error = lines.next().expect("an error").expect_err("an error").to_string();
        assert!(error.contains("can't be read as it is; "), "{error}");
        assert!(lines.next().is_none());
    }
}
