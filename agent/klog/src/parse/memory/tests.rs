//! Lines of Mem-Info, of kernels of all ages.
use super::*;

fn key(node: Option<u32>, name: &str) -> ZoneKey {
    ZoneKey { node, name: name.to_owned() }
}

#[test]
fn zones_of_all_ages() {
    let parsed = parse(
        "Node 1 Normal free:86104kB boost:0kB min:14148kB low:17172kB high:20196kB reserved_highatomic:2048KB active_anon:1kB present:3129180kB managed:3015048kB mlocked:0kB free_cma:12kB",
    );
    let expected = ZoneLine {
        zone: key(Some(1), "Normal"),
        free: Some(86_104),
        min: Some(14_148),
        high: Some(20_196),
        reserved_highatomic: Some(2048),
        managed: Some(3_015_048),
        present: Some(3_129_180),
        free_cma: Some(12),
    };
    assert_eq!(parsed, Some(Memory::Zone(expected)));
    let Some(Memory::Zone(zone)) =
        parse("DMA free:1096kB min:124kB low:152kB high:184kB present:15868kB pages_scanned:0")
    else {
        panic!("not a zone")
    };
    assert_eq!((zone.zone, zone.managed, zone.present), (key(None, "DMA"), None, Some(15_868)));
    // Cut within a number.
    let Some(Memory::Zone(zone)) = parse("Node 0 DMA32 free:303836kB min:48804kB high:711") else {
        panic!("not a zone")
    };
    assert_eq!((zone.free, zone.min, zone.high), (Some(303_836), Some(48_804), None));
    assert_eq!(parse("Node 0 DMA per-cpu:"), Some(Memory::Other));
}

#[test]
fn blocks_with_and_without_letters() {
    let Some(Memory::Blocks(line)) = parse("Node 0 DMA32: 3*4kB (UM) 0*8kB 1*16kB (H) = 28kB")
    else {
        panic!("not blocks")
    };
    assert_eq!(line.zone, key(Some(0), "DMA32"));
    let orders = [(3, 4, "UM"), (0, 8, ""), (1, 16, "H")].map(|(n, s, l)| (n, s, l.to_owned()));
    assert_eq!((line.orders, line.sum), (orders.to_vec(), Some(28)));
    let Some(Memory::Blocks(line)) = parse("Normal: 135*4kB 213*8kB 0*16") else {
        panic!("not blocks")
    };
    assert_eq!((line.orders.len(), line.sum), (2, None));
}

#[test]
fn the_rest_of_it() {
    assert_eq!(parse("Mem-Info:"), Some(Memory::Begin));
    assert_eq!(
        parse("lowmem_reserve[]: 0 2815 15868"),
        Some(Memory::LowmemReserve(vec![0, 2815, 15_868]))
    );
    assert_eq!(parse("1965969 pages RAM"), Some(Memory::Ram(1_965_969)));
    assert_eq!(parse("Free swap  = 84kB"), Some(Memory::FreeSwap(84)));
    assert_eq!(parse("18799 total pagecache pages"), Some(Memory::PageCache));
    let totals = Totals { free: Some(544), slab_unreclaimable: Some(7), ..Totals::default() };
    assert_eq!(
        parse(" slab_unreclaimable:7 mapped:0 free:544 free_pcp:10"),
        Some(Memory::Totals(totals))
    );
    assert_eq!(parse("anything else: 5"), None);
    assert_eq!(parse("2 pages of prose"), None);
}
