//! Prints the lines of logs.
use fragwatch::source::kernel_log::reader::Lines;
fn main() {
    let quiet = std::env::args().nth(1).as_deref() == Some("-q");
    for file in std::env::args().skip(1 + usize::from(quiet)) {
        let mut lines = if file == "-" {
            Lines::new(std::io::stdin())
        } else {
            Lines::new(std::fs::File::open(&file).unwrap())
        };
        println!("== {file}");
        let mut n = 0u64;
        for line in &mut lines {
            n += 1;
            match line {
                Ok(_) if quiet => {}
                Ok(l) => {
                    let t = l
                        .time
                        .map(|t| {
                            format!(
                                "{}{}",
                                t.boot
                                    .map(|b| format!("{:.6} ", b.as_secs_f64()))
                                    .unwrap_or_default(),
                                match t.wall {
                                    Some(fragwatch::source::kernel_log::line::Wall::Timestamp(
                                        t,
                                    )) => t.to_string(),
                                    Some(fragwatch::source::kernel_log::line::Wall::Civil(t)) =>
                                        t.to_string(),
                                    Some(fragwatch::source::kernel_log::line::Wall::Yearless {
                                        month,
                                        day,
                                        time,
                                    }) => format!("--{month:02}-{day:02}T{time}"),
                                    None => String::new(),
                                }
                            )
                        })
                        .unwrap_or_default();
                    println!(
                        "{}-{} [{t}] {:?} {:?} {:?} |{}",
                        l.first, l.last, l.caller, l.origin, l.host, l.text
                    );
                }
                Err(e) => println!("ERR {e}"),
            }
        }
        println!("{n} {:?}", lines.stats());
    }
}
