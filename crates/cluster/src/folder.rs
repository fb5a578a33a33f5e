//! A folder of files that the program has made.

use std::path::Path;

use anyhow::{Context as _, Result};

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is in the folder.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// A file.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> File {
        File { path: path.into(), text: text.into() }
    }
}

/// Writes the files into a folder, which is made when it is not there. Returns what else is in it and was not written now: left
/// from another version, it would be taken for a part of the result.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write(folder: &Path, files: &[File]) -> Result<Vec<String>> {
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        std::fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut others = Vec::new();
    list(folder, folder, &mut others)?;
    others.retain(|path| !files.iter().any(|file| file.path == *path));
    others.sort();
    Ok(others)
}

fn list(root: &Path, folder: &Path, paths: &mut Vec<String>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, paths)?;
        } else if let Ok(below) = path.strip_prefix(root) {
            paths.push(below.display().to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_folder_and_was_not_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let old = [File::new("templates/old.yaml", "old"), File::new("a.yaml", "a")];
        assert_eq!(write(folder.path(), &old).unwrap(), Vec::<String>::new());
        let left = write(folder.path(), &[File::new("a.yaml", "b")]).unwrap();
        assert_eq!(left, ["templates/old.yaml"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("a.yaml")).unwrap(), "b");
    }
}
