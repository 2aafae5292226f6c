//! Beside the fuzz targets: writes what they start from, and runs one input again.
//!
//! ```text
//! fuzz seeds FOLDER          a folder of inputs per target, a dictionary, and the targets' names on standard output
//! fuzz repeat TARGET FILE..  each file through the target
//! ```

use anyhow::{Context, bail};
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["seeds", folder] => seeds(Path::new(folder)),
        ["repeat", name, files @ ..] => repeat(name, files),
        _ => bail!("say `seeds FOLDER` or `repeat TARGET FILE..`"),
    }
}

fn seeds(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    std::fs::write(folder.join("dictionary"), fuzz::mutate::dictionary()).context("cannot write the dictionary")?;
    for target in fuzz::TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        for (n, seed) in (target.seeds)().iter().enumerate() {
            let path = folder.join(format!("seed-{n:04}"));
            std::fs::write(&path, seed).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        println!("{}", target.name);
    }
    Ok(())
}

fn repeat(name: &str, files: &[&str]) -> anyhow::Result<()> {
    let target = fuzz::target(name).with_context(|| format!("there is no target `{name}`"))?;
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read `{file}`"))?;
        println!("{file}: {} bytes", bytes.len());
        (target.run)(&bytes);
    }
    Ok(())
}
