//! The workflows there are: those built in, and the user's own files, which win over a built-in one of the same name.

use crate::problem::Problems;
use crate::workflow::Workflow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// File name and text of every built-in workflow.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("daily.toml", include_str!("../../daily.toml")),
    ("hourly.toml", include_str!("../../hourly.toml")),
    ("nightly.toml", include_str!("../../nightly.toml")),
    ("ledger-check.toml", include_str!("../../ledger-check.toml")),
    ("retention.toml", include_str!("../../retention.toml")),
    ("backup.toml", include_str!("../../backup.toml")),
];

/// Why there is no such workflow.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file is wrong.
    #[error(transparent)]
    Wrong(#[from] Problems),
    /// A file's name is not its workflow's name.
    #[error("`{}` holds the workflow `{name}`; name the file {name}.toml", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The name in it.
        name: String,
    },
    /// No workflow of that name.
    #[error("there is no workflow `{name}`; there are: {known}")]
    Unknown {
        /// As asked.
        name: String,
        /// Those there are.
        known: String,
    },
}

/// All workflows by name.
///
/// * `folder` - the user's own, `<home>/config/workflows`; it need not exist.
///
/// # Errors
/// The first file that cannot be read or is wrong.
pub fn load(folder: &Path) -> Result<BTreeMap<String, Workflow>, CatalogueError> {
    let mut all = BTreeMap::new();
    for (file, text) in BUILT_IN {
        let workflow = Workflow::parse(file, text)?;
        all.insert(workflow.name().to_owned(), workflow);
    }
    for path in own_files(folder)? {
        let text = fs::read_to_string(&path).map_err(|source| CatalogueError::Read { path: path.clone(), source })?;
        let workflow = Workflow::parse(&path.display().to_string(), &text)?;
        let name = workflow.name().to_owned();
        if path.file_stem().and_then(|stem| stem.to_str()) != Some(name.as_str()) {
            return Err(CatalogueError::Misnamed { path, name });
        }
        all.insert(name, workflow);
    }
    Ok(all)
}

/// The workflow of that name.
///
/// # Errors
/// See [`load`]; [`CatalogueError::Unknown`] with the list of those there are.
pub fn find(folder: &Path, name: &str) -> Result<Workflow, CatalogueError> {
    let mut all = load(folder)?;
    all.remove(name).ok_or_else(|| CatalogueError::Unknown {
        name: name.to_owned(),
        known: all.into_keys().collect::<Vec<_>>().join(", "),
    })
}

fn own_files(folder: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let fail = |source| CatalogueError::Read { path: folder.to_path_buf(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|ext| ext == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
