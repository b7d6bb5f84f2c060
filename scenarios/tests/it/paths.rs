use scenarios::conform::paths::{Case, Outcome, black_box};
#[test]
fn all() {
    let mut n = [0; 3];
    for e in std::fs::read_dir("/work/shared/golden/paths")
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect::<std::collections::BTreeSet<_>>()
    {
        if !e.join("case.json").is_file() {
            continue;
        }
        let name = e.file_name().unwrap().to_string_lossy().into_owned();
        match Case::read(&e) {
            Err(x) => println!("{name}: ERR {x}"),
            Ok(c) => match black_box(&c) {
                Outcome::Agrees(k) => {
                    n[0] += 1;
                    println!("{name}: ok {k}")
                }
                Outcome::Differs(d) => {
                    n[1] += 1;
                    println!("{name}: DIFF {d}")
                }
                Outcome::Skipped(d) => {
                    n[2] += 1;
                    println!("{name}: skip {d}")
                }
            },
        }
    }
    println!("{n:?}");
}
