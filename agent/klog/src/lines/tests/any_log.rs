//! What holds of any log.
use super::*;

/// Pieces that logs are made of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"\n",
        b"\r\n",
        b"\n\n",
        b" ",
        b"> ",
        b"| ",
        b"=",
        b"=3D",
        b"=\n",
        b"\"",
        b"\\\"",
        b"#012",
        b"\\x0a",
        b"[    1.5] ",
        b"[ T12] ",
        b"[Mon Nov 20 09:42:36 2023] ",
        b"[  +0.1] ",
        b"Nov 20 09:42:36 h kernel: ",
        b"4,1,2,-;",
        b"<4>",
        b"kern  :warn  : ",
        b"time=\"",
        b"level=error msg=\"",
        b"E1120 09:42:36.1 1 a.go:1] ",
        b"{\"MESSAGE\":\"",
        b"\"}",
        b"{\"log\":\"x\\n\"}\n",
        b"__CURSOR=1\n",
        b"MESSAGE\n",
        b"MESSAGE=x\n",
        b"\x03\0\0\0\0\0\0\0",
        b"2026-11-20T09:42:36.1Z stderr P ",
        b"page allocation failure",
        b"Killed process",
        b"\x1b[31m",
        b"\xff",
        b"\0",
        b"&lt;",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x1f\x8b\x08",
        b"word",
        b"a very long word that goes on and on until the line is as wide as a mail ",
    ];
    prop_oneof![
        24 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        3 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (0usize..3, any::<u8>()).prop_map(|(n, byte)| vec![byte; n * 40_000]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// However the bytes come, the same lines come out, and nothing panics.
    #[test]
    fn chunks_make_no_difference(
        pieces in prop::collection::vec(piece(), 0..40),
        chunks in prop::collection::vec(100usize..100_000, 1..6),
        small in prop::collection::vec(1usize..50, 1..6),
    ) {
        let log = pieces.concat();
        let whole = read(&log);
        let of = |chunks: Vec<usize>| read_from(Chunks(Cursor::new(log.clone()), chunks));
        prop_assert_eq!(&whole, &of(chunks));
        if log.len() < 2000 {
            prop_assert_eq!(&whole, &of(small));
        }
        for line in &whole.0 {
            prop_assert!(line.first >= 1 && line.first <= line.last);
            prop_assert!(line.last <= whole.1.lines);
            prop_assert!(!line.text.contains('\n') && !line.text.trim().is_empty());
        }
    }
}
