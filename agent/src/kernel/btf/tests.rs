//! BTF written by hand, read back.
use super::*;

/// BTF written by hand: what a kernel's would hold for a few types.
#[derive(Default)]
pub(crate) struct Writer {
    types: Vec<u32>,
    strings: Vec<u8>,
    /// Types that functions have taken, where there is nothing else.
    functions: u32,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], functions: 0 }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    fn ty(&mut self, name: &str, kind: u32, len: u32, size: u32, tail: &[u32]) {
        let name = self.string(name);
        self.types.extend([name, kind << 24 | len, size]);
        self.types.extend(tail);
    }

    /// A function with so many parameters, of no type.
    pub(crate) fn function(&mut self, name: &str, parameters: u32) {
        self.ty("", KIND_FUNC_PROTO, parameters, 0, &[0; 2].repeat(parameters as usize));
        // The prototype is the type before.
        self.functions += 2;
        self.ty(name, KIND_FUNC, 0, self.functions - 1, &[]);
    }

    /// A number of so many bytes.
    pub(crate) fn number(&mut self, name: &str, bytes: u32) {
        self.ty(name, KIND_INT, 0, bytes, &[bytes * 8]);
    }

    /// A structure with these members: name, number of the type, and offset in bytes.
    pub(crate) fn structure(&mut self, name: &str, members: &[(&str, u32, u32)]) {
        let mut words = Vec::new();
        for (member, ty, offset) in members {
            words.extend([self.string(member), *ty, offset * 8]);
        }
        self.ty(name, KIND_STRUCT, members.len() as u32, 64, &words);
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        let types: Vec<u8> = self.types.iter().flat_map(|w| w.to_le_bytes()).collect();
        let (type_len, string_len) = (types.len() as u32, self.strings.len() as u32);
        [0x01_eb9f, 24, 0, type_len, type_len, string_len]
            .iter()
            .flat_map(|w: &u32| w.to_le_bytes())
            .chain(types)
            .chain(self.strings)
            .collect()
    }
}

fn sample() -> Vec<u8> {
    let mut w = Writer::new();
    w.ty("long", KIND_INT, 0, 8, &[64]); // 1
    w.ty("", KIND_ARRAY, 0, 0, &[1, 1, 11]); // 2
    let (node, name, area) = (w.string("node"), w.string("name"), w.string("free_area"));
    w.ty("", KIND_UNION, 2, 8, &[node, 1, 0, name, 1, 0]); // 3
    w.ty("zone", KIND_STRUCT, 2, 104, &[0, 3, 8 * 8, area, 2, 16 * 8]); // 4
    w.ty("zone_t", KIND_TYPEDEF, 0, 4, &[]); // 5
    let (zone, pad) = (w.string("zone"), w.string("pad"));
    w.ty("outer", KIND_STRUCT, 2, 120, &[pad, 1, 0, zone, 5, 16 * 8]); // 6
    let (dma, io) = (w.string("___GFP_DMA_BIT"), w.string("___GFP_IO_BIT"));
    w.ty("", KIND_ENUM, 2, 4, &[dma, 0, io, 6]); // 7
    let free = w.string("NR_FREE_PAGES");
    w.ty("zone_stat_item", KIND_ENUM, 1, 4, &[free, 3]); // 8
    w.ty("", KIND_FUNC_PROTO, 3, 0, &[0, 1, 0, 1, 0, 1]); // 9
    w.ty("copy_net_ns", KIND_FUNC, 0, 9, &[]); // 10
    w.bytes()
}

#[test]
fn finds_members_through_anonymous_and_typedef() {
    let bytes = sample();
    let btf = Btf::index(&bytes).expect("valid");
    assert_eq!(btf.member("zone", "name").map(|m| m.offset), Some(8));
    assert_eq!(btf.member("zone", "free_area").map(|m| m.offset), Some(16));
    assert_eq!(btf.member("outer", "zone.name").map(|m| m.offset), Some(24));
    assert_eq!(btf.member("zone", "nam"), None);
    assert_eq!(btf.member("zone", "nothing"), None);
    assert_eq!(btf.member("nothing", "name"), None);
    assert_eq!(btf.size_of("zone"), Some(104));
}

#[test]
fn functions_alone_keep_their_ids_and_parameters() {
    let bytes = sample();
    let btf = Btf::index(&bytes).expect("valid");
    let alone = btf.functions_alone(&["copy_net_ns", "nothing", "copy_net_ns"], true);
    assert!(aya::Btf::parse(&alone, aya::Endianness::Little).is_ok());
    let alone = Btf::index(&alone).expect("valid");
    let id = |btf: &Btf, name| btf.find(&btf.functions, name).map(|function| function.id);
    assert_eq!(id(&btf, "copy_net_ns"), Some(10));
    assert_eq!(id(&alone, "copy_net_ns"), Some(10));
    assert_eq!(id(&alone, "nothing"), None);
    assert_eq!(alone.parameters("copy_net_ns"), Some(3));
    assert_eq!(alone.starts.len(), 11, "ten types and a prototype");
    let short = btf.functions_alone(&["copy_net_ns"], false);
    let short = Btf::index(&short).expect("valid");
    assert_eq!((id(&short, "copy_net_ns"), short.starts.len()), (Some(1), 2));
    assert_eq!(short.parameters("copy_net_ns"), Some(3));
    let none = btf.functions_alone(&["nothing"], true);
    assert_eq!(Btf::index(&none).map(|btf| btf.starts.len()), Ok(0));
}

#[test]
fn reads_arrays_enums_and_prototypes() {
    let bytes = sample();
    let btf = Btf::index(&bytes).expect("valid");
    let area = btf.member("zone", "free_area").expect("member");
    assert_eq!(btf.array_len(area), Some(11));
    assert_eq!(btf.enumerator("zone_stat_item", "NR_FREE_PAGES"), Some(3));
    assert_eq!(btf.enumerator("zone_stat_item", "NR_FREE"), None);
    assert_eq!(
        btf.enum_beginning_with("___GFP_DMA_BIT"),
        [("___GFP_DMA_BIT", 0), ("___GFP_IO_BIT", 6)]
    );
    assert_eq!(btf.parameters("copy_net_ns"), Some(3));
    assert_eq!(btf.parameters("ops_init"), None);
}

#[test]
fn knows_how_long_a_number_is() {
    let bytes = sample();
    let btf = Btf::index(&bytes).expect("valid");
    let size = |structure, name| btf.size_of_number(btf.member(structure, name).expect("member"));
    assert_eq!(size("zone", "name"), Some(8));
    assert_eq!(size("zone", "free_area"), None, "an array is no number");
    assert_eq!(size("outer", "zone"), None);
}

#[test]
fn refuses_what_is_not_btf() {
    assert_eq!(Btf::index(b"\x7fELF\x02\x01\x01\0").err(), Some(BtfError::NotBtf));
    assert!(Btf::index(b"").is_err());
    let mut unknown = sample();
    unknown[24 + 7] = 31;
    assert_eq!(Btf::index(&unknown).err(), Some(BtfError::UnknownKind { id: 1, kind: 31 }));
}

proptest::proptest! {
    #[test]
    fn damaged_btf_never_panics(at in 0usize..400, value: u8, cut in 0usize..400) {
        let mut bytes = sample();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(btf) = Btf::index(&bytes) {
            let _ = btf.member("outer", "zone.name").and_then(|m| btf.array_len(m));
            let _ = (btf.enumerator("zone_stat_item", "NR_FREE_PAGES"), btf.parameters("copy_net_ns"));
            let _ = btf.enum_beginning_with("___GFP_DMA_BIT");
        }
    }
}
